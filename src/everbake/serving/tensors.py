"""Tensors of the Open Inference Protocol: rows of a request, and what its answers are made of.

A tensor comes as JSON or as bytes, little-endian and row by row. Its shape is held against what
has arrived before anything is made of it, so no request costs more than its own bytes.
"""

import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NoReturn

import msgspec

from everbake.serving.decode import RequestDecoder
from everbake.serving.problems import Place, ProblemError

OUTPUT, DECISION = "predict", "decision"

# How `struct` names what an element is; a truth value is a byte.
_CODES = {
    "BOOL": "B",
    "INT8": "b",
    "INT16": "h",
    "INT32": "i",
    "INT64": "q",
    "UINT8": "B",
    "UINT16": "H",
    "UINT32": "I",
    "UINT64": "Q",
    "FP16": "e",
    "FP32": "f",
    "FP64": "d",
}
DATATYPES = (*_CODES, "BYTES")
_LENGTH = struct.Struct("<I")
_PLANES = 2  # rows, and columns within a row
_NUMBERS = ("int64", "float64")
_SHOWN = 100  # characters of a name that a problem repeats


@dataclass(frozen=True)
class Given:
    """A tensor of a request, as it came.

    Attributes:
        name: of the tensor.
        datatype: one of `DATATYPES`, if the caller is right.
        shape: how many elements each way.
        data: a list from JSON, or bytes.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: list[object] | bytes


@dataclass(frozen=True)
class Tensor:
    """A tensor of an answer.

    Attributes:
        name: of the tensor.
        datatype: one of `DATATYPES`.
        shape: how many elements each way.
        values: the elements, row by row.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: list[object]


def rows_of(given: Sequence[Given], decoder: RequestDecoder) -> list[dict[str, object]]:
    """The rows that some tensors stand for, not yet held against the inputs.

    Either each tensor is a column, or the only one holds all inputs of a model that takes numbers.

    Raises:
        ProblemError: the tensors are broken, or do not fit together or the model.
    """
    if not given:
        raise ProblemError("EB532", '"inputs" is empty', mend="send one tensor a column")
    names = tuple(i.name for i in decoder.inputs)
    first = given[0]
    if len(given) == 1 and len(first.shape) == _PLANES and _is_free(first, names):
        return _from_matrix(first, decoder)
    return _from_columns(given, decoder)


def _is_free(tensor: Given, names: tuple[str, ...]) -> bool:
    return tensor.name not in names or tensor.shape[1] != 1


def _from_matrix(tensor: Given, decoder: RequestDecoder) -> list[dict[str, object]]:
    names = [i.name for i in decoder.inputs]
    others = [i.name for i in decoder.inputs if i.type not in _NUMBERS]
    rows, width = tensor.shape
    if others:
        _misfit(f'one tensor cannot hold all inputs: "{others[0]}" is no number', names)
    if width != len(names):
        _misfit(f"the rows of the tensor have {width} values, the model's {len(names)}", names)
    decoder.check_count(rows)
    values = elements(tensor)
    return [
        dict(zip(names, values[at : at + width], strict=True))
        for at in range(0, len(values), width)
    ]


def _from_columns(given: Sequence[Given], decoder: RequestDecoder) -> list[dict[str, object]]:
    names = [tensor.name for tensor in given]
    if len(set(names)) != len(names):
        raise ProblemError("EB533", "two tensors have the same name")
    count = _length(given[0])
    for tensor in given:
        if _length(tensor) != count:
            raise ProblemError(
                "EB533",
                f"tensor {_shown(tensor)} has {_length(tensor)} rows, {_shown(given[0])} {count}",
            )
    decoder.check_count(count)
    columns = [elements(tensor) for tensor in given]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _length(tensor: Given) -> int:
    """How many rows a column has."""
    shape = tensor.shape
    if len(shape) == 1 or (len(shape) == _PLANES and shape[1] == 1):
        return shape[0]
    raise ProblemError(
        "EB533",
        f"tensor {_shown(tensor)} has the shape {list(shape)[:8]}",
        mend="send one tensor a column, shaped [rows] or [rows, 1]",
    )


