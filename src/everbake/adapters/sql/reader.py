"""Reading a ledger: the same queries whatever the database."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from everbake.adapters.sql import rows
from everbake.adapters.sql.rows import Record
from everbake.core.facts import GENESIS, Entry
from everbake.core.tables import Cell, Row
from everbake.ports import Stored

_PAGE = 1000  # facts fetched at a time, so that no long walk holds a lock


class SqlReader(ABC):
    """`ports.Reader` over something that answers queries."""

    @abstractmethod
    def _select(self, query: str, values: Sequence[Cell] = ()) -> list[Record]:
        """The rows of a query with `?` for values; none if there is no ledger yet."""

    @abstractmethod
    def _columns(self, table: str) -> tuple[str, ...]:
        """The columns that the database has of those we know (fewer before a migration)."""

    def find(self, entry_id: str) -> Entry | None:
        """The entry with this id."""
        for record in self._select(rows.FIND, (entry_id,)):
            return rows.entry_of(rows.stored_of(record))
        return None

    def facts(self, after: int = 0) -> Iterator[Entry]:
        """All entries behind position `after`, in order."""
        return map(rows.entry_of, self.stored(after))

    def stored(self, after: int = 0) -> Iterator[Stored]:
        """The same, as they lie there."""
        while page := self._select(rows.PAGE, (after, _PAGE)):
            yield from map(rows.stored_of, page)
            after = _integer(page[-1][0])

    def rows(
        self, table: str, where: Mapping[str, Cell] | None = None, *, newest: int | None = None
    ) -> list[Row]:
        """Rows of a projection, in key order or the newest first; see `ports.Reader`."""
        columns = self._columns(table)
        query, values = rows.selected(table, columns, where or {}, newest)
        blank: Row = dict.fromkeys(rows.columns_of(table))
        return [
            blank | dict(zip(columns, record, strict=True))
            for record in self._select(query, values)
        ]

    def head(self) -> tuple[int, str]:
        """Position and hash of the last entry, `(0, GENESIS)` without one."""
        for n, linked in self._select(rows.HEAD):
            return _integer(n), str(linked)
        return 0, GENESIS

    def hash_at(self, n: int) -> str | None:
        """The hash of the entry at a position; None if there is none."""
        if n == 0:
            return GENESIS
        found = self._select(rows.AT, (n,))
        return rows.stored_of(found[0]).hash if found else None


def _integer(cell: Cell) -> int:
    return cast("int", cell)  # the column's type in both databases
