"""How many rows a verdict needs, and the bootstrap for metrics of any kind."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk
from statsmodels.stats.power import TTestPower

from everbake.statistics.bootstrap import (
    Plan,
    UndefinedError,
    bootstrap_interval,
    resampled_error,
    weighted_error,
)
from everbake.statistics.power import normal_rows, rows_for
from everbake.statistics.weighted import WEIGHTED, average_precision


@pytest.mark.parametrize(
    ("sd", "delta", "rows"), [(0.2, 0.05, 128), (0.2, 0.1, 34), (0.5, 0.05, 787), (0.2, 0.2, 10)]
)
def test_rows_needed_give_the_reference_figures(sd, delta, rows):
    assert rows_for(sd, delta) == rows


@pytest.mark.parametrize(
    ("sd", "rows"),
    [
        (0.1, (785, 197, 32, 8)),
        (0.2, (3140, 785, 126, 32)),
        (0.5, (19623, 4906, 785, 197)),
    ],
)
def test_the_normal_approximation_gives_the_reference_figures(sd, rows):
    assert tuple(normal_rows(sd, d) for d in (0.01, 0.02, 0.05, 0.1)) == rows


@given(st.floats(0.1, 2), st.floats(0.05, 1))
def test_rows_needed_reach_the_power_that_statsmodels_computes(sd, delta):
    n = rows_for(sd, delta)
    peer = TTestPower()
    effect = delta / sd
    assert peer.power(effect, max(n, 2), 0.05, alternative="larger") > 0.79
    assert peer.power(effect, n, 0.025, alternative="larger") >= 0.8 - 1e-6


def test_no_number_is_named_where_none_is_honest():
    assert rows_for(0.2, 0.0) is None
    assert rows_for(0.2, -0.1) is None
    assert rows_for(float("inf"), 0.1) is None
    assert rows_for(0.0, 0.1) == 2


def test_the_bootstrap_of_a_mean_finds_its_standard_error():
    d = np.sin(np.arange(1, 201))
    error = resampled_error(lambda index: float(d[index].mean()), Plan(200, None, 1))
    assert error == pytest.approx(d.std() / np.sqrt(200), rel=0.06)


def test_rare_classes_are_drawn_within_themselves():
    codes = np.array([1] * 10 + [0] * 90)
    seen = set()

    def count(index):
        seen.add(int(codes[index].sum()))
        return float(index.sum())

    bootstrap_interval(count, 0.0, Plan(100, codes, 1, resamples=50))
    assert seen == {10}


def test_average_precision_gives_the_reference_figures():
    i = np.arange(1, 61)
    y = np.sin(i) > 0.3
    assert sk.average_precision_score(y, 0.8 * y + np.cos(3 * i)) == pytest.approx(
        0.7691232472, abs=1e-9
    )
    assert sk.average_precision_score(y, 1.1 * y + np.cos(5 * i)) == pytest.approx(
        0.8168328909, abs=1e-9
    )


def test_the_same_seed_gives_the_same_interval():
    d = np.cos(np.arange(80.0))

    def mean(index):
        return float(d[index].mean())

    one = bootstrap_interval(mean, float(d.mean()), Plan(80, None, 7))
    assert one == bootstrap_interval(mean, float(d.mean()), Plan(80, None, 7))
    assert one != bootstrap_interval(mean, float(d.mean()), Plan(80, None, 8))


def test_a_metric_without_a_value_on_many_resamples_has_no_interval():
    with pytest.raises(UndefinedError):
        resampled_error(lambda index: float("nan") if index[0] % 5 == 0 else 1.0, Plan(50, None, 3))


SCORES = {"average_precision_score", "roc_auc_score"}


def answers_for(name, i):
    scores = np.round(np.sin(i) + np.cos(5 * i), 1)
    return scores if name in SCORES else (scores > 0.2).astype(float)


@pytest.mark.parametrize("name", sorted(WEIGHTED))
def test_weights_give_what_scikit_learn_gives_with_them(name):
    i = np.arange(1, 81)
    y, answers = np.sin(i) > 0.3, answers_for(name, i)
    weights = np.stack([np.ones(80), 1 + i % 3, i % 2])
    peer = [getattr(sk, name)(y, answers, sample_weight=w) for w in weights]
    assert WEIGHTED[name](y, answers)(weights) == pytest.approx(peer, abs=1e-12)


@pytest.mark.parametrize("name", sorted(WEIGHTED))
def test_counts_of_rows_give_the_error_of_drawing_the_rows(name):
    i = np.arange(1, 81)
    y, answers = np.sin(i) > 0.3, answers_for(name, i)
    plan = Plan(80, y.astype(int), 4, resamples=100)
    metric = getattr(sk, name)
    slow = resampled_error(lambda index: metric(y[index], answers[index]), plan)
    fast = weighted_error(WEIGHTED[name](y, answers), plan)
    assert fast == pytest.approx(slow, rel=1e-9)


def test_average_precision_gives_the_reference_standard_error_from_counts():
    i = np.arange(1, 61)
    y = np.sin(i) > 0.3
    s0, s1 = 0.8 * y + np.cos(3 * i), 1.1 * y + np.cos(5 * i)
    old, new = average_precision(y, s0), average_precision(y, s1)
    error = weighted_error(
        lambda weights: new(weights) - old(weights),
        Plan(60, y.astype(int), 5, resamples=20_000),
    )
    assert error == pytest.approx(0.0879, rel=0.03)
    assert new((1.0 + i % 3)[None, :])[0] == pytest.approx(0.8061203931, abs=1e-9)
