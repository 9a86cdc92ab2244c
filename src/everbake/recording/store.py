"""The record store: one SQLite file, in which a batch of requests is recorded whole or not at all.

What it holds can all be derived again from the log and the labels, except the labels themselves.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from everbake.recording.schema import SCHEMA, VERSION

Values = Sequence[str | int | float | None]


class RecordStore:
    """The file, open for writing by one process.

    Args:
        path: of the file; made if it is not there.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # One thread at a time: the recorder's lock sees to it.
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("PRAGMA busy_timeout = 5000")
        path.chmod(0o600)
        if self._number() < VERSION:
            with self.transaction():
                for statement in SCHEMA.split(";\n"):
                    self._connection.execute(statement)
                self._connection.execute(f"PRAGMA user_version = {VERSION}")

    def _number(self) -> int:
        (number,) = self._connection.execute("PRAGMA user_version").fetchone()
        return int(number)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it, or nothing."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            if self._connection.in_transaction:  # SQLite itself takes it back on a full disk
                self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def rows(self, query: str, values: Values = ()) -> list[tuple[object, ...]]:
        """The rows that a query gives."""
        return self._connection.execute(query, values).fetchall()

    def put(self, statement: str, rows: Iterable[Values]) -> None:
        """One statement for many rows."""
        self._connection.executemany(statement, rows)

    def cursors(self) -> dict[str, int]:
        """By segment, up to where it is recorded."""
        return {
            str(name): int(str(at)) for name, at in self.rows("SELECT segment, at FROM cursors")
        }

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()


def plain(value: object) -> str:
    """A prediction or a label as text: equal values give equal texts.

    >>> plain(1.0), plain("a")
    ('1.0', '"a"')
    """
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
