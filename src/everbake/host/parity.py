"""Compares a compiled runtime with the native model: one differing row and it is not admitted.

Compared are the held-out rows, 1,000 perturbed and extreme ones, and rows with a missing value or
an unseen category in each column. It knows neither how the runtime was made nor what it holds.
"""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from everbake.host.probes import extremes, gaps_of, unseen_of, with_gaps

if TYPE_CHECKING:
    import pandas as pd

    Native: TypeAlias = Callable[[pd.DataFrame], object]

Array: TypeAlias = np.ndarray[Any, Any]

TOLERANCE = 1e-9
PERTURBED = 1000
_ONE_BY_ONE = 64  # rows of each frame that also go through the one-row path


class Runtime(Protocol):
    """What is compared: a compiled runtime."""

    @property
    def columns(self) -> tuple[str, ...]: ...  # noqa: D102 - see LinearRuntime

    @property
    def categorical(self) -> tuple[str, ...]: ...  # noqa: D102

    def answer(self, rows: Sequence[Mapping[str, object]]) -> list[object]: ...  # noqa: D102

    def answer_columns(self, columns: Mapping[str, object]) -> Array: ...  # noqa: D102


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


def parity(native_predict: "Native", runtime: Runtime, rows: "pd.DataFrame", seed: int) -> Parity:
    """Compare `runtime` with `native_predict` on `rows` and on rows made from them."""
    if rows.empty:
        return Parity(False, 0, 0.0, TOLERANCE, "no rows to compare on")  # noqa: FBT003
    tally = _Tally()
    check = _Check(native_predict, runtime, tally)
    random = np.random.default_rng(seed)
    try:
        check.frame(rows)
        check.frame(_perturbed(rows, runtime, random))
        gaps = [(name, gap) for name in runtime.columns for gap in gaps_of(rows[name])]
        check.one_each(with_gaps(rows, gaps))
        unseen = [(name, new) for name in runtime.categorical for new in unseen_of(rows[name])]
        if unseen:
            check.one_each(with_gaps(rows, unseen))
    except _DifferError as differ:
        return Parity(False, tally.rows, tally.largest, TOLERANCE, str(differ))  # noqa: FBT003
    reason = f"equal to {tally.largest:.1e} on {tally.rows} rows"
    return Parity(True, tally.rows, tally.largest, TOLERANCE, reason)  # noqa: FBT003


def _perturbed(
    rows: "pd.DataFrame", runtime: Runtime, random: np.random.Generator
) -> "pd.DataFrame":
    drawn = rows.iloc[random.integers(0, len(rows), PERTURBED)].reset_index(drop=True)
    return extremes(drawn, random, runtime.categorical)


@dataclass(frozen=True)
class _Check:
    native: "Native"
    runtime: Runtime
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
        theirs, ours = self._native(frame), self._ours(frame)
        if (theirs is None) != (ours is None):
            who, other = ("model", "file") if theirs is None else ("file", "model")
            raise _DifferError(f"the {who} refuses a row that the {other} answers")
        if theirs is None or ours is None:
            self.tally.rows += len(frame) == 1
            return False
        self._agree(theirs, ours)
        step = max(1, len(frame) // _ONE_BY_ONE)
        picked = frame.iloc[::step]
        self._agree(theirs[::step], self._one_by_one(picked))
        self.tally.rows += len(frame)
        return True

    def _native(self, frame: "pd.DataFrame") -> Array | None:
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                answers = np.asarray(self.native(frame.copy()))
        except Exception:  # noqa: BLE001 - whatever the user's code raises, it refuses the rows
            return None
        if answers.ndim == 0 or len(answers) != len(frame):
            raise _DifferError("the model does not answer once a row")
        return answers

    def _ours(self, frame: "pd.DataFrame") -> Array | None:
        try:
            return self.runtime.answer_columns(self._cells(frame))
        except ValueError:
            if len(frame) == 1:
                self._must_refuse(frame)
            return None

    def _must_refuse(self, frame: "pd.DataFrame") -> None:
        try:
            self.runtime.answer(self._records(frame))
        except ValueError:
            return
        raise _DifferError("one row alone is answered, and refused among others")

    def _one_by_one(self, frame: "pd.DataFrame") -> Array:
        try:
            return np.array([self.runtime.answer([row])[0] for row in self._records(frame)])
        except ValueError as error:
            raise _DifferError(f"one row alone is refused: {error}") from error

    def _cells(self, frame: "pd.DataFrame") -> dict[str, object]:
        return {name: _cells(frame[name]) for name in self.runtime.columns}

    def _records(self, frame: "pd.DataFrame") -> list[dict[str, object]]:
        columns = {
            name: cells.tolist() if isinstance(cells, np.ndarray) else cells
            for name, cells in self._cells(frame).items()
        }
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def _agree(self, theirs: Array, ours: Array) -> None:
        if theirs.shape != ours.shape:
            raise _DifferError(f"the model answers {theirs.shape}, the file {ours.shape}")
        if theirs.dtype.kind != "f" or ours.dtype.kind != "f":
            if theirs.tolist() != ours.tolist():
                raise _DifferError("the model and the file answer with different labels")
            return
        with np.errstate(all="ignore"):
            off = np.abs(ours - theirs) / np.maximum(1.0, np.abs(theirs))
        off[(ours == theirs) | (np.isnan(ours) & np.isnan(theirs))] = 0.0
        largest = float(off.max()) if off.size else 0.0
        self.tally.largest = max(self.tally.largest, largest)
        if not largest <= TOLERANCE:  # a NaN is no agreement
            shown = "not a number" if math.isnan(largest) else f"{largest:.1e}"
            raise _DifferError(f"an answer differs by {shown} of max(1, |native answer|)")


def _cells(column: "pd.Series") -> object:
    """A column as the runtime gets it: numbers as an array, anything else as Python values."""
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf":
        return column.to_numpy()
    return column.astype("object").where(column.notna(), None).tolist()
