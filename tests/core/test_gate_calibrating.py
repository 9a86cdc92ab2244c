"""Curves of both models: what they tell, when there are none, and how large they get."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import mean_squared_error

from everbake.core.gate import Given, judge, with_curves

NOTHING = (None, None, None)


def drawn(n=2000, seed=1, slope=1.0):
    """Outcomes and probabilities whose logits are off by a factor."""
    random = np.random.default_rng(seed)
    logit = random.normal(size=n) * 1.5 - 1
    y = random.random(n) < 1 / (1 + np.exp(-logit))
    return y.astype(np.int64), 1 / (1 + np.exp(-logit / slope))


def curved(y, candidate, champion=None, thresholds=NOTHING, prices=None, **more):
    decision = judge(np.ones(3), None, np.ones(3), metric=mean_squared_error)
    return with_curves(
        decision, Given(y, champion, candidate, thresholds=thresholds, **more), prices
    )


def check(decision):
    return next((one for one in decision.checks if one.name == "calibration"), None)


def test_honest_probabilities_pass():
    told = curved(*drawn())
    low, high = told.curves.candidate.slope_interval
    assert low <= 1 <= high
    assert check(told).state == "pass"
    assert "slope" in check(told).detail


@pytest.mark.parametrize(("slope", "word"), [(0.5, "too extreme"), (2.0, "too timid")])
def test_probabilities_that_mislead_are_warned_of_and_decide_nothing(slope, word):
    told = curved(*drawn(slope=slope))
    assert told.curves.candidate.slope == pytest.approx(slope, rel=0.12)
    assert check(told).state == "warn"
    assert word in check(told).detail
    assert told.verdict == "promoted"


def test_a_large_error_is_warned_of_where_the_slope_is_right():
    y, p = drawn()
    shifted = 1 / (1 + np.exp(-(np.log(p / (1 - p)) + 0.6)))
    told = curved(y, shifted)
    low, high = told.curves.candidate.slope_interval
    assert low <= 1 <= high
    assert told.curves.candidate.error > 0.05
    assert check(told).state == "warn"


def test_honest_probabilities_of_few_rows_are_seldom_warned_of():
    states = [check(curved(*drawn(n=200, seed=seed))).state for seed in range(100)]
    # The slope's interval misses 1 once in twenty; 100 times that is beyond 14 once in 8,000.
    assert states.count("warn") <= 14


def test_the_error_comes_with_an_interval_that_is_the_same_on_every_call():
    y, p = drawn(slope=0.5)
    one, other = (curved(y, p).curves.candidate for _ in range(2))
    assert one == other
    low, high = one.error_interval
    assert 0 < low < one.error < high


def test_rows_of_a_few_groups_say_less():
    y, p = drawn(slope=0.5)
    plain = curved(y, p).curves.candidate
    alone = curved(y, p, groups=np.arange(len(y))).curves.candidate
    assert np.ptp(alone.error_interval) == pytest.approx(np.ptp(plain.error_interval), rel=0.3)
    assert curved(y, p, groups=np.arange(len(y)) % 3).curves.candidate.error_interval is None


def test_both_models_are_told_of_each_by_its_own():
    y, p = drawn()
    told = curved(y, p, np.sqrt(p)).curves
    assert told.candidate.error < told.champion.error
    assert told.candidate_cost is told.champion_cost is told.prices is None


def test_costs_are_those_of_each_models_own_threshold():
    y, p = drawn()
    told = curved(y, p, 1 - p, thresholds=(0.9, 0.2, None), prices=(1.0, 4.0)).curves
    for costs, scores, cut in ((told.candidate_cost, p, 0.2), (told.champion_cost, 1 - p, 0.9)):
        assert costs.threshold == cut
        expected = np.mean(np.where(scores >= cut, 1.0 - y, 4.0 * y))
        assert costs.cost == pytest.approx(expected, abs=1e-12)
        for threshold, cost in costs.points[::10]:
            # The curve is shortened to what a drawing shows; so few rows lie that close.
            near = np.mean(np.where(scores >= threshold, 1.0 - y, 4.0 * y))
            assert cost == pytest.approx(near, abs=0.01)
    assert told.prices == (1.0, 4.0)


def test_weights_count_in_the_costs_and_not_in_the_reliability_curve():
    y, p = drawn()
    weights = np.where(y == 1, 3.0, 1.0)
    more = {"thresholds": (None, 0.2, None), "prices": (1.0, 4.0)}
    plain, weighted = curved(y, p, **more).curves, curved(y, p, weights=weights, **more).curves
    each = np.where(p >= 0.2, 1.0 - y, 4.0 * y)
    assert weighted.candidate_cost.cost == pytest.approx(np.average(each, weights=weights))
    assert weighted.candidate == plain.candidate


def test_a_model_without_a_threshold_has_no_cost():
    y, p = drawn()
    told = curved(y, p, p, thresholds=(None, 0.3, None), prices=(1, 2)).curves
    assert told.champion_cost is None
    assert told.candidate_cost.threshold == 0.3


def test_rows_without_an_outcome_or_an_answer_are_left_out():
    y, p = drawn()
    gaps = y.astype(float)
    gaps[:100] = np.nan
    odd = p.copy()
    odd[200:260] = np.nan
    told = curved(gaps, p, odd).curves
    assert (told.candidate.n, told.champion.n) == (1900, 1840)


@pytest.mark.parametrize(
    ("y", "answers"),
    [
        (np.arange(50.0), np.linspace(0, 1, 50)),  # a number is learned
        (np.arange(50) % 3, np.linspace(0, 1, 50)),  # three outcomes
        (np.arange(50) % 2, np.arange(50) % 2),  # labels
        (np.arange(50) % 2, np.linspace(-3, 3, 50)),  # scores
        (np.arange(50) % 2, np.full((50, 2), 0.5)),  # a column an outcome
        (np.arange(50) % 2, np.array(["a"] * 50)),
        (np.arange(50) == 7, np.linspace(0, 1, 50)),  # one positive
        (np.array([]), np.array([])),
        (np.full(5, np.nan), np.full(5, 0.5)),
    ],
)
def test_where_there_are_no_probabilities_there_are_no_curves(y, answers):
    told = curved(y, answers)
    assert told.curves is None
    assert told.to_dict()["curves"] is None
    assert check(told) is None


def test_separated_outcomes_have_no_slope():
    y = np.arange(100) >= 50
    told = curved(y, np.where(y, 0.9, 0.1) + np.arange(100) / 10_000)
    assert told.curves.candidate.slope is None
    assert check(told).state == "unknown"


@given(st.integers(20, 400), st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_curves_are_small_whatever_the_rows(n, seed, digits):
    random = np.random.default_rng(seed)
    p = np.round(random.random(n), digits)
    y = random.random(n) < 0.5
    told = curved(y, p, thresholds=(None, 0.5, None), prices=(1.0, 9.0)).curves
    assert len(told.candidate_cost.points) <= 200
    if told.candidate is not None:
        assert len(told.candidate.bins) <= 15
        assert sum(one.n for one in told.candidate.bins) == n
