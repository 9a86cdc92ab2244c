"""Compares a compiled runtime with the native model: one differing row and it is not admitted.

Compared are the held-out rows, 1,000 perturbed and extreme ones, 1,000 with values on and beside
the edges at which the model jumps, and rows with a missing value, an infinite one or an unseen
category in each column. It knows neither how the runtime was made nor what it holds.
"""

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from everbake.host.probes import beside, extremes, gaps_of, is_number, unseen_of, with_gaps
from everbake.runtimes.columns import RowRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd

    from everbake.runtimes.columns import Floats
    from everbake.runtimes.kinds import Runtime

    Answering: TypeAlias = Callable[[pd.DataFrame], object]

Array: TypeAlias = np.ndarray[Any, Any]

TOLERANCE = 1e-9
TOLERANCE_SINGLE = 1e-6  # of a native model that itself answers in float32
PERTURBED = 1000
_ONE_BY_ONE = 64  # rows of each frame that also go through the one-row path


@dataclass(frozen=True)
class Native:
    """The native model.

    Attributes:
        predict: what the user gets.
        scores: what its labels are decided by, where it answers with labels.
        classes: the labels, in the order of the scores.
        threshold: from which answer it decides "positive", if it decides.
    """

    predict: "Answering"
    scores: "Answering | None" = None
    classes: tuple[object, ...] = ()
    threshold: float | None = None


@dataclass(frozen=True)
class Parity:
    """Whether a compiled runtime answers as the native model does.

    Attributes:
        admitted: whether every row agreed.
        rows: the rows compared.
        largest: the largest |compiled - native| / max(1, |native|).
        tolerance: what `largest` may be.
        reason: one clause, for the decision.
    """

    admitted: bool
    rows: int
    largest: float
    tolerance: float
    reason: str


class _DifferError(Exception):
    """A row on which the two do not agree."""


@dataclass
class _Tally:
    rows: int = 0
    largest: float = 0.0
    tolerance: float = TOLERANCE


def parity(
    native: Native,
    runtime: "Runtime",
    rows: "pd.DataFrame",
    edges: "Mapping[str, Floats]",
    seed: int,
) -> Parity:
    """Compare `runtime` with `native` on `rows` and on rows made from them.

    Args:
        native: the model.
        runtime: the file.
        rows: real ones.
        edges: for each column, values at which the model may jump.
        seed: of the rows made.
    """
    if rows.empty:
        return Parity(False, 0, 0.0, TOLERANCE, "no rows to compare on")  # noqa: FBT003
    tally = _Tally()
    check = _Check(native, runtime, tally)
    random = np.random.default_rng(seed)
    try:
        check.frame(rows)
        check.frame(_perturbed(rows, runtime, random))
        if edges:
            check.frame(beside(_drawn(rows, random), edges, random))
        for odd in (_gaps(rows, runtime), _unseen(rows, runtime)):
            if odd:
                check.one_each(with_gaps(rows, odd))
    except _DifferError as differ:
        return Parity(False, tally.rows, tally.largest, tally.tolerance, str(differ))  # noqa: FBT003
    reason = f"equal to {tally.largest:.1e} (tolerance {tally.tolerance:.0e}) on {tally.rows} rows"
    return Parity(True, tally.rows, tally.largest, tally.tolerance, reason)  # noqa: FBT003


def _gaps(rows: "pd.DataFrame", runtime: "Runtime") -> list[tuple[str, object]]:
    """For each column what may be missing from it, and both infinities where it holds numbers."""
    gaps = [(name, gap) for name in runtime.columns for gap in gaps_of(rows[name])]
    ends = [(n, end) for n in runtime.columns if is_number(rows[n]) for end in (np.inf, -np.inf)]
    return [*gaps, *ends]


def _unseen(rows: "pd.DataFrame", runtime: "Runtime") -> list[tuple[str, object]]:
    return [(name, new) for name in runtime.categorical for new in unseen_of(rows[name])]


def _drawn(rows: "pd.DataFrame", random: np.random.Generator) -> "pd.DataFrame":
    return rows.iloc[random.integers(0, len(rows), PERTURBED)].reset_index(drop=True)


def _perturbed(
    rows: "pd.DataFrame", runtime: "Runtime", random: np.random.Generator
) -> "pd.DataFrame":
    return extremes(_drawn(rows, random), random, runtime.categorical)


