"""The columns of a table, one by one, against its label: the figures behind the leakage checks.

Arrow columns become cells (see `statistics.alone`). Of very large tables a sample is looked at,
always the same one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from everbake.core.dataset import HIDDEN
from everbake.core.spec import Table
from everbake.host.parsing.rowhash import row_hashes
from everbake.statistics.alone import Cells, Label, binned, explained, foretold, grouped, ranked
from everbake.statistics.jointly import StandingOut, standing_out
from everbake.statistics.settled import Settled, settled

Array: TypeAlias = np.ndarray[Any, Any]

FEWEST = 200  # rows, below which chance tells too much
FEWEST_RARER = 50  # likewise, rows outside the most common class
_MOST_CLASSES = 20  # a label of more numbers is a quantity; of more texts, the rarest share a class
_MOST_ROWS = 100_000
_MOST_VALUES = 8_000_000  # in all columns: of very wide tables, fewer rows are looked at
_JOINT_ROWS = 10_000  # for the models of several columns
_SEED = 0  # of the sample and of its halves
_SHOWN = 40  # letters of a value


@dataclass(frozen=True)
class Survey:
    """What each column tells of the label.

    Attributes:
        rows: how many were looked at.
        total: how many have a label.
        told: share of the label that each column tells alone, the strongest first.
        standing: the columns each of which tells more than all weaker ones together.
        settling: the columns of which a value settles the label, the strongest first.
    """

    rows: int
    total: int
    told: Mapping[str, float]
    standing: StandingOut | None
    settling: Mapping[str, "Settling"]


@dataclass(frozen=True)
class Settling:
    """A value that settles the label, and how to call it.

    Attributes:
        found: the figures.
        value: as text; None for a missing one.
        outcome: the class that it leaves, as text.
    """

    found: Settled
    value: str | None
    outcome: str


def survey(table: pa.Table, data: Table) -> Survey | None:
    """Look at every column; None where there are too few rows to say anything.

    Args:
        table: rows; those without a label are left out.
        data: what the columns are called. Rows of one group stay in one half.
    """
    looked = _looked_at(table, data)
    if looked is None:
        return None
    told = looked.foretold()
    found = {name: settled(cells, looked.label) for name, cells in looked.cells.items()}
    settling = {name: looked.named(name, each) for name, each in found.items() if each}
    joint = _some(len(looked.half), _JOINT_ROWS)
    return Survey(
        rows=len(looked.half),
        total=looked.total,
        told=looked.shares(told),
        standing=standing_out(
            {name: each[joint] for name, each in told.items()},
            looked.label.part(joint),
            looked.half[joint],
            settling,
        ),
        settling=dict(sorted(settling.items(), key=lambda item: -item[1].found.explained)),
    )


def told_alone(table: pa.Table, data: Table) -> Mapping[str, float] | None:
    """The share of the label that each column tells; None where there are too few rows."""
    looked = _looked_at(table, data)
    return None if looked is None else looked.shares(looked.foretold())


@dataclass(frozen=True)
class _Looked:
    """The rows that are looked at, ready to count."""

    rows: pa.Table
    label: Label
    classes: tuple[str, ...]
    half: Array
    cells: Mapping[str, Cells]
    total: int

    def foretold(self) -> dict[str, Array]:
        """What each column foretells of each row."""
        return {name: foretold(each, self.label, self.half) for name, each in self.cells.items()}

    def shares(self, told: Mapping[str, Array]) -> dict[str, float]:
        """What each column tells, the strongest first."""
        shares = {name: explained(each, self.label) for name, each in told.items()}
        return dict(sorted(shares.items(), key=lambda item: -item[1]))

    def named(self, name: str, found: Settled) -> Settling:
        """A finding with what the table calls its value and its class."""
        value = None
        if found.cell:
            first = int(np.argmax(self.cells[name].codes == found.cell))
            value = _text(self.rows.column(name)[first].as_py())
        return Settling(found, value, self.classes[found.label])


def _looked_at(table: pa.Table, data: Table) -> _Looked | None:
    known = np.flatnonzero(~np.asarray(table.column(data.label).is_null(nan_is_null=True)))
    if len(known) < FEWEST:
        return None
    # A weight is no feature, and may well be made from the label.
    apart = (data.label, data.weight, *HIDDEN)
    names = [name for name in table.column_names if name not in apart]
    most = min(_MOST_ROWS, max(_JOINT_ROWS, _MOST_VALUES // (len(names) + 1)))
    rows = table.take(pa.array(known[_some(len(known), most)]))
    made, classes = _label(rows.column(data.label))
    if made.rarer < FEWEST_RARER:
        return None
    half = np.random.default_rng(_SEED).random(rows.num_rows) < 0.5  # noqa: PLR2004
    if data.group is not None:
        half = row_hashes(rows, [data.group]) < np.uint64(2**63)
    cells = {name: _cells(rows.column(name), made) for name in names}
    return _Looked(rows, made, classes, half, cells, len(known))


def _some(count: int, most: int) -> Array:
    """Places of at most so many rows, in order."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(_SEED).choice(count, most, replace=False))


def _label(column: pa.ChunkedArray) -> tuple[Label, tuple[str, ...]]:
    """The label and what its classes are called; the rarest of very many texts share a class."""
    coded = column.combine_chunks().dictionary_encode()
    codes, values = coded.indices.to_numpy(zero_copy_only=False), coded.dictionary
    if _is_quantity(values):
        return ranked(_numbers(column)), ()
    names = [_text(value) for value in values.to_pylist()]
    if len(names) > _MOST_CLASSES:
        order = np.argsort(-np.bincount(codes), kind="stable")
        place = np.full(len(names), _MOST_CLASSES - 1)
        place[order[: _MOST_CLASSES - 1]] = np.arange(_MOST_CLASSES - 1)
        codes = place[codes]
        names = [*(names[each] for each in order[: _MOST_CLASSES - 1]), "others"]
    return Label(codes.astype(np.int64), len(names)), tuple(names)


def _is_quantity(values: pa.Array) -> bool:
    return len(values) > _MOST_CLASSES and _is_ordered(values.type)


def _is_ordered(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_timestamp(kind))


def _cells(column: pa.ChunkedArray, label: Label) -> Cells:
    if _is_ordered(column.type):
        return binned(_numbers(column), label)
    indices = column.combine_chunks().dictionary_encode().indices
    return grouped(indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64))


def _numbers(column: pa.ChunkedArray) -> Array:
    """Numbers or times as float64, NaN where there is none."""
    plain = column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column
    return np.asarray(pc.cast(plain, pa.float64(), safe=False).to_numpy())


def _text(value: object) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
