"""The ledger's file: its anchor, its schema, and what a broken or full disk makes of it."""

import errno
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from everbake.adapters.filesystem import refuse_network_filesystem
from everbake.adapters.sql import anchor, sqlite
from everbake.adapters.sql.migrate import migrations, schema_folder
from everbake.adapters.sql.sqlite import SqliteLedger, SqliteReader, anchors_beside
from everbake.core.facts import GENESIS, Paused, Promoted, RetrainRequested, RolledBack
from everbake.core.tables import COLUMNS, KEYS
from everbake.engine.audit import verify
from everbake.errors import ConflictError, HealthError, Retry


class Clock:
    def now(self):
        return 1.7e9


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a folder" / "ledger.sqlite"


def write(path, count=3, **more):
    with SqliteLedger(path, Clock(), **more) as ledger:
        first = ledger.head()[0]
        return [
            ledger.record(f"id{n}", RetrainRequested("line", str(n)))
            for n in range(first, first + count)
        ]


def by_hand(path, sql, values=()):
    connection = sqlite3.connect(path)
    connection.execute(sql, values)
    connection.commit()
    connection.close()


def anchored(path):
    return msgspec.json.decode((path.parent / "anchor" / "head.json").read_bytes())


def test_the_columns_of_the_schema_are_those_that_projections_know(path):
    write(path)
    connection = sqlite3.connect(path)
    for table in KEYS:
        there = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        assert sorted(there) == sorted(KEYS[table] + COLUMNS[table])
    connection.close()


def test_the_anchor_is_the_head_after_each_acknowledgement(path):
    with SqliteLedger(path, Clock()) as ledger:
        for n in range(3):
            entry = ledger.record(f"id{n}", Paused("line", "", str(n)))
            assert anchored(path) == {"n": entry.n, "hash": entry.hash}


def test_a_served_version_has_its_own_anchor(path, tmp_path):
    with SqliteLedger(path, Clock(), tmp_path / "models") as ledger:
        first = ledger.record("a", Promoted("line", 2, "b", 1, "a", "good", "q"))
        second = ledger.record("b", RolledBack("line", 1, "a", 2, "b", "bad", "q"))
    found = {
        file.name: msgspec.json.decode(file.read_bytes())
        for file in (tmp_path / "models").iterdir()
    }
    assert found == {
        "line@2.json": {"n": 1, "hash": first.hash},
        "line@1.json": {"n": 2, "hash": second.hash},
    }


def test_a_chain_one_entry_ahead_of_its_anchor_is_mended(path):
    write(path, 2)
    before = (path.parent / "anchor" / "head.json").read_bytes()
    last = write(path, 1)[-1]
    (path.parent / "anchor" / "head.json").write_bytes(before)
    with SqliteLedger(path, Clock()) as ledger:
        assert ledger.head() == (3, last.hash)
    assert anchored(path) == {"n": 3, "hash": last.hash}


def test_the_first_entry_may_be_there_without_an_anchor(path):
    first = write(path, 1)[0]
    shutil.rmtree(path.parent / "anchor")
    with SqliteLedger(path, Clock()):
        assert anchored(path) == {"n": 1, "hash": first.hash}


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM facts WHERE n = 5",
        "DELETE FROM facts WHERE n > 2",
        "UPDATE facts SET hash = 'x' WHERE n = 5",
        "INSERT INTO facts SELECT n + 2, 'y' || n, time, name, body, 'z' FROM facts WHERE n > 3",
    ],
)
def test_a_chain_that_does_not_end_at_its_anchor_is_refused(path, sql):
    write(path, 5)
    by_hand(path, sql)
    with pytest.raises(HealthError, match="EB402") as told:
        SqliteLedger(path, Clock())
    assert told.value.mend == "everbake audit verify"


def test_a_missing_or_broken_anchor_is_refused(path):
    write(path, 5)
    head = path.parent / "anchor" / "head.json"
    head.write_text("{")
    with pytest.raises(HealthError, match="EB402"):
        SqliteLedger(path, Clock())
    head.unlink()
    with pytest.raises(HealthError, match="EB402"):
        SqliteLedger(path, Clock())


def test_an_anchor_that_could_not_be_moved_is_moved_before_the_next_entry(path, monkeypatch):
    with SqliteLedger(path, Clock()) as ledger:
        ledger.record("a", Paused("line", "", "1"))
        with monkeypatch.context() as patch:
            patch.setattr(anchor.os, "fsync", _fails(errno.EIO))
            with pytest.raises(HealthError, match="EB404"):
                ledger.record("b", Paused("line", "", "2"))
        assert anchored(path)["n"] == 1
        assert ledger.record("b", Paused("line", "", "other")).fact == Paused("line", "", "2")
        assert anchored(path)["n"] == 2
        assert ledger.record("c", Paused("line", "", "3")).n == 3


def _fails(code):
    def fail(*_, **__):
        raise OSError(code, os.strerror(code))

    return fail


