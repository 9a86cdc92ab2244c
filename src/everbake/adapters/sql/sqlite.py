"""The ledger in a SQLite file: the default.

One connection writes, one reads; each is used by one thread at a time. Whoever holds the owner's
lock opens a `SqliteLedger`; everybody else a `SqliteReader`, which never writes.
"""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Self

from typing_extensions import override

from everbake.adapters.sql import rows
from everbake.adapters.sql.anchor import HEAD, Anchors
from everbake.adapters.sql.meaning import ended, told
from everbake.adapters.sql.migrate import Migration, migrations, pending, schema_folder
from everbake.adapters.sql.reader import SqlReader
from everbake.adapters.sql.rows import Record
from everbake.core.facts import Entry, Fact, chained
from everbake.core.tables import KEYS, Cell
from everbake.errors import Retry
from everbake.ports import Anchor, Clock

RESERVE = "reserve"  # a file beside the ledger that is given away when the disk is full
_PATIENCE = 5.0  # seconds to wait for another process that writes
_RESERVE = 1 << 20  # bytes; a commit needs a few pages
_TRIES = 5  # to catch a ledger that is written to together with its anchors


class SqliteReader(SqlReader):
    """`ports.Reader` over the ledger's file, while another process may write to it.

    A file that does not exist yet is an empty ledger.

    Args:
        path: the file.
        schema: folder of the migrations that this program knows.
    """

    def __init__(self, path: Path, schema: Path | None = None) -> None:
        self._path = path
        self._schema = schema or schema_folder("sqlite")
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._known: dict[str, tuple[str, ...]] = {}

    def version(self) -> int:
        """A number that differs whenever somebody has written; 0 without a ledger."""
        found = self._select("PRAGMA data_version")
        return int(found[0][0] or 0) if found else 0

    @contextmanager
    def snapshot(self, anchors: Anchors) -> Iterator[list[Anchor]]:
        """Hold on to one state of the ledger, and the anchors that belong to it."""
        with self._lock:
            try:
                with told(self._path):
                    found = self._settled(anchors)
                yield found
            finally:
                if self._connection is not None:
                    self._connection.rollback()

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @override
    def _select(self, query: str, values: Sequence[Cell] = ()) -> list[Record]:
        with self._lock, told(self._path):
            connection = self._open()
            return connection.execute(query, values).fetchall() if connection else []

    @override
    def _columns(self, table: str) -> tuple[str, ...]:
        with self._lock:
            if table not in self._known:
                there = {name for _, name, *_ in self._select(f"PRAGMA table_info({table})")}
                known = tuple(name for name in rows.columns_of(table) if name in there)
                if not there:  # no ledger yet
                    return rows.columns_of(table)
                self._known[table] = known
            return self._known[table]

    def _settled(self, anchors: Anchors) -> list[Anchor]:
        """Anchors that fit the state that is held, unless none do."""
        found: list[Anchor] = []
        for _ in range(_TRIES):
            found = anchors.read()
            if (connection := self._open()) is None:
                break
            connection.rollback()
            connection.execute("BEGIN")
            anchored = next((anchor.n for anchor in found if anchor.name == HEAD), 0)
            if self.head()[0] - anchored in (0, 1):
                break
        return found

    def _open(self) -> sqlite3.Connection | None:
        """The connection; None as long as no ledger was set up."""
        if self._connection is None and self._path.exists():
            through_full_disk(self._path, self._look)
        return self._connection

    def _look(self) -> None:
        connection = _connect(f"{self._path.absolute().as_uri()}?mode=ro")
        with _closed_on_failure(connection):
            current = _schema_number(connection)
            pending(migrations(self._schema), current, str(self._path))
        if current == 0:
            connection.close()
        else:
            self._connection = connection


