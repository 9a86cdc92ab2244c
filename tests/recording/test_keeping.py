"""What is kept of what was answered: so many days, so many bytes, and what a rollout needs."""

import sqlite3
import sys
from pathlib import Path

import pytest

from everbake import wiring
from everbake.recording.convert import Converter, Pace
from everbake.recording.keeping import Keeper, Limits

sys.path.insert(0, str(Path(__file__).parent))
from converting import ENDLESS, keeper_of
from test_convert import DAY, NOON, answered, write


class Rollouts:
    """A ledger in which one rollout is open, and one has ended."""

    def __init__(self, opened):
        self.opened = opened

    def rows(self, table, where=None, *, newest=None):
        ended = {"rollout": "e", "model": "line", "state": "promoted", "ended": NOON - 20 * DAY}
        is_open = {"rollout": "o", "model": "line", "state": "open", "ended": None}
        rows = {"models": [{"model": "line"}], "rollouts": [ended, is_open]}[table]
        rows = [row | {"opened": self.opened} for row in rows]
        return [row for row in rows if (where or {}).items() <= row.items()]


@pytest.fixture
def kept(tmp_path):
    """Ten days, each with three answers, all of them recorded and converted."""
    for day in range(10):
        times = [NOON - (9 - day) * DAY + n for n in range(3)]
        write(tmp_path, [answered(10 * day + n, time) for n, time in enumerate(times)])

    def keep(limits, opened=NOON):
        with keeper_of(tmp_path) as (recorder, keeper, tables):
            recorder.look()
            keeper.look()
            store = sqlite3.connect(wiring.places(tmp_path).records)
            with store:
                store.execute(
                    "INSERT OR IGNORE INTO seen VALUES ('e', 0, 'k', 1), ('o', 0, 'k', 1)"
                )
                store.execute(
                    "INSERT OR IGNORE INTO rows SELECT model, id, '{}', "
                    "CASE WHEN id = (SELECT min(id) FROM answers) THEN 1.0 END FROM answers"
                )
            store.close()
            converter = Converter(tmp_path / ".everbake" / "log", tables, Pace(0.0))
            ledger = Rollouts(opened)
            Keeper(converter, recorder, tables, ledger, limits, lambda: NOON + 1).retain()
            return sorted((p.until, p.size) for p in tables.pieces("line"))

    keep.project = tmp_path
    return keep


def scores(project):
    return [int(row["prediction"]) for row in wiring.predictions(project, "line")]


def of_days(*days):
    return [10 * day + n for day in days for n in range(3)]


def recorded(project, query):
    with sqlite3.connect(wiring.places(project).records) as store:
        return [row[0] for row in store.execute(query)]


def test_days_that_are_too_old_go_with_what_was_recorded_of_them(kept):
    assert len(kept(ENDLESS)) == 10
    kept(Limits(3 * DAY, 10**15))
    assert scores(kept.project) == of_days(6, 7, 8, 9)
    answers = recorded(kept.project, "SELECT prediction FROM answers ORDER BY id")
    assert answers == [f"{score}.0" for score in of_days(6, 7, 8, 9)][1:]  # to the second
    assert len(recorded(kept.project, "SELECT hour FROM hours")) == 4
    # Rows to learn from whose label never came; the one that is labelled is about to be written.
    assert len(recorded(kept.project, "SELECT id FROM rows")) == len(answers) + 1
    assert recorded(kept.project, "SELECT rollout FROM seen") == ["o"]


def test_an_open_rollout_keeps_what_was_answered_since_it_was_opened(kept):
    kept(Limits(3 * DAY, 0), opened=NOON - 6 * DAY)
    assert scores(kept.project) == of_days(3, 4, 5, 6, 7, 8, 9)
    assert len(recorded(kept.project, "SELECT id FROM answers")) == 21


def test_the_oldest_days_go_when_there_is_too_much(kept):
    newest = [size for _, size in kept(ENDLESS)][-4:]
    kept(Limits(1e9, sum(newest)))
    assert scores(kept.project) == of_days(6, 7, 8, 9)


def test_a_day_that_is_too_much_loses_its_oldest_answers(tmp_path):
    write(tmp_path, [answered(n, NOON + n) for n in range(9)])
    with keeper_of(tmp_path, rows=3) as (recorder, keeper, tables):
        recorder.look()
        keeper.look()
        *_, one, two = sorted((p.until, p.size) for p in tables.pieces("line"))
        converter = Converter(tmp_path / ".everbake" / "log", tables, Pace(0.0))
        limits = Limits(1e9, one[1] + two[1])
        Keeper(converter, recorder, tables, Rollouts(NOON + DAY), limits, lambda: NOON + 9).retain()
        assert scores(tmp_path) == list(range(3, 9))
        assert tables.size("line") == limits.size  # what was dropped is gone from the disk


def test_answers_across_a_cut_stay_behind_it(tmp_path):
    write(tmp_path, [answered(n, NOON + n) for n in range(9)])
    with keeper_of(tmp_path) as (recorder, keeper, tables):
        recorder.look()
        keeper.look()
        tables.drop("line", NOON + 4)
        assert scores(tmp_path) == list(range(4, 9))
        tables.drop("line", NOON + DAY)
        assert scores(tmp_path) == []


def test_many_small_files_become_few(tmp_path):
    write(tmp_path, [answered(n, NOON + n) for n in range(40)])
    with keeper_of(tmp_path, rows=1) as (recorder, keeper, _):
        recorder.look()
        keeper.look()
    folder = tmp_path / ".everbake" / "predictions" / "line"
    assert len(list(folder.glob("day=*/*"))) == 41  # others may still read the forty
    from deltalake import DeltaTable

    assert len(DeltaTable(folder).file_uris()) == 1
    assert scores(tmp_path) == list(range(40))
