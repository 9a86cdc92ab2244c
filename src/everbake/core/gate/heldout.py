"""The rows on which two models are compared, and what is known of these rows."""

from collections import Counter
from collections.abc import Mapping, Sized
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from everbake.core.gate.given import Given, Thresholds
from everbake.core.gate.looks import level_of
from everbake.core.gate.scoring import as_answers, present, take_rows
from everbake.errors import UsageError

Array = NDArray[Any]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Indices = NDArray[np.intp]

_DIGITS = 16  # hexadecimal digits of a digest that become a seed
_EXTREME = 1e100  # squares of larger weights, or of the inverse of smaller ones, leave the range


@dataclass(frozen=True)
class HeldOut:
    """Held-out rows with everything that belongs to a row.

    Attributes:
        y: outcomes.
        candidate: the candidate's answers.
        champion: the champion's answers; None without a champion, or if they are not one a row.
        best: the same of the best model so far.
        rows: the rows themselves, for metrics that want them.
        weights: how much each row counts, above 0.
        groups: numbers what each row belongs to.
        order: numbers the time of each row; None where rows have no order in time.
        segments: the columns that divide the rows into segments.
        thresholds: at which score champion, candidate and best decide "positive".
        digest: names the set of rows.
        seed: of every resampling.
        look: the how-manieth decision by these rows this is.
        more_rows: rows that the candidate has learned from and the champion has not.
        notes: what was left out.
    """

    y: Array
    candidate: Array
    champion: Array | None = None
    best: Array | None = None
    rows: object = None
    weights: Floats | None = None
    groups: Indices | None = None
    order: Indices | None = None
    segments: Mapping[str, Array] = field(default_factory=dict)
    thresholds: Thresholds = (None, None, None)
    digest: str = ""
    seed: int = 0
    look: int = 1
    more_rows: int = 0
    notes: tuple[str, ...] = ()

    @property
    def n(self) -> int:
        """The number of rows."""
        return len(self.y)

    @property
    def worth(self) -> float:
        """How many rows of equal weight are worth as much: (sum w)^2 / sum w^2 (Kish 1965)."""
        w = self.weights
        return self.n if w is None else float(np.sum(w) ** 2 / np.sum(w * w))

    @property
    def level(self) -> float:
        """The two-sided error that this look may spend."""
        return level_of(self.look)

    def noted(self, *notes: str) -> "HeldOut":
        """The same rows with further notes."""
        return replace(self, notes=self.notes + notes)

    def take(self, index: Indices) -> "HeldOut":
        """The rows `index`."""

        def at(values: Array | None) -> Any:  # noqa: ANN401 - an array stays the array that it is
            return None if values is None else values[index]

        return replace(
            self,
            y=as_answers(self.y[index]),
            candidate=at(self.candidate),
            champion=at(self.champion),
            best=at(self.best),
            rows=take_rows(self.rows, index),
            weights=at(self.weights),
            groups=at(self.groups),
            order=at(self.order),
            segments={name: values[index] for name, values in self.segments.items()},
        )

    def where(self, flags: Flags, note: str) -> "HeldOut":
        """The rows where `flags`; if any is left out, with the note on how many, its `{}`."""
        left_out = int(np.sum(~flags))
        if not left_out:
            return self
        return self.take(np.flatnonzero(flags)).noted(note.format(left_out))

    def counting(self) -> "HeldOut":
        """The rows that count at all; weights that are all the same are no weights."""
        if self.weights is None:
            return self
        held = self.where(self.weights > 0, "{} rows of weight 0 were left out.")
        weights = held.weights
        if weights is None or np.any(weights != weights[:1]):
            return held
        return replace(held, weights=None)


def held_out(given: Given, seed: int | None) -> HeldOut:
    """The rows as arrays, everything in them checked but the answers.

    Raises:
        UsageError: weights, groups, order, segments or the rows themselves do not fit the
            outcomes, or cannot be used.
    """
    y = _outcomes(given.y)
    digest = given.rows_digest or _digest(y)
    groups = _column("groups", given.groups, y)
    order = _column("order", given.order, y)
    notes = () if groups is None else _lone(groups)
    return HeldOut(
        y,
        as_answers(given.candidate),
        champion=_aligned(given.champion, y),
        best=_aligned(given.best, y),
        rows=_rows(given.rows, y),
        weights=_weights(_column("weights", given.weights, y)),
        groups=None if groups is None else _numbered(groups),
        order=None if order is None else _in_time(order),
        segments={
            name: column
            for name, values in given.segments.items()
            if (column := _column(f"segments[{name!r}]", values, y)) is not None
        },
        thresholds=given.thresholds,
        digest=digest,
        seed=_seed(digest) if seed is None else seed,
        look=given.look,
        more_rows=given.more_rows,
        notes=notes,
    )