class SqliteLedger(SqliteReader):
    """`ports.Ledger` in a SQLite file, for the one process that owns the project.

    Opening brings the schema up to date (after a backup) and holds the chain's end against its
    anchor.

    Args:
        path: the file, made if there is none; anchor and reserve lie beside it.
        clock: gives each entry its time.
        anchors: folder of the further anchors, one a version.
        schema: folder of the migrations that this program knows.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        anchors: Path | None = None,
        schema: Path | None = None,
    ) -> None:
        super().__init__(path, schema)
        self._clock = clock
        self._writing = threading.Lock()
        self._ended = False
        self._anchors = anchors_beside(path, anchors)
        self._reserve = path.parent / RESERVE
        with told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = _connect(path.absolute().as_uri())
        with _closed_on_failure(self):
            self._whole(self._set_up)
            with told(path):
                self._prepare(migrations(self._schema))
                self._anchored = self.head()

    def record(self, entry_id: str, fact: Fact) -> Entry:
        """Append a fact with its projections, durably, or return the first one of this id."""
        with self._writing:
            if self._ended:
                raise ended()
            self._whole(self._catch_up)
            if known := self.find(entry_id):
                return known
            entry = chained(self._anchored, entry_id, self._clock.now(), fact)
            self._whole(lambda: self._append(entry))
            self._whole(lambda: self._anchors.move(entry))
            self._anchored = (entry.n, entry.hash)
            return entry

    @override
    def close(self) -> None:
        """Let go of the file, for good."""
        with self._writing:
            self._ended = True
            super().close()
            self._writer.close()

    @override
    def _open(self) -> sqlite3.Connection | None:
        if self._ended:
            raise ended()
        return super()._open()

    def _set_up(self) -> None:
        self._writer.execute("PRAGMA journal_mode = WAL")
        self._writer.execute("PRAGMA synchronous = FULL")

    def _prepare(self, steps: list[Migration]) -> None:
        _migrate(self._writer, steps, self._path, self._clock)
        self._anchors.check(self)
        with suppress(OSError):  # without a reserve a full disk is only told, not lived through
            _fill(self._reserve)

    def _catch_up(self) -> None:
        """Move the anchor that a failure left behind the last commit."""
        head = self.head()
        if head != self._anchored:
            self._anchors.move_head(head)
            self._anchored = head

    def _append(self, entry: Entry) -> None:
        with _transaction(self._writer):
            for query, values in rows.statements(entry):
                self._writer.execute(query, values)

    def _whole(self, act: Callable[[], None]) -> None:
        through_full_disk(self._path, act)


def anchors_beside(path: Path, outside: Path | None = None) -> Anchors:
    """The anchors of the ledger in this file."""
    return Anchors(path.parent / "anchor", outside or path.parent / "anchors")


def through_full_disk(path: Path, act: Callable[[], None]) -> None:
    """Do it; on a full disk give the reserve away and do it once more."""
    reserve = path.parent / RESERVE
    try:
        with told(path):
            act()
    except Retry as error:
        if error.code != "EB406" or not reserve.exists():
            raise
        release_reserve(reserve)
        with told(path):
            act()


def release_reserve(reserve: Path) -> None:
    """Give the reserved space back to the disk."""
    reserve.unlink()


def _fill(reserve: Path) -> None:
    if reserve.exists() and reserve.stat().st_size == _RESERVE:
        return
    try:
        # Random bytes: a file system that compresses would keep no room for zeros.
        reserve.write_bytes(os.urandom(_RESERVE))
    except OSError:
        reserve.unlink(missing_ok=True)  # half a reserve is none
        raise


def _connect(address: str) -> sqlite3.Connection:
    return sqlite3.connect(
        address, uri=True, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
    )


@contextmanager
def _closed_on_failure(opened: sqlite3.Connection | SqliteReader) -> Iterator[None]:
    try:
        yield
    except BaseException:
        opened.close()
        raise


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise


def _schema_number(connection: sqlite3.Connection) -> int:
    query = "SELECT 1 FROM sqlite_master WHERE name = 'schema_version'"
    if connection.execute(query).fetchone() is None:
        return 0
    return int(connection.execute(rows.SCHEMA_NUMBER).fetchone()[0] or 0)


def _migrate(
    connection: sqlite3.Connection, steps: list[Migration], path: Path, clock: Clock
) -> None:
    """Run the migrations that are missing, all or none, after a backup."""
    current = _schema_number(connection)
    due = pending(steps, current, str(path))
    if not due:
        return
    if current:
        _back_up(connection, path.with_name(f"{path.name}.before-{due[0].number:04}"))
    with _transaction(connection):
        for step in pending(steps, _schema_number(connection), str(path)):
            for statement in _statements(step.script):
                connection.execute(statement)
            connection.execute(rows.INSERT_SCHEMA, (step.number, step.name, clock.now()))
        if current:
            _rebuild(connection)


def _statements(script: str) -> Iterator[str]:
    """The statements of a script (`executescript` would commit by itself)."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _rebuild(connection: sqlite3.Connection) -> None:
    """Derive the projections anew: a new column has to hold what older facts say."""
    for table in KEYS:
        connection.execute(f"DELETE FROM {table}")  # noqa: S608 - a constant
    for record in connection.execute(f"{rows.FACTS} ORDER BY n"):
        for query, values in rows.projected(rows.entry_of(rows.stored_of(record))):
            connection.execute(query, values)


def _back_up(connection: sqlite3.Connection, target: Path) -> None:
    waiting = target.with_name(f"{target.name}.new")
    waiting.unlink(missing_ok=True)
    with closing(sqlite3.connect(waiting)) as copy:
        connection.backup(copy)
    waiting.replace(target)