def elements(tensor: Given) -> list[object]:
    """The elements, row by row; what is no number (NaN) stands for a missing value.

    Raises:
        ProblemError: the datatype is not known, or the data is not what shape and datatype say.
    """
    if tensor.datatype not in DATATYPES:
        _broken(tensor, f"the datatype {tensor.datatype[:_SHOWN]!r}, which is not known")
    count = math.prod(tensor.shape)
    if isinstance(tensor.data, bytes):
        return _unpacked(tensor, tensor.data, count)
    return _listed(tensor, tensor.data, count)


def _listed(tensor: Given, data: list[object], count: int) -> list[object]:
    if len(tensor.shape) == _PLANES and any(isinstance(part, list) for part in data):
        inner = [part for part in data if isinstance(part, list) and len(part) == tensor.shape[1]]
        if len(inner) != len(data):
            _broken(tensor, "rows of different lengths")
        data = list(chain.from_iterable(inner))
    if len(data) != count:
        _broken(tensor, f"{len(data)} values for {count}")
    fitting = _FITTING[tensor.datatype]
    try:
        return [None if value is None else fitting(value) for value in data]
    except (_UnfitError, struct.error, OverflowError):
        _refuse_first(tensor, data)


def _refuse_first(tensor: Given, data: list[object]) -> NoReturn:
    """Name the value that its datatype cannot hold."""
    fitting, width = _FITTING[tensor.datatype], math.prod(tensor.shape[1:])
    for at, value in enumerate(data):
        try:
            if value is not None:
                fitting(value)
        except (_UnfitError, struct.error, OverflowError):
            row, name = at // width, tensor.name[:_SHOWN]
            shown = "a list or an object" if isinstance(value, list | dict) else repr(value)[:50]
            what = f"tensor {_shown(tensor)} has {shown} in row {row}"
            raise ProblemError(
                "EB515", f"{what}, which is no {tensor.datatype}", Place(row, name)
            ) from None
    raise AssertionError(tensor.name)


def _unpacked(tensor: Given, data: bytes, count: int) -> list[object]:
    if tensor.datatype == "BYTES":
        return _texts(tensor, data, count)
    code = _CODES[tensor.datatype]
    wanted = count * struct.calcsize("<" + code)
    if len(data) != wanted:
        _broken(tensor, f"{len(data)} bytes for {wanted}")
    values = struct.unpack(f"<{count}{code}", data)
    if tensor.datatype == "BOOL":
        if max(values, default=0) > 1:
            _broken(tensor, "a byte that is neither 0 nor 1")
        return list(map(bool, values))
    if tensor.datatype.startswith("FP"):
        return [None if math.isnan(value) else value for value in values]
    return list(values)


def _texts(tensor: Given, data: bytes, count: int) -> list[object]:
    """Texts, each behind its length."""
    found: list[object] = []
    at = 0
    while at < len(data) and len(found) < count:
        if at + _LENGTH.size > len(data):
            _broken(tensor, "a length that is cut off")
        start = at + _LENGTH.size
        at = start + _LENGTH.unpack_from(data, at)[0]
        if at > len(data):
            _broken(tensor, "a text that is cut off")
        found.append(_decoded(tensor, data[start:at], len(found)))
    if len(found) != count or at != len(data):
        _broken(tensor, f"{len(data)} bytes, which are not {count} texts")
    return found


def _decoded(tensor: Given, text: bytes, at: int) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        row, name = at // math.prod(tensor.shape[1:]), tensor.name[:_SHOWN]
        what = f"tensor {_shown(tensor)} has a text in row {row} that is no UTF-8"
        raise ProblemError("EB515", what, Place(row, name)) from None


