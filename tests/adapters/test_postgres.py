"""The ledger in PostgreSQL: one owner, migrations, and what is left when connections break."""

import shutil

import msgspec
import psycopg
import pytest

from everbake.adapters.sql.anchor import Anchors
from everbake.adapters.sql.migrate import migrations, schema_folder
from everbake.adapters.sql.postgres import PostgresLedger, PostgresReader
from everbake.core.facts import GENESIS, Paused, RetrainRequested
from everbake.core.tables import COLUMNS, KEYS
from everbake.engine.audit import verify
from everbake.errors import ConflictError, HealthError, Retry


class Clock:
    def now(self):
        return 1.7e9


@pytest.fixture
def url(postgres):
    return postgres()


def by_hand(url, sql):
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(sql)


def kill(url, ledger):
    by_hand(url, f"SELECT pg_terminate_backend({ledger._writer.info.backend_pid}, 5000)")


def test_a_second_owner_is_refused_until_the_first_is_gone(url, tmp_path):
    with PostgresLedger(url, Clock(), tmp_path) as first:
        with pytest.raises(ConflictError, match="EB401"):
            PostgresLedger(url, Clock(), tmp_path)
        first.record("a", Paused("line", "", ""))
    with PostgresLedger(url, Clock(), tmp_path) as second:
        assert second.record("b", Paused("line", "", "")).n == 2


def test_an_owner_whose_connection_broke_goes_on_if_nobody_took_its_place(url, tmp_path):
    with PostgresLedger(url, Clock(), tmp_path) as ledger:
        ledger.record("a", Paused("line", "", ""))
        kill(url, ledger)
        with pytest.raises(Retry, match="EB408"):
            ledger.record("b", Paused("line", "", ""))
        assert ledger.record("b", Paused("line", "", "")).n == 2
        assert ledger.record("c", Paused("line", "", "")).n == 3


def test_an_owner_whose_place_was_taken_cannot_append(url, tmp_path):
    with PostgresLedger(url, Clock(), tmp_path) as first:
        first.record("a", Paused("line", "", ""))
        kill(url, first)
        with PostgresLedger(url, Clock(), tmp_path) as second:
            with pytest.raises(Retry, match="EB408"):
                first.record("b", Paused("line", "", "1"))
            with pytest.raises(ConflictError, match="EB401"):
                first.record("b", Paused("line", "", "1"))
            assert second.record("b", Paused("line", "", "2")).n == 2
        with pytest.raises(ConflictError, match="EB401"):
            first.record("c", Paused("line", "", "1"))


def test_an_epoch_that_moved_on_fences_an_owner_off(url, tmp_path):
    with PostgresLedger(url, Clock(), tmp_path) as ledger:
        by_hand(url, "UPDATE head SET epoch = epoch + 1")
        with pytest.raises(ConflictError, match="EB401"):
            ledger.record("a", Paused("line", "", ""))


def test_a_head_that_was_moved_by_hand_is_told(url, tmp_path):
    with PostgresLedger(url, Clock(), tmp_path) as ledger:
        ledger.record("a", Paused("line", "", ""))
        by_hand(url, "UPDATE head SET n = 7")
        with pytest.raises(HealthError, match="EB402"):
            ledger.record("b", Paused("line", "", ""))


def test_the_anchor_lies_in_the_folder_and_is_held_against_the_chain(url, tmp_path):
    with PostgresLedger(url, Clock(), tmp_path) as ledger:
        for n in range(4):
            entry = ledger.record(f"id{n}", RetrainRequested("line", str(n)))
    head = msgspec.json.decode((tmp_path / "anchor" / "head.json").read_bytes())
    assert head == {"n": 4, "hash": entry.hash}
    by_hand(url, "DELETE FROM facts WHERE n = 4")
    with pytest.raises(HealthError, match="EB402"):
        PostgresLedger(url, Clock(), tmp_path)
    anchors = Anchors(tmp_path / "anchor", tmp_path / "anchors")
    with PostgresReader(url) as reader, reader.snapshot(anchors) as kept:
        findings = {(finding.table, finding.row) for finding in verify(reader, kept).findings}
    assert findings == {("facts", "4"), ("models", "line")}


