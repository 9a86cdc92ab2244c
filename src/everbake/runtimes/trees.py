"""An ensemble of trees as a data file: it answers without the library that grew it.

Numbers go through the very arithmetic of the pipeline, in its order, since a tree jumps at the
last bit; categories are looked up; the trees are walked by treelite, which is imported when the
first such file is loaded. It knows nothing of how the file was made.
"""

from collections.abc import Callable, Mapping, Sequence
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
    turned,
    unpack,
)
from everbake.runtimes.ending import Ending

if TYPE_CHECKING:
    from treelite import Model

FORMAT = "everbake-trees"
VERSION = 1
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
        # treelite imports scipy: only who serves trees pays for it.
        from treelite.gtil import predict

        self._file = file
        self._predict = predict
        self._ensemble = _ensemble(file.ensemble)
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
        if self._ensemble.num_feature != self._width:
            wanted = self._ensemble.num_feature
            raise ValueError(f"not a trees data file: {self._width} features, not {wanted}")

    @classmethod
    def load(cls, data: bytes) -> "TreesRuntime":
        """Read a data file.

        Raises:
            ValueError: the bytes are no trees data file of a version known here.
        """
        try:
            file = msgspec.msgpack.decode(data, type=TreesFile)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise ValueError(f"not a trees data file: {error}") from error
        if file.format != FORMAT or file.version != VERSION:
            raise ValueError(f"trees data file {file.format!r} {file.version}, not {VERSION}")
        return cls(file)

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
        answers: list[object] = self.answer_columns(turned(rows, self.columns)).tolist()
        return answers

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
        # One thread: workers share the cores by themselves.
        scores = self._predict(self._ensemble, features, nthread=1, pred_margin=True)
        return np.asarray(scores).reshape(len(features), -1)

    def _matrix(self, columns: Mapping[str, object]) -> NDArray[np.floating]:
        """What the model reads, shaped (rows, features)."""
        names = self._file.numbers
        x = matrix(columns, names)
        if self._finite:
            self._refuse(np.isinf(x[:, self._finite]), self._finite, "infinite value")
        for operation, places, values in self._steps:
            x[:, places] = operation(x[:, places], values)
        if self._tables:
            x = self._joined(columns, x)
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


def _ensemble(data: bytes) -> "Model":
    from treelite import Model, TreeliteError

    try:
        return Model.deserialize_bytes(data)
    except TreeliteError as error:
        raise ValueError(f"not a trees data file: {error}") from error
