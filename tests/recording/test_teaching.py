"""Rows to learn from: each stands in one file, whatever ends in the middle of what."""

import json
import sqlite3
from dataclasses import replace

import msgspec
import pytest

from everbake.core.frames import Answered
from everbake.core.spec import RecipeSpec, Table
from everbake.recording.labels import Label

NAMES = ("a", "b", "c", "d")


@pytest.fixture
def taught(desks):
    """A desk of a recipe that learns from two labelled answers; one is given every ten seconds."""
    desk = desks(table=Table(from_predictions=True, label="target", label_delay="100s"))
    (row,) = desk.ledger.tables["models"]
    spec = msgspec.json.decode(row["spec"], type=RecipeSpec)
    row["spec"] = msgspec.json.encode(replace(spec, trigger_rows=2)).decode()
    desk.segment().write(*(answer(name, 1000.0 + 10 * at) for at, name in enumerate(NAMES)))
    desk.recorder.look()
    return desk


def answer(name, time):
    return Answered([name], time, 1, [{"feature": 1}], [5.0], None, "champion", 1, 0.001)


def label(desk, **labels):
    given = [Label("id", name, str(value), "me", desk.time) for name, value in labels.items()]
    return desk.recorder.label("line", given)


def files(desk):
    folder = desk.folder / "labelled" / "line"
    return {
        path.name: [json.loads(line)["target"] for line in path.read_text().splitlines()]
        for path in folder.iterdir()
    }


def test_rows_are_written_once_enough_of_them_have_labels(taught):
    label(taught, a=1.0, b=2.0, c=3.0)
    taught.time = 1100.0
    taught.recorder.look()
    assert not (taught.folder / "labelled").exists()
    for taught.time in (1110.0, 1120.0, 1120.0 + 3600.0):  # long enough for one alone
        taught.begin().look()
    assert files(taught) == {"a-b.jsonl": [1.0, 2.0], "c-c.jsonl": [3.0]}


@pytest.mark.parametrize(
    ("where", "written"),
    [
        ("UPDATE ON rows WHEN new.ready < 0", {"a-d.jsonl": [1.0, 9.0, 3.0, 4.0]}),
        # What was chosen before is written as it was then.
        ("DELETE ON rows", {"a-b.jsonl": [1.0, 2.0], "c-d.jsonl": [3.0, 4.0]}),
    ],
)
def test_each_row_is_in_one_file_wherever_it_was_killed(taught, where, written):
    label(taught, a=1.0, b=2.0, c=3.0, d=4.0)
    kill = f"CREATE TRIGGER kill BEFORE {where} BEGIN SELECT RAISE(ABORT, 'killed'); END"
    taught.store.rows(kill)
    taught.time = 1110.0
    with pytest.raises(sqlite3.IntegrityError, match="killed"):
        taught.recorder.look()
    taught.store.rows("UPDATE outcomes SET label = '9.0' WHERE id = 'b'")
    taught.store.rows("DROP TRIGGER kill")
    taught.time = 1130.0  # the labels of the others are final, too
    for _ in range(2):
        taught.begin().look()
    assert files(taught) == written
    assert taught.store.rows("SELECT * FROM rows") == []
