"""Which rows can judge a candidate again, and how often the rows that judge have decided."""

from dataclasses import replace
from types import ModuleType

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import mean_squared_error

from everbake import Gate, GroupSplit, HashSplit, Recipe, Table, TimeSplit
from everbake.core.dataset import HASH, ROW
from everbake.core.describing import describe
from everbake.core.work import FreshOrder, Judged, JudgeOrder, TrainOrder
from everbake.host.freshness import fresh_rows
from everbake.host.judging import judge_candidate
from everbake.host.looks import look_at
from everbake.host.parsing.rowhash import row_hashes
from everbake.host.protocol import JobContext
from everbake.host.splitting import held_out, pack_rows, unpack_rows
from everbake.host.training import train_candidate


def train(rows: pd.DataFrame):
    return float(rows["y"].mean())


def predict(model, rows):
    return np.full(len(rows), model)


def recipe(**changes):
    fields = {
        "name": "m",
        "data": Table(label="y"),
        "train": train,
        "predict": predict,
        "gate": Gate(mean_squared_error),
    }
    return Recipe(**{**fields, **changes})


def table(columns):
    rows = pa.table(columns)
    hashes = pa.array(row_hashes(rows).view(np.int64))
    return rows.append_column(ROW, pa.array(range(len(rows)))).append_column(HASH, hashes)


class Job:
    """A table in a file, and jobs about its first rows."""

    def __init__(self, folder, columns, declared):
        self.folder, self.recipe, self.table = folder, declared, table(columns)
        pq.write_table(self.table, folder / "rows.parquet")
        self.files = (str(folder / "rows.parquet"),)

    def context(self, step):
        module = ModuleType("recipe")
        module.recipe = self.recipe
        work = self.folder / step
        work.mkdir(exist_ok=True)
        return JobContext(module, work, 0, 1, print)

    def train(self, rows, step="train", **changes):
        """A candidate; where the set of rows that it has learned from lies."""
        order = TrainOrder("m", self.files, rows, champion_rows=None, **changes)
        train_candidate(order, self.context(step))
        return str(self.folder / step / "trained.bin")

    def places(self, step):
        return np.load(self.folder / step / "judge.npy")

    def kept(self, name, places):
        """A set of rows in a file."""
        mask = np.zeros(len(self.table), np.bool_)
        mask[places] = True
        path = self.folder / name
        path.write_bytes(pack_rows(mask))
        return str(path)

    def fresh(self, rows, candidate, others=(), judged=None):
        """The rows that can judge it, among the first so many."""
        order = FreshOrder("m", self.files, rows, candidate, tuple(others), judged)
        report = fresh_rows(order, self.context("fresh"))
        places = self.places("fresh")
        assert report.rows == len(places)
        assert {check.state for check in report.checks if check.name != "outcomes"} <= {"pass"}
        labels = np.asarray(self.table.column("y").to_pylist(), dtype=float)[places]
        assert np.array_equal(np.load(self.folder / "fresh" / "truth.npy"), labels)
        return places

    def judge(self, places, earlier=(), look=None, rows=None):
        """An order to judge by these rows."""
        np.save(self.folder / "judge.npy", np.array(places, dtype=np.int64))
        labels = np.asarray(self.table.column("y").to_pylist(), dtype=float)[places]
        np.save(self.folder / "truth.npy", labels)
        np.save(self.folder / "answers.npy", labels)
        return JudgeOrder(
            model="m",
            files=self.files,
            rows=len(self.table) if rows is None else rows,
            judge=str(self.folder / "judge.npy"),
            truth=str(self.folder / "truth.npy"),
            candidate=str(self.folder / "answers.npy"),
            champion=str(self.folder / "answers.npy"),
            has_champion=True,
            earlier=tuple(earlier),
            look=look,
        )


def numbers(count, seed=0):
    return np.random.default_rng(seed).normal(size=count)


IN_TIME = recipe(data=Table(label="y", time="t"), split=TimeSplit(0.25))


def test_with_a_split_in_time_what_judged_and_what_came_since_judges(tmp_path):
    job = Job(tmp_path, {"y": numbers(100), "t": range(100)}, IN_TIME)
    candidate = job.train(60)
    first = job.places("train")
    assert first.tolist() == list(range(45, 60))
    judged = job.kept("judged.bin", first)
    assert job.fresh(100, candidate, judged=judged).tolist() == list(range(45, 100))
    assert job.fresh(70, candidate, judged=judged).tolist() == list(range(45, 70))


def test_rows_that_the_champion_or_the_best_version_has_learned_from_judge_nobody(tmp_path):
    job = Job(tmp_path, {"y": numbers(100), "t": range(100)}, IN_TIME)
    candidate = job.train(60)
    others = [job.kept("champion.bin", range(50)), job.kept("best.bin", [70, 80])]
    places = job.fresh(100, candidate, others, job.kept("judged.bin", range(45, 60)))
    assert places.tolist() == [n for n in range(50, 100) if n not in (70, 80)]


def test_late_rows_that_are_older_than_what_the_candidate_learned_do_not_judge_it(tmp_path):
    times = [*range(60), *range(20, 40), *range(60, 70)]
    job = Job(tmp_path, {"y": numbers(90), "t": times}, IN_TIME)
    candidate = job.train(60)
    assert job.fresh(90, candidate).tolist() == [*range(45, 60), *range(80, 90)]


