"""A linear pipeline as a data file: it answers without scikit-learn, pandas or the recipe.

Every input is either a number, which is centred, scaled and weighted, or a category, which is
looked up. It refuses exactly the rows that the pipeline it stands for refuses. It knows nothing
of how the file was made.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

Category = str | int | float | bool
Floats = NDArray[np.float64]
Link = Literal["identity", "logistic", "softmax"]
Output = Literal["scalar", "matrix", "column", "label"]

FORMAT = "everbake-linear"
VERSION = 1
_FEW_ROWS = 8  # below this, row by row beats the fixed cost of the columnar way


class RowRefusedError(ValueError):
    """The model cannot answer this row.

    Attributes:
        column: the input column at fault.
        row: the position of the row in the call.
    """

    def __init__(self, problem: str, column: str, row: int) -> None:
        super().__init__(f'{problem} in column "{column}" (row {row})')
        self.column = column
        self.row = row


class Numbers(msgspec.Struct, frozen=True):
    """Numeric inputs: `((x - center) * scale) @ weights`; arrays are little-endian float64.

    `fill` replaces a missing value after scaling; NaN there means that missing is refused.
    """

    columns: tuple[str, ...]
    center: bytes
    scale: bytes
    fill: bytes
    weights: bytes


class Levels(msgspec.Struct, frozen=True):
    """One categorical input: what each category adds to the outputs; None refuses the row."""

    column: str
    categories: tuple[Category, ...]
    weights: bytes
    unseen: bytes | None
    missing: bytes | None


class LinearFile(msgspec.Struct, frozen=True):
    """What the data file holds.

    Attributes:
        columns: the input columns, each once.
        numbers: the numeric inputs.
        levels: the categorical inputs.
        intercept: one float64 for each of the k linear outputs.
        link: what turns linear outputs into answers.
        output: a number, all outputs, the output number `column`, or a label of `classes`.
    """

    columns: tuple[str, ...]
    numbers: Numbers
    levels: tuple[Levels, ...]
    intercept: bytes
    link: Link
    output: Output
    column: int = 0
    classes: tuple[Category, ...] = ()
    format: str = FORMAT
    version: int = VERSION


def pack(values: Floats | Sequence[float]) -> bytes:
    """The bytes of an array in the file."""
    return np.asarray(values, dtype="<f8").tobytes()


def unpack(data: bytes) -> Floats:
    """The array that `pack` wrote, flat."""
    return np.frombuffer(data, dtype="<f8").astype(np.float64)


@dataclass(frozen=True)
class _Table:
    """A categorical input, ready for look-ups; `add[i]` belongs to `index[category] == i`."""

    column: str
    index: dict[object, int]
    add: Floats
    unseen: int
    missing: int

    def position(self, value: object, row: int) -> int:
        """Where `add` holds what this value contributes."""
        if value is None or (isinstance(value, float) and math.isnan(value)):
            if self.missing < 0:
                raise RowRefusedError("missing value", self.column, row)
            return self.missing
        try:
            found = self.index.get(value, self.unseen)
        except TypeError:
            found = -1  # a list or an object is no category
        if found < 0:
            raise RowRefusedError("unseen category", self.column, row)
        return found


def _table(levels: Levels, outputs: int) -> _Table:
    add = [unpack(levels.weights).reshape(len(levels.categories), outputs)]
    positions: list[int] = []
    size = len(levels.categories)
    for extra in (levels.unseen, levels.missing):
        positions.append(-1 if extra is None else size)
        if extra is not None:
            add.append(unpack(extra).reshape(1, outputs))
            size += 1
    index: dict[object, int] = {c: i for i, c in enumerate(levels.categories)}
    return _Table(levels.column, index, np.vstack(add), positions[0], positions[1])


def _picker(columns: tuple[str, ...]) -> Callable[[Mapping[str, object]], tuple[object, ...]]:
    if len(columns) > 1:
        return itemgetter(*columns)
    if columns:
        only = columns[0]
        return lambda row: (row[only],)
    return lambda _: ()


def _logistic(score: float) -> float:
    """The logistic function, without overflow on either side."""
    if score >= 0:
        return 1.0 / (1.0 + math.exp(-score))
    growth = math.exp(score)
    return growth / (1.0 + growth)


class LinearRuntime:
    """Answers rows from a `LinearFile`."""

    def __init__(self, file: LinearFile) -> None:
        self._file = file
        intercept = unpack(file.intercept)
        self._outputs = len(intercept)
        numbers = file.numbers
        self._pick = _picker(numbers.columns)
        self._center, self._scale = unpack(numbers.center), unpack(numbers.scale)
        self._fill = unpack(numbers.fill)
        self._weights = unpack(numbers.weights).reshape(len(numbers.columns), self._outputs)
        self._plain = bool(np.all(self._center == 0.0) and np.all(self._scale == 1.0))
        self._tables = tuple(_table(levels, self._outputs) for levels in file.levels)
        self._intercept = intercept
        # One output is the common case: its sums are then plain floats, not arrays of one.
        one = self._outputs == 1
        self._start: float | Floats = float(intercept[0]) if one else intercept
        self._flat: Floats = np.ascontiguousarray(self._weights[:, 0]) if one else self._weights
        self._lookups: list[tuple[str, dict[object, float | Floats]]] = [
            (t.column, {c: float(t.add[i, 0]) if one else t.add[i] for c, i in t.index.items()})
            for t in self._tables
        ]

    @classmethod
    def load(cls, data: bytes) -> "LinearRuntime":
        """Read a data file.

        Raises:
            ValueError: the bytes are no linear data file of a version known here.
        """
        try:
            file = msgspec.msgpack.decode(data, type=LinearFile)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise ValueError(f"not a linear data file: {error}") from error
        if file.format != FORMAT or file.version != VERSION:
            raise ValueError(f"linear data file {file.format!r} {file.version}, not {VERSION}")
        return cls(file)

    @property
    def columns(self) -> tuple[str, ...]:
        """The input columns, by name."""
        return self._file.columns

    @property
    def categorical(self) -> tuple[str, ...]:
        """The input columns that are looked up as categories."""
        return tuple(table.column for table in self._tables)

    def answer(self, rows: Sequence[Mapping[str, object]]) -> list[object]:
        """One answer a row: a number, a label, or a list of numbers.

        Raises:
            RowRefusedError: the model cannot answer a row; the first such row is named.
        """
        if len(rows) > _FEW_ROWS:
            return self._answer_many(rows)
        with np.errstate(all="ignore"):  # overflow is the model's answer, not news
            return [self._finish_one(self._score(row, i)) for i, row in enumerate(rows)]

    def answer_columns(self, columns: Mapping[str, object]) -> NDArray[np.generic]:
        """The answers to many rows at once, handed over column by column.

        Raises:
            RowRefusedError: the model cannot answer a row.
        """
        for name in self.columns:
            if name not in columns:
                raise RowRefusedError("no value", name, 0)
        with np.errstate(all="ignore"):
            return self._finish(self._scores(columns))

    def _answer_many(self, rows: Sequence[Mapping[str, object]]) -> list[object]:
        columns: dict[str, object] = {}
        for name in self.columns:
            try:
                columns[name] = [row[name] for row in rows]
            except KeyError:
                at = next(i for i, row in enumerate(rows) if name not in row)
                raise RowRefusedError("no value", name, at) from None
        answers: list[object] = self.answer_columns(columns).tolist()
        return answers

    def _score(self, row: Mapping[str, object], at: int) -> float | Floats:
        """The linear outputs of one row; anything unusual is left to `_scores`."""
        try:
            x = np.array(self._pick(row), dtype=np.float64)
            if not self._plain:
                x -= self._center
                x *= self._scale
            total = x.dot(self._flat) + self._start
            for column, lookup in self._lookups:
                total += lookup[row[column]]
        except (KeyError, TypeError, ValueError, OverflowError):
            return self._score_carefully(row, at)
        # A missing or infinite input cannot leave a finite sum.
        one = self._outputs == 1
        usual = math.isfinite(total) if one else bool(np.isfinite(total).all())
        return total if usual else self._score_carefully(row, at)

    def _score_carefully(self, row: Mapping[str, object], at: int) -> float | Floats:
        for name in self.columns:
            if name not in row:
                raise RowRefusedError("no value", name, at)
        try:
            scores = self._scores({name: [row[name]] for name in self.columns})[0]
        except RowRefusedError as refused:
            problem = str(refused).split(" in column ", 1)[0]
            raise RowRefusedError(problem, refused.column, at) from None
        return float(scores[0]) if self._outputs == 1 else scores

    def _scores(self, columns: Mapping[str, object]) -> Floats:
        """The linear outputs of all rows, shaped (rows, outputs)."""
        count = len(columns[self.columns[0]]) if self.columns else 0  # type: ignore[arg-type]
        scores: Floats = np.tile(self._intercept, (count, 1))
        if self._file.numbers.columns:
            scores += self._numbers(columns, count) @ self._weights
        for table in self._tables:
            values = columns[table.column]
            cells = values.tolist() if isinstance(values, np.ndarray) else values
            places = [table.position(v, i) for i, v in enumerate(cells)]  # type: ignore[arg-type]
            scores += table.add[places]
        return scores

    def _numbers(self, columns: Mapping[str, object], count: int) -> Floats:
        names = self._file.numbers.columns
        x: Floats = np.empty((count, len(names)))
        for j, name in enumerate(names):
            x[:, j] = _as_floats(columns[name], name)
        missing = np.isnan(x)
        bad = np.isinf(x) | (missing & np.isnan(self._fill))
        if bad.any():
            row, j = (int(place) for place in np.argwhere(bad)[0])
            problem = "missing value" if missing[row, j] else "infinite value"
            raise RowRefusedError(problem, names[j], row)
        return np.where(missing, self._fill, (x - self._center) * self._scale)

    def _finish_one(self, total: float | Floats) -> object:
        """The answer that one row's linear outputs stand for."""
        file = self._file
        if self._outputs == 1:
            score = float(total)
            if file.output == "label":
                return file.classes[score > 0]
            if file.link == "identity":
                return [score] if file.output == "matrix" else score
            chance = _logistic(score)
            if file.output == "column":
                return chance if file.column else 1.0 - chance
            return [1.0 - chance, chance]
        return self._finish(np.atleast_2d(total)).tolist()[0]

    def _finish(self, scores: Floats) -> NDArray[np.generic]:
        file = self._file
        if file.output == "label":
            best = scores[:, 0] > 0 if self._outputs == 1 else scores.argmax(axis=1)
            return np.asarray(file.classes)[best.astype(np.intp)]
        answers = _linked(scores, file.link)
        if file.output == "scalar":
            return answers[:, 0]
        return answers[:, file.column] if file.output == "column" else answers


def _as_floats(values: object, column: str) -> Floats:
    """The numbers of a column, NaN for None."""
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


def _linked(scores: Floats, link: Link) -> Floats:
    if link == "identity":
        return scores
    if link == "logistic":
        small = np.exp(-np.abs(scores[:, 0]))
        chance = np.where(scores[:, 0] >= 0, 1.0 / (1.0 + small), small / (1.0 + small))
        return np.column_stack([1.0 - chance, chance])
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: Floats = odds / odds.sum(axis=1, keepdims=True)
    return shares
