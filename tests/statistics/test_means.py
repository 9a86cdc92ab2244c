"""Intervals of means: published and reference figures, and what must hold for any rows."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from everbake.statistics.mean import (
    Shape,
    hall_interval,
    hurt_probabilities,
    hurt_probability,
    lower_bound,
    mean_interval,
    padded,
    skewness,
    t_interval,
    upper_bound,
    wider_bounds,
    wider_interval,
)


def steps(n):
    return np.arange(1, n + 1, dtype=float)


def test_halls_interval_without_skew_is_students():
    d = np.concatenate([np.arange(1.0, 15), -np.arange(1.0, 15)])
    assert hall_interval(d) == pytest.approx(t_interval(d), abs=1e-9)


def test_skewness_is_scipys():
    d = np.exp(np.sin(steps(40)))
    assert skewness(d) == pytest.approx(stats.skew(d), rel=1e-12)
    assert skewness(d * 1e-120) == pytest.approx(stats.skew(d), rel=1e-9)
    assert skewness(np.ones(5)) == 0.0


def test_few_rows_take_the_union_with_the_padded_ones():
    d = 0.1 + 0.05 * np.sin(steps(10))
    interval, plain, more = mean_interval(d), wider_interval(d), wider_interval(padded(d))
    assert interval.lower == min(plain[0], more[0])
    assert interval.upper == max(plain[1], more[1])
    assert (interval.method, interval.gain_barred) == ("t-hall+2", True)


def test_few_differences_among_many_rows_bar_a_gain():
    d = np.zeros(3000)
    d[:19] = 1.0
    assert mean_interval(d).gain_barred
    d[19] = 1.0
    assert not mean_interval(d).gain_barred


def test_a_constant_difference_is_its_own_interval():
    interval = mean_interval(np.full(30, 0.25))
    assert (interval.lower, interval.upper, interval.method) == (0.25, 0.25, "constant")


def test_one_row_gives_an_interval_that_reaches_both_ways():
    interval = mean_interval(np.array([0.5]))
    assert interval.lower < 0 < interval.upper


def test_one_sided_bounds_are_the_ends_of_the_ninety_per_cent_interval():
    d = np.exp(np.sin(steps(50)))
    assert (lower_bound(d), upper_bound(d)) == wider_interval(d, 0.1)


def test_coverage_on_skewed_rows_keeps_its_promise_where_students_does_not():
    rng = np.random.default_rng(20240601)
    truth, hits, plain = np.exp(0.5), 0, 0
    rounds = 4000
    for _ in range(rounds):
        d = rng.lognormal(size=50)
        wide, narrow = wider_interval(d), t_interval(d)
        hits += wide[0] <= truth <= wide[1]
        plain += narrow[0] <= truth <= narrow[1]
    # within three standard errors of both simulations
    assert 100 * hits / rounds == pytest.approx(95.0, abs=1.6)
    assert 100 * plain / rounds == pytest.approx(90.6, abs=2.1)


rows = st.lists(
    st.floats(-1e6, 1e6).filter(lambda x: x == 0 or abs(x) > 1e-6), min_size=2, max_size=60
)


@given(rows)
def test_swapping_the_models_mirrors_the_interval(values):
    d = np.array(values)
    assume(np.ptp(d) > 0)
    there, back = mean_interval(d), mean_interval(-d)
    scale = 1e-9 * max(1.0, float(np.max(np.abs(d))))
    assert there.difference == pytest.approx(-back.difference, abs=scale)
    assert there.lower == pytest.approx(-back.upper, rel=1e-6, abs=scale)
    assert there.upper == pytest.approx(-back.lower, rel=1e-6, abs=scale)


@given(rows)
def test_the_interval_holds_the_difference(values):
    interval = mean_interval(np.array(values))
    slack = 1e-9 * max(1.0, float(np.max(np.abs(values))))
    assert interval.lower - slack <= interval.difference <= interval.upper + slack


@given(rows, st.floats(1e-3, 1e3))
def test_the_interval_scales_with_the_unit(values, factor):
    d = np.array(values)
    one, other = wider_interval(d), wider_interval(d * factor)
    scale = factor * max(1.0, float(np.max(np.abs(d))))
    assert other == pytest.approx((one[0] * factor, one[1] * factor), rel=1e-6, abs=1e-8 * scale)


@given(rows)
def test_duplicated_rows_shrink_students_interval(values):
    d = np.array(values)
    assume(np.ptp(d) > 1e-3)
    one, four = t_interval(d), t_interval(np.tile(d, 4))
    assert four[1] - four[0] < one[1] - one[0]


# --- one-sided p of being hurt --------------------------------------------------------------------


def students_p(d):
    return stats.ttest_1samp(d, 0.0, alternative="less").pvalue


@given(rows)
def test_students_p_of_being_hurt_is_scipys(values):
    d = np.array(values)
    assume(np.ptp(d) > 1e-6 * np.max(np.abs(d)))
    p_t, _ = hurt_probabilities(Shape.of(d))
    assert p_t == pytest.approx(students_p(d), rel=1e-6, abs=1e-12)


@given(rows, st.sampled_from([0.001, 0.01, 0.05, 0.2]))
def test_halls_p_is_the_level_at_which_its_upper_bound_meets_zero(values, level):
    d = np.array(values)
    assume(np.ptp(d) > 1e-6 * np.max(np.abs(d)))
    _, p_hall = hurt_probabilities(Shape.of(d))
    assume(abs(p_hall / level - 1) > 1e-6)
    assert (hall_interval(d, 2 * level)[1] < 0) == (p_hall < level)


def test_where_few_rows_differ_the_padded_rows_must_show_the_loss_too():
    d = np.zeros(60)
    d[:19] = -1.0 - np.arange(19) / 19
    more = np.append(d, [d.min(), -d.min()])
    assert hurt_probability(d) == pytest.approx(students_p(more), rel=1e-9)
    assert hurt_probability(d) > students_p(d)
    d[19] = -0.5  # the twentieth difference: no padding any more
    assert hurt_probability(d) == pytest.approx(students_p(d), rel=1e-9)
    assert hurt_probability(d, differing=19) > hurt_probability(d)


def test_a_loss_without_any_spread_is_certain():
    assert hurt_probability(np.full(30, -0.5)) == 0.0
    assert hurt_probability(np.full(30, 0.5)) == 1.0
    assert hurt_probability(np.zeros(30)) == 1.0
    assert 0 < hurt_probability(np.array([-0.5])) < 1


def test_many_sets_of_rows_at_once_give_what_each_gives_alone():
    d = np.random.default_rng(3).lognormal(size=(4, 5, 40)) - 1.2
    d[0, 0] = 0.25
    shape = Shape.of(d)
    bounds, p = wider_bounds(shape, 0.02), hurt_probabilities(shape)
    for at in np.ndindex(4, 5):
        assert (bounds[0][at], bounds[1][at]) == pytest.approx(wider_interval(d[at], 0.02))
        alone = np.array(hurt_probabilities(Shape.of(d[at])))
        assert (p[0][at], p[1][at]) == pytest.approx(alone, rel=1e-12)
