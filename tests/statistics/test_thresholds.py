"""Cost thresholds: against every possible cut, and against what the costs alone say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from everbake.statistics.thresholds import cost_curve, cost_threshold, elkan_threshold

N = 25
costs = st.tuples(*[st.sampled_from([1.0, 2.0, 5.0, 50.0])] * 2)
tied = arrays(np.float64, N, elements=st.integers(0, 10).map(lambda x: x / 10))
outcomes = arrays(np.bool_, N)
weights = st.none() | arrays(np.float64, N, elements=st.integers(0, 3).map(float))


def mean_cost(y, scores, threshold, pair, weights):
    """What calling scores from `threshold` on positive costs a row."""
    weights = np.ones(N) if weights is None else weights
    called = scores >= threshold
    alarms, missed = weights[called & ~y].sum(), weights[~called & y].sum()
    return (pair[0] * alarms + pair[1] * missed) / weights.sum()


def cuts(scores, target):
    return [*np.unique(scores), np.nextafter(scores.max(), np.inf), target]


def weighty(weights):
    """Row weights with a sum above 0."""
    if weights is not None:
        weights[0] = 1.0
    return weights


@given(outcomes, tied, costs, weights)
def test_no_cut_is_cheaper_and_no_equally_cheap_one_is_nearer(y, scores, pair, drawn):
    row_weights = weighty(drawn)
    target = pair[0] / (pair[0] + pair[1])
    chosen = cost_threshold(y, scores, *pair, weights=row_weights)
    price = {cut: mean_cost(y, scores, cut, pair, row_weights) for cut in cuts(scores, target)}
    least = min(price.values())
    assert mean_cost(y, scores, chosen, pair, row_weights) == pytest.approx(least, abs=1e-9)
    cheap = [cut for cut, cost in price.items() if cost <= least + 1e-9]
    assert abs(chosen - target) <= min(abs(cut - target) for cut in cheap) + 1e-12


@given(outcomes, tied, costs, weights)
def test_the_curve_tells_the_cost_of_each_of_its_thresholds(y, scores, pair, drawn):
    row_weights = weighty(drawn)
    curve = cost_curve(y, scores, *pair, weights=row_weights)
    assert [point.threshold for point in curve] == sorted({point.threshold for point in curve})
    for point in curve:
        told = mean_cost(y, scores, point.threshold, pair, row_weights)
        assert point.cost == pytest.approx(told, abs=1e-9)


def test_a_long_curve_is_thinned_and_keeps_its_cheapest_point():
    rng = np.random.default_rng(1)
    scores = rng.random(5000)
    y = rng.random(5000) < scores
    curve = cost_curve(y, scores, 1.0, 5.0)
    assert len(curve) <= 200
    cheapest = min(point.cost for point in curve)
    every = [np.mean(np.where(scores >= cut, ~y, 5.0 * y)) for cut in np.unique(scores)]
    assert cheapest == pytest.approx(min(every), abs=1e-12)


@given(st.floats(0.1, 50), st.floats(0.1, 50))
def test_elkans_threshold_is_where_both_answers_cost_the_same(false_positive, false_negative):
    t = elkan_threshold(false_positive, false_negative)
    assert (1 - t) * false_positive == pytest.approx(t * false_negative)


def test_calibrated_probabilities_are_cut_near_elkans_threshold():
    rng = np.random.default_rng(2)
    p = rng.random(200_000)
    assert cost_threshold(rng.random(200_000) < p, p, 1.0, 4.0) == pytest.approx(0.2, abs=0.02)


def test_scores_need_not_be_probabilities():
    scores = np.array([-7.0, -3.0, 40.0, 90.0])
    y = np.array([False, False, True, True])
    chosen = cost_threshold(y, scores, 1.0, 1.0)
    assert -3.0 < chosen <= 40.0
    # all or none cost the same, and calling all positive is nearer to one half
    assert cost_threshold(~y, scores, 1.0, 1.0) == -7.0