@dataclass(frozen=True)
class _Check:
    native: Native
    runtime: "Runtime"
    tally: _Tally

    def one_each(self, frame: "pd.DataFrame") -> None:
        """Compare rows of which each may well be refused: at once, else one by one."""
        if self._compare(frame):
            return
        for row in range(len(frame)):
            self._compare(frame.iloc[[row]])

    def frame(self, frame: "pd.DataFrame") -> None:
        """Compare many rows; where both refuse, in halves, to find who refuses which."""
        if self._compare(frame) or len(frame) == 1:
            return
        half = len(frame) // 2
        self.frame(frame.iloc[:half])
        self.frame(frame.iloc[half:])

    def _compare(self, frame: "pd.DataFrame") -> bool:
        """Whether both answered; False if both refused.

        Raises:
            _DifferError: only one of them refused, or an answer differs.
        """
        theirs, ours = self._native(self.native.predict, frame), self._ours(frame)
        if (theirs is None) != (ours is None):
            who, other = ("model", "file") if theirs is None else ("file", "model")
            raise _DifferError(f"the {who} refuses a row that the {other} answers")
        if theirs is None or ours is None:
            self.tally.rows += len(frame) == 1
            return False
        self._agree(theirs, ours, frame)
        step = max(1, len(frame) // _ONE_BY_ONE)
        picked = frame.iloc[::step]
        self._agree(theirs[::step], self._one_by_one(picked), picked)
        self.tally.rows += len(frame)
        return True

    def _native(self, ask: "Answering", frame: "pd.DataFrame") -> Array | None:
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                answers = np.asarray(ask(frame.copy()))
        except Exception:  # noqa: BLE001 - whatever the user's code raises, it refuses the rows
            return None
        if answers.ndim == 0 or len(answers) != len(frame):
            raise _DifferError("the model does not answer once a row")
        return answers

    def _ours(self, frame: "pd.DataFrame") -> Array | None:
        try:
            return self.runtime.answer_columns(self._cells(frame))
        except RowRefusedError:
            if len(frame) == 1:
                self._must_refuse(frame)
            return None

    def _must_refuse(self, frame: "pd.DataFrame") -> None:
        try:
            self.runtime.answer(self._records(frame))
        except RowRefusedError:
            return
        raise _DifferError("one row alone is answered, and refused among others")

    def _one_by_one(self, frame: "pd.DataFrame") -> Array:
        try:
            return np.array([self.runtime.answer([row])[0] for row in self._records(frame)])
        except RowRefusedError as error:
            raise _DifferError(f"one row alone is refused: {error}") from error

    def _cells(self, frame: "pd.DataFrame") -> dict[str, object]:
        return cells_of(frame, self.runtime.columns)

    def _records(self, frame: "pd.DataFrame") -> list[dict[str, object]]:
        columns = {
            name: cells.tolist() if isinstance(cells, np.ndarray) else cells
            for name, cells in self._cells(frame).items()
        }
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def _agree(self, theirs: Array, ours: Array, frame: "pd.DataFrame") -> None:
        if theirs.shape != ours.shape:
            raise _DifferError(f"the model answers {theirs.shape}, the file {ours.shape}")
        if self.native.scores is not None:
            self._labels_agree(theirs, ours, self.native.scores, frame)
            return
        if theirs.dtype.kind != "f" or ours.dtype.kind != "f":
            raise _DifferError(f"the model answers with {theirs.dtype}, the file with {ours.dtype}")
        self._within(theirs, ours)
        cut = self.native.threshold
        if cut is not None and np.any((theirs.astype(np.float64) >= cut) != (ours >= cut)):
            raise _DifferError("a row is decided otherwise: the two lie on both sides of it")

    def _within(self, theirs: Array, ours: Array) -> None:
        """Tally the differences, each against max(1, |native answer|)."""
        if theirs.dtype == np.float32:
            self.tally.tolerance = TOLERANCE_SINGLE
        with np.errstate(all="ignore"):
            off = np.abs(ours - theirs) / np.maximum(1.0, np.abs(theirs))
        off[(ours == theirs) | (np.isnan(ours) & np.isnan(theirs))] = 0.0
        largest = float(off.max()) if off.size else 0.0
        self.tally.largest = max(self.tally.largest, largest)
        if not largest <= self.tally.tolerance:  # a NaN is no agreement
            shown = "not a number" if math.isnan(largest) else f"{largest:.1e}"
            raise _DifferError(f"an answer differs by {shown} of max(1, |native answer|)")

    def _labels_agree(
        self, theirs: Array, ours: Array, ask: "Answering", frame: "pd.DataFrame"
    ) -> None:
        """Labels are equal, or the native scores of the two are."""
        pairs = zip(theirs.tolist(), ours.tolist(), strict=True)
        other = [row for row, (a, b) in enumerate(pairs) if a != b or type(a) is not type(b)]
        if not other:
            return
        scores = self._native(ask, frame.iloc[other])
        places = {label: place for place, label in enumerate(self.native.classes)}
        wanted = [[places.get(answers[row], -1) for row in other] for answers in (theirs, ours)]
        if scores is None or -1 in (*wanted[0], *wanted[1]):
            raise _DifferError("the model and the file answer with different labels")
        if scores.ndim == 1:  # of the second class, against 0 for the first
            scores = np.column_stack([np.zeros_like(scores), scores])
        rows = np.arange(len(other))
        self._within(scores[rows, wanted[0]], scores[rows, wanted[1]])


def cells_of(frame: "pd.DataFrame", names: tuple[str, ...]) -> dict[str, object]:
    """The columns of a frame as a runtime gets them."""
    return {name: _cells(frame[name]) for name in names}


def _cells(column: "pd.Series") -> object:
    """A column as the runtime gets it: numbers as an array, anything else as Python values."""
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf":
        return column.to_numpy()
    return column.astype("object").where(column.notna(), None).tolist()
