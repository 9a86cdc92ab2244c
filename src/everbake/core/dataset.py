"""Values that describe rows: columns, findings, and what a batch holds column by column.

Knows no file format: the numbers here are made by whoever reads the rows.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

ColumnType = Literal["int64", "float64", "bool", "string", "timestamp"]
OffenceCode = Literal["null", "infinite", "range", "category", "type"]

ROW = "__row"
HASH = "__hash"
HIDDEN = (ROW, HASH)
VEIL = "(private)"  # in place of a value that is not shown

SHOWN = 10  # places named for one kind of offence in one column
MAX_CATEGORIES = 50  # a column with more distinct texts has no categories


@dataclass(frozen=True)
class Column:
    """A column of the user's table."""

    name: str
    type: ColumnType


@dataclass(frozen=True)
class Special:
    """The columns that are more than features; values of `private` ones are never shown."""

    label: str
    time: str | None = None
    key: str | None = None
    group: str | None = None
    private: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The special columns that are declared."""
        return tuple(n for n in (self.label, self.time, self.key, self.group) if n is not None)


@dataclass(frozen=True)
class Finding:
    """Something about a batch that breaks the contract, or that is worth a notice.

    Attributes:
        row: the data row within its file, counted from 1; None if it is not about one row.
        column: the column; None if it is not about one column.
        code: the kind, such as "missing", "null" or "range".
        detail: one sentence for a person.
        source: the file.
    """

    row: int | None
    column: str | None
    code: str
    detail: str
    source: str = ""


@dataclass(frozen=True)
class FindingCount:
    """How often a kind of finding occurs in a column, places that are not shown included."""

    code: str
    column: str | None
    count: int


@dataclass(frozen=True)
class Sighting:
    """Where an offending value stands."""

    row: int
    source: str
    value: str


@dataclass(frozen=True)
class Offence:
    """All values of a column that offend in one way: how many, and where the first are."""

    code: OffenceCode
    count: int
    first: tuple[Sighting, ...]

    def merged(self, later: "Offence") -> "Offence":
        """Both together; the places of `self` come first."""
        first = (self.first + later.first)[:SHOWN]
        return Offence(self.code, self.count + later.count, first)


@dataclass(frozen=True)
class ColumnSummary:
    """Mergeable counts over a column's values.

    Attributes:
        name: the column.
        type: the type its values were read as.
        rows: values, nulls included.
        nulls: missing values.
        min: the smallest finite number, None if there is none.
        max: the largest finite number.
        categories: the sorted distinct texts; None if the column is no text or has too many.
        offences: what is wrong with the values, one entry for each kind.
    """

    name: str
    type: ColumnType
    rows: int = 0
    nulls: int = 0
    min: float | None = None
    max: float | None = None
    categories: tuple[str, ...] | None = None
    offences: tuple[Offence, ...] = ()

    def merged(self, later: "ColumnSummary") -> "ColumnSummary":
        """The summary of the rows of both, in this order.

        >>> a = ColumnSummary("x", "int64", rows=1, min=1.0, max=1.0)
        >>> b = ColumnSummary("x", "int64", rows=2, nulls=1, min=5.0, max=5.0)
        >>> ab = a.merged(b)
        >>> ab.rows, ab.nulls, ab.min, ab.max
        (3, 1, 1.0, 5.0)
        """
        return replace(
            self,
            rows=self.rows + later.rows,
            nulls=self.nulls + later.nulls,
            min=lowest(self.min, later.min),
            max=highest(self.max, later.max),
            categories=united(self.categories, later.categories),
            offences=_merged_offences(self.offences, later.offences),
        )


@dataclass(frozen=True)
class Shape:
    """Which columns a file has, in its order."""

    source: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Summary:
    """Everything about a batch that its contract wants to know."""

    rows: int
    columns: tuple[ColumnSummary, ...]
    shapes: tuple[Shape, ...] = ()

    def column(self, name: str) -> ColumnSummary | None:
        """The summary of one column, None if no file has it."""
        return self._by_name.get(name)

    def veiled(self, private: tuple[str, ...]) -> "Summary":
        """The same without a value of these columns: counts and places stay."""
        columns = (_veiled(each) if each.name in private else each for each in self.columns)
        return replace(self, columns=tuple(columns))

    @cached_property
    def _by_name(self) -> dict[str, ColumnSummary]:
        return {column.name: column for column in self.columns}


def _veiled(column: ColumnSummary) -> ColumnSummary:
    offences = tuple(
        replace(each, first=tuple(replace(place, value=VEIL) for place in each.first))
        for each in column.offences
    )
    return replace(column, min=None, max=None, categories=None, offences=offences)


def lowest(one: float | None, other: float | None) -> float | None:
    """The smaller of two numbers either of which may be absent."""
    present = [value for value in (one, other) if value is not None]
    return min(present, default=None)


def highest(one: float | None, other: float | None) -> float | None:
    """The larger of two numbers either of which may be absent."""
    present = [value for value in (one, other) if value is not None]
    return max(present, default=None)


def united(one: tuple[str, ...] | None, other: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """The categories of both, None once there are too many."""
    if one is None or other is None:
        return None
    both = tuple(sorted({*one, *other}))
    return both if len(both) <= MAX_CATEGORIES else None


def _merged_offences(
    earlier: tuple[Offence, ...], later: tuple[Offence, ...]
) -> tuple[Offence, ...]:
    found = {offence.code: offence for offence in earlier}
    for offence in later:
        known = found.get(offence.code)
        found[offence.code] = offence if known is None else known.merged(offence)
    return tuple(found.values())
