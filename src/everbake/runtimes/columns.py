"""Input columns of a data file: numbers, and categories that are looked up.

What the runtimes share; it knows nothing of what they compute.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Protocol, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

Category = str | int | float | bool
Floats = NDArray[np.float64]


class RowRefusedError(ValueError):
    """The model cannot answer this row.

    Attributes:
        problem: what is wrong with the value.
        column: the input column at fault.
        row: the position of the row in the call.
    """

    def __init__(self, problem: str, column: str, row: int) -> None:
        super().__init__(f'{problem} in column "{column}" (row {row})')
        self.problem = problem
        self.column = column
        self.row = row


class Levels(msgspec.Struct, frozen=True):
    """One categorical input: the numbers that each category stands for; None refuses the row."""

    column: str
    categories: tuple[Category, ...]
    weights: bytes
    unseen: bytes | None
    missing: bytes | None


def pack(values: Floats | Sequence[float]) -> bytes:
    """The bytes of an array in the file: little-endian float64."""
    return np.asarray(values, dtype="<f8").tobytes()


def unpack(data: bytes) -> Floats:
    """The array that `pack` wrote, flat."""
    return np.frombuffer(data, dtype="<f8").astype(np.float64)


@dataclass(frozen=True)
class Table:
    """A categorical input, ready for look-ups; `add[i]` belongs to `index[category] == i`."""

    column: str
    index: dict[object, int]
    add: Floats
    unseen: int
    missing: int

    @classmethod
    def of(cls, levels: Levels, width: int) -> "Table":
        """The table of an input whose categories stand for `width` numbers each."""
        add = [unpack(levels.weights).reshape(len(levels.categories), width)]
        positions: list[int] = []
        size = len(levels.categories)
        for extra in (levels.unseen, levels.missing):
            positions.append(-1 if extra is None else size)
            if extra is not None:
                add.append(unpack(extra).reshape(1, width))
                size += 1
        index: dict[object, int] = {c: i for i, c in enumerate(levels.categories)}
        return cls(levels.column, index, np.vstack(add), positions[0], positions[1])

    def position(self, value: object, row: int) -> int:
        """Where `add` holds what this value stands for."""
        if value is None or (isinstance(value, float) and math.isnan(value)):
            if self.missing < 0:
                raise RowRefusedError("missing value", self.column, row)
            return self.missing
        if isinstance(value, float) and math.isinf(value):
            raise RowRefusedError("infinite value", self.column, row)
        try:
            found = self.index.get(value, self.unseen)
        except TypeError:
            found = -1  # a list or an object is no category
        if found < 0:
            raise RowRefusedError("unseen category", self.column, row)
        return found

    def looked_up(self, columns: Mapping[str, object]) -> Floats:
        """What the column's values stand for, shaped (rows, width)."""
        values = columns[self.column]
        cells = values.tolist() if isinstance(values, np.ndarray) else values
        places = [self.position(v, i) for i, v in enumerate(cells)]  # type: ignore[arg-type]
        return self.add[places]


def picker(columns: tuple[str, ...]) -> Callable[[Mapping[str, object]], tuple[object, ...]]:
    """Takes these columns out of a row."""
    if len(columns) > 1:
        return itemgetter(*columns)
    if columns:
        only = columns[0]
        return lambda row: (row[only],)
    return lambda _: ()


def turned(rows: Sequence[Mapping[str, object]], names: tuple[str, ...]) -> dict[str, object]:
    """The rows, column by column.

    Raises:
        RowRefusedError: a row lacks a column.
    """
    columns: dict[str, object] = {}
    for name in names:
        try:
            columns[name] = [row[name] for row in rows]
        except KeyError:
            at = next(i for i, row in enumerate(rows) if name not in row)
            raise RowRefusedError("no value", name, at) from None
    return columns


def must_hold(columns: Mapping[str, object], names: tuple[str, ...]) -> None:
    """Refuse columns of which one is not there."""
    for name in names:
        if name not in columns:
            raise RowRefusedError("no value", name, 0)


def matrix(columns: Mapping[str, object], names: tuple[str, ...]) -> Floats:
    """The numbers of these columns, shaped (rows, columns), NaN for None."""
    count = len(columns[names[0]]) if names else 0  # type: ignore[arg-type]
    x: Floats = np.empty((count, len(names)))
    for j, name in enumerate(names):
        x[:, j] = _as_floats(columns[name], name)
    return x


def _as_floats(values: object, column: str) -> Floats:
    try:
        numbers: Floats = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise _no_number(values, column) from None
    if numbers.ndim != 1:
        raise _no_number(values, column)
    return numbers


def _no_number(values: object, column: str) -> RowRefusedError:
    """The refusal of the first value that is no number."""
    for row, value in enumerate(values):  # type: ignore[arg-type, var-annotated]
        try:
            float(0.0 if value is None else value)
        except (TypeError, ValueError, OverflowError):
            return RowRefusedError("no number", column, row)
    return RowRefusedError("no number", column, 0)


F = TypeVar("F", bound="DataFile")


class DataFile(Protocol):
    """What the data file of a runtime holds, whatever else there is in it."""

    @property
    def format(self) -> str:
        """Its kind."""

    @property
    def version(self) -> int:
        """Of this kind."""


def read_file(data: bytes, kind: type[F], known: tuple[str, int]) -> F:
    """The data file behind its bytes.

    Args:
        data: the bytes.
        kind: of the file.
        known: the format and the version that are known here.

    Raises:
        ValueError: the bytes are no such file, or one of another version.
    """
    name = known[0].removeprefix("everbake-")
    try:
        file = msgspec.msgpack.decode(data, type=kind)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise ValueError(f"not a {name} data file: {error}") from error
    if (file.format, file.version) != known:
        raise ValueError(f"{name} data file {file.format!r} {file.version}, not {known[1]}")
    return file
