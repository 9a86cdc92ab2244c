"""The threshold of a candidate: chosen on rows that were left out, frozen, or refused in words."""

from types import ModuleType

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import cross_val_predict
from sklearn.tree import DecisionTreeClassifier

from everbake import CostThreshold, Gate, GroupSplit, HashSplit, Recipe, Table, TimeSplit
from everbake.core.dataset import HASH, ROW
from everbake.core.work import JudgeOrder, ReplayOrder, TrainOrder
from everbake.errors import RecipeError, UserCodeError
from everbake.host.judging import judge_candidate
from everbake.host.parsing.rowhash import row_hashes
from everbake.host.protocol import JobContext
from everbake.host.replaying import judge_replay
from everbake.host.training import train_candidate
from everbake.metrics import mean_cost

COUNT = 600


def train(rows: pd.DataFrame):
    return LogisticRegression().fit(rows[["x"]], rows["y"])


def predict(model, rows):
    return model.predict_proba(rows[["x"]])[:, 1]


def recipe(**changes):
    fields = {
        "name": "m",
        "data": Table(label="y"),
        "train": train,
        "predict": predict,
        "gate": Gate(log_loss),
        "seed": 7,
        "threshold": CostThreshold(false_positive=1, false_negative=5),
    }
    return Recipe(**{**fields, **changes})


