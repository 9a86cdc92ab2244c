"""A model that learns on: which rows it is handed, in which form, and what it must not change."""

import hashlib
from types import ModuleType

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression, SGDClassifier
from sklearn.metrics import log_loss, mean_squared_error

from everbake import CostThreshold, Gate, GroupSplit, HashSplit, Recipe, Table, TimeSplit
from everbake.core.dataset import HASH, ROW
from everbake.core.work import Base, CheckOrder, Model, TrainOrder
from everbake.errors import HealthError, RecipeError, UserCodeError
from everbake.host.artifacts import load
from everbake.host.checking import check
from everbake.host.parsing.rowhash import row_hashes
from everbake.host.protocol import JobContext
from everbake.host.splitting import unpack_rows
from everbake.host.training import train_candidate

COUNT, FIRST = 300, 200


def learned(rows):
    return {"ids": rows["id"].tolist(), "mean": float(rows["y"].mean())}


def train(rows):
    return learned(rows)


def update(model, new_rows):
    """In place: what it was handed last lies in `last`."""
    model["last"] = new_rows["id"].tolist()
    model["ids"] += model["last"]
    return model


def predict(model, rows):
    return np.full(len(rows), model["mean"])


def recipe(**changes):
    fields = {
        "name": "m",
        "data": Table(label="y"),
        "train": train,
        "update": update,
        "predict": predict,
        "gate": Gate(mean_squared_error),
    }
    return Recipe(**{**fields, **changes})


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    random = np.random.default_rng(1)
    rows = pa.table(
        {
            "id": np.arange(COUNT),
            "g": np.arange(COUNT) // 6,
            "t": np.arange(COUNT),
            "y": random.normal(size=COUNT),
        }
    )
    hashes = pa.array(row_hashes(rows).view(np.int64))
    rows = rows.append_column(ROW, pa.array(range(COUNT))).append_column(HASH, hashes)
    path = tmp_path_factory.mktemp("table") / "a.parquet"
    pq.write_table(rows, path)
    return (str(path),)


class Baked:
    """What a job left in its folder."""

    def __init__(self, work, declared, order):
        module = ModuleType("recipe")
        module.recipe = declared
        work.mkdir(parents=True, exist_ok=True)
        self.report = train_candidate(order, JobContext(module, work, 0, 1, print))
        self.file, self.rows = work / "model.bin", work / "trained.bin"
        self.judged = np.load(work / "judge.npy").tolist()
        self.model = load(self.report.form, self.file.read_bytes())
        self.learned = np.flatnonzero(unpack_rows(self.rows.read_bytes())).tolist()

    def base(self, name="version 1"):
        digest = hashlib.sha256(self.file.read_bytes()).hexdigest()
        return Base(name, Model(str(self.file), digest, self.report.form), str(self.rows))

    @property
    def said(self):
        return {check.name: (check.state, check.detail) for check in self.report.checks}


def first(tmp_path, files, declared):
    return Baked(tmp_path / "first", declared, TrainOrder("m", files, FIRST, None))


def second(tmp_path, files, declared, base, rows=COUNT, **changes):
    order = TrainOrder("m", files, rows, base.rows, base=base, **changes)
    return Baked(tmp_path / f"second{len(list(tmp_path.iterdir()))}", declared, order)


SPLITS = {
    "hash": {"split": HashSplit(0.2)},
    "stratified": {"split": HashSplit(0.2, stratify="g")},
    "group": {"data": Table(label="y", group="g"), "split": GroupSplit(0.2)},
    "time": {"data": Table(label="y", time="t"), "split": TimeSplit(0.2)},
    "span": {"data": Table(label="y", time="t"), "split": TimeSplit("50s")},
}


@pytest.mark.parametrize("split", SPLITS)
def test_each_row_is_learned_once_and_never_judges_who_learned_it(tmp_path, files, split):
    declared = recipe(**SPLITS[split])
    old = first(tmp_path, files, declared)
    new = second(tmp_path, files, declared, old.base())
    handed = new.model["last"]
    assert handed
    assert set(handed).isdisjoint(old.learned)
    assert sorted(new.model["ids"]) == new.learned == sorted({*old.learned, *handed})
    assert set(new.judged).isdisjoint(new.learned)
    assert new.judged
    report = new.report
    assert (report.rows, report.new_rows) == (len(new.learned), len(handed))
    detail = f"updated from version 1 with {len(handed)} new rows; it knows {len(new.learned)}"
    assert new.said["learning"] == ("pass", detail)
    assert new.said["leakage"][0] == "pass"
    assert new.said.get("time_order", ("pass",))[0] == "pass"


