"""The ledger in memory: for simulation and tests, with the contract of the others."""

import threading
from collections.abc import Iterator, Mapping
from typing import Any

from everbake.core.facts import GENESIS, Entry, Fact, chained, encode, name_of
from everbake.core.project import Projections
from everbake.core.tables import COLUMNS, KEYS, NEWEST, Cell, Row
from everbake.ports import Clock, Stored


class MemoryLedger:
    """`ports.Ledger` over `core.project.Projections`.

    Args:
        clock: gives each entry its time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: list[Entry] = []
        self._by_id: dict[str, Entry] = {}
        self._projections = Projections()

    def record(self, entry_id: str, fact: Fact) -> Entry:
        """Append a fact, or return the first one of this id."""
        with self._lock:
            if entry_id not in self._by_id:
                entry = chained(self.head(), entry_id, self._clock.now(), fact)
                self._projections.apply(entry)
                self._by_id[entry_id] = entry
                self._entries.append(entry)
            return self._by_id[entry_id]

    def find(self, entry_id: str) -> Entry | None:
        """The entry with this id."""
        return self._by_id.get(entry_id)

    def facts(self, after: int = 0) -> Iterator[Entry]:
        """All entries behind position `after`, in order."""
        return iter(self._entries[after:])

    def stored(self, after: int = 0) -> Iterator[Stored]:
        """The same, as a database would hold them."""
        for entry in self.facts(after):
            body = encode(entry.fact).decode()
            name = name_of(entry.fact)
            yield Stored(entry.n, entry.id, entry.time, name, body, entry.hash)

    def rows(
        self, table: str, where: Mapping[str, Cell] | None = None, *, newest: int | None = None
    ) -> list[Row]:
        """Rows of a projection, in key order or the newest first; see `ports.Reader`."""
        blank: Row = dict.fromkeys(KEYS[table] + COLUMNS[table])
        unknown = set(where or {}) - set(blank)
        if unknown:
            raise ValueError(f"{table} has no column {', '.join(sorted(unknown))}")
        with self._lock:
            rows = [blank | row for row in self._projections.tables[table].values()]
        matching = (where or {}).items()
        found = [row for row in rows if all(row[name] == value for name, value in matching)]
        if newest is None:
            return sorted(found, key=lambda row: _place(row, KEYS[table]))
        order = (NEWEST[table], *KEYS[table])
        return sorted(found, key=lambda row: _place(row, order), reverse=True)[:newest]

    def head(self) -> tuple[int, str]:
        """Position and hash of the last entry, `(0, GENESIS)` without one."""
        return (self._entries[-1].n, self._entries[-1].hash) if self._entries else (0, GENESIS)

    def version(self) -> int:
        """How much was written."""
        return len(self._entries)


def _place(row: Row, columns: tuple[str, ...]) -> list[tuple[bool, Any]]:
    """Sorts cells of one type; one without a value comes before all others."""
    return [(row[column] is not None, row[column]) for column in columns]
