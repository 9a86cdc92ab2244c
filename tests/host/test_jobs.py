"""The jobs of a host, on real Parquet files: training, scoring, judging, sessions."""

import hashlib
import socket
import threading
from types import ModuleType

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import accuracy_score, mean_squared_error

from everbake import AtMost, Gate, HashSplit, Recipe, Table, TimeSplit
from everbake.core.dataset import HASH, ROW, Column
from everbake.core.decision import Check
from everbake.core.work import JudgeOrder, Model, ScoreOrder, SessionOrder, TrainOrder
from everbake.errors import RecipeError, UserCodeError
from everbake.host.judging import judge_candidate
from everbake.host.parsing.rowhash import row_hashes
from everbake.host.protocol import JobContext
from everbake.host.scoring import score
from everbake.host.session import answer_requests, spared
from everbake.host.splitting import unpack_rows
from everbake.host.training import train_candidate
from everbake.wire import receive_frame, send_frame

COUNT = 200


def train(rows: pd.DataFrame, params, seed):
    assert seed == 7
    assert params == {"power": 1}
    return LinearRegression().fit(rows[["x"]], rows["y"])


def predict(model, rows):
    assert "y" not in rows.columns
    return model.predict(rows[["x"]])


def recipe(**changes):
    fields = {
        "name": "m",
        "data": Table(label="y"),
        "train": train,
        "predict": predict,
        "gate": Gate(mean_squared_error),
        "params": {"power": 1},
        "seed": 7,
    }
    return Recipe(**{**fields, **changes})


def context(work, declared, seed=7):
    module = ModuleType("recipe")
    module.recipe = declared
    work.mkdir(parents=True, exist_ok=True)
    return JobContext(module, work, seed, 1, print)


@pytest.fixture
def files(tmp_path):
    random = np.random.default_rng(1)
    x = random.normal(size=COUNT)
    rows = pa.table({"x": x, "t": np.arange(COUNT), "y": 2 * x + random.normal(size=COUNT) * 0.1})
    hashes = pa.array(row_hashes(rows).view(np.int64))
    rows = rows.append_column(ROW, pa.array(range(COUNT))).append_column(HASH, hashes)
    # In two files, the later rows first: their order in the table is that of arrival.
    pq.write_table(rows.slice(120), tmp_path / "a.parquet")
    pq.write_table(rows.slice(0, 120), tmp_path / "b.parquet")
    return (str(tmp_path / "a.parquet"), str(tmp_path / "b.parquet"))


def trained(tmp_path, files, declared, **changes):
    order = {"model": "m", "files": files, "rows": COUNT, "champion_rows": None, **changes}
    return train_candidate(TrainOrder(**order), context(tmp_path / "train", declared))


def test_the_example_is_a_row_that_was_trained_on(tmp_path):
    times = (
        pd.to_datetime(["2024-01-01T00:00:00", "2024-01-02T03:04:05"])
        .as_unit("us")
        .tz_localize("UTC")
    )
    columns = {"x": [1.5, 2.5], "n": [None, 7], "b": [True, False], "s": ["a", "é"], "t": times}
    rows = pa.table({**columns, "y": [1.0, 2.0]})
    hashes = pa.array(row_hashes(rows).view(np.int64))
    rows = rows.append_column(ROW, pa.array(range(2))).append_column(HASH, hashes)
    pq.write_table(rows, tmp_path / "a.parquet")
    report = trained(tmp_path, (str(tmp_path / "a.parquet"),), recipe(), rows=2, refit=True)
    assert report.example == {"x": 2.5, "n": 7, "b": False, "s": "é", "t": "2024-01-02T03:04:05"}
    assert msgspec.json.decode(msgspec.json.encode(report.example)) == report.example


def test_the_example_has_a_gap_only_where_every_row_has_one(tmp_path):
    gap = float("nan")
    rows = pa.table({"x": [1.5, 2.5], "f": [gap, float("inf")], "y": [1.0, 2.0]})
    hashes = pa.array(row_hashes(rows).view(np.int64))
    rows = rows.append_column(ROW, pa.array(range(2))).append_column(HASH, hashes)
    pq.write_table(rows, tmp_path / "a.parquet")
    report = trained(tmp_path, (str(tmp_path / "a.parquet"),), recipe(), rows=2, refit=True)
    assert report.example == {"x": 1.5, "f": None}