class _UnfitError(Exception):
    """A value that its datatype cannot hold."""


def _bool(value: object) -> object:
    if not isinstance(value, bool):
        raise _UnfitError
    return value


def _text(value: object) -> object:
    if not isinstance(value, str):
        raise _UnfitError
    return value


def _number(value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _UnfitError
    return value


def _whole(code: str) -> Callable[[object], object]:
    pack = struct.Struct("<" + code).pack

    def fitting(value: object) -> object:
        number = _number(value)
        whole = int(number)
        if whole != number:
            raise _UnfitError
        pack(whole)  # raises beyond the datatype's range
        return whole

    return fitting


def _real(code: str) -> Callable[[object], object]:
    form = struct.Struct("<" + code)

    def fitting(value: object) -> object:
        # The same tensor means the same numbers, whichever way it is sent.
        number: float = form.unpack(form.pack(_number(value)))[0]
        return number

    return fitting


_FITTING: dict[str, Callable[[object], object]] = {
    "BOOL": _bool,
    "BYTES": _text,
    **{name: _whole(code) for name, code in _CODES.items() if "INT" in name},
    **{name: _real(code) for name, code in _CODES.items() if name.startswith("FP")},
}


def tensors_of(
    predictions: Sequence[object], decisions: Sequence[bool | None] | None = None
) -> tuple[Tensor, ...]:
    """Predictions as tensors: one named `predict`, or one a name where each row has named parts.

    What no tensor can hold (rows of different lengths, parts of parts) becomes JSON texts. What was
    decided, if anything, is the tensor `decision`.
    """
    if decisions is not None:
        return (*tensors_of(predictions), _tensor(DECISION, decisions))
    first = predictions[0]
    if isinstance(first, dict) and all(
        isinstance(each, dict) and each.keys() == first.keys() for each in predictions
    ):
        return tuple(
            _tensor(str(name), [each[name] for each in predictions])  # type: ignore[index]
            for name in first
        )
    return (_tensor(OUTPUT, predictions),)


def _tensor(name: str, values: Sequence[object]) -> Tensor:
    count = len(values)
    lists = [value for value in values if isinstance(value, list)]
    widths = {len(value) for value in lists}
    if len(lists) == count and len(widths) == 1:
        flat, shape = list(chain.from_iterable(lists)), (count, *widths)
    else:
        flat, shape = list(values), (count,)
    kind = _datatype(flat)
    if kind is None:
        return Tensor(name, "BYTES", (count,), [msgspec.json.encode(v).decode() for v in values])
    return Tensor(name, kind, shape, flat)


def _datatype(values: list[object]) -> str | None:
    kinds = set(map(type, values))
    if kinds == {bool}:
        return "BOOL"
    if kinds == {str}:
        return "BYTES"
    if kinds == {int}:
        fits = all(-(2**63) <= value < 2**63 for value in values)  # type: ignore[operator]
        return "INT64" if fits else None
    return "FP64" if kinds and kinds <= {int, float} else None


def pack(tensor: Tensor) -> bytes:
    """The elements as bytes, little-endian and row by row."""
    if tensor.datatype == "BYTES":
        texts = [str(value).encode() for value in tensor.values]
        return b"".join(_LENGTH.pack(len(text)) + text for text in texts)
    code = _CODES[tensor.datatype]
    return struct.pack(f"<{len(tensor.values)}{code}", *tensor.values)


def _shown(tensor: Given) -> str:
    return f'"{tensor.name[:_SHOWN]}"'


def _broken(tensor: Given, what: str) -> NoReturn:
    raise ProblemError(
        "EB532",
        f"tensor {_shown(tensor)} has {what}",
        mend="datatypes: " + ", ".join(DATATYPES),
    )


def _misfit(what: str, names: list[str]) -> NoReturn:
    raise ProblemError("EB533", what, mend="the model takes: " + ", ".join(names[:50]))
