"""Turns columns as read into the contract's types, and says which values do not fit."""

import json
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from everbake.core.dataset import ColumnType
from everbake.host.parsing.raw import Raw

Mask: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]
Cast: TypeAlias = tuple[pa.Array, Mask | None]

ARROW: dict[ColumnType, pa.DataType] = {
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "string": pa.string(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}
_NAIVE = pa.timestamp("us")
# what stands for a missing value in columns that are no text
_ABSENT = pa.array(
    ["", "NA", "N/A", "#N/A", "NaN", "nan", "-nan", "null", "NULL", "None", "none", "NaT", "-"]
)
_INTEGER = re.compile(r"[+-]?\d{1,19}")
_FLOAT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?inf(inity)?", re.IGNORECASE)
_BOOLS = {"true": True, "false": False, "1": True, "0": False}


def cast(raw: Raw, kind: ColumnType) -> Cast:
    """The values as `kind`, and a mask of those that are no such thing (None if all are).

    What does not fit is missing in the result; so is a float that is not a number.
    """
    values, wrong = _cast(raw, kind)
    if pa.types.is_floating(values.type):
        values = _without_nan(values)
    return values, wrong


def _cast(raw: Raw, kind: ColumnType) -> Cast:
    if raw.kind == "typed":
        return _typed(raw.values, kind)
    if raw.kind == "text":
        return (raw.values, None) if kind == "string" else _parsed(raw.values, kind)
    if kind in ("string", "timestamp"):
        texts, wrong = _unquoted(raw.values)
        if kind == "string":
            return texts, wrong
        values, unread = _parsed(texts, kind)
        masks = [mask for mask in (wrong, unread) if mask is not None]
        return values, np.logical_or.reduce(masks) if masks else None
    return _parsed(raw.values, kind)


def _parsed(texts: pa.Array, kind: ColumnType) -> Cast:
    """Texts as `kind`: all at once if that works, else one by one."""
    parse = _PARSE[kind]
    try:
        return parse(texts), None
    except pa.ArrowInvalid:
        pass  # some value is padded, absent in words, or wrong
    cleaned = pc.utf8_trim_whitespace(texts)
    absent = pc.is_in(cleaned, value_set=_ABSENT)
    cleaned = pc.if_else(absent, pa.scalar(None, texts.type), cleaned)
    try:
        return parse(cleaned), None
    except pa.ArrowInvalid:
        return _one_by_one(cleaned, kind)


def _one_by_one(texts: pa.Array, kind: ColumnType) -> Cast:
    read = _READ[kind]
    values = [None if text is None else read(text) for text in texts.to_pylist()]
    result = pa.array(values, ARROW[kind])
    wrong = pc.and_(texts.is_valid(), result.is_null()).to_numpy(zero_copy_only=False)
    return result, wrong if wrong.any() else None


def _integers(texts: pa.Array) -> pa.Array:
    if pc.any(pc.match_substring(texts, "x", ignore_case=True)).as_py():
        raise pa.ArrowInvalid("Arrow would read hexadecimal numbers")
    return texts.cast(pa.int64())


def _timestamps(texts: pa.Array) -> pa.Array:
    try:
        return texts.cast(_NAIVE).cast(ARROW["timestamp"])
    except pa.ArrowInvalid:
        return texts.cast(ARROW["timestamp"])


_PARSE: dict[ColumnType, Callable[[pa.Array], pa.Array]] = {
    "int64": _integers,
    "float64": lambda texts: texts.cast(pa.float64()),
    "bool": lambda texts: texts.cast(pa.bool_()),
    "timestamp": _timestamps,
}


def _read_integer(text: str) -> int | None:
    if _INTEGER.fullmatch(text):
        return int(text) if -(2**63) <= int(text) < 2**63 else None
    number = _read_float(text)
    whole = number is not None and number.is_integer() and abs(number) <= 2**53
    return int(number) if whole and number is not None else None


def _read_float(text: str) -> float | None:
    return float(text) if _FLOAT.fullmatch(text) else None


def _read_bool(text: str) -> bool | None:
    return _BOOLS.get(text.lower())


def _read_timestamp(text: str) -> datetime | None:
    try:
        stamp = datetime.fromisoformat(text)
        return stamp.replace(tzinfo=UTC) if stamp.tzinfo is None else stamp.astimezone(UTC)
    except (ValueError, OverflowError):  # in UTC it may lie before year 1 or after 9999
        return None


_READ: dict[ColumnType, Callable[[str], Any]] = {
    "int64": _read_integer,
    "float64": _read_float,
    "bool": _read_bool,
    "timestamp": _read_timestamp,
}


def _unquoted(texts: pa.Array) -> Cast:
    """JSON texts as plain ones; objects and lists are wrong."""
    values = [_plain(text) for text in texts.to_pylist()]
    result = pa.array(values, pa.string())
    wrong = pc.and_(texts.is_valid(), result.is_null()).to_numpy(zero_copy_only=False)
    return result, wrong if wrong.any() else None


def _plain(text: str | None) -> str | None:
    if text is None or text.startswith(("{", "[")):
        return None
    return str(json.loads(text)) if text.startswith('"') else text


def _typed(values: pa.Array, kind: ColumnType) -> Cast:
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if values.type == ARROW[kind]:
        return values, None
    if pa.types.is_null(values.type):
        return pa.nulls(len(values), ARROW[kind]), None
    return _convert(values, kind)


def _convert(values: pa.Array, kind: ColumnType) -> Cast:
    source = family(values.type)
    convert = _texted if kind == "string" and source else _CONVERT.get((source, kind), _nothing)
    return convert(values, kind)


def family(arrow: pa.DataType) -> ColumnType | None:
    """The contract's type for an Arrow type, None if there is none (lists, bytes, times of day)."""
    if pa.types.is_dictionary(arrow):
        return family(arrow.value_type)
    tests: tuple[tuple[ColumnType, Callable[[pa.DataType], bool]], ...] = (
        ("int64", pa.types.is_integer),
        ("float64", pa.types.is_floating),
        ("float64", pa.types.is_decimal),
        ("bool", pa.types.is_boolean),
        ("string", pa.types.is_string),
        ("string", pa.types.is_large_string),
        ("string", pa.types.is_string_view),
        ("timestamp", pa.types.is_date),
        ("timestamp", pa.types.is_timestamp),
    )
    return next((kind for kind, test in tests if test(arrow)), None)


def _texted(values: pa.Array, kind: ColumnType) -> Cast:
    try:
        return values.cast(ARROW[kind]), None
    except pa.ArrowInvalid:  # times in a zone that nobody knows
        return _nothing(values, kind)


def _as_text(values: pa.Array, kind: ColumnType) -> Cast:
    return _parsed(values.cast(pa.string()), kind)


def _as_float(values: pa.Array, kind: ColumnType) -> Cast:
    return values.cast(ARROW[kind], safe=False), None


def _stamped(values: pa.Array, kind: ColumnType) -> Cast:
    zone = getattr(values.type, "tz", None)
    moments = values.cast(pa.timestamp("us", tz=zone), safe=False)
    return moments.cast(ARROW[kind]), None


def _whole(values: pa.Array, kind: ColumnType) -> Cast:
    """Numbers as integers; fractions and what is too large are wrong."""
    try:
        return values.cast(ARROW[kind]), None
    except pa.ArrowInvalid:
        pass  # a fraction, a number that is none, or one beyond 64 bits
    numbers = _without_nan(values.cast(pa.float64(), safe=False))
    read = [_exact(number) for number in numbers.to_pylist()]
    result = pa.array(read, pa.int64())
    wrong = pc.and_(numbers.is_valid(), result.is_null()).to_numpy(zero_copy_only=False)
    return result, wrong if wrong.any() else None


def _exact(number: float | None) -> int | None:
    fits = number is not None and math.isfinite(number) and number.is_integer()
    return int(number) if fits and number is not None and abs(number) <= 2**53 else None


def _nothing(values: pa.Array, kind: ColumnType) -> Cast:
    wrong = values.is_valid().to_numpy(zero_copy_only=False)
    return pa.nulls(len(values), ARROW[kind]), wrong if wrong.any() else None


_CONVERT: dict[tuple[ColumnType | None, ColumnType], Callable[[pa.Array, ColumnType], Cast]] = {
    ("string", "timestamp"): _as_text,
    ("timestamp", "timestamp"): _stamped,
    ("int64", "float64"): _as_float,
    ("float64", "float64"): _as_float,
    ("int64", "int64"): _whole,
    ("float64", "int64"): _whole,
}


def _without_nan(values: pa.Array) -> pa.Array:
    nan = pc.is_nan(values)
    if not pc.any(nan).as_py():
        return values
    return pc.if_else(nan, pa.scalar(None, values.type), values)
