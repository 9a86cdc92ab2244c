"""A linear pipeline as a data file: it answers without scikit-learn, pandas or the recipe.

Every input is either a number, which is centred, scaled and weighted, or a category, which is
looked up. It refuses exactly the rows that the pipeline it stands for refuses. It knows nothing
of how the file was made.
"""

import math
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from everbake.runtimes.columns import (
    Category,
    Floats,
    Levels,
    RowRefusedError,
    Table,
    matrix,
    must_hold,
    picker,
    read_file,
    turned,
    unpack,
)
from everbake.runtimes.ending import Ending, Link, Output

FORMAT = "everbake-linear"
VERSION = 1
_FEW_ROWS = 8  # below this, row by row beats the fixed cost of the columnar way


class Numbers(msgspec.Struct, frozen=True):
    """Numeric inputs: `((x - center) * scale) @ weights`; arrays are little-endian float64.

    `fill` replaces a missing value after scaling; NaN there means that missing is refused.
    """

    columns: tuple[str, ...]
    center: bytes
    scale: bytes
    fill: bytes
    weights: bytes


class Products(msgspec.Struct, frozen=True):
    """Products of numeric inputs, after scaling: `factors` counts them; each has its weights."""

    factors: tuple[tuple[int, ...], ...] = ()
    weights: bytes = b""


class LinearFile(msgspec.Struct, frozen=True):
    """What the data file holds.

    Attributes:
        columns: the input columns, each once.
        numbers: the numeric inputs.
        levels: the categorical inputs.
        products: of the numeric inputs.
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
    products: Products = Products()
    format: str = FORMAT
    version: int = VERSION


def _padded(factors: tuple[tuple[int, ...], ...], one: int) -> NDArray[np.intp]:
    """The factors as a table; place `one`, where a 1 will stand, fills the short rows up."""
    degree = max((len(each) for each in factors), default=0)
    rows = [[*each, *[one] * (degree - len(each))] for each in factors]
    return np.array(rows, dtype=np.intp).reshape(len(factors), degree)


class LinearRuntime:
    """Answers rows from a `LinearFile`."""

    def __init__(self, file: LinearFile) -> None:
        self._file = file
        self._ending = Ending(file.link, file.output, file.column, file.classes)
        intercept = unpack(file.intercept)
        self._outputs = len(intercept)
        numbers = file.numbers
        self._pick = picker(numbers.columns)
        self._center, self._scale = unpack(numbers.center), unpack(numbers.scale)
        self._fill = unpack(numbers.fill)
        self._weights = unpack(numbers.weights).reshape(len(numbers.columns), self._outputs)
        self._plain = bool(np.all(self._center == 0.0) and np.all(self._scale == 1.0))
        self._tables = tuple(Table.of(levels, self._outputs) for levels in file.levels)
        self._factors = _padded(file.products.factors, len(numbers.columns))
        self._product_weights = unpack(file.products.weights).reshape(-1, self._outputs)
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
        return cls(read_file(data, LinearFile, (FORMAT, VERSION)))

    @property
    def columns(self) -> tuple[str, ...]:
        """The input columns, by name."""
        return self._file.columns

    @property
    def categorical(self) -> tuple[str, ...]:
        """The input columns that are looked up as categories."""
        return tuple(table.column for table in self._tables if table.index)

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
        must_hold(columns, self.columns)
        with np.errstate(all="ignore"):
            return self._ending.finish(self._scores(columns))

    def _answer_many(self, rows: Sequence[Mapping[str, object]]) -> list[object]:
        answers: list[object] = self.answer_columns(turned(rows, self.columns)).tolist()
        return answers

    def _score(self, row: Mapping[str, object], at: int) -> float | Floats:
        """The linear outputs of one row; anything unusual is left to `_scores`."""
        try:
            x = np.array(self._pick(row), dtype=np.float64)
            if not self._plain:
                x -= self._center
                x *= self._scale
            total = x.dot(self._flat) + self._start
            if len(self._factors):
                added = self._multiplied(x).dot(self._product_weights)
                total += added[0] if self._outputs == 1 else added
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
            raise RowRefusedError(refused.problem, refused.column, at) from None
        return float(scores[0]) if self._outputs == 1 else scores

    def _scores(self, columns: Mapping[str, object]) -> Floats:
        """The linear outputs of all rows, shaped (rows, outputs)."""
        count = len(columns[self.columns[0]]) if self.columns else 0  # type: ignore[arg-type]
        scores: Floats = np.tile(self._intercept, (count, 1))
        if self._file.numbers.columns:
            x = self._numbers(columns)
            scores += x @ self._weights
            if len(self._factors):
                scores += self._multiplied(x) @ self._product_weights
        for table in self._tables:
            scores += table.looked_up(columns)
        return scores

    def _multiplied(self, x: Floats) -> Floats:
        """The products of one row's numbers, or of each row's."""
        ones = np.ones((*x.shape[:-1], 1))
        products: Floats = np.concatenate([x, ones], axis=-1)[..., self._factors].prod(axis=-1)
        return products

    def _numbers(self, columns: Mapping[str, object]) -> Floats:
        names = self._file.numbers.columns
        x = matrix(columns, names)
        missing = np.isnan(x)
        bad = np.isinf(x) | (missing & np.isnan(self._fill))
        if bad.any():
            row, j = (int(place) for place in np.argwhere(bad)[0])
            problem = "missing value" if missing[row, j] else "infinite value"
            raise RowRefusedError(problem, names[j], row)
        return np.where(missing, self._fill, (x - self._center) * self._scale)

    def _finish_one(self, total: float | Floats) -> object:
        """The answer that one row's linear outputs stand for."""
        if self._outputs > 1:
            return self._ending.finish(np.atleast_2d(total)).tolist()[0]
        return self._ending.finish_one(float(total))