def test_a_reader_of_what_is_not_there_yet_sees_an_empty_ledger_and_later_the_real_one(path):
    with SqliteReader(path) as reader:
        assert reader.head() == (0, GENESIS)
        assert reader.rows("runs", {"model": "line"}) == []
        assert list(reader.facts()) == []
        before = reader.version()
        last = write(path)[-1]
        assert reader.version() != before
        assert reader.head() == (3, last.hash)
        assert reader.rows("models")[0]["retrain_n"] == 3


def test_a_reader_sees_what_another_connection_writes_and_cannot_write_itself(path):
    with SqliteLedger(path, Clock()) as ledger, SqliteReader(path) as reader:
        seen = {reader.version()}
        for n in range(3):
            ledger.record(f"id{n}", Paused("line", "", ""))
            assert reader.head()[0] == n + 1
            seen.add(reader.version())
        assert len(seen) == 4
        assert reader.version() == reader.version()
        with pytest.raises(HealthError, match="EB405"):
            reader._select("DELETE FROM facts")


def test_a_reader_leaves_a_half_made_file_alone(path):
    path.parent.mkdir()
    path.touch()
    with SqliteReader(path) as reader:
        assert reader.head() == (0, GENESIS)


@pytest.fixture
def later(tmp_path):
    """A folder of migrations with one more than the program has."""
    folder = tmp_path / "schema"
    shutil.copytree(schema_folder("sqlite"), folder)
    number = len(list(folder.iterdir())) + 1
    script = "ALTER TABLE runs ADD COLUMN colour TEXT;\n-- a comment; with a semicolon\n"
    script += "CREATE TABLE more (\n    x TEXT\n);\n"
    (folder / f"{number:04}_more.sql").write_text(script)
    return folder


def test_a_migration_runs_once_after_a_backup_and_keeps_the_data(path, later):
    entries = write(path)
    by_hand(path, "UPDATE models SET retrain_n = 99")
    with SqliteLedger(path, Clock(), schema=later) as ledger:
        assert list(ledger.facts()) == entries
        assert ledger.rows("models")[0]["retrain_n"] == 3  # derived anew
        assert ledger.record("more", Paused("line", "", "")).n == 4
    write(path, 1, schema=later)
    number = len(list(later.iterdir()))
    backup = path.with_name(f"ledger.sqlite.before-{number:04}")
    with SqliteReader(backup) as reader:
        assert reader.head() == (3, entries[-1].hash)
    connection = sqlite3.connect(path)
    numbers = [n for (n,) in connection.execute("SELECT number FROM schema_version ORDER BY 1")]
    connection.close()
    assert numbers == list(range(1, number + 1))


def test_a_ledger_of_before_pending_candidates_is_brought_up_to_date(path, older, brought_up):
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    for step in migrations(schema_folder("sqlite"))[:2]:
        connection.executescript(step.script)
        values = (step.number, step.name, 0.0)
        connection.execute("INSERT INTO schema_version VALUES (?, ?, ?)", values)
    connection.executemany("INSERT INTO facts VALUES (?, ?, ?, ?, ?, ?)", older)
    connection.commit()
    connection.close()
    anchors_beside(path).move_head((older[-1][0], older[-1][-1]))
    with SqliteLedger(path, Clock()) as ledger:
        brought_up(ledger)
        assert ledger.record("more", Paused("line", "", "")).n == len(older) + 1
    with SqliteReader(path) as reader, reader.snapshot(anchors_beside(path)) as kept:
        assert verify(reader, kept).intact


def test_a_migration_that_fails_changes_nothing(path, later):
    entries = write(path)
    (later / f"{len(list(later.iterdir())) + 1:04}_wrong.sql").write_text("CREATE NONSENSE;\n")
    with pytest.raises(HealthError, match="EB404"):
        SqliteLedger(path, Clock(), schema=later)
    with SqliteLedger(path, Clock()) as ledger:
        assert list(ledger.facts()) == entries


def test_a_ledger_of_a_newer_program_is_refused(path, later):
    write(path, 1, schema=later)
    for opened in (lambda: SqliteLedger(path, Clock()), lambda: SqliteReader(path).head()):
        with pytest.raises(ConflictError, match="EB403") as told:
            opened()
        assert told.value.mend == "pip install -U everbake"


def test_what_is_no_database_is_told(path):
    path.parent.mkdir()
    path.write_bytes(b"this is no database at all, but long enough " * 300)
    for opened in (lambda: SqliteLedger(path, Clock()), lambda: SqliteReader(path).head()):
        with pytest.raises(HealthError, match="EB404"):
            opened()


def test_damaged_pages_are_told(path):
    write(path, 200)
    content = bytearray(path.read_bytes())
    content[4096 * 2 :] = b"\xff" * (len(content) - 4096 * 2)
    path.write_bytes(content)
    with pytest.raises(HealthError, match=r"EB40[24]"), SqliteReader(path) as reader:
        list(reader.facts())


def test_a_fact_that_cannot_be_read_is_told(path):
    write(path)
    by_hand(path, "UPDATE facts SET body = '[]' WHERE n = 2")
    with SqliteReader(path) as reader, pytest.raises(HealthError, match="EB402"):
        list(reader.facts())


