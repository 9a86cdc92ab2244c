"""Sample weights: rows, smooth functions of means, and metrics of two classes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics as sk

from everbake.statistics.mean import mean_interval, weighted_rows, wider_interval
from everbake.statistics.smooth import explained_differences, root_differences
from everbake.statistics.weighted import WEIGHTED

SCORES = {"average_precision_score", "roc_auc_score"}
N = 60

values = arrays(np.float64, N, elements=st.floats(-100, 100).map(lambda x: round(x, 3)))
counts = arrays(np.int64, N, elements=st.integers(1, 5))


# --- rows -----------------------------------------------------------------------------------------


@given(values, st.floats(0.1, 10))
def test_equal_weights_change_nothing(d, weight):
    rows = weighted_rows(d, np.full(N, weight))
    assert rows == pytest.approx(d, rel=1e-9, abs=1e-9)
    one, other = mean_interval(d), mean_interval(rows, differing=np.count_nonzero(d))
    assert (one.lower, one.upper) == pytest.approx((other.lower, other.upper), rel=1e-6, abs=1e-6)


@given(values, counts)
def test_the_mean_is_that_of_rows_repeated_by_their_weight(d, weights):
    rows = weighted_rows(d, weights.astype(float))
    assert rows.mean() == pytest.approx(np.repeat(d, weights).mean(), abs=1e-9)


@given(values, counts, st.floats(0.01, 100))
def test_the_unit_of_the_weights_does_not_matter(d, weights, unit):
    one, other = weighted_rows(d, 1.0 * weights), weighted_rows(d, unit * weights)
    assert one == pytest.approx(other, rel=1e-9, abs=1e-9)


@given(values, counts)
def test_the_spread_is_that_of_the_linearised_mean(d, weights):
    # the standard error of a ratio of means: residuals w (d - D), over the sum of the weights
    rows, total, mean = weighted_rows(d, 1.0 * weights), 0.0, np.repeat(d, weights).mean()
    for value, weight in zip(d, weights, strict=True):
        total += (weight * (value - mean)) ** 2
    error = np.sqrt(total * N / (N - 1)) / weights.sum()
    assert rows.std(ddof=1) / np.sqrt(N) == pytest.approx(error, rel=1e-9, abs=1e-12)


# --- smooth functions of means --------------------------------------------------------------------


def rmse(table, weights):
    _, l0, l1 = table
    return np.sqrt(np.average(l0, weights=weights)) - np.sqrt(np.average(l1, weights=weights))


def explained(table, weights):
    y, l0, l1 = table
    predictions = y - np.sqrt(l0), y - np.sqrt(l1)
    return np.subtract(*(sk.r2_score(y, p, sample_weight=weights) for p in predictions[::-1]))


def table_of(seed):
    rng = np.random.default_rng(seed)
    return rng.normal(size=N), rng.exponential(size=N), 0.8 * rng.exponential(size=N)


SMOOTH = {
    "rmse": (rmse, lambda table, weights: root_differences(*table[1:], weights)),
    "r2": (explained, lambda table, weights: explained_differences(*table, weights)),
}


@pytest.mark.parametrize("name", SMOOTH)
@given(seed=st.integers(0, 999), weights=counts)
def test_the_weighted_mean_of_the_rows_is_the_weighted_metric(name, seed, weights):
    metric, rows = SMOOTH[name]
    table = table_of(seed)
    d = weighted_rows(rows(table, weights), 1.0 * weights)
    assert d.mean() == pytest.approx(metric(table, weights), abs=1e-12)


@pytest.mark.parametrize("name", SMOOTH)
def test_the_influence_of_a_row_is_what_a_little_more_of_its_weight_changes(name):
    metric, rows = SMOOTH[name]
    table, weights = table_of(8), 1.0 + np.arange(N) % 4
    whole, little = metric(table, weights), 1e-5
    slopes = []
    for row in range(N):
        step = little * (np.arange(N) == row)
        slopes.append((metric(table, weights + step) - metric(table, weights - step)) / 2 / little)
    influence = rows(table, weights) - whole
    assert influence / weights.sum() == pytest.approx(slopes, abs=1e-8)


@pytest.mark.parametrize("name", SMOOTH)
def test_weights_of_one_change_no_smooth_function(name):
    _, rows = SMOOTH[name]
    table = table_of(9)
    assert rows(table, np.ones(N)) == pytest.approx(rows(table, None), abs=1e-14)
    weighted = weighted_rows(rows(table, np.ones(N)), np.ones(N))
    assert wider_interval(weighted) == pytest.approx(wider_interval(rows(table, None)), abs=1e-14)


# --- metrics of two classes -----------------------------------------------------------------------


def answers_for(name, scores):
    return scores if name in SCORES else (scores > 0.2).astype(float)


@pytest.mark.parametrize("name", sorted(WEIGHTED))
@settings(max_examples=25)
@given(
    flags=arrays(np.bool_, N),
    scores=arrays(np.float64, N, elements=st.integers(-5, 5).map(lambda x: x / 5)),
    weights=arrays(np.float64, N, elements=st.floats(0.01, 9)),
)
def test_sample_weights_give_what_scikit_learn_gives(name, flags, scores, weights):
    flags[:2] = True, False
    answers = answers_for(name, scores)
    peer = getattr(sk, name)(flags, answers, sample_weight=weights, **_quiet(name))
    both = WEIGHTED[name](flags, answers)(np.stack([weights, 2 * weights]))
    assert both == pytest.approx([peer, peer], abs=1e-9)


def _quiet(name):
    warns = {"f1_score", "precision_score", "recall_score", "jaccard_score"}
    return {"zero_division": 0} if name in warns else {}


@pytest.mark.parametrize("name", sorted(WEIGHTED))
@settings(max_examples=25)
@given(seed=st.integers(0, 999), weights=arrays(np.uint8, N, elements=st.integers(0, 4)))
def test_counts_give_what_repeated_rows_give(name, seed, weights):
    rng = np.random.default_rng(seed)
    flags, scores = rng.random(N) < 0.4, np.round(rng.normal(size=N), 1)
    flags[:2], weights[:2] = (True, False), 1
    answers = answers_for(name, scores)
    rows = np.repeat(np.arange(N), weights)
    peer = getattr(sk, name)(flags[rows], answers[rows], **_quiet(name))
    assert WEIGHTED[name](flags, answers)(weights[None])[0] == pytest.approx(peer, abs=1e-12)


@pytest.mark.parametrize("name", sorted(SCORES | {"balanced_accuracy_score"}))
def test_a_class_without_weight_leaves_no_value(name):
    flags = np.arange(N) % 3 == 0
    answers = answers_for(name, np.sin(np.arange(N)))
    weights = np.stack([~flags, flags]).astype(float)
    values = WEIGHTED[name](flags, answers)(weights)
    assert np.isnan(values[0])
    assert np.isnan(values[1]) or name == "average_precision_score"
