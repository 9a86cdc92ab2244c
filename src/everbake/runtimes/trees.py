"""An ensemble of trees as a data file: it answers without the library that grew it.

Numbers go through the very arithmetic of the pipeline, in its order, since a tree jumps at the
last bit; categories are looked up; the trees are walked by treelite, which is imported when the
first such file is loaded. It knows nothing of how the file was made.
"""

from collections.abc import Callable, Mapping, Sequence
from ctypes import c_uint64, c_void_p
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from everbake.runtimes.columns import (
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
from everbake.runtimes.ending import Ending

if TYPE_CHECKING:
    from treelite import Model

FORMAT = "everbake-trees"
VERSION = 1
_FEW_ROWS = 8  # up to so many, row by row beats the fixed cost of columns
Operation = Literal["subtract", "add", "multiply", "divide", "fill", "flush"]


def _fill(x: Floats, value: Floats) -> Floats:
    filled: Floats = np.where(np.isnan(x), value, x)
    return filled


def _flush(x: Floats, size: Floats) -> Floats:
    flushed: Floats = np.where(np.abs(x) <= size, 0.0, x)
    return flushed


OPERATIONS: dict[Operation, Callable[..., Any]] = {  # of arrays, or of numbers
    "subtract": np.subtract,
    "add": np.add,
    "multiply": np.multiply,
    "divide": np.divide,
    "fill": _fill,
    "flush": _flush,
}


class Step(msgspec.Struct, frozen=True):
    """One operation on some of the numeric inputs, which `places` counts."""

    operation: Operation
    places: tuple[int, ...]
    values: bytes


class Looked(msgspec.Struct, frozen=True):
    """One categorical input, and the features that its numbers are."""

    levels: Levels
    features: tuple[int, ...]


class Refusals(msgspec.Struct, frozen=True):
    """What the model that the file stands for does not take.

    Attributes:
        missing: missing values that no step has filled.
        infinite: infinite values.
        inputs: the numeric inputs of which a step before the trees refuses infinite values.
    """

    missing: bool
    infinite: bool
    inputs: tuple[int, ...]


class TreesFile(msgspec.Struct, frozen=True):
    """What the data file holds.

    Attributes:
        columns: the input columns, each once.
        numbers: the columns of the numeric inputs, one a feature.
        features: the features that these are.
        steps: what happens to the numeric inputs, in order.
        looked: the categorical inputs.
        single: whether the model reads features as float32.
        refusals: what it does not take.
        ensemble: the trees, as treelite writes them.
        ending: what their scores stand for.
    """

    columns: tuple[str, ...]
    numbers: tuple[str, ...]
    features: tuple[int, ...]
    steps: tuple[Step, ...]
    looked: tuple[Looked, ...]
    single: bool
    refusals: Refusals
    ensemble: bytes
    ending: Ending
    format: str = FORMAT
    version: int = VERSION


class TreesRuntime:
    """Answers rows from a `TreesFile`."""

    def __init__(self, file: TreesFile) -> None:
        self._file = file
        self._walk = _Walk(_ensemble(file.ensemble))
        self._pick = picker(file.numbers)
        self._steps = [
            (OPERATIONS[step.operation], list(step.places), unpack(step.values))
            for step in file.steps
        ]
        self._tables = [
            (Table.of(looked.levels, len(looked.features)), list(looked.features))
            for looked in file.looked
        ]
        self._features = list(file.features)
        self._finite = list(file.refusals.inputs)
        self._width = len(file.features) + sum(len(looked.features) for looked in file.looked)
        self._type = np.float32 if file.single else np.float64
        if self._walk.width != self._width:
            wanted = self._walk.width
            raise ValueError(f"not a trees data file: {self._width} features, not {wanted}")

    @classmethod
    def load(cls, data: bytes) -> "TreesRuntime":
        """Read a data file.

        Raises:
            ValueError: the bytes are no trees data file of a version known here.
        """
        return cls(read_file(data, TreesFile, (FORMAT, VERSION)))

    @property
    def columns(self) -> tuple[str, ...]:
        """The input columns, by name."""
        return self._file.columns

    @property
    def categorical(self) -> tuple[str, ...]:
        """The input columns that are looked up as categories."""
        return tuple(table.column for table, _ in self._tables if table.index)

    def answer(self, rows: Sequence[Mapping[str, object]]) -> list[object]:
        """One answer a row: a number, a label, or a list of numbers.

        Raises:
            RowRefusedError: the model cannot answer a row; the first such row is named.
        """
        if len(rows) > _FEW_ROWS or self._tables:
            answers: list[object] = self.answer_columns(turned(rows, self.columns)).tolist()
            return answers
        with np.errstate(all="ignore"):
            return [self._answer_one(row, at) for at, row in enumerate(rows)]

    def _answer_one(self, row: Mapping[str, object], at: int) -> object:
        """One row of numbers, without the fixed cost of columns; anything odd is left to them."""
        try:
            x = np.array([self._pick(row)], dtype=np.float64)
            self._step(x)
            scores = self._walk.scores(self._taken(x))
        except (KeyError, TypeError, ValueError, OverflowError):
            return self._answer_carefully(row, at)
        if scores.shape[1] == 1:
            return self._file.ending.finish_one(float(scores[0, 0]))
        return self._file.ending.finish(scores).tolist()[0]

    def _answer_carefully(self, row: Mapping[str, object], at: int) -> object:
        try:
            return self.answer_columns(turned([row], self.columns)).tolist()[0]
        except RowRefusedError as refused:
            problem = str(refused).split(" in column ", 1)[0]
            raise RowRefusedError(problem, refused.column, at) from None

    def answer_columns(self, columns: Mapping[str, object]) -> NDArray[np.generic]:
        """The answers to many rows at once, handed over column by column.

        Raises:
            RowRefusedError: the model cannot answer a row.
        """
        must_hold(columns, self.columns)
        with np.errstate(all="ignore"):  # overflow is the model's answer, not news
            features = self._matrix(columns)
            scores = self._scores(features)
            return self._file.ending.finish(scores)

    def _scores(self, features: NDArray[np.floating]) -> NDArray[np.floating]:
        """The sums over all trees, shaped (rows, outputs)."""
        if not len(features):  # treelite has no answer for no rows
            return self._scores(np.zeros((1, self._width), self._type))[:0]
        return self._walk.scores(features)

    def _matrix(self, columns: Mapping[str, object]) -> NDArray[np.floating]:
        """What the model reads, shaped (rows, features)."""
        names = self._file.numbers
        x = matrix(columns, names)
        self._step(x)
        if self._tables:
            x = self._joined(columns, x)
        return self._taken(x)

    def _step(self, x: Floats) -> None:
        """The arithmetic before the trees, in place."""
        if self._finite:
            self._refuse(np.isinf(x[:, self._finite]), self._finite, "infinite value")
        for operation, places, values in self._steps:
            x[:, places] = operation(x[:, places], values)

    def _taken(self, x: Floats) -> NDArray[np.floating]:
        """The features in the model's own precision, unless it refuses them."""
        read: NDArray[np.floating] = x.astype(self._type, copy=False)
        # A sum is finite only where each part is: the common case costs one pass.
        if not np.isfinite(read.sum()):
            refusals = self._file.refusals
            if refusals.missing:
                self._refuse(np.isnan(read), None, "missing value")
            if refusals.infinite:
                self._refuse(np.isinf(read), None, "infinite value")
        return read

    def _joined(self, columns: Mapping[str, object], numbers: Floats) -> Floats:
        """The numeric features and the looked-up ones, each in its place."""
        looked = [(table.looked_up(columns), places) for table, places in self._tables]
        joined: Floats = np.empty((len(looked[0][0]), self._width))
        joined[:, self._features] = numbers
        for values, places in looked:
            joined[:, places] = values
        return joined

    def _refuse(self, bad: NDArray[np.bool_], places: list[int] | None, problem: str) -> None:
        """Refuse the first bad row: `places` are inputs, or else the columns are features."""
        if not bad.any():
            return
        row, at = (int(place) for place in np.argwhere(bad)[0])
        column = self._file.numbers[places[at]] if places is not None else self._source(at)
        raise RowRefusedError(problem, column, row)

    def _source(self, feature: int) -> str:
        """The column that a feature comes from."""
        if feature in self._features:
            return self._file.numbers[self._features.index(feature)]
        return next(table.column for table, places in self._tables if feature in places)


class _Walk:
    """Walks the trees of one ensemble, by treelite's C interface.

    What its Python function finds out anew at each call, types and shapes, is found out once: that
    takes longer than the trees do.
    """

    def __init__(self, ensemble: "Model") -> None:
        # treelite imports scipy: only who serves trees pays for it.
        from treelite.core import _LIB
        from treelite.gtil import predict
        from treelite.gtil.gtil import GTILConfig

        self.width = int(ensemble.num_feature)
        self._ensemble = ensemble
        # One thread: workers share the cores by themselves.
        self._config = GTILConfig(predict_type="raw", nthread=1)
        self._call = _LIB.TreeliteGTILPredict
        self._type = ensemble.input_type.encode()
        self._in = np.dtype(ensemble.input_type)
        self._out = np.dtype(ensemble.output_type)
        one = predict(ensemble, np.zeros((1, self.width), self._in), nthread=1, pred_margin=True)
        self._outputs = int(one.size)

    def scores(self, features: NDArray[np.floating]) -> NDArray[np.floating]:
        """The sums over all trees, shaped (rows, outputs); at least one row."""
        given = np.ascontiguousarray(features, dtype=self._in)
        found: NDArray[np.floating] = np.zeros((len(given), self._outputs), self._out)
        failed = self._call(
            self._ensemble.handle,
            c_void_p(given.ctypes.data),
            self._type,
            c_uint64(len(given)),
            c_void_p(found.ctypes.data),
            self._config.handle,
        )
        if failed:
            raise RuntimeError("treelite could not walk the trees")
        return found


def _ensemble(data: bytes) -> "Model":
    from treelite import Model, TreeliteError

    try:
        return Model.deserialize_bytes(data)
    except TreeliteError as error:
        raise ValueError(f"not a trees data file: {error}") from error