def test_a_candidate_comes_with_its_runtime_its_inputs_and_its_rows(tmp_path, files):
    report = trained(tmp_path, files, recipe())
    assert (report.runtime, report.form) == ("linear", "skops")
    assert report.needed == ("x",)
    assert report.columns == (Column("x", "float64"), Column("t", "int64"))
    rows = unpack_rows((tmp_path / "train" / "trained.bin").read_bytes())
    judged = np.load(tmp_path / "train" / "judge.npy")
    assert int(rows.sum()) == report.rows
    assert len(judged) == report.held_out
    assert not rows[judged].any()
    assert report.rows + report.held_out == COUNT
    assert report.checks[0] == Check("leakage", "pass", "0 held-out rows were trained on")


def test_a_time_split_is_checked_for_order(tmp_path, files):
    declared = recipe(data=Table(label="y", time="t"), split=TimeSplit(0.25))
    report = trained(tmp_path, files, declared)
    states = {check.name: check.state for check in report.checks}
    assert (states["leakage"], states["time_order"]) == ("pass", "pass")
    assert np.load(tmp_path / "train" / "judge.npy").tolist() == list(range(150, 200))


def test_champion_and_candidate_are_judged_on_the_same_rows(tmp_path, files):
    declared = recipe(gate=Gate(mean_squared_error, guardrails=[AtMost(mean_squared_error, 1.0)]))
    trained(tmp_path, files, declared)
    work = tmp_path / "train"
    data = (work / "model.bin").read_bytes()
    saved = Model(str(work / "model.bin"), hashlib.sha256(data).hexdigest(), "skops")
    order = ScoreOrder("m", files, COUNT, str(work / "judge.npy"), saved)
    score(order, context(tmp_path / "score", declared))
    assert np.array_equal(
        np.load(tmp_path / "score" / "answers.npy"), np.load(work / "answers.npy")
    )
    judging = JudgeOrder(
        model="m",
        files=files,
        rows=COUNT,
        judge=str(work / "judge.npy"),
        truth=str(work / "truth.npy"),
        candidate=str(work / "answers.npy"),
        champion=str(tmp_path / "score" / "answers.npy"),
        has_champion=True,
    )
    report = judge_candidate(judging, context(tmp_path / "judge", declared))
    told = report.decision
    assert (told["verdict"], told["code"]) == ("promoted", "same_predictions")
    truth, answers = np.load(work / "truth.npy"), np.load(work / "answers.npy")
    assert told["metric"]["candidate"] == pytest.approx(mean_squared_error(truth, answers))


def test_a_model_file_that_was_changed_is_not_loaded(tmp_path, files):
    trained(tmp_path, files, recipe())
    work = tmp_path / "train"
    saved = Model(str(work / "model.bin"), "0" * 64, "skops")
    with pytest.raises(Exception, match="EB604"):
        score(
            ScoreOrder("m", files, COUNT, str(work / "judge.npy"), saved),
            context(tmp_path / "score", recipe()),
        )


def test_the_annotation_of_rows_picks_their_form(tmp_path, files):
    seen = []

    def arrow(rows: pa.Table):
        seen.append(type(rows))
        frame = rows.to_pandas()
        return LinearRegression().fit(frame[["x"]], frame["y"])

    def batches(rows: "Iterator[pyarrow.RecordBatch]"):  # noqa: F821 - as people write it
        parts = list(rows)
        seen.append(type(parts[0]))
        frame = pa.Table.from_batches(parts).to_pandas()
        return LinearRegression().fit(frame[["x"]], frame["y"])

    for number, function in enumerate((arrow, batches)):
        trained(tmp_path / str(number), files, recipe(train=function))
    assert seen == [pa.Table, pa.RecordBatch]