def test_what_the_split_holds_out_of_a_full_training_it_holds_out_of_an_update(tmp_path, files):
    declared = recipe(split=HashSplit(0.2))
    taught = second(tmp_path, files, declared, first(tmp_path, files, declared).base())
    full = Baked(tmp_path / "full", declared, TrainOrder("m", files, COUNT, None))
    assert taught.learned == full.learned
    assert taught.judged == full.judged


def test_the_file_that_is_updated_stays_as_it_is(tmp_path, files):
    old = first(tmp_path, files, recipe())
    before = old.file.read_bytes(), old.rows.read_bytes()
    new = second(tmp_path, files, recipe(), old.base())
    assert (old.file.read_bytes(), old.rows.read_bytes()) == before
    assert new.model["ids"][: len(old.learned)] == old.model["ids"]
    assert len(new.model["ids"]) > len(old.model["ids"])


def test_without_a_new_row_the_candidate_is_the_same_model_to_the_byte(tmp_path, files):
    def never(model, new_rows):
        raise AssertionError

    old = first(tmp_path, files, recipe())
    new = second(tmp_path, files, recipe(update=never), old.base("version 4"), rows=FIRST)
    assert new.file.read_bytes() == old.file.read_bytes()
    assert new.learned == old.learned
    assert (new.report.rows, new.report.new_rows) == (len(old.learned), 0)
    detail = "no row is new to version 4: the candidate is the same model"
    assert new.said["learning"] == ("warn", detail)


def test_a_refit_hands_over_what_judged_and_nothing_twice(tmp_path, files):
    declared = recipe(data=Table(label="y", time="t"), refit=True)
    candidate = second(tmp_path, files, declared, first(tmp_path, files, declared).base())
    base = candidate.base("the candidate")
    refit = second(tmp_path, files, declared, base, refit=True)
    assert refit.model["last"] == candidate.judged
    assert refit.model["ids"] == list(range(COUNT))
    assert refit.judged == []


def test_a_late_row_that_judges_is_told_where_the_champion_has_seen_newer_ones(tmp_path, files):
    rows = pq.ParquetFile(files[0]).read()
    times = np.arange(COUNT)
    times[FIRST:] -= 40  # the second batch begins before the first has ended
    late = tmp_path / "late.parquet"
    pq.write_table(rows.set_column(2, "t", pa.array(times)), late)
    declared = recipe(data=Table(label="y", time="t"), split=TimeSplit("70s"), refit=True)
    order = TrainOrder("m", (str(late),), FIRST, None, refit=True)
    champion = Baked(tmp_path / "all", declared, order)
    new = second(tmp_path, (str(late),), declared, champion.base())
    state, detail = new.said["time_order"]
    assert (state, detail) == ("warn", "trained up to 199, judged from 190")


FORMS = {"arrow": pa.Table, "batches": pa.RecordBatch, "pandas": pd.DataFrame}


def arrow(model, new_rows: pa.Table):
    return {**model, "last": new_rows["id"].to_pylist(), "form": str(type(new_rows))}


def batches(model, new_rows: "Iterator[pyarrow.RecordBatch]"):  # noqa: F821 - as people write it
    parts = list(new_rows)
    ids = [value for part in parts for value in part["id"].to_pylist()]
    return {**model, "last": ids, "form": str(type(parts[0]))}


def pandas(model, new_rows: pd.DataFrame):
    return {**model, "last": new_rows["id"].tolist(), "form": str(type(new_rows))}


@pytest.mark.parametrize("form", FORMS)
def test_the_annotation_of_new_rows_picks_their_form(tmp_path, files, form):
    declared = recipe(update=globals()[form])
    old = first(tmp_path, files, declared)
    new = second(tmp_path, files, declared, old.base())
    assert new.model["form"] == str(FORMS[form])
    assert sorted({*old.learned, *new.model["last"]}) == new.learned


def test_update_is_given_what_it_asks_for(tmp_path, files):
    said = []

    def asks(model, new_rows, params, seed, log):
        said.append((params, seed, "y" in new_rows.columns))
        log("taught")
        return model

    declared = recipe(update=asks, params={"rate": 0.1})
    second(tmp_path, files, declared, first(tmp_path, files, declared).base())
    assert said == [({"rate": 0.1}, 0, True)]


def test_features_apply_as_in_training(tmp_path, files):
    def double(rows):
        return rows.assign(twice=rows["id"] * 2)

    def on_features(model, new_rows):
        return {**model, "twice": new_rows["twice"].tolist(), "y": list(new_rows["y"])}

    declared = recipe(features=double, update=on_features)
    old = first(tmp_path, files, declared)
    new = second(tmp_path, files, declared, old.base())
    handed = sorted(set(new.learned) - set(old.learned))
    assert new.model["twice"] == [2 * row for row in handed]
    assert len(new.model["y"]) == len(handed)
    with pytest.raises(RecipeError, match="EB211"):
        second(tmp_path, files, recipe(features=double, update=arrow), old.base())