def numbered(values: Array) -> Indices:
    """A number for each distinct value, from 0 on, in order of the values (of objects, as text).

    Raises:
        TypeError: a value can be neither sorted nor hashed.
    """
    if values.dtype.kind != "O":
        return np.unique(values, return_inverse=True)[1].reshape(-1)
    ordered = sorted(set(values), key=lambda value: (type(value).__name__, str(value)))
    places = {value: place for place, value in enumerate(ordered)}
    return np.array([places[value] for value in values], dtype=np.intp)


def _outcomes(values: object) -> Array:
    """The outcomes as an array.

    Raises:
        UsageError: text and numbers, which have no order that a metric could rely on.
    """
    y = as_answers(values)
    if y.dtype.kind == "O":
        texts = [isinstance(each, str | bytes) for each in y[present(y)].flat]
        if any(texts) and not all(texts):
            raise UsageError(
                "EB050",
                f"{sum(texts)} of {len(texts)} outcomes are text, the others are not",
                mend="make all outcomes text, or all of them numbers",
            )
    return y


def _rows(rows: object, y: Array) -> object:
    """The rows, if there is one for each outcome as far as they tell their number.

    Raises:
        UsageError: there is not.
    """
    for column in rows.values() if isinstance(rows, Mapping) else (rows,):
        count = len(column) if isinstance(column, Sized) else None
        unfit = count is None and column is not None and not hasattr(column, "take")
        if unfit or count not in {None, len(y)}:
            told = f"of type {type(column).__name__}" if unfit else f"{count} in number"
            raise UsageError(
                "EB050",
                f"the rows are {told}, y_true has {len(y)} rows",
                mend="pass a table (a frame, a mapping of columns) with one row for each outcome",
            )
    return rows


def _aligned(answers: object | None, y: Array) -> Array | None:
    if answers is None:
        return None
    array = as_answers(answers)
    return array if array.ndim and len(array) == len(y) else None


def _column(what: str, values: object | None, y: Array) -> Array | None:
    if values is None:
        return None
    array = np.asarray(values)
    if array.shape == y.shape[:1]:
        return array
    raise UsageError(
        "EB050",
        f"{what} has the shape {array.shape}, y_true has {len(y)} rows",
        mend="pass one value for each row",
    )


def _weights(values: Array | None) -> Floats | None:
    """The weights as numbers.

    Raises:
        UsageError: one is negative, missing, infinite or no number.
    """
    if values is None:
        return None
    array = as_answers(values)
    usable = np.zeros(len(array), dtype=np.bool_)
    if array.dtype.kind in "biuf":
        usable = np.isfinite(array) & (array >= 0)
    if np.all(usable):
        weights = array.astype(np.float64)
        largest = float(np.max(weights, initial=0.0))
        return weights if 1 / _EXTREME <= largest <= _EXTREME or not largest else weights / largest
    first = int(np.argmin(usable))
    raise UsageError(
        "EB053",
        f"{int(np.sum(~usable))} of {len(array)} sample weights cannot be used",
        where=f"row {first + 1}: {values[first]!s}"[:100],
        why="a weight is a finite number, 0 or above",
        mend="give rows that shall not count the weight 0",
    )


def _numbered(values: Array) -> Indices:
    """The number of each row's group; a row without one is a group by itself."""
    known = present(values)
    groups = np.full(len(values), -1, dtype=np.intp)
    try:
        groups[known] = numbered(values[known])
    except TypeError as error:
        raise UsageError(
            "EB050",
            f"groups cannot be told apart: {error}",
            mend="pass one number or text for each row",
        ) from error
    alone = np.flatnonzero(~known)
    groups[alone] = int(groups.max(initial=-1)) + 1 + np.arange(len(alone))
    return groups


def _lone(groups: Array) -> tuple[str, ...]:
    alone = int(np.sum(~present(groups)))
    return (f"{alone} rows without a group count as a group each.",) if alone else ()


def _in_time(values: Array) -> Indices | None:
    """The rank of each row's time, a missing one the oldest; None where all times are the same."""
    known = present(values)
    times = values[known]
    ranks = np.zeros(len(values), dtype=np.intp)
    try:
        ranks[known] = np.unique(times, return_inverse=True)[1].reshape(-1) + 1
    except TypeError as error:
        raise UsageError(
            "EB050",
            f"order cannot be sorted: {error}",
            mend="pass times, or numbers, all of one kind",
        ) from error
    return ranks if len(ranks) and ranks.max() > ranks.min() else None


def _digest(y: Array) -> str:
    """A digest of outcomes that does not depend on their order."""
    digest = sha256(f"{y.dtype.str}{y.shape}".encode())
    if y.dtype.kind in "OUS":
        digest.update(repr(sorted(Counter(map(repr, y.tolist())).items())).encode())
        return digest.hexdigest()
    ordered = np.sort(y) if y.ndim == 1 else y[np.lexsort(y.reshape(len(y), -1).T)]
    digest.update(np.ascontiguousarray(ordered).view(np.uint8).data)
    return digest.hexdigest()


def _seed(digest: str) -> int:
    return int(sha256(digest.encode()).hexdigest()[:_DIGITS], 16) >> 1