def test_a_busy_ledger_is_worth_another_try(path, monkeypatch):
    monkeypatch.setattr(sqlite, "_PATIENCE", 0.01)
    with SqliteLedger(path, Clock()) as ledger:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Retry, match="EB408"):
            ledger.record("a", Paused("line", "", ""))
        other.execute("ROLLBACK")
        other.close()
        assert ledger.record("a", Paused("line", "", "")).n == 1


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES])
def test_a_read_only_disk_is_told(path, monkeypatch, code):
    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", _fails(code))
        with pytest.raises(HealthError, match="EB405"):
            SqliteLedger(path, Clock())


def test_on_a_full_disk_the_reserve_carries_one_more_commit(path, monkeypatch):
    with SqliteLedger(path, Clock()) as ledger:
        ledger.record("a", Paused("line", "", ""))
        limit(ledger, 0)
        give = sqlite.release_reserve
        monkeypatch.setattr(
            sqlite, "release_reserve", lambda reserve: (give(reserve), limit(ledger, 300))
        )
        assert (path.parent / "reserve").stat().st_size == 1 << 20
        assert ledger.record("b", Paused("line", "x" * 200_000, "")).n == 2
        assert not (path.parent / "reserve").exists()
        with pytest.raises(Retry, match="EB406"):
            ledger.record("c", Paused("line", "x" * 2_000_000, ""))
        limit(ledger, 100_000)
        assert ledger.record("c", Paused("line", "x", "")).n == 3
    with SqliteLedger(path, Clock()):
        assert (path.parent / "reserve").exists()


def limit(ledger, pages):
    used = ledger._writer.execute("PRAGMA page_count").fetchone()[0]
    ledger._writer.execute(f"PRAGMA max_page_count = {used + pages}")


def test_a_disk_that_is_full_when_the_anchor_moves_is_told_and_lived_through(path, monkeypatch):
    with SqliteLedger(path, Clock()) as ledger:
        (path.parent / "reserve").unlink()
        with monkeypatch.context() as patch:
            patch.setattr(anchor.os, "fsync", _fails(errno.ENOSPC))
            with pytest.raises(Retry, match="EB406"):
                ledger.record("a", Paused("line", "", ""))
        assert ledger.record("a", Paused("line", "", "")).n == 1
    assert anchored(path)["n"] == 1


MOUNTS = """/dev/sda1 / ext4 rw 0 0
server:/export /home nfs4 rw 0 0
/dev/sdb1 /home/local ext4 rw 0 0
me@host:/x /mnt/my\\040files fuse.sshfs rw 0 0
"""


@pytest.mark.parametrize("place", ["/home/x", "/home", "/mnt/my files/project"])
def test_a_network_file_system_is_refused(place):
    with pytest.raises(ConflictError, match="EB407"):
        refuse_network_filesystem(Path(place), MOUNTS)


@pytest.mark.parametrize("place", ["/var/x", "/home/local/x", "/homework", "/mnt"])
def test_a_local_file_system_is_fine(place):
    refuse_network_filesystem(Path(place), MOUNTS)
    refuse_network_filesystem(Path(place), "")


WRITER = """
import sys
from pathlib import Path
from everbake.adapters.sql.sqlite import SqliteLedger
from everbake.core.facts import RetrainRequested


class Clock:
    def now(self):
        return 1.7e9


ledger = SqliteLedger(Path(sys.argv[1]), Clock())
n = ledger.head()[0]
while True:
    n += 1
    ledger.record(f"id{n}", RetrainRequested("line", str(n)))
    print(n, flush=True)
"""


@pytest.fixture
def writer(path):
    """Starts a process that writes to the ledger until it is killed."""
    running = []

    def start():
        command = [sys.executable, "-c", WRITER, str(path)]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.wait()
        process.stdout.close()


def test_what_was_acknowledged_is_there_after_a_kill(path, writer, counted):
    acknowledged = 0
    for enough in random.Random(0).choices(range(1, 40), k=counted(50)):
        process = writer()
        for _ in range(enough):
            acknowledged = int(process.stdout.readline())
        process.kill()
        acknowledged = int(([acknowledged, *process.stdout.read().split()])[-1])
        process.wait()
        with SqliteReader(path) as reader:
            assert reader.head()[0] in (acknowledged, acknowledged + 1)
        with SqliteLedger(path, Clock()) as ledger:
            assert anchored(path)["n"] == ledger.head()[0] in (acknowledged, acknowledged + 1)
            acknowledged = ledger.head()[0]
    with SqliteReader(path) as reader, reader.snapshot(anchors_beside(path)) as anchors:
        assert verify(reader, anchors).intact


def test_an_audit_while_somebody_writes_finds_nothing(path, writer):
    process = writer()
    heads = {process.stdout.readline()}
    with SqliteReader(path) as reader:
        for _ in range(20):
            with reader.snapshot(anchors_beside(path)) as anchors:
                audit = verify(reader, anchors)
            assert audit.findings == ()
            heads.add(process.stdout.readline())
    assert len(heads) == 21