def test_an_update_that_returns_nothing_is_told_to_return_the_model(tmp_path, files):
    base = first(tmp_path, files, recipe()).base()
    with pytest.raises(UserCodeError, match=r"(?s)EB314.*changed in place"):
        second(tmp_path, files, recipe(update=lambda model, new_rows: None), base)


def test_a_file_that_was_changed_is_not_updated(tmp_path, files):
    old = first(tmp_path, files, recipe())
    base = old.base()
    old.file.write_bytes(old.file.read_bytes() + b"x")
    with pytest.raises(HealthError, match="EB604"):
        second(tmp_path, files, recipe(), base)


def test_a_model_that_cannot_be_loaded_any_more_asks_for_a_full_training(tmp_path, files):
    old = first(tmp_path, files, recipe())
    old.file.write_bytes(b"cno_such_module\nModel\n.")  # a pickle of what is not there
    with pytest.raises(UserCodeError, match=r"(?s)EB319.*version 1.*--full"):
        second(tmp_path, files, recipe(), old.base())


def test_a_compiled_model_is_compiled_anew_from_what_it_has_become(tmp_path, files):
    def fit(rows):
        return LinearRegression().fit(rows[["t"]], rows["y"])

    def shift(model, new_rows):
        model.intercept_ += 5.0
        return model

    declared = recipe(
        train=fit, update=shift, predict=lambda model, rows: model.predict(rows[["t"]])
    )
    old = first(tmp_path, files, declared)
    new = second(tmp_path, files, declared, old.base())
    assert (old.report.runtime, new.report.runtime) == ("linear", "linear")
    one, other = (each.file.with_name("runtime.bin").read_bytes() for each in (old, new))
    assert one != other


def test_the_threshold_of_the_model_that_is_taught_stays(tmp_path, files):
    rows = pq.ParquetFile(files[0]).read()
    late = (rows.column("y").to_numpy() > 0).astype(int)
    path = tmp_path / "outcomes.parquet"
    pq.write_table(rows.append_column("late", pa.array(late)), path)

    def fit(rows):
        return SGDClassifier(loss="log_loss", random_state=0).fit(rows[["y"]], rows["late"])

    def learn_on(model, new_rows):
        return model.partial_fit(new_rows[["y"]], new_rows["late"])

    declared = recipe(
        data=Table(label="late"),
        train=fit,
        update=learn_on,
        predict=lambda model, rows: model.predict_proba(rows[["y"]])[:, 1],
        gate=Gate(log_loss),
        threshold=CostThreshold(false_positive=1, false_negative=5),
    )
    old = first(tmp_path, (str(path),), declared)
    assert old.report.threshold.method == "out-of-fold"
    new = second(tmp_path, (str(path),), declared, old.base(), threshold=old.report.threshold)
    assert new.report.threshold == old.report.threshold
    value = old.report.threshold.value
    assert new.said["threshold"][1].startswith(f"decides from {value:.6g} on, as version 1 does")


@given(cuts=st.lists(st.integers(2, COUNT), min_size=2, max_size=5, unique=True).map(sorted))
def test_however_the_rows_arrive_a_row_is_learned_once(tmp_path_factory, files, cuts):
    """Updates batch by batch, with a hash split: the same rows in the end as at once."""
    folder = tmp_path_factory.mktemp("cuts")
    declared = recipe(split=HashSplit(0.3))
    model = Baked(folder / "0", declared, TrainOrder("m", files, cuts[0], None))
    for rows in cuts[1:]:
        model = second(folder, files, declared, model.base(), rows=rows)
    assert sorted(model.model["ids"]) == model.learned
    assert set(model.judged).isdisjoint(model.learned)


def checked(tmp_path, files, declared):
    module = ModuleType("recipe")
    module.recipe = declared
    told = check(CheckOrder("m", files, COUNT), JobContext(module, tmp_path, 0, 1, print))
    return {one.name: (one.state, one.detail) for one in told.checks}


def test_a_check_trains_on_one_half_and_updates_by_the_other(tmp_path, files):
    def better(model, new_rows):
        return {**update(model, new_rows), "mean": 1.0}

    state, detail = checked(tmp_path, files, recipe(update=better))["update"]
    assert state == "pass"
    assert detail.startswith("dict of ")
    assert "update" not in checked(tmp_path, files, recipe(update=None))


@pytest.mark.parametrize(
    ("function", "state", "words"),
    [
        (update, "warn", "more rows changed no answer"),
        (lambda model, new_rows: None, "fail", "EB314"),
        (lambda model, new_rows: model["gone"], "fail", "KeyError"),
    ],
)
def test_a_check_finds_what_is_wrong_with_an_update(tmp_path, files, function, state, words):
    told = checked(tmp_path, files, recipe(update=function))["update"]
    assert told[0] == state
    assert words in told[1]