def test_features_that_look_at_other_rows_are_skew(tmp_path, files):
    declared = recipe(features=lambda rows: rows.assign(x=rows["x"] - rows["x"].mean()))
    with pytest.raises(UserCodeError, match=r'EB315.*"x"'):
        trained(tmp_path, files, declared)


def test_features_of_each_row_are_used_in_training_and_in_serving(tmp_path, files):
    def log_train(rows: pd.DataFrame):
        return LinearRegression().fit(rows[["double"]], rows["y"])

    declared = recipe(
        features=lambda rows: rows.assign(double=rows["x"] * 2),
        train=log_train,
        predict=lambda model, rows: model.predict(rows[["double"]]),
    )
    report = trained(tmp_path, files, declared)
    assert report.runtime == "native"
    assert report.needed == ("x",)


def test_a_column_that_is_not_there_is_named(tmp_path, files):
    with pytest.raises(RecipeError, match='EB212 the table has no column "z"'):
        trained(tmp_path, files, recipe(data=Table(label="z")))


def test_a_train_that_returns_nothing_is_told(tmp_path, files):
    with pytest.raises(UserCodeError, match="EB314"):
        trained(tmp_path, files, recipe(train=lambda rows: None))


def test_a_model_that_cannot_be_saved_is_told(tmp_path, files):
    with pytest.raises(UserCodeError, match="EB312"):
        trained(tmp_path, files, recipe(train=lambda rows: threading.Lock()))


def test_text_labels_are_judged_as_they_are(tmp_path, files):
    def named(rows: pd.DataFrame):
        return LogisticRegression().fit(rows[["x"]], np.where(rows["y"] > 0, "up", "down"))

    declared = recipe(
        train=named,
        gate=Gate(accuracy_score),
        split=HashSplit(0.3),
    )
    trained(tmp_path, files, declared)
    assert set(np.load(tmp_path / "train" / "answers.npy")) == {"up", "down"}


def test_a_session_answers_call_after_call_and_survives_an_error(tmp_path, files):
    declared = recipe(predict=lambda model, rows: np.clip(model.predict(rows[["x"]]), -1, 1))
    trained(tmp_path, files, declared)
    path = tmp_path / "train" / "model.bin"
    saved = Model(str(path), hashlib.sha256(path.read_bytes()).hexdigest(), "skops")
    order = SessionOrder("m", saved, (Column("x", "float64"), Column("t", "int64")))
    ours, theirs = socket.socketpair()
    thread = threading.Thread(
        target=answer_requests,
        args=(msgspec.json.encode(order), context(tmp_path / "session", declared), theirs),
    )
    thread.start()

    def ask(rows):
        send_frame(ours, msgspec.msgpack.encode({"rows": rows}))
        return msgspec.msgpack.decode(receive_frame(ours))

    assert ask([{"x": 100.0}, {"x": -100.0}]) == {"predictions": [1.0, -1.0], "errors": {}}
    (error,) = ask([{"t": 3}])["errors"].values()
    assert error.startswith("KeyError")
    assert ask([{"x": 100}]) == {"predictions": [1.0], "errors": {}}
    ours.close()
    thread.join()
    theirs.close()


def test_rows_over_which_predict_raises_stand_alone():
    calls = []

    def ask(rows):
        calls.append(len(rows))
        if any(row["x"] < 0 for row in rows):
            raise ValueError("below zero")
        return [row["x"] for row in rows]

    rows = [{"x": -1 if n in (3, 700) else n} for n in range(1000)]
    told = spared(rows, ask)
    assert told.errors == dict.fromkeys((3, 700), "ValueError: below zero")
    expected = [None if n in (3, 700) else n for n in range(1000)]
    assert told.predictions == expected
    calls.clear()
    told = spared([{"x": -1}] * 1000, ask)
    assert len(told.errors) == 1000
    assert len(calls) <= 200


def test_a_wrong_number_of_predictions_belongs_to_no_row():
    told = spared([{"x": 1}] * 2, lambda rows: [1.0])
    assert (told.predictions, told.errors) == ([1.0, 1.0], {})
    told = spared([{"x": 1}], lambda rows: [1.0, 2.0])
    assert told.errors == {0: "ValueError: 2 predictions for 1 rows"}
