"""What is kept of what was answered: so many days, so many bytes, and what a rollout needs."""

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from deltalake import DeltaTable

from everbake import wiring
from everbake.adapters.tables.logged import DeltaPredictions
from everbake.errors import Retry
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


@contextmanager
def converted(project, count, rows=50_000):
    """A log of so many answers, recorded and converted, `rows` of them a file."""
    write(project, [answered(n, NOON + n) for n in range(count)])
    with keeper_of(project, rows=rows) as (recorder, keeper, tables):
        recorder.look()
        keeper.look()
        yield recorder, tables


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
    with converted(tmp_path, 9, rows=3) as (recorder, tables):
        *_, one, two = sorted((p.until, p.size) for p in tables.pieces("line"))
        converter = Converter(tmp_path / ".everbake" / "log", tables, Pace(0.0))
        limits = Limits(1e9, one[1] + two[1])
        Keeper(converter, recorder, tables, Rollouts(NOON + DAY), limits, lambda: NOON + 9).retain()
        assert scores(tmp_path) == list(range(3, 9))
        assert tables.size("line") == limits.size  # what was dropped is gone from the disk


def test_answers_across_a_cut_stay_behind_it(tmp_path):
    with converted(tmp_path, 9) as (_, tables):
        tables.drop("line", NOON + 4)
        assert scores(tmp_path) == list(range(4, 9))
        tables.drop("line", NOON + DAY)
        assert scores(tmp_path) == []


def test_many_small_files_become_few(tmp_path):
    with converted(tmp_path, 40, rows=1):
        pass
    folder = tmp_path / ".everbake" / "predictions" / "line"
    assert len(list(folder.glob("day=*/*"))) == 41  # others may still read the forty
    assert len(DeltaTable(folder).file_uris()) == 1
    assert scores(tmp_path) == list(range(40))


class Sick(DeltaPredictions):
    """Tables of which one cannot be read or written."""

    def __init__(self, project, model):
        there = wiring.places(project)
        super().__init__(there.predictions, there.log)
        self.log = there.log
        self.model = model
        self.tidied = []

    def append(self, model, rows, cursors):
        self.check(model)
        super().append(model, rows, cursors)

    def pieces(self, model):
        self.check(model)
        return super().pieces(model)

    def tidy(self, model, grace_hours):
        self.check(model)
        super().tidy(model, grace_hours)
        self.tidied.append(model)

    def check(self, model):
        if model == self.model:
            raise Retry("EB570", "it cannot be read")


class SickToDrop(Sick):
    """Tables of which one can be read, and nothing be taken out of."""

    def pieces(self, model):
        return DeltaPredictions.pieces(self, model)

    def drop(self, model, before):
        self.check(model)
        super().drop(model, before)


@pytest.mark.parametrize("kind", [Sick, SickToDrop])
def test_one_table_that_fails_keeps_nothing_else_from_being_kept_in_bounds(kept, kind):
    kept(ENDLESS)
    project = kept.project
    write(project, [answered(99, NOON + 9)])
    for place in (project / ".everbake" / name for name in ("log", "predictions")):
        shutil.copytree(place / "line", place / "a")
    tables = kind(project, "a")
    with keeper_of(project) as (recorder, _, _):
        recorder.look()
        converter = Converter(tables.log, tables, Pace(0.0))
        limits = Limits(3 * DAY, 10**15)
        keeper = Keeper(converter, recorder, tables, Rollouts(NOON), limits, lambda: NOON + 1)
        with pytest.raises(Retry):
            keeper.look()
    assert scores(project) == [*of_days(6, 7, 8, 9), 99]
    assert [path.parent.name for path in tables.log.glob("*/*.seg")] == ["a"]
    answers = recorded(project, "SELECT id FROM answers WHERE model = 'line'")
    assert len(answers) == len(scores(project)) - 1
    assert tables.tidied == ["line"]


def test_files_that_no_table_knows_go_and_what_others_may_read_stays(tmp_path):
    with converted(tmp_path, 9, rows=3) as (_, tables):
        folder = tmp_path / ".everbake" / "predictions" / "line"
        (day,) = folder.glob("day=*")
        killed, writing = day / "part-killed.zstd.parquet", day / "part-writing.zstd.parquet"
        for path in (killed, writing):
            path.write_bytes(b"PAR1")
        there = {path for path in folder.rglob("*") if path.is_file()}
        long_ago = time.time() - 2 * 3600
        for path in there - {writing}:
            os.utime(path, (long_ago, long_ago))
        tables.drop("line", NOON + 3)  # a moment ago: others may read what it took out
        tables.tidy("line", 1)
        assert {path for path in there if not path.exists()} == {killed}
        assert scores(tmp_path) == list(range(3, 9))
        tables.tidy("line", 0)
        assert len(list(day.iterdir())) == len(DeltaTable(folder).file_uris()) == 2
        assert scores(tmp_path) == list(range(3, 9))


def test_the_log_of_a_table_remembers_what_was_taken_out_longer_than_it_stays(tmp_path):
    write(tmp_path, [answered(1)])
    with keeper_of(tmp_path) as (_, keeper, _):
        keeper.look()
    table = DeltaTable(tmp_path / ".everbake" / "predictions" / "line")
    kept = table.metadata().configuration["delta.deletedFileRetentionDuration"]
    assert kept == "interval 1 days"


PANIC = """
import contextlib, sys, threading
from types import SimpleNamespace

from everbake import wiring
from everbake.interfaces import record

keeping, begun = [], threading.Event()


class Panic(BaseException):
    pass


def keep():
    keeping.append(threading.current_thread())
    begun.set()
    raise Panic


def look():
    begun.wait()
    keeping[0].join()
    sys.exit(0)  # nobody is left who keeps


parts = SimpleNamespace(look=look), SimpleNamespace(start=print), SimpleNamespace(look=keep)
wiring.recording = lambda project: contextlib.nullcontext(parts)
record.main(["--project", "."])
"""


def test_what_would_end_the_keeper_alone_ends_the_process():
    words = [sys.executable, "-c", PANIC]
    done = subprocess.run(
        words, start_new_session=True, capture_output=True, text=True, check=False
    )
    assert (done.returncode, "Panic" in done.stderr) == (1, True), done.stderr