def test_rows_without_a_label_and_copies_do_not_judge(tmp_path):
    y = numbers(40).tolist()
    y[30], t = None, list(range(40))
    y[35], t[35] = y[34], t[34]  # the same row again
    y[36], t[36] = y[3], t[3]  # and one that was trained on
    job = Job(tmp_path, {"y": pa.array(y, pa.float64()), "t": t}, IN_TIME)
    candidate = job.train(20)
    assert job.fresh(40, candidate).tolist() == [n for n in range(15, 40) if n not in (30, 35, 36)]


@pytest.mark.parametrize(
    ("data", "split"),
    [
        (Table(label="y"), HashSplit(0.3)),
        (Table(label="y", key="g"), HashSplit(0.3)),
        (Table(label="y", group="g"), GroupSplit(0.3)),
    ],
)
def test_with_a_hash_only_rows_that_it_holds_out_for_ever_judge(tmp_path, data, split):
    columns = {"y": numbers(300), "g": np.arange(300) % 40}
    job = Job(tmp_path, columns, recipe(data=data, split=split))
    candidate = job.train(150)
    places = job.fresh(300, candidate, judged=job.kept("judged.bin", job.places("train")))
    held = np.flatnonzero(held_out(job.table, describe(job.recipe, "pandas")))
    assert places.tolist() == held.tolist()
    assert set(job.places("train")) < set(places)


def test_the_best_version_keeps_its_rows_from_judging_a_new_candidate(tmp_path):
    job = Job(tmp_path, {"y": numbers(100), "t": range(100)}, IN_TIME)
    best = job.kept("best.bin", [80, 81])
    job.train(100, best_rows=best)
    assert job.places("train").tolist() == [*range(75, 80), *range(82, 100)]


def test_a_row_set_is_known_by_its_contents_wherever_its_rows_stand(tmp_path):
    y = numbers(20)
    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    one = Job(tmp_path / "one", {"y": y}, recipe())
    other = Job(tmp_path / "other", {"y": y[::-1]}, recipe())
    looks = [
        look_at(job.table, job.judge(places), job.context("judge"))
        for job, places in ((one, [2, 5]), (other, [14, 17]), (one, [2, 6]))
    ]
    assert looks[0].digest == looks[1].digest != looks[2].digest
    rows = unpack_rows((tmp_path / "one" / "judge" / "judged.bin").read_bytes())
    assert np.flatnonzero(rows).tolist() == [2, 6]


def looked(job, places, sets, **changes):
    earlier = [Judged(job.kept(f"set{i}", each), len(each)) for i, each in enumerate(sets)]
    return look_at(job.table, job.judge(places, earlier, **changes), job.context("judge"))


def test_a_decision_counts_if_it_shares_more_than_half_of_the_rows(tmp_path):
    job = Job(tmp_path, {"y": numbers(100)}, recipe())
    now = list(range(50, 70))
    assert looked(job, now, []).number == 1
    assert looked(job, now, [range(40, 60)]).number == 1  # half of them
    assert looked(job, now, [range(40, 61)]).number == 2
    assert looked(job, now, [range(100), range(55, 70), range(5)]).number == 3
    assert looked(job, [], [range(100)]).number == 1


@given(data=st.data())
def test_the_count_is_that_of_the_sets_themselves(data, tmp_path_factory):
    places = st.lists(st.integers(0, 29), max_size=30, unique=True).map(sorted)
    now = data.draw(places)
    sets = data.draw(st.lists(places, max_size=6))
    job = Job(tmp_path_factory.mktemp("job"), {"y": numbers(30)}, recipe())
    shared = sum(2 * len(set(now) & set(each)) > len(now) for each in sets)
    assert looked(job, now, sets).number == shared + 1


def test_a_set_that_cannot_be_read_counts_as_shared(tmp_path):
    job = Job(tmp_path, {"y": numbers(100)}, recipe())
    broken = tmp_path / "broken"
    broken.write_bytes(b"12345678 no zlib")
    earlier = [Judged(str(broken), 10), Judged(str(tmp_path / "gone"), 10)]
    order = job.judge(list(range(10)), earlier)
    assert look_at(job.table, order, job.context("judge")).number == 3


def test_rows_that_have_decided_often_are_warned_of_and_judged_more_strictly(tmp_path):
    job = Job(tmp_path, {"y": numbers(100)}, recipe())
    now = list(range(40))
    reports = []
    for times in (3, 4):
        earlier = [Judged(job.kept("set", now), len(now))] * times
        reports.append(judge_candidate(job.judge(now, earlier), job.context("judge")))
    assert [(each.look, each.level) for each in reports] == [
        (4, pytest.approx(0.005)),
        (5, pytest.approx(0.1 / 30)),
    ]
    checks = [
        [check for check in each.decision["checks"] if check["name"] == "looks"] for each in reports
    ]
    assert checks[0] == []
    assert checks[1][0]["state"] == "warn"
    assert checks[1][0]["detail"] == "these rows have decided 5 times; bring newer rows"


def test_a_pending_candidate_counts_its_own_looks(tmp_path):
    job = Job(tmp_path, {"y": numbers(100)}, recipe())
    look = looked(job, list(range(40)), [range(40)] * 9, look=3)
    assert look.number == 3


def test_a_pending_candidate_that_does_not_answer_is_rejected(tmp_path):
    job = Job(tmp_path, {"y": numbers(100)}, recipe())
    order = replace(job.judge(list(range(40)), look=2), candidate=None)
    report = judge_candidate(order, job.context("judge"))
    assert (report.decision["verdict"], report.decision["code"]) == ("rejected", "bad_output")
