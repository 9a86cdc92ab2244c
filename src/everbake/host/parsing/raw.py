"""Rows as they were read, before anybody decides on their types."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, Protocol

import pyarrow as pa

from everbake.core.dataset import SHOWN, Finding, FindingCount

# text: all columns are text, as in CSV; mixed: texts in quotes beside other JSON; typed: by Arrow
Kind = Literal["text", "mixed", "typed"]

BATCH_ROWS = 131_072


@dataclass(frozen=True)
class Raw:
    """One column of a batch and how its values are to be understood."""

    values: pa.Array
    kind: Kind


@dataclass(frozen=True)
class RawBatch:
    """Some rows of one file; `start` is how many rows of that file came before."""

    start: int
    rows: int
    columns: dict[str, Raw]


@dataclass
class Complaints:
    """Collects what is wrong with a file as such: with its rows and its columns' names."""

    source: str
    findings: list[Finding] = field(default_factory=list)
    unparsable: int = 0

    def row(self, row: int | None, detail: str) -> None:
        """Note a row that cannot be read."""
        self.unparsable += 1
        if self.unparsable <= SHOWN:
            self.findings.append(Finding(row, None, "unparsable", detail, self.source))

    def column(self, column: str, code: str, detail: str) -> None:
        """Note what is wrong with a column's name."""
        self.findings.append(Finding(None, column, code, detail, self.source))

    def counts(self) -> list[FindingCount]:
        """How many there are of each kind, those not listed included."""
        named = [FindingCount(f.code, f.column, 1) for f in self.findings if f.column is not None]
        rows = [FindingCount("unparsable", None, self.unparsable)] if self.unparsable else []
        return named + rows


class Rows(Protocol):
    """The rows of one file; it can be read once."""

    complaints: Complaints
    notices: list[Finding]

    @property
    def names(self) -> tuple[str, ...]:
        """The columns; JSON lines know them only once they are read."""

    def batches(self) -> Iterator[RawBatch]:
        """The rows, in batches of bounded size."""

    def row_number(self, position: int) -> int:
        """The number in the file, from 1, of the row at `position` among those delivered."""
