"""The paired bootstrap for metrics of any kind: by row numbers, by counts, by groups."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from everbake.statistics.bootstrap import (
    Plan,
    UndefinedError,
    bootstrap_interval,
    resampled_error,
    resamples_for,
    weighted_error,
    weighted_interval,
)
from everbake.statistics.clusters import FEWEST_GROUPS, TooFewGroupsError, grouped_interval
from everbake.statistics.weighted import WEIGHTED


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
def test_counts_of_rows_give_the_error_of_drawing_the_rows(name):
    i = np.arange(1, 81)
    y, answers = np.sin(i) > 0.3, answers_for(name, i)
    plan = Plan(80, y.astype(int), 4, resamples=100)
    metric = getattr(sk, name)
    slow = resampled_error(lambda index: metric(y[index], answers[index]), plan)
    fast = weighted_error(WEIGHTED[name](y, answers), plan)
    assert fast == pytest.approx(slow, rel=1e-9)


def test_a_callable_gets_as_many_resamples_as_are_recorded():
    lengths = []

    def mean(index):
        lengths.append(len(index))
        return float(index.mean())

    interval = bootstrap_interval(mean, 0.0, Plan(40_000, None, 1))
    assert lengths == [40_000] * 500
    assert interval.resamples == resamples_for(40_000) == 500


def test_students_quantile_knows_the_rows_of_the_smaller_class():
    d = np.cos(np.arange(80.0))
    codes = np.repeat([0, 1], [68, 12])

    def mean(index):
        return float(d[index].mean())

    plan = Plan(80, codes, 7)
    half = stats.t.ppf(0.975, 11) * resampled_error(mean, plan)
    interval = bootstrap_interval(mean, 0.25, plan)
    assert (interval.lower, interval.upper) == pytest.approx((0.25 - half, 0.25 + half))


# --- groups ---------------------------------------------------------------------------------------


def grouped_rows(groups):
    """Rows of groups of unequal size that share a part of their difference, and weights."""
    rng = np.random.default_rng(4)
    sizes = rng.integers(2, 9, groups)
    codes = rng.permutation(np.repeat(np.arange(groups), sizes))
    d = rng.normal(size=groups)[codes] + rng.normal(size=len(codes))
    return d, codes, rng.integers(1, 4, len(codes)).astype(float)


def mean_of(d):
    """The same mean, by row numbers and by the rows' weights."""
    return lambda rows: float(d[rows].mean()), lambda weights: weights @ d / weights.sum(axis=1)


@pytest.mark.parametrize("groups", [40, 120])  # drawn one by one, and as Poisson counts
def test_resampled_groups_give_the_error_of_the_formula_for_groups(groups):
    d, codes, _ = grouped_rows(groups)
    peer = grouped_interval(d, codes)
    by_rows, by_weights = mean_of(d)
    plan = Plan(len(d), None, 9, groups=codes)
    slow = bootstrap_interval(by_rows, float(d.mean()), plan)
    fast = weighted_interval(by_weights, float(d.mean()), plan)
    for interval in (slow, fast):
        assert interval.sd == pytest.approx(peer.sd, rel=0.08)
        assert interval.sd > 1.3 * d.std()  # what rows on their own would give
        width = (interval.upper - interval.lower) / (peer.upper - peer.lower)
        assert width == pytest.approx(interval.sd / peer.sd, rel=1e-9)  # the same quantile


def test_rows_of_a_group_come_and_go_together():
    _, codes, _ = grouped_rows(60)

    def together(weights):
        for group in range(60):
            assert np.ptp(weights[:, codes == group], axis=1).max() == 0
        return weights.sum(axis=1)

    weighted_error(together, Plan(len(codes), None, 2, resamples=40, groups=codes))

    def rows(index):
        counts = np.bincount(index, minlength=len(codes)).astype(np.uint8)
        return float(together(counts[None])[0])

    resampled_error(rows, Plan(len(codes), None, 2, resamples=40, groups=codes))


def test_sample_weights_multiply_how_often_a_row_is_drawn():
    d, _, weights = grouped_rows(60)
    seen = []
    error = weighted_error(
        lambda both: seen.append(both / weights) or both @ d / both.sum(axis=1),
        Plan(len(d), None, 2, weights=weights, resamples=1000),
    )
    counts = np.concatenate(seen)
    assert np.array_equal(counts, np.round(counts))
    residuals = weights * (d - np.average(d, weights=weights)) / weights.sum()
    assert error == pytest.approx(np.sqrt(np.sum(residuals**2)), rel=0.08)


def test_one_giant_group_leaves_nothing_to_say():
    codes = np.zeros(500, dtype=int)
    codes[:3] = 1, 2, 3
    plan = Plan(500, None, 1, groups=codes)
    with pytest.raises(TooFewGroupsError) as caught:
        bootstrap_interval(lambda index: float(len(index)), 0.0, plan)
    assert caught.value.effective == pytest.approx(500**2 / (497**2 + 3))
    assert caught.value.effective < FEWEST_GROUPS
