"""A gain that is too good to be true is told, with the columns that could explain it."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import log_loss, mean_squared_error, roc_auc_score

from everbake.core.gate import Given, Rules, judge_rows, jump_check
from everbake.core.work import Precedent, Told

RANDOM = np.random.default_rng(0)
Y = (RANDOM.random(2000) < 0.3).astype(int)
WEAK = np.clip(0.3 + 0.1 * (Y - 0.3) + RANDOM.normal(size=2000) * 0.05, 0.01, 0.99)
STRONG = np.clip(0.1 + 0.8 * Y + RANDOM.normal(size=2000) * 0.25, 0.01, 0.99)
AUROC = Rules("roc_auc_score", roc_auc_score, "higher")
TOLD = (
    Told("note", 0.8, before=0.02, since=0.95),
    Told("income", 0.2, before=0.21, since=0.19),
    Told("region", 0.02, before=0.02, since=0.03),
)
PRECEDENT = Precedent(value=None, doubled=False, edited=False, told=TOLD)


def decided(champion=WEAK, candidate=STRONG, rules=AUROC, y=Y):
    return judge_rows(Given(y, champion, candidate), rules)


def test_a_jump_names_the_column_whose_strength_has_changed_most():
    found = jump_check(decided(), AUROC, PRECEDENT)
    assert (found.name, found.state, found.columns) == ("jump", "warn", ("note",))
    assert "note (2 % before, 95 % since)" in found.detail
    assert "roc_auc_score jumps from 0.9" in found.detail


def test_a_jump_names_the_columns_that_are_new_to_the_model_first():
    found = jump_check(decided(), AUROC, replace(PRECEDENT, new=("region", "income"), edited=True))
    assert found.columns == ("income", "region")
    assert "new to the model: income (tells 20 % alone), region" in found.detail


def test_a_new_column_is_named_also_where_too_few_rows_say_what_it_tells():
    found = jump_check(decided(), AUROC, replace(PRECEDENT, new=("note",), told=()))
    assert found.columns == ("note",)


def test_where_nothing_is_new_or_changed_the_strongest_is_named():
    steady = replace(PRECEDENT, told=tuple(replace(each, since=None) for each in TOLD))
    found = jump_check(decided(), AUROC, steady)
    assert found.columns == ("note",)
    assert "no column is new" in found.detail
    assert jump_check(decided(), AUROC, replace(steady, told=())).columns == ()


def test_another_recipe_may_be_that_much_better():
    steady = replace(PRECEDENT, told=TOLD[1:], edited=True)
    assert jump_check(decided(), AUROC, steady) is None


def test_twice_the_rows_may_teach_that_much():
    assert jump_check(decided(), AUROC, replace(PRECEDENT, doubled=True)) is None


def test_a_model_that_goes_back_to_what_was_reached_before_has_not_jumped():
    assert jump_check(decided(), AUROC, replace(PRECEDENT, value=0.9999)) is None
    assert jump_check(decided(), AUROC, replace(PRECEDENT, value=0.9)) is not None


def test_usual_gains_are_no_jumps():
    better = np.clip(WEAK + 0.02 * (Y - 0.3), 0.01, 0.99)
    assert jump_check(decided(candidate=better), AUROC, PRECEDENT) is None
    assert jump_check(decided(candidate=WEAK), AUROC, PRECEDENT) is None


def test_a_fall_is_no_jump():
    assert jump_check(decided(STRONG, WEAK), AUROC, PRECEDENT) is None


def test_without_a_champion_there_is_no_jump():
    assert jump_check(decided(champion=None), AUROC, PRECEDENT) is None


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (Rules("log_loss", log_loss, "lower"), True),
        (Rules("mean_squared_error", mean_squared_error, "lower"), True),
        (Rules("my_cost", lambda y, p: float(np.mean((y - p) ** 2)), "lower"), True),
        # Nobody knows how far a value is from the best one of such a metric.
        (Rules("my_score", lambda y, p: -float(np.mean((y - p) ** 2)), "higher"), False),
    ],
)
def test_the_distance_to_the_best_value_decides(rules, expected):
    found = jump_check(decided(rules=rules), rules, PRECEDENT)
    assert (found is not None) is expected


def test_chance_is_no_jump():
    y = np.array([0.0] * 8)
    champion, candidate = np.array([1.0, *[0.1] * 7]), np.array([0.5, *[0.11] * 7])
    rules = Rules("mean_squared_error", mean_squared_error, "lower")
    decision = decided(champion, candidate, rules, y)
    assert decision.candidate < decision.champion / 2
    assert jump_check(decision, rules, PRECEDENT) is None
