"""Dividing rows by the values of a column: categories, or a few ranges of a numeric column."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime

import numpy as np

from everbake.core.gate.heldout import Array, Indices, numbered
from everbake.core.gate.scoring import as_answers, present

RANGES = 5
_FEW_VALUES = 10  # a numeric column with at most so many values is taken as categories
_LONGEST = 60  # characters of a value in a name


@dataclass(frozen=True)
class Division:
    """Rows divided into levels.

    Attributes:
        name: of the column, or "sex, age" of a pair.
        codes: the number of each row's level, from 0 without a gap.
        label: the name of a level, as in "sex = f" or "20 <= age < 35".
    """

    name: str
    codes: Indices
    label: Callable[[int], str]

    @property
    def count(self) -> int:
        """The number of levels."""
        return int(self.codes.max(initial=-1)) + 1


def divide(name: str, column: Array) -> Division:
    """Divide by one column.

    Numbers and times with more than 10 values are cut at their quintiles; all other columns are
    divided by value. Rows without a value are a level of their own, as is each infinite value.
    """
    values = _plain(column)
    known = ~_missing(values)
    found = values[known]
    inner = _of_order(name, found) if found.dtype.kind in "iufmM" else _categories(name, found)
    codes = np.full(len(values), inner.count, dtype=np.intp)
    codes[known] = inner.codes

    def label(code: int) -> str:
        return f"{name} missing" if code == inner.count else inner.label(code)

    return Division(name, codes, label)


def cross(one: Division, other: Division) -> Division:
    """Divide by a pair of columns."""
    wide = max(other.count, 1)
    pairs, codes = np.unique(one.codes * wide + other.codes, return_inverse=True)

    def label(code: int) -> str:
        first, second = divmod(int(pairs[code]), wide)
        return f"{one.label(first)}, {other.label(second)}"

    return Division(f"{one.name}, {other.name}", codes.reshape(-1), label)


def _plain(column: Array) -> Array:
    """The column in the simplest type that holds it."""
    values = as_answers(column)
    if values.dtype.kind != "O":
        return values
    known = ~_missing(values)
    found = values[known]
    if len(found) and all(isinstance(value, date) for value in found):
        times = np.full(len(values), np.datetime64("NaT", "us"))
        times[known] = [_utc(value) for value in found]
        return times
    values = values.copy()
    values[known] = [str(value) for value in found]
    return values


def _utc(moment: date) -> date:
    """Without a time zone, which numpy's times do not have."""
    if isinstance(moment, datetime) and moment.tzinfo is not None:
        return moment.astimezone(UTC).replace(tzinfo=None)
    return moment


def _missing(values: Array) -> Array:
    """True where there is no value; infinite numbers are values."""
    flags = ~present(values)
    if values.dtype.kind == "f":
        flags &= np.isnan(values)
    return flags


def _of_order(name: str, values: Array) -> Division:
    """By value if there are few, else by range."""
    ordered = np.sort(values)
    first = np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)]
    if np.count_nonzero(first) > _FEW_VALUES:
        return _ranges(name, values, ordered)
    found = ordered[first]
    codes = np.searchsorted(found, values)
    return Division(name, codes, lambda code: f"{name} = {_said(found[code])}")


def _ranges(name: str, values: Array, ordered: Array) -> Division:
    shares = np.arange(1, RANGES) / RANGES
    edges = np.unique(ordered[(shares * len(ordered)).astype(np.intp)])
    edges = edges[edges > ordered[0]]
    codes = np.searchsorted(edges, values, side="right")

    def label(code: int) -> str:
        if code == 0:
            return f"{name} < {_said(edges[0])}" if len(edges) else name
        if code == len(edges):
            return f"{name} >= {_said(edges[-1])}"
        return f"{_said(edges[code - 1])} <= {name} < {_said(edges[code])}"

    return Division(name, codes, label)


def _categories(name: str, values: Array) -> Division:
    codes = numbered(values)
    first = np.zeros(int(codes.max(initial=-1)) + 1, dtype=np.intp)
    first[codes[::-1]] = np.arange(len(codes))[::-1]  # where each value occurs first
    return Division(name, codes, lambda code: f"{name} = {_said(values[first[code]])}")


def _said(value: object) -> str:
    if isinstance(value, float | np.floating):
        return f"{value:.6g}"
    if isinstance(value, np.datetime64):
        day = value.astype("datetime64[D]")
        return str(day if day == value else value.astype("datetime64[s]"))
    text = str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
