"""Calling the user's metric, and looking at what a model answered. User code may do anything."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from math import isclose, isfinite
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from everbake.errors import UserCodeError

Array = NDArray[Any]
Flags = NDArray[np.bool_]
Indices = NDArray[np.intp]
_WIDEST = 2
_SAME = 1e-9
_WEIGHTS = "sample_weight"


class _Frame(Protocol):
    @property
    def iloc(self) -> Mapping[Indices, object]: ...


class _Takeable(Protocol):
    def take(self, index: Indices) -> object: ...


class Scorer:
    """A metric bound to the outcomes of the held-out rows.

    Args:
        name: the metric's name, for errors.
        metric: `(y_true, y_pred)`; if it takes a third parameter `rows`, with the rows; if it
            takes `sample_weight`, with that.
        y: the outcomes.
        rows: the held-out rows, in any form that can be indexed by row.
        weights: sample weights, which only reach a metric that takes them.
    """

    def __init__(
        self,
        name: str,
        metric: Callable[..., float],
        y: Array,
        rows: object,
        weights: Array | None = None,
    ) -> None:
        self.name = name
        self.metric = metric
        self.y = y
        parameters = _parameters(metric)
        self.takes_rows = _takes_rows(parameters)
        self.takes_weights = any(each.name == _WEIGHTS for each in parameters)
        self.rows = rows if self.takes_rows else None
        self.weights = weights if self.takes_weights else None

    def at(self, index: Indices) -> "Scorer":
        """The same metric bound to the rows `index`."""
        weights = None if self.weights is None else self.weights[index]
        return Scorer(self.name, self.metric, self.y[index], take_rows(self.rows, index), weights)

    def value(self, answers: Array, whose: str) -> float:
        """The metric's value of `answers`; NaN or infinite where it has none.

        Raises:
            UserCodeError: the metric raised, or answered with something that is not a number.
        """
        return self._call(self.y, answers, self.rows, self.weights, whose)

    def steady(self, value: float, answers: Array, whose: str) -> float:
        """`value`, if the metric gives it once more for the same `answers`.

        Raises:
            UserCodeError: it does not, so that no interval could be trusted.
        """
        again = self.value(answers, whose)
        if isclose(again, value, rel_tol=_SAME, abs_tol=_SAME) or not isfinite(value):
            return value
        raise UserCodeError(
            "EB318",
            f"the metric {self.name} gave {value:.6g}, then {again:.6g} for the same rows",
            where=f"scoring {whose}",
            why="it draws at random, or keeps something from call to call",
            mend=f"let {self.name} seed what it draws in every call",
        )

    def finite(self, value: float, whose: str) -> float:
        """`value`, if it is finite.

        Raises:
            UserCodeError: it is not.
        """
        if not isfinite(value):
            raise UserCodeError(
                "EB311",
                f"the metric {self.name} returned {value} for {whose}",
                where=f"the {len(self.y)} held-out rows",
                mend=f"let {self.name} return a finite number for every prediction it may get",
            )
        return value

    def on(self, index: Indices, answers: Array) -> float:
        """The value on the rows `index` only (rows may repeat); NaN where the metric fails."""
        rows = take_rows(self.rows, index)
        weights = None if self.weights is None else self.weights[index]
        try:
            return self._call(self.y[index], answers[index], rows, weights, "a resample")
        except UserCodeError:
            return float("nan")

    def _call(
        self, y: Array, answers: Array, rows: object, weights: Array | None, whose: str
    ) -> float:
        extra = (rows,) if self.takes_rows else ()
        named = {} if weights is None else {_WEIGHTS: weights}
        try:
            value: object = self.metric(y, answers, *extra, **named)
        except Exception as error:
            raise UserCodeError(
                "EB310",
                f"the metric {self.name} raised {type(error).__name__}: {error}",
                where=f"scoring {whose}",
                mend=f"call {self.name} on a few rows yourself and mend what it raises",
            ) from error
        try:
            return _number(value)
        except (TypeError, ValueError, OverflowError) as error:
            raise UserCodeError(
                "EB311",
                f"the metric {self.name} returned {type(value).__name__}, not a number",
                where=f"scoring {whose}",
                mend=f"let {self.name} return one float",
            ) from error


def take_rows(rows: object, index: Indices) -> object:
    """The rows `index` of a frame, a table, a mapping of columns or an array."""
    if hasattr(rows, "iloc"):
        return cast("_Frame", rows).iloc[index]
    if isinstance(rows, Mapping):
        return {name: np.asarray(column)[index] for name, column in rows.items()}
    if isinstance(rows, Sequence):
        return [rows[i] for i in index]
    if isinstance(rows, np.ndarray):
        return rows[index]
    return None if rows is None else cast("_Takeable", rows).take(index)


def as_answers(values: object) -> Array:
    """A model's answers as an array: columns of one are flattened, numbers leave object arrays.

    Lists of different lengths are an array of lists, masked values are missing ones.
    """
    if isinstance(values, np.ma.MaskedArray):
        values = values.tolist()
    try:
        array = np.asarray(values)
    except ValueError:  # no two of numpy's errors for lists of different lengths are alike
        array = np.empty(len(cast("Sequence[object]", values)), dtype=object)
        array[:] = values
    if array.ndim == _WIDEST and array.shape[1] == 1:
        array = array[:, 0]
    if array.dtype.kind == "O" and array.size and all(map(_numeric_or_missing, array.flat)):
        return _numbers(array)
    return array


def present(values: Array) -> Flags:
    """True for each row whose value (all values, in a matrix) is there and finite."""
    if values.dtype.kind in "fc":
        flags = np.isfinite(values)
    elif values.dtype.kind in "mM":
        flags = ~np.isnat(values)
    elif values.dtype.kind == "O":
        flags = np.array([not _missing(v) for v in values.flat], bool).reshape(values.shape)
    else:
        flags = np.ones(values.shape, dtype=bool)
    return flags if flags.ndim == 1 else np.asarray(flags.all(axis=tuple(range(1, flags.ndim))))


def is_composite(values: Array) -> bool:
    """True for lists and mappings, of which numpy must make no arrays of their own."""
    return values.dtype.kind == "O" and any(isinstance(v, dict | tuple | list) for v in values.flat)


def is_numeric(values: Array) -> bool:
    """True for numbers and booleans."""
    return values.dtype.kind in "biuf"


def _numbers(values: Array) -> Array:
    """Numbers among objects, NaN where one is missing; as they are if a float cannot hold one."""
    plain = [np.nan if _missing(value) else value for value in values.flat]
    try:
        numbers = np.array(plain, dtype=np.float64)
    except OverflowError:
        return values
    whole = [(value, i) for i, value in enumerate(plain) if isinstance(value, int)]
    if any(value != numbers[i] for value, i in whole):  # labels that would become one
        return values
    return numbers.reshape(values.shape)


def _missing(value: object) -> bool:
    if value is None or type(value).__name__ in {"NAType", "NaTType"}:
        return True
    return isinstance(value, float | np.floating) and not np.isfinite(value)


def _numeric_or_missing(value: object) -> bool:
    number = isinstance(value, int | float | np.number | np.bool_)
    return number or _missing(value)


def _number(value: object) -> float:
    """The one number that a metric returned.

    Raises:
        TypeError: it is none, or several, or text.
        ValueError: likewise.
        OverflowError: a whole number beyond all floating ones.
    """
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.item()
    if isinstance(value, str | bytes):
        raise TypeError
    return float(cast("float", value))


def _parameters(metric: Callable[..., float]) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(metric).parameters.values())
    except (TypeError, ValueError):  # some built-in functions tell no signature
        return []


def _takes_rows(parameters: list[inspect.Parameter]) -> bool:
    positional = [p for p in parameters if p.kind in {p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD}]
    return len(positional) > _WIDEST and positional[_WIDEST].name == "rows"
