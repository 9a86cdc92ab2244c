"""The declaration: what is wrong with it is said when it is made."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, get_scorer, mean_squared_error

from everbake import (
    AtLeast,
    AtMost,
    CostThreshold,
    Events,
    Gate,
    GroupSplit,
    HashSplit,
    Limits,
    NewData,
    Recipe,
    Table,
    TimeSplit,
)
from everbake.core.describing import describe
from everbake.core.spec import Ranked, parse_size, parse_span
from everbake.errors import RecipeError
from everbake.metrics import coverage, ndcg


def train(rows):
    return rows


def predict(model, rows):
    return rows


def update(model, new_rows):
    return model


def recipe(**changes):
    fields = {
        "name": "m",
        "data": Table(label="y"),
        "train": train,
        "predict": predict,
        "gate": Gate(mean_squared_error),
    }
    return Recipe(**{**fields, **changes})


EVENTS = Events(user="who", item="what", time="when")


def recommend(model, users, k):
    return [[] for _ in users]


def ranking(**changes):
    fields = {
        "name": "m",
        "data": EVENTS,
        "train": train,
        "recommend": recommend,
        "gate": Gate(ndcg(5)),
    }
    return Recipe.ranking(**{**fields, **changes})


@pytest.mark.parametrize(
    ("declare", "code", "hint"),
    [
        (lambda: recipe(trian=train), "EB208", "did you mean 'train'"),
        (lambda: Table(lable="y"), "EB208", "did you mean 'label'"),
        (Table, "EB208", "label"),
        (lambda: Gate(mean_squared_error, beter="lower"), "EB208", "did you mean 'better'"),
        (lambda: Limits(memry="4G"), "EB208", "did you mean 'memory'"),
        (lambda: Recipe(name="m", predct=predict), "EB208", "did you mean 'predict'"),
        (lambda: recipe(seed="x"), "EB204", "a whole number"),
        (lambda: recipe(seed=2**70), "EB204", "seed < 2"),
        (lambda: recipe(data="y"), "EB204", r"Table\(...\)"),
        (lambda: recipe(gate=mean_squared_error), "EB204", r"Gate\(...\)"),
        (lambda: recipe(limits={"memory": "4G"}), "EB204", r"Limits\(...\)"),
        (lambda: recipe(split=0.2), "EB204", r"TimeSplit\(...\) or HashSplit\(...\)"),
        (lambda: recipe(triggers="1d"), "EB204", r"NewData\(...\)"),
        (lambda: recipe(name=3), "EB204", "a text"),
        (lambda: recipe(params=[1]), "EB204", "a mapping"),
        (lambda: recipe(params={"a": np.float64(1)}), "EB204", "plain numbers"),
        (lambda: Limits(memory=4), "EB204", "a text"),
        (lambda: Limits(threads="2"), "EB204", "a whole number"),
        (lambda: Gate(mean_squared_error, tolerance="5%"), "EB204", "a finite number"),
        (lambda: Gate(mean_squared_error, tolerance=float("inf")), "EB204", "a finite number"),
        (lambda: Gate(mean_squared_error, min_gain=0.1), "EB204", "challenge"),
        (lambda: Gate(mean_squared_error, guardrails=[0.8]), "EB204", "AtLeast"),
        (lambda: Gate(mean_squared_error, guardrails=AtMost(max, 1)), "EB204", "a list"),
        (lambda: Gate(max, "lower", guardrails=[AtMost(max, float("nan"))]), "EB204", "limit"),
        (lambda: Gate(get_scorer("neg_log_loss")), "EB204", "sklearn.metrics.log_loss"),
        (lambda: recipe(update=lambda model: model), "EB203", "new_rows"),
        (lambda: recipe(update=lambda model, new_rows, sed: model), "EB203", "seed"),
        (lambda: recipe(full_every=3), "EB204", "there is no update"),
        (lambda: recipe(update=update, full_every=0), "EB204", "full_every=10"),
        (lambda: recipe(update=update, full_every="monthly"), "EB204", "30d"),
        (lambda: recipe(update=update, full_every=2.5), "EB204", "a whole number"),
        (lambda: recipe(name="a/b"), "EB201", "lower-case"),
        (lambda: recipe(name=""), "EB201", "lower-case"),
        (lambda: recipe(train=lambda: 1), "EB203", r"def train\(rows"),
        (lambda: recipe(train=lambda rows, sead: 1), "EB203", "did you mean 'seed'"),
        (lambda: recipe(predict=lambda model: 1), "EB203", r"def predict\(model, rows\)"),
        (lambda: recipe(features=3), "EB203", "not a function"),
        (lambda: Gate(mean_squared_error, better="higher"), "EB205", "lower"),
        (lambda: Gate(lambda y, p: 0.0), "EB205", "which way"),
        (lambda: Gate("mse"), "EB204", "not a function"),
        (lambda: Gate(accuracy_score, rule="refesh"), "EB204", "did you mean 'refresh'"),
        (lambda: Gate(accuracy_score, tolerance=0.01, equal_within=0.05), "EB204", "equal_within"),
        (lambda: TimeSplit("30 moons"), "EB204", "span"),
        (lambda: HashSplit(1.5), "EB204", "share"),
        (lambda: recipe(split=TimeSplit(0.2)), "EB204", "time"),
        (lambda: recipe(split=GroupSplit(0.2)), "EB204", "group"),
        (lambda: recipe(refit=True), "EB204", "TimeSplit"),
        (lambda: Limits(memory="lots"), "EB204", "size"),
        (lambda: NewData(rows=0), "EB204", "NewData"),
        (lambda: Events(user="u", itm="i", time="t"), "EB208", "did you mean 'item'"),
        (lambda: Events(user="u", item="u", time="t"), "EB204", "a column of its own"),
        (lambda: Events(user="u", item="i", time="t", private=["i"]), "EB204", "lists of items"),
        (lambda: ranking(recomend=recommend), "EB208", "did you mean 'recommend'"),
        (lambda: ranking(features=train), "EB208", "ranking"),
        (lambda: ranking(data=Table(label="y")), "EB204", r"Events\(...\)"),
        (lambda: ranking(split=HashSplit()), "EB204", r"TimeSplit\(...\)"),
        (lambda: ranking(recommend=predict), "EB203", r"recommend\(model, users, k\)"),
        (lambda: ranking(gate=Gate(accuracy_score)), "EB204", r"ndcg\(10\)"),
        (lambda: recipe(gate=Gate(ndcg(5))), "EB204", "Recipe.ranking"),
        (lambda: CostThreshold(false_positive=1), "EB208", "false_negative"),
        (lambda: CostThreshold(false_positive=0, false_negative=1), "EB204", "only their ratio"),
        (lambda: CostThreshold(false_positive=1, false_negative=-2), "EB204", "false_negative"),
        (lambda: CostThreshold(false_positive="1", false_negative=2), "EB204", "a finite number"),
        (lambda: CostThreshold(false_positive=1, false_negative=2, folds=1), "EB204", "2 to 20"),
        (lambda: recipe(threshold=0.5), "EB204", r"CostThreshold\(...\)"),
    ],
)
def test_a_wrong_declaration_is_refused_with_what_would_be_right(declare, code, hint):
    with pytest.raises(RecipeError, match=hint) as told:
        declare()
    assert told.value.code == code
    assert told.value.mend


def test_what_counts_as_equal_follows_the_tolerance():
    assert Gate(accuracy_score, tolerance=0.005).equal == 0.001
    assert Gate(accuracy_score, tolerance=0.05, equal_within=0.0).equal == 0.0


def test_the_split_follows_the_time_column():
    assert isinstance(recipe().split, HashSplit)
    assert isinstance(recipe(data=Table(label="y", time="t")).split, TimeSplit)


def test_a_recipe_is_described_as_plain_data():
    told = describe(recipe(params={"a": 1}, seed=4, limits=Limits("1G", "10m", 2)), "pandas")
    assert (told.params, told.seed, told.gate.better) == ({"a": 1}, 4, "lower")
    assert (told.memory_bytes, told.time_seconds, told.threads) == (2**30, 600.0, 2)


def test_a_ranking_recipe_is_one_over_a_table_of_events():
    gate = Gate(ndcg(5), guardrails=[AtLeast(coverage(20), 0.1)])
    made = ranking(gate=gate)
    assert isinstance(made.split, TimeSplit)
    assert (made.data.label, made.data.group, made.data.time) == ("what", "who", "when")
    assert describe(made, "pandas").ranked == Ranked(EVENTS, 20)
    assert describe(recipe(), "pandas").ranked is None
    assert ranking(gate=Gate(max, better="higher")).ranked == Ranked(EVENTS, 10)


def test_sizes_and_spans():
    assert (parse_size("4G"), parse_size("10 MB"), parse_size("512")) == (2**32, 10 * 2**20, 512)
    assert (parse_span("30d"), parse_span("250ms")) == (30 * 86400.0, 0.25)


@pytest.mark.parametrize(
    ("every", "expected"),
    [(None, (None, None)), (4, (4, None)), ("30d", (None, 30 * 86400.0))],
)
def test_the_rhythm_of_full_trainings_is_described_as_runs_or_as_a_span(every, expected):
    told = describe(recipe(update=update, full_every=every), "pandas").update
    assert (told.after_runs, told.after_seconds) == expected
    assert describe(recipe(), "pandas").update is None