def test_an_untouched_database_is_intact(url, tmp_path):
    anchors = Anchors(tmp_path / "anchor", tmp_path / "anchors")
    with PostgresLedger(url, Clock(), tmp_path) as ledger, PostgresReader(url) as reader:
        for n in range(3):
            ledger.record(f"id{n}", RetrainRequested("line", str(n)))
            with reader.snapshot(anchors) as kept:
                assert verify(reader, kept).intact
        assert reader.version() == 3


def test_a_reader_of_an_empty_database_sees_an_empty_ledger(url, tmp_path):
    with PostgresReader(url) as reader:
        assert reader.head() == (0, GENESIS)
        assert reader.rows("runs") == []
        assert reader.version() == 0
        with PostgresLedger(url, Clock(), tmp_path) as ledger:
            ledger.record("a", Paused("line", "", ""))
            assert reader.version() == 1


def test_the_columns_of_the_schema_are_those_that_projections_know(url, tmp_path):
    with PostgresLedger(url, Clock(), tmp_path) as ledger:
        for table in KEYS:
            assert ledger._columns(table) == KEYS[table] + COLUMNS[table]


@pytest.fixture
def later(tmp_path):
    """A folder of migrations with one more than the program has."""
    folder = tmp_path / "schema"
    shutil.copytree(schema_folder("postgres"), folder)
    number = len(list(folder.iterdir())) + 1
    (folder / f"{number:04}_more.sql").write_text("ALTER TABLE runs ADD COLUMN colour TEXT;\n")
    return folder


def test_a_migration_keeps_the_data_and_an_older_program_is_refused(url, tmp_path, later):
    with PostgresLedger(url, Clock(), tmp_path) as ledger:
        entry = ledger.record("a", RetrainRequested("line", "q"))
    with PostgresLedger(url, Clock(), tmp_path, schema=later) as ledger:
        assert list(ledger.facts()) == [entry]
        assert ledger.rows("models")[0]["retrain_n"] == 1
    number = len(list(later.iterdir()))
    kept = by_hand(url, f"TABLE facts_before_{number:04}").fetchall()
    assert [row[-1] for row in kept] == [entry.hash]
    with pytest.raises(ConflictError, match="EB403"):
        PostgresLedger(url, Clock(), tmp_path)
    with PostgresReader(url) as reader, pytest.raises(ConflictError, match="EB403"):
        reader.head()


def test_a_ledger_of_before_pending_candidates_is_brought_up_to_date(
    url, tmp_path, older, brought_up
):
    with psycopg.connect(url, autocommit=True) as connection:
        for step in migrations(schema_folder("postgres"))[:2]:
            connection.execute(step.script.encode())
            values = (step.number, step.name, 0.0)
            connection.execute("INSERT INTO schema_version VALUES (%s, %s, %s)", values)
        for row in older:
            connection.execute("INSERT INTO facts VALUES (%s, %s, %s, %s, %s, %s)", row)
        head = (older[-1][0], older[-1][-1])
        connection.execute("UPDATE head SET n = %s, hash = %s", head)
    anchors = Anchors(tmp_path / "anchor", tmp_path / "anchors")
    anchors.move_head(head)
    with PostgresLedger(url, Clock(), tmp_path) as ledger:
        brought_up(ledger)
        assert ledger.record("more", Paused("line", "", "")).n == len(older) + 1
    with PostgresReader(url) as reader, reader.snapshot(anchors) as kept:
        assert verify(reader, kept).intact


def test_the_row_head_is_held_against_the_facts(url, tmp_path):
    with PostgresLedger(url, Clock(), tmp_path) as ledger:
        ledger.record("a", RetrainRequested("line", "q"))
    with PostgresReader(url) as reader:
        assert verify(reader, reader.held()).intact
        by_hand(url, "UPDATE head SET hash = 'another'")
        assert [f.row for f in verify(reader, reader.held()).findings] == ["1"]
        by_hand(url, "DELETE FROM head")
        with pytest.raises(HealthError, match="EB402"):
            reader.held()
    with pytest.raises(HealthError, match="EB402"):
        PostgresLedger(url, Clock(), tmp_path)


def test_what_cannot_be_reached_is_worth_another_try(tmp_path):
    with pytest.raises(Retry, match="EB408"):
        PostgresLedger("postgresql://127.0.0.1:1/nothing", Clock(), tmp_path)


def test_a_database_that_may_only_be_read_is_told(url, tmp_path):
    read_only = f"{url}%20-cdefault_transaction_read_only%3Don"
    with pytest.raises(HealthError, match="EB405"):
        PostgresLedger(read_only, Clock(), tmp_path)
