"""An audit names every row that somebody touched by hand."""

import shutil
import sqlite3

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from everbake.adapters.memory_ledger import MemoryLedger
from everbake.adapters.sql.sqlite import SqliteLedger, SqliteReader, anchors_beside
from everbake.core.facts import (
    FACTS,
    BatchQuarantined,
    DataArrived,
    Paused,
    RecipeChanged,
    RetrainRequested,
    link,
)
from everbake.core.rollout_facts import Exposure, RolloutMoved, RolloutOpened
from everbake.core.run_facts import Concluded, RunPinned, Trained
from everbake.core.spec import GateSpec, RecipeSpec, SplitSpec, Table
from everbake.core.tables import COLUMNS, KEYS
from everbake.engine.audit import verify
from everbake.ports import Anchor

# ruff: noqa: S608 - the tables under test are constants


class Clock:
    def now(self):
        return 1.7e9


def story():
    """Facts that put a row into every table."""
    gate = GateSpec("mse", "lower", "refresh", 0.01, 0.0, 0.0, "keep")
    spec = RecipeSpec(
        "line", Table("y"), gate, SplitSpec("hash", 0.2), refit=False, params={"a": 1}, seed=0,
        trigger_rows=1, memory_bytes=1, time_seconds=1.0, threads=1,
    )  # fmt: skip
    run = {"model": "line", "run": "r1", "cause": "c", "attempt": 1, "data_version": 1}
    return [
        RecipeChanged("line", 1, "d", "s", spec),
        DataArrived("line", 1, "d1", 5, 0, 0, "{}", ("a.csv",), ("odd",)),
        BatchQuarantined("line", "q1", "d2", 4, "[]", 1, ("b.csv",), ("blob",)),
        RunPinned(
            **run, cause_kind="data", recipe="d", recipe_number=1, snapshot="s", champion=None,
            champion_bundle=None, seed=7, environment="e",
            most_held_out=None, spec=spec,
        ),
        Trained("line", "r1", "b1", "linear", 5, 2, 0.1, 1000, "log"),
        Concluded(
            **run, state="finished", recipe="d", verdict="promoted", version=1, bundle="b1",
            runtime="linear", decision="{}", serves=True, champion_before=None,
            bundle_before=None, candidate_before=None, seconds=3.5,
        ),
        DataArrived("line", 2, "d3", 5, 5, 1, "{}", ("c.csv",)),
        RetrainRequested("line", "q"),
        RolloutOpened("line", "o1", 2, "b2", 1, "[]", Exposure("canary", "request", "salt", 0.1)),
        RolloutMoved(
            "line", "o1", 2, 0, 1, Exposure("canary", "request", "salt", 0.5), "Because.", "{}"
        ),
        Paused("line", "lunch", "q"),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A project's ledger, at rest."""
    folder = tmp_path_factory.mktemp("written") / "project"
    with SqliteLedger(folder / "ledger.sqlite", Clock()) as ledger:
        for n, fact in enumerate(story()):
            ledger.record(f"id{n}", fact)
    return folder


@pytest.fixture
def touched(written, tmp_path_factory):
    """Runs SQL on a copy of the ledger by hand and returns what the audit finds then."""
    folder = tmp_path_factory.mktemp("touched")

    def touch(sql, values=(), *, unchecked=False):
        shutil.rmtree(folder)
        shutil.copytree(written, folder)
        connection = sqlite3.connect(folder / "ledger.sqlite")
        connection.execute(f"PRAGMA ignore_check_constraints = {unchecked}")
        changed = connection.execute(sql, values).rowcount
        connection.commit()
        connection.close()
        assert changed > 0
        return audited(folder)

    return touch


def audited(folder):
    path = folder / "ledger.sqlite"
    with SqliteReader(path) as reader, reader.snapshot(anchors_beside(path)) as anchors:
        return verify(reader, anchors)


def named(audit):
    return {(finding.table, finding.row) for finding in audit.findings}


def rows_of(written, table):
    with SqliteReader(written / "ledger.sqlite") as reader:
        found = reader.rows(table)
    assert found
    return [(tuple(row[name] for name in KEYS[table]), row) for row in found]


def condition(table):
    return " AND ".join(f'"{name}" = ?' for name in KEYS[table])


def test_an_untouched_ledger_is_intact(written):
    audit = audited(written)
    assert audit.intact
    assert audit.findings == ()
    assert audit.facts == len(story())
    assert len(audit.head) == 64


@pytest.mark.parametrize("value", ["edited", 424242, 0.125, None, b"bytes"])
@pytest.mark.parametrize("table", KEYS)
def test_each_edited_cell_of_a_projection_is_named(written, touched, table, value):
    for key, row in rows_of(written, table):
        for column in COLUMNS[table]:
            if row[column] is value:
                continue
            sql = f'UPDATE {table} SET "{column}" = ? WHERE {condition(table)}'
            audit = touched(sql, (value, *key))
            assert not audit.intact
            assert named(audit) == {(table, "@".join(map(str, key)))}
            assert audit.findings[0].detail.startswith(f"{column} is ")


@pytest.mark.parametrize("table", KEYS)
def test_each_deleted_row_of_a_projection_is_named(written, touched, table):
    for key, _ in rows_of(written, table):
        audit = touched(f"DELETE FROM {table} WHERE {condition(table)}", key)
        assert named(audit) == {(table, "@".join(map(str, key)))}


@pytest.mark.parametrize("table", KEYS)
def test_a_row_added_to_a_projection_is_named(touched, table):
    marks = ", ".join("?" * len(KEYS[table]))
    key = ("added", 77)[: len(KEYS[table])]
    audit = touched(f"INSERT INTO {table} ({', '.join(KEYS[table])}) VALUES ({marks})", key)
    assert named(audit) == {(table, "@".join(map(str, key)))}


@pytest.mark.parametrize("value", ["edited", 99.5, b"bytes", "{}"])
@pytest.mark.parametrize("column", ["id", "time", "name", "body", "hash"])
def test_each_edited_fact_is_named(touched, column, value):
    for n in range(1, len(story()) + 1):
        audit = touched(f"UPDATE facts SET {column} = ? WHERE n = ?", (value, n))
        assert ("facts", str(n)) in named(audit)
        others = {place for place in named(audit) if place[0] == "facts"} - {("facts", str(n))}
        assert not others


def test_each_white_space_in_a_fact_counts(touched):
    audit = touched("UPDATE facts SET body = body || ' ' WHERE n = 4")
    assert named(audit) == {("facts", "4")}


@pytest.mark.parametrize("count", [1, 2, 3])
def test_deleted_facts_are_named_wherever_they_were(touched, count):
    last = len(story())
    for first in range(1, last - count + 2):
        audit = touched("DELETE FROM facts WHERE n BETWEEN ? AND ?", (first, first + count - 1))
        facts = {row for table, row in named(audit) if table == "facts"}
        assert facts == {str(n) for n in range(first, first + count)}


def test_a_fact_moved_to_another_place_is_named(touched):
    audit = touched("UPDATE facts SET n = 10000000 WHERE n = 5")
    assert {("facts", "5"), ("facts", "10000000")} <= named(audit)
    assert len(audit.findings) < 300


@pytest.mark.parametrize("n", [0, -1, -(2**40)])
def test_a_fact_before_the_first_is_named(touched, n):
    audit = touched(
        "INSERT INTO facts SELECT ?, 'another', time, name, body, hash FROM facts WHERE n = 1",
        (n,),
        unchecked=True,
    )
    assert named(audit) == {("facts", str(n))}


def test_a_ledger_rewritten_from_a_row_on_names_the_rows_up_to_the_next_anchor(written, tmp_path):
    with SqliteReader(written / "ledger.sqlite") as reader:
        stored = list(reader.stored())
    shutil.copytree(written, tmp_path / "copy")
    connection = sqlite3.connect(tmp_path / "copy" / "ledger.sqlite")
    linked = stored[5].hash
    for each in stored[6:]:
        time = each.time + (each.n == 7)
        linked = link(linked, each.n, each.id, time, each.name, each.body.encode())
        connection.execute(
            "UPDATE facts SET time = ?, hash = ? WHERE n = ?", (time, linked, each.n)
        )
    connection.commit()
    connection.close()
    rows = [int(row) for table, row in named(audited(tmp_path / "copy")) if table == "facts"]
    assert 7 in rows
    assert min(rows) > 1


def test_facts_written_behind_the_anchored_end_are_named(written, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(written, folder)
    head = (folder / "anchor" / "head.json").read_bytes()
    with SqliteLedger(folder / "ledger.sqlite", Clock()) as ledger:
        for n in range(2):
            ledger.record(f"more{n}", RetrainRequested("line", str(n)))
    (folder / "anchor" / "head.json").write_bytes(head)
    assert named(audited(folder)) == {("facts", str(len(story()) + 2))}


def test_a_ledger_written_anew_does_not_fit_its_anchors(written, tmp_path):
    """Whoever forges the whole chain still has to forge each anchor."""
    folder = tmp_path / "copy"
    shutil.copytree(written, folder)
    (folder / "ledger.sqlite").unlink()
    shutil.move(folder / "anchor", tmp_path / "kept")
    with SqliteLedger(folder / "ledger.sqlite", Clock(), tmp_path / "elsewhere") as ledger:
        for n, fact in enumerate(story()):
            ledger.record(f"forged{n}", fact)
    details = {finding.detail for finding in audited(folder).findings}
    assert any("line@1" in detail for detail in details)
    shutil.rmtree(folder / "anchor")
    shutil.move(tmp_path / "kept", folder / "anchor")
    assert ("facts", str(len(story()))) in named(audited(folder))


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_was_recorded_is_intact(histories, data):
    ledger = MemoryLedger(Clock())
    for n, fact in enumerate(data.draw(histories)):
        ledger.record(f"id{n}", fact)
    audit = verify(ledger, [Anchor("head", *ledger.head())] if ledger.head()[0] else [])
    assert audit.findings == ()


def test_the_story_puts_a_row_into_every_table(written):
    assert all(rows_of(written, table) for table in KEYS)
    assert len(FACTS) >= len({type(fact) for fact in story()})
