"""The SQL that both databases share, and what their rows mean.

Names of tables and columns come from the constants of `core.project` only; every value is bound.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

import msgspec

from everbake.core.facts import Entry, decode, encode, name_of
from everbake.core.project import project
from everbake.core.tables import COLUMNS, KEYS, NEWEST, Cell, Put
from everbake.errors import HealthError
from everbake.ports import Stored

Record = tuple[Cell, ...]
Statement = tuple[str, tuple[Cell, ...]]

INSERT_FACT = "INSERT INTO facts (n, id, time, name, body, hash) VALUES (?, ?, ?, ?, ?, ?)"
FACTS = "SELECT n, id, time, name, body, hash FROM facts"
FIND = f"{FACTS} WHERE id = ?"
AT = f"{FACTS} WHERE n = ?"
PAGE = f"{FACTS} WHERE n > ? ORDER BY n LIMIT ?"
HEAD = "SELECT n, hash FROM facts ORDER BY n DESC LIMIT 1"
SCHEMA_NUMBER = "SELECT MAX(number) FROM schema_version"
INSERT_SCHEMA = "INSERT INTO schema_version (number, name, time) VALUES (?, ?, ?)"


def columns_of(table: str) -> tuple[str, ...]:
    """All columns of a projection, the key first."""
    return KEYS[table] + COLUMNS[table]


def statements(entry: Entry) -> Iterator[Statement]:
    """What appends an entry: the fact and each change that it makes."""
    body = encode(entry.fact).decode()
    yield INSERT_FACT, (entry.n, entry.id, entry.time, name_of(entry.fact), body, entry.hash)
    yield from projected(entry)


def projected(entry: Entry) -> Iterator[Statement]:
    """What takes an entry into the projections."""
    for put in project(entry):
        yield _upsert(put.table, tuple(put.columns)), _values(put)


def _values(put: Put) -> tuple[Cell, ...]:
    return (*put.key, *put.columns.values())


@lru_cache(maxsize=256)
def _upsert(table: str, columns: tuple[str, ...]) -> str:
    keys = KEYS[table]
    names = _names(keys + columns)
    marks = ", ".join("?" * len(keys + columns))
    changes = ", ".join(f'"{column}" = excluded."{column}"' for column in columns)
    return (
        f"INSERT INTO {table} ({names}) VALUES ({marks}) "  # noqa: S608 - constants of core.project
        f"ON CONFLICT ({_names(keys)}) DO UPDATE SET {changes}"
    )


def selected(
    table: str, columns: Sequence[str], where: Mapping[str, Cell], newest: int | None
) -> Statement:
    """The query of some rows of a projection; see `ports.Reader.rows`."""
    unknown = set(where) - set(columns_of(table))
    if unknown:
        raise ValueError(f"{table} has no column {', '.join(sorted(unknown))}")
    tests = [f'"{name}" IS NULL' if v is None else f'"{name}" = ?' for name, v in where.items()]
    values = tuple(value for value in where.values() if value is not None)
    condition = f" WHERE {' AND '.join(tests)}" if tests else ""
    query = f"SELECT {_names(columns)} FROM {table}{condition}"  # noqa: S608 - as above
    if newest is None:
        return f"{query} ORDER BY {_names(KEYS[table])}", values
    backwards = ", ".join(f'"{key}" DESC' for key in KEYS[table])
    # Nulls last in both databases: a row without a place is older than all others.
    order = f'"{NEWEST[table]}" DESC NULLS LAST, {backwards}'
    return f"{query} ORDER BY {order} LIMIT ?", (*values, newest)


def _names(columns: Sequence[str]) -> str:
    return ", ".join(f'"{column}"' for column in columns)


def stored_of(record: Record) -> Stored:
    """A row of the facts, cells as they are: an audit has to see what a hand may have written."""
    return Stored(*record)  # type: ignore[arg-type]


def entry_of(stored: Stored) -> Entry:
    """The entry behind a stored one.

    Raises:
        HealthError: it was not written like this by everbake.
    """
    try:
        fact = decode(stored.name, stored.body)
    except (KeyError, TypeError, msgspec.DecodeError) as error:
        raise HealthError(
            "EB402",
            "a fact cannot be read",
            where=f"facts, row {stored.n}",
            why=f"its stored form is not that of a {stored.name!r} ({error})",
            mend="everbake audit verify",
        ) from error
    return Entry(stored.n, stored.id, stored.time, fact, stored.hash)