def rows_of(count=COUNT, seed=1, rate=0.0):
    random = np.random.default_rng(seed)
    x = random.normal(size=count)
    y = (random.random(count) < 1 / (1 + np.exp(-(2 * x - 1 + rate)))).astype(np.int64)
    return {"x": x, "t": np.arange(count), "g": np.arange(count) // 5, "y": y}


def trained(tmp_path, columns, declared, **changes):
    rows = pa.table(columns)
    hashes = pa.array(row_hashes(rows).view(np.int64))
    rows = rows.append_column(ROW, pa.array(range(rows.num_rows))).append_column(HASH, hashes)
    pq.write_table(rows, tmp_path / "rows.parquet")
    module = ModuleType("recipe")
    module.recipe = declared
    work = tmp_path / "work"
    work.mkdir(exist_ok=True)
    order = {"model": "m", "files": (str(tmp_path / "rows.parquet"),), "champion_rows": None}
    context = JobContext(module, work, declared.seed, 1, print)
    return train_candidate(TrainOrder(**{**order, "rows": rows.num_rows, **changes}), context)


def state(report, name="threshold"):
    return next(check.state for check in report.checks if check.name == name)


def test_it_costs_least_on_scores_that_are_out_of_fold(tmp_path):
    columns = rows_of()
    report = trained(tmp_path, columns, recipe())
    found = report.threshold
    assert (found.method, found.folds, found.plan, found.seed) == ("out-of-fold", 5, "rows", 7)
    assert found.rows == report.rows
    # An independent dealing of the same rows by scikit-learn: the cost at our threshold is near
    # the least that any threshold has there, and far from that of deciding all one way.
    held = np.load(tmp_path / "work" / "judge.npy")
    kept = np.setdiff1d(np.arange(COUNT), held)
    x, y = columns["x"][kept, None], columns["y"][kept] == 1
    scores = cross_val_predict(LogisticRegression(), x, y, method="predict_proba", cv=5)[:, 1]

    def cost(cut):
        return np.mean(np.where(scores >= cut, ~y, 5.0 * y))

    assert cost(found.value) <= 1.1 * min(map(cost, scores))
    assert found.cost == pytest.approx(cost(found.value), rel=0.1)
    assert found.cost <= found.cost_at_ideal
    assert found.ideal == pytest.approx(1 / 6)
    assert state(report) == "pass"


def test_a_model_that_boasts_is_not_judged_by_what_it_has_learned_by_heart(tmp_path):
    def by_heart(rows: pd.DataFrame):
        return DecisionTreeClassifier(random_state=0).fit(rows[["x"]], rows["y"])

    report = trained(tmp_path, rows_of(), recipe(train=by_heart))
    # In the rows that it was trained on no mistake is left to be priced.
    assert report.threshold.cost > 0.2
    assert report.threshold.rows == report.rows


def test_the_same_rows_give_the_same_threshold(tmp_path):
    one, other = (trained(tmp_path, rows_of(), recipe()).threshold for _ in range(2))
    assert one == other


@pytest.mark.parametrize(
    ("changes", "plan"),
    [
        ({"data": Table(label="y", time="t"), "split": TimeSplit(0.2)}, "time"),
        ({"data": Table(label="y", group="g"), "split": GroupSplit(0.2)}, "groups"),
        ({"data": Table(label="y", time="t"), "split": HashSplit(0.2)}, "rows"),
    ],
)
def test_folds_follow_the_split(tmp_path, changes, plan):
    found = trained(tmp_path, rows_of(), recipe(**changes)).threshold
    assert (found.plan, found.method) == (plan, "out-of-fold")
    if plan == "time":  # the newer half of what is trained on
        assert found.rows == COUNT * 0.8 / 2


def test_weights_count_in_the_costs(tmp_path):
    columns = rows_of()
    plain = trained(tmp_path, columns, recipe()).threshold
    # Positives that hardly count are not worth an alarm.
    columns["w"] = np.where(columns["y"] == 1, 0.001, 1.0)
    weighted = trained(tmp_path, columns, recipe(data=Table(label="y", weight="w"))).threshold
    assert weighted.value > plain.value
    assert weighted.cost < plain.cost


@pytest.mark.parametrize(("rate", "rare"), [(-20, 0), (-5.5, 7)])
def test_too_few_of_an_outcome_leave_the_threshold_of_calibrated_probabilities(
    tmp_path, rate, rare
):
    def cautious(rows: pd.DataFrame):
        return rows["y"].mean()

    def constant(model, rows):
        return np.full(len(rows), model)

    columns = rows_of(rate=rate)
    columns["y"][:] = 0
    columns["y"][:rare] = 1
    report = trained(tmp_path, columns, recipe(train=cautious, predict=constant))
    found = report.threshold
    assert (found.method, found.folds, found.value) == ("ideal", 0, pytest.approx(1 / 6))
    assert found.cost is None
    assert "10 are needed" in found.note
    assert state(report) == "warn"


def test_probabilities_are_taken_at_their_word_where_that_is_asked_for(tmp_path):
    calls = []

    def counted(rows: pd.DataFrame):
        calls.append(len(rows))
        return train(rows)

    asked = CostThreshold(false_positive=1, false_negative=3, folds=0)
    found = trained(tmp_path, rows_of(), recipe(train=counted, threshold=asked)).threshold
    assert (found.value, found.method, found.note) == (0.25, "ideal", "")
    assert len(calls) == 1


def test_training_once_more_on_all_rows_keeps_the_threshold_that_was_judged(tmp_path):
    declared = recipe(
        data=Table(label="y", time="t"),
        split=TimeSplit(0.2),
        refit=True,
        threshold=CostThreshold(false_positive=1, false_negative=5, folds=2),
    )
    judged = trained(tmp_path, rows_of(), declared)
    again = trained(tmp_path, rows_of(), declared, refit=True, threshold=judged.threshold)
    assert again.rows == COUNT > judged.rows
    assert again.threshold == judged.threshold


def test_a_recipe_without_one_has_none(tmp_path):
    report = trained(tmp_path, rows_of(), recipe(threshold=None))
    assert report.threshold is None
    assert "threshold" not in {check.name for check in report.checks}


def test_texts_are_outcomes_too(tmp_path):
    columns = rows_of()
    plain = trained(tmp_path, columns, recipe()).threshold
    named = {**columns, "y": np.where(columns["y"] == 1, "yes", "no")}
    assert trained(tmp_path, named, recipe()).threshold.ideal == plain.ideal


def labels(model, rows):
    return model.predict(rows[["x"]])


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (lambda model, rows: model.predict_proba(rows[["x"]]), "shape"),
        (lambda model, rows: [["yes"]] * len(rows), "shape"),
        (lambda model, rows: np.where(labels(model, rows) == 1, "yes", "no"), "<U"),
        (lambda model, rows: labels(model, rows)[:-1].astype(float), "answers"),
        (lambda model, rows: np.full(len(rows), np.nan), "not finite"),
    ],
)
def test_what_is_no_score_is_refused(tmp_path, answer, why):
    with pytest.raises(UserCodeError, match=why) as refused:
        trained(tmp_path, rows_of(), recipe(predict=answer))
    assert refused.value.code == "EB321"


