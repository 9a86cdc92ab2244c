"""Guesses the types of a first batch's columns: the narrowest that all values fit."""

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from everbake.core.dataset import ColumnType
from everbake.host.parsing.cast import cast, family
from everbake.host.parsing.raw import Raw

_ORDER: tuple[ColumnType, ...] = ("int64", "float64", "bool", "timestamp", "string")
_AND_TEXT: dict[ColumnType, frozenset[ColumnType]] = {
    "int64": frozenset({"int64", "float64", "string"}),
    "float64": frozenset({"float64", "string"}),
    "bool": frozenset({"bool", "string"}),
    "timestamp": frozenset({"timestamp", "string"}),
    "string": frozenset({"string"}),
}
_LONG = 18  # digits of a number that surely fits


@dataclass(frozen=True)
class _Likeness:
    """A way that a number may be written: an expression, and a cheap test before it."""

    pattern: str
    doubtful: Callable[[pa.Array], pa.Array]


def _may_be_name(texts: pa.Array) -> pa.Array:
    doubtful = pc.greater(pc.binary_length(texts), _LONG)
    for start in ("0", "-0", "+", " "):
        doubtful = pc.or_kleene(doubtful, pc.starts_with(texts, start))
    return doubtful


def _may_have_fraction(texts: pa.Array) -> pa.Array:
    exponent = pc.match_substring(texts, "e", ignore_case=True)
    return pc.or_kleene(pc.match_substring(texts, "."), exponent)


# numbers that are names, which arithmetic would spoil: "007", "+49", more digits than fit
_NAME = _Likeness(r"^\s*([+-]?0[0-9xX]|\+|[+-]?\d{19,}\s*$)", _may_be_name)
_FRACTION = _Likeness(r"^\s*[+-]?(\d+\.|\.|\d+[eE])", _may_have_fraction)


class Guess:
    """What a column may still be, narrowed by every batch."""

    def __init__(self) -> None:
        self._open: frozenset[ColumnType] = frozenset(_ORDER)
        self._seen = False

    def narrow(self, raw: Raw) -> None:
        """Drop the types that these values do not fit."""
        if raw.values.null_count == len(raw.values):
            return
        if raw.kind == "typed" and family(raw.values.type) != "string":
            self.narrow_to(raw.values.type)
            return
        self._drop(_fitting(raw, self._open))

    def narrow_to(self, arrow: pa.DataType) -> None:
        """Drop the types that a column of this Arrow type does not fit."""
        if not pa.types.is_null(arrow):
            self._drop(family(arrow) or "string")

    def settled(self) -> ColumnType:
        """The narrowest type left; a column without any value counts as numbers."""
        if not self._seen:
            return "float64"
        return next(kind for kind in _ORDER if kind in self._open)

    def _drop(self, kind: ColumnType) -> None:
        self._seen = True
        self._open &= _AND_TEXT[kind]


def _fitting(raw: Raw, choices: frozenset[ColumnType]) -> ColumnType:
    """The narrowest of `choices` that these texts fit."""
    if raw.kind == "typed":  # texts by declaration: only ISO dates are more than that
        fits = "timestamp" in choices and cast(raw, "timestamp")[1] is None
        return "timestamp" if fits else "string"
    for kind in _ORDER[:-1]:
        if kind not in choices or cast(raw, kind)[1] is not None:
            continue
        if kind in ("int64", "float64") and _any_like(raw.values, _NAME):
            return "string"
        if kind != "int64" or not _any_like(raw.values, _FRACTION):
            return kind
    return "string"


def _any_like(texts: pa.Array, likeness: _Likeness) -> bool:
    """Whether some text matches; only those that pass the cheap test meet the expression."""
    some = texts.filter(likeness.doubtful(texts))
    matches = pc.match_substring_regex(some, likeness.pattern)
    return bool(len(some)) and bool(pc.any(matches).as_py())
