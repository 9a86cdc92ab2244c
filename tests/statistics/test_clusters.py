"""Rows that depend on each other: groups, and blocks of time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.regression.linear_model import OLS

from everbake.statistics.clusters import (
    TooFewGroupsError,
    autocorrelated,
    effective_groups,
    grouped_hurt,
    grouped_interval,
    time_blocks,
)
from everbake.statistics.mean import t_interval, weighted_rows


def some(groups, seed=0, sizes=None):
    """Differences of rows with a common part for each group, in mixed order."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 6, groups) if sizes is None else sizes
    codes = rng.permutation(np.repeat(np.arange(groups), sizes))
    return rng.normal(size=groups)[codes] + rng.normal(size=len(codes)), codes


@given(st.integers(12, 40), st.integers(0, 99))
def test_the_standard_error_is_the_cluster_robust_one_of_statsmodels(groups, seed):
    d, codes = some(groups, seed)
    n = len(d)
    peer = OLS(d, np.ones(n)).fit(
        cov_type="cluster", cov_kwds={"groups": codes, "use_correction": False}
    )
    error = peer.bse[0] * np.sqrt(groups / (groups - 1))
    interval = grouped_interval(d, codes)
    assert interval.difference == pytest.approx(peer.params[0])
    assert interval.sd / np.sqrt(n) == pytest.approx(error, rel=1e-9)
    half = stats.t.ppf(0.975, effective_groups(codes) - 1) * error
    assert (interval.lower, interval.upper) == pytest.approx((d.mean() - half, d.mean() + half))


@given(st.integers(6, 30), st.integers(0, 99))
def test_groups_of_one_row_are_rows(n, seed):
    d = np.random.default_rng(seed).normal(size=n)
    interval = grouped_interval(d, np.arange(n))
    assert (interval.lower, interval.upper) == pytest.approx(t_interval(d))
    peer = stats.ttest_1samp(d, 0, alternative="less").pvalue
    assert grouped_hurt(d, np.arange(n)) == pytest.approx(peer, rel=1e-9)


@given(st.integers(6, 30), st.integers(0, 99))
def test_equal_groups_are_as_good_as_their_means(groups, seed):
    d, codes = some(groups, seed, sizes=np.full(groups, 7))
    means = np.array([d[codes == group].mean() for group in range(groups)])
    interval = grouped_interval(d, codes)
    assert (interval.lower, interval.upper) == pytest.approx(t_interval(means))


@given(st.integers(12, 20), st.integers(0, 99))
def test_names_of_groups_and_the_order_of_rows_do_not_matter(groups, seed):
    d, codes = some(groups, seed)
    mixed = np.random.default_rng(seed + 1).permutation(len(d))
    names = np.array([f"user {code}" for code in codes], dtype=object)
    one, other = grouped_interval(d, codes), grouped_interval(d[mixed], names[mixed])
    assert (one.lower, one.upper) == pytest.approx((other.lower, other.upper))


def test_whole_weights_are_rows_that_come_several_times_in_their_group():
    d, codes = some(20, 3)
    weights = 1.0 + np.arange(len(d)) % 3
    interval = grouped_interval(weighted_rows(d, weights), codes, weights=weights)
    times = weights.astype(int)
    peer = grouped_interval(np.repeat(d, times), np.repeat(codes, times))
    assert (interval.lower, interval.upper) == pytest.approx((peer.lower, peer.upper))
    assert grouped_hurt(weighted_rows(d, weights), codes, weights=weights) == pytest.approx(
        grouped_hurt(np.repeat(d, times), np.repeat(codes, times))
    )


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_fewer_than_five_groups_say_nothing_of_their_spread(groups):
    d, codes = some(groups, sizes=np.full(groups, 50))
    for call in (grouped_interval, grouped_hurt):
        with pytest.raises(TooFewGroupsError) as caught:
            call(d, codes)
        assert caught.value.effective == pytest.approx(groups)


def test_one_giant_group_among_small_ones_is_worth_one():
    sizes = np.array([10_000, *[1] * 40])
    d, codes = some(41, sizes=sizes)
    assert effective_groups(codes) == pytest.approx(sizes.sum() ** 2 / np.sum(sizes**2))
    with pytest.raises(TooFewGroupsError):
        grouped_interval(d, codes)


@pytest.mark.parametrize("n", [20, 21, 57, 60, 200])
def test_blocks_of_time_are_ten_in_order_and_equal_to_within_a_row(n):
    blocks = time_blocks(n)
    sizes = np.bincount(blocks)
    assert np.array_equal(blocks, np.sort(blocks))
    assert len(sizes) == 10
    assert np.ptp(sizes) <= 1


def test_blocks_must_be_as_long_as_the_horizon():
    assert time_blocks(19) is None
    assert time_blocks(69, shortest=7) is None
    assert np.bincount(time_blocks(70, shortest=7)).tolist() == [7] * 10


def test_neighbours_that_are_alike_are_noticed():
    rng = np.random.default_rng(8)
    noise = rng.normal(size=400)
    assert not autocorrelated(noise)
    walk = np.convolve(rng.normal(size=410), np.ones(5) / 5, "valid")[:400]
    assert autocorrelated(walk)
    assert autocorrelated(noise * 0 + (-1.0) ** np.arange(400))  # unlike neighbours as well
    assert not autocorrelated(np.zeros(50))
    alarms = [autocorrelated(rng.normal(size=200)) for _ in range(1000)]
    assert np.mean(alarms) == pytest.approx(0.05, abs=0.025)  # two standard errors
