"""Intervals of means: published and reference figures, and what must hold for any rows."""

from math import sqrt

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from everbake.statistics.mean import (
    hall_interval,
    hurt_probabilities,
    lower_bound,
    mean_interval,
    padded,
    skewness,
    t_interval,
    upper_bound,
    wider_interval,
)
from everbake.statistics.smooth import explained_differences, root_differences


def steps(n):
    return np.arange(1, n + 1, dtype=float)


def test_students_interval_is_scipys():
    d = np.sin(steps(20)) + 0.2
    assert t_interval(d) == pytest.approx((-0.0937950033, 0.5936171917), abs=1e-9)
    peer = stats.t.interval(0.95, 19, loc=d.mean(), scale=stats.sem(d))
    assert t_interval(d) == pytest.approx(peer, abs=1e-12)


def test_halls_interval_gives_the_reference_figures():
    assert hall_interval(np.sin(steps(20)) + 0.2) == pytest.approx(
        (-0.1002245653, 0.5875350578), abs=1e-9
    )
    assert hall_interval(np.exp(2 * np.sin(steps(30))) - 1) == pytest.approx(
        (0.4924623662, 2.4280348207), abs=1e-9
    )


def test_the_wider_interval_takes_the_outer_bound_of_each_side():
    d = np.exp(2 * np.sin(steps(30))) - 1
    assert wider_interval(d) == pytest.approx((0.4013327097, 2.4280348207), abs=1e-9)


def test_halls_interval_without_skew_is_students():
    d = np.concatenate([np.arange(1.0, 15), -np.arange(1.0, 15)])
    assert hall_interval(d) == pytest.approx(t_interval(d), abs=1e-9)


def test_skewness_is_scipys():
    d = np.exp(np.sin(steps(40)))
    assert skewness(d) == pytest.approx(stats.skew(d), rel=1e-12)
    assert skewness(d * 1e-120) == pytest.approx(stats.skew(d), rel=1e-9)
    assert skewness(np.ones(5)) == 0.0


def test_few_rows_are_padded_with_both_extremes():
    d = 0.1 + 0.05 * np.sin(steps(10))
    assert padded(d)[-2] == pytest.approx(0.1494679123, abs=1e-9)
    assert wider_interval(padded(d)) == pytest.approx((-0.1152996044, 0.1419523271), abs=1e-9)
    interval = mean_interval(d)
    plain = wider_interval(d)
    assert interval.lower == pytest.approx(-0.1152996044, abs=1e-9)
    assert interval.upper == pytest.approx(max(plain[1], 0.1419523271), abs=1e-9)
    assert interval.method == "t-hall+2"
    assert interval.gain_barred


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


def test_root_mean_squared_error_gives_the_reference_figures():
    i = steps(40)
    e0, e1 = 1.2 * np.sin(i), np.sin(i) + 0.1 * np.cos(7 * i)
    assert sqrt(np.mean(e0**2)) == pytest.approx(0.8577511307, abs=1e-9)
    assert sqrt(np.mean(e1**2)) == pytest.approx(0.7212906326, abs=1e-9)
    d = root_differences(e0**2, e1**2)
    assert wider_interval(d) == pytest.approx((0.1085894969, 0.1677635324), abs=1e-9)


def test_explained_variance_gives_the_reference_figures():
    i = steps(40)
    y, e0, e1 = 2 * np.sin(i), 1.2 * np.sin(3 * i), np.sin(3 * i) + 0.1 * np.cos(7 * i)
    d = explained_differences(y, e0**2, e1**2)
    assert d.mean() == pytest.approx(0.1159051226, abs=1e-9)
    assert wider_interval(d) == pytest.approx((0.0763336108, 0.1561874280), abs=1e-9)


def test_the_probability_of_being_hurt_gives_the_reference_figures():
    p_t, p_hall = hurt_probabilities(1 - np.exp(2 * np.sin(steps(30))))
    assert p_t == pytest.approx(0.0034347467, abs=1e-9)
    assert p_hall == pytest.approx(0.0010758775, abs=1e-9)


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