def test_labels_in_place_of_scores_are_noticed(tmp_path):
    report = trained(tmp_path, rows_of(), recipe(predict=labels))
    assert "are they labels?" in report.threshold.note
    assert state(report) == "warn"


def test_scores_that_are_no_probabilities_need_folds(tmp_path):
    def margin(model, rows):
        return model.decision_function(rows[["x"]])

    found = trained(tmp_path, rows_of(), recipe(predict=margin)).threshold
    assert found.value < 0
    asked = CostThreshold(false_positive=1, false_negative=5, folds=0)
    with pytest.raises(UserCodeError, match="needs probabilities") as refused:
        trained(tmp_path, rows_of(), recipe(predict=margin, threshold=asked))
    assert refused.value.code == "EB321"


def test_a_label_of_more_than_two_outcomes_is_refused(tmp_path):
    columns = rows_of()
    columns["y"] = np.arange(COUNT) % 3
    with pytest.raises(RecipeError, match="3 different values") as refused:
        trained(tmp_path, columns, recipe())
    assert refused.value.code == "EB221"


def replayed(tmp_path, lines, metric, threshold):
    spool = tmp_path / "labelled.jsonl"
    spool.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    module = ModuleType("recipe")
    module.recipe = recipe(gate=Gate(metric))
    context = JobContext(module, tmp_path, 7, 1, print)
    return judge_replay(ReplayOrder("m", str(spool), threshold), context)["metric"]


def test_a_replay_prices_what_was_decided_then_beside_what_would_be_now(tmp_path):
    columns = rows_of()
    then = 1 / (1 + np.exp(-columns["x"]))
    # Two versions answered, each by its own threshold: what was decided is in the log.
    cuts = np.where(np.arange(COUNT) < 300, 0.2, 0.6)
    lines = [
        {"label": y, "then": t, "now": t, "features": {"x": x}, "decision": decided}
        for y, t, x, decided in zip(
            *(each.tolist() for each in (columns["y"], then, columns["x"], then >= cuts)),
            strict=True,
        )
    ]
    told = replayed(tmp_path, lines, mean_cost(false_positive=1, false_negative=5), 0.3)
    y = columns["y"]

    def cost(decided):
        return np.mean(np.where(decided, 1.0 - y, 5.0 * y))

    assert told["champion"] == pytest.approx(cost(then >= cuts))
    assert told["candidate"] == pytest.approx(cost(then >= 0.3))
    assert replayed(tmp_path, lines, log_loss, 0.3)["candidate"] == pytest.approx(log_loss(y, then))


def judged(tmp_path, thresholds):
    """A decision about the candidate that was trained there, with itself for a champion."""
    work = tmp_path / "work"
    answers = str(work / "answers.npy")
    order = JudgeOrder(
        model="m",
        files=(str(tmp_path / "rows.parquet"),),
        rows=COUNT,
        judge=str(work / "judge.npy"),
        truth=str(work / "truth.npy"),
        candidate=answers,
        champion=answers,
        has_champion=True,
        thresholds=thresholds,
    )
    module = ModuleType("recipe")
    module.recipe = recipe()
    (tmp_path / "judge").mkdir()
    return judge_candidate(order, JobContext(module, tmp_path / "judge", 7, 1, print)).decision


def test_a_champion_without_a_threshold_is_taken_to_be_calibrated(tmp_path):
    trained(tmp_path, rows_of(), recipe())
    told = judged(tmp_path, (None, 0.4, None))
    assert told["curves"]["champion_cost"]["threshold"] == pytest.approx(1 / 6)
    assert told["curves"]["candidate_cost"]["threshold"] == 0.4
    (check,) = [one for one in told["checks"] if one["name"] == "champion_threshold"]
    assert check["state"] == "warn"


def test_a_champion_with_a_threshold_is_judged_by_it(tmp_path):
    trained(tmp_path, rows_of(), recipe())
    told = judged(tmp_path, (0.3, 0.4, None))
    assert told["curves"]["champion_cost"]["threshold"] == 0.3
    assert "champion_threshold" not in {one["name"] for one in told["checks"]}
