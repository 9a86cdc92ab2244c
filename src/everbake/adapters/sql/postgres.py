"""The ledger in a PostgreSQL database, by URL.

The connection that appends holds an advisory lock, so that a database has one owner; and the row
`head` knows the owner's epoch, so that an owner that lost its connection, and with it the lock,
cannot append behind the back of the next one.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self, cast

import psycopg
from typing_extensions import override

from everbake.adapters.sql import rows
from everbake.adapters.sql.anchor import HEAD, Anchors
from everbake.adapters.sql.meaning import disk_full, ended, told
from everbake.adapters.sql.migrate import Migration, migrations, pending, schema_folder
from everbake.adapters.sql.reader import SqlReader
from everbake.adapters.sql.rows import Record
from everbake.core.facts import Entry, Fact, chained
from everbake.core.tables import KEYS, Cell
from everbake.errors import ConflictError, EverbakeError, HealthError, Retry
from everbake.ports import Anchor, Clock

_LOCK = "SELECT pg_try_advisory_lock(1163284290, hashtext(current_schema()))"  # "EVEB"
_CLAIM = "UPDATE head SET epoch = epoch + 1 RETURNING epoch"
_EPOCH = "SELECT epoch FROM head"
_HELD = "SELECT n, hash, epoch FROM head FOR UPDATE"
_MOVE = "UPDATE head SET n = ?, hash = ?"
_THERE = "SELECT to_regclass('schema_version') IS NOT NULL"
_COLUMNS = (
    "SELECT column_name::text FROM information_schema.columns "
    "WHERE table_name = ? AND table_schema = current_schema()"
)
_FORBIDDEN = (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction)
_TRIES = 5  # to catch a ledger that is written to together with its anchors

Connection = psycopg.Connection[tuple[object, ...]]


class PostgresReader(SqlReader):
    """`ports.Reader` over a database, while an owner may write to it.

    Args:
        url: `postgresql://...`.
        schema: folder of the migrations that this program knows.
    """

    def __init__(self, url: str, schema: Path | None = None) -> None:
        self._url = url
        self._schema = schema or schema_folder("postgres")
        self._lock = threading.RLock()
        self._connection: Connection | None = None
        self._known: dict[str, tuple[str, ...]] = {}

    def version(self) -> int:
        """The number of facts: it grows whenever somebody has written."""
        return self.head()[0]

    @contextmanager
    def snapshot(self, anchors: Anchors) -> Iterator[list[Anchor]]:
        """Hold on to one state of the ledger, and the anchors that belong to it."""
        with self._lock:
            try:
                yield self._settled(anchors)
            finally:
                if self._connection is not None:
                    self._connection.execute(b"ROLLBACK")

    def held(self) -> list[Anchor]:
        """The end of the chain as the row `head` has it: none without a ledger.

        Raises:
            HealthError: somebody deleted it.
        """
        if not self.head()[0]:
            return []
        n, linked = _only(self._select("SELECT n, hash FROM head"), "PostgreSQL")
        return [Anchor("the row head", cast("int", n), str(linked))]

    def close(self) -> None:
        """Let go of the database."""
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
        with self._lock, _told():
            connection = self._open()
            return _run(connection, query, values) if connection else []

    @override
    def _columns(self, table: str) -> tuple[str, ...]:
        with self._lock:
            if table not in self._known:
                there = {name for (name,) in self._select(_COLUMNS, (table,))}
                if not there:  # no ledger yet
                    return rows.columns_of(table)
                known = tuple(name for name in rows.columns_of(table) if name in there)
                self._known[table] = known
            return self._known[table]

    def _settled(self, anchors: Anchors) -> list[Anchor]:
        """Anchors that fit the state that is held, unless none do."""
        found: list[Anchor] = []
        for _ in range(_TRIES):
            found = anchors.read()
            with _told():
                if (connection := self._open()) is None:
                    break
                connection.execute(b"ROLLBACK")
                connection.execute(b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            anchored = next((anchor.n for anchor in found if anchor.name == HEAD), 0)
            if self.head()[0] - anchored in (0, 1):
                break
        return found

    def _open(self) -> Connection | None:
        """The connection; None as long as no ledger was set up."""
        if self._connection is None or self._connection.closed:
            connection = _connect(self._url)
            with _closed_on_failure(connection):
                current = _schema_number(connection)
                pending(migrations(self._schema), current, _place(connection))
            if current == 0:
                connection.close()
                return None
            self._connection = connection
        return self._connection


class PostgresLedger(PostgresReader):
    """`ports.Ledger` in a database, for the one process that owns the project.

    Args:
        url: `postgresql://...`.
        clock: gives each entry its time.
        folder: of the project's state; the anchor lies in it.
        anchors: folder of the further anchors, one a version.
        schema: folder of the migrations that this program knows.
    """

    def __init__(
        self,
        url: str,
        clock: Clock,
        folder: Path,
        anchors: Path | None = None,
        schema: Path | None = None,
    ) -> None:
        super().__init__(url, schema)
        self._clock = clock
        self._writing = threading.Lock()
        self._ended = False
        self._anchors = Anchors(folder / "anchor", anchors or folder / "anchors")
        self._folder = folder
        self._epoch: int | None = None
        with _told(), told(folder):
            self._writer = self._own()
            self._anchored = self.head()

    def record(self, entry_id: str, fact: Fact) -> Entry:
        """Append a fact with its projections, durably, or return the first one of this id."""
        with self._writing, _told(), told(self._folder):
            if self._ended:
                raise ended()
            if self._writer.closed:
                self._writer = self._own()
            self._catch_up()
            if known := self.find(entry_id):
                return known
            with self._writer.transaction():
                entry = self._append(entry_id, fact)
            self._anchors.move(entry)
            self._anchored = (entry.n, entry.hash)
            return entry

    @override
    def close(self) -> None:
        """Let go of the database, and of the ownership, for good."""
        with self._writing:
            self._ended = True
            super().close()
            self._writer.close()

    @override
    def _open(self) -> Connection | None:
        if self._ended:
            raise ended()
        return super()._open()

    def _own(self) -> Connection:
        """A connection that may append."""
        connection = _connect(self._url)
        with _closed_on_failure(connection):
            if connection.execute(_LOCK.encode()).fetchone() != (True,):
                raise self._not_ours(connection)
            with connection.transaction():
                self._migrate(connection, migrations(self._schema))
                self._claim(connection)
            self._hold_against_anchor()
        return connection

    def _hold_against_anchor(self) -> None:
        try:
            self._anchors.check(self)
        except BaseException:
            super().close()  # nobody gets this ledger, so nobody would close it
            raise

    def _migrate(self, connection: Connection, steps: list[Migration]) -> None:
        current = _schema_number(connection)
        due = pending(steps, current, _place(connection))
        if due and current:  # the facts are all that cannot be derived again
            _do(connection, f"CREATE TABLE facts_before_{due[0].number:04} AS TABLE facts")
        for step in due:
            connection.execute(step.script.encode())
            _do(connection, rows.INSERT_SCHEMA, (step.number, step.name, self._clock.now()))
        if due and current:
            _rebuild(connection)

    def _not_ours(self, connection: Connection) -> EverbakeError:
        """Somebody holds the lock: another owner, or what is left of our lost connection."""
        if self._epoch is not None and _run(connection, _EPOCH) == [(self._epoch,)]:
            return _unreachable("the connection was lost, and the server has not noticed yet")
        return _owned(_place(connection))

    def _claim(self, connection: Connection) -> None:
        """Take a new epoch; after a lost connection only if nobody took one meanwhile."""
        epoch = cast("int", _only(_run(connection, _CLAIM), _place(connection))[0])
        if self._epoch is not None and epoch != self._epoch + 1:
            raise _owned(_place(connection))
        self._epoch = epoch

    def _catch_up(self) -> None:
        """Move the anchor that a failure left behind the last commit."""
        head = self.head()
        if head != self._anchored:
            self._anchors.move_head(head)
            self._anchored = head

    def _append(self, entry_id: str, fact: Fact) -> Entry:
        n, linked, epoch = _only(_run(self._writer, _HELD), _place(self._writer))
        if epoch != self._epoch:
            raise _owned(_place(self._writer))
        head = (cast("int", n), str(linked))
        if head != self._anchored:
            raise HealthError(
                "EB402",
                "the row head is not at the end of the facts",
                where=_place(self._writer),
                why=f"it says {head[0]}, the last fact is number {self._anchored[0]}",
                mend="everbake audit verify",
            )
        entry = chained(head, entry_id, self._clock.now(), fact)
        for query, values in rows.statements(entry):
            _do(self._writer, query, values)
        _do(self._writer, _MOVE, (entry.n, entry.hash))
        return entry


def _only(found: list[Record], where: str) -> Record:
    """The row of `head`."""
    if not found:
        raise HealthError(
            "EB402", "the row head is gone", where=where, mend="everbake audit verify"
        )
    return found[0]


def _connect(url: str) -> Connection:
    return psycopg.connect(url, autocommit=True, client_encoding="utf8")


def _do(connection: Connection, query: str, values: Sequence[Cell] = ()) -> None:
    connection.execute(query.replace("?", "%s").encode(), [_hidden(cell) for cell in values])


def _run(connection: Connection, query: str, values: Sequence[Cell] = ()) -> list[Record]:
    bound = [_hidden(cell) for cell in values]
    found = connection.execute(query.replace("?", "%s").encode(), bound).fetchall()
    return [tuple(_shown(cast("Cell", cell)) for cell in record) for record in found]


def _hidden(cell: Cell) -> Cell:
    """Text that PostgreSQL can hold: it knows no character zero."""
    if isinstance(cell, str) and ("\0" in cell or "\x1a" in cell):
        return cell.replace("\x1a", "\x1aS").replace("\0", "\x1aN")
    return cell


def _shown(cell: Cell) -> Cell:
    if isinstance(cell, str) and "\x1a" in cell:
        return cell.replace("\x1aN", "\0").replace("\x1aS", "\x1a")
    return cell


def _schema_number(connection: Connection) -> int:
    if connection.execute(_THERE.encode()).fetchone() != (True,):
        return 0
    return cast("int", _run(connection, rows.SCHEMA_NUMBER)[0][0] or 0)


def _rebuild(connection: Connection) -> None:
    """Derive the projections anew: a new column has to hold what older facts say."""
    for table in KEYS:
        _do(connection, f"DELETE FROM {table}")  # noqa: S608 - a constant
    for record in _run(connection, f"{rows.FACTS} ORDER BY n"):
        for query, values in rows.projected(rows.entry_of(rows.stored_of(record))):
            _do(connection, query, values)


def _place(connection: Connection) -> str:
    """Where the database is, without its password."""
    info = connection.info
    return f"postgresql://{info.host}:{info.port}/{info.dbname}"


@contextmanager
def _closed_on_failure(connection: Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        connection.close()
        raise


@contextmanager
def _told() -> Iterator[None]:
    """Turn what PostgreSQL says into our errors."""
    try:
        yield
    except psycopg.Error as error:
        raise _meaning(error) from error


def _meaning(error: psycopg.Error) -> EverbakeError:
    why = str(error).strip()
    if isinstance(error, psycopg.errors.DiskFull):
        return disk_full("the database's disk")
    if isinstance(error, _FORBIDDEN):
        mend = "grant the user of the URL all rights on its schema"
        return HealthError("EB405", "the ledger cannot be written", why=why, mend=mend)
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return _unreachable(why)
    mend = "restore the database from a backup, then: everbake audit verify"
    return HealthError("EB404", "the ledger cannot be read or written", why=why, mend=mend)


def _unreachable(why: str) -> Retry:
    mend = "start the database; everbake goes on by itself"
    return Retry("EB408", "the ledger cannot be reached", why=why, mend=mend)


def _owned(where: str) -> ConflictError:
    return ConflictError(
        "EB401",
        "another process owns the ledger",
        where=where,
        mend="everbake doctor says who; one everbake at a time appends to a ledger",
    )
