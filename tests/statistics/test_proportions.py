"""Paired proportions: Tango's interval, McNemar's test, Wilson's bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

from everbake.statistics.proportions import (
    mcnemar_one_sided,
    mcnemar_two_sided,
    share_interval,
    tango_interval,
    wilson_bounds,
)

Z = stats.norm.ppf(0.975)


def test_without_differing_pairs_tangos_interval_has_a_closed_form():
    assert tango_interval(0, 0, 37)[1] == pytest.approx(Z**2 / (37 + Z**2), abs=1e-9)


@given(st.integers(0, 40), st.integers(0, 40))
def test_mcnemars_exact_test_is_that_of_statsmodels(b, c):
    table = [[10, b], [c, 10]]
    assert mcnemar_two_sided(b, c) == pytest.approx(mcnemar(table, exact=True).pvalue, abs=1e-12)


def test_the_smallest_table_that_shows_a_gain_is_six_to_none():
    assert share_interval(5, 0, 100).gain_barred
    assert not share_interval(6, 0, 100).gain_barred


counts = st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(1, 400))


@given(counts)
def test_swapping_the_models_mirrors_tangos_interval(drawn):
    b, c, rest = drawn
    there, back = tango_interval(b, c, b + c + rest), tango_interval(c, b, b + c + rest)
    assert there == pytest.approx((-back[1], -back[0]), abs=1e-8)


@given(counts)
def test_tangos_interval_holds_the_difference_and_shrinks_with_rows(drawn):
    b, c, rest = drawn
    n = b + c + rest
    lower, upper = tango_interval(b, c, n)
    assert lower - 1e-9 <= (b - c) / n <= upper + 1e-9
    more = tango_interval(3 * b, 3 * c, 3 * n)
    assert more[1] - more[0] < upper - lower


@given(counts)
def test_another_pair_won_moves_tangos_interval_up(drawn):
    b, c, rest = drawn
    n = b + c + rest
    one, other = tango_interval(b, c, n), tango_interval(b + 1, c, n)
    assert other[0] >= one[0] - 1e-9
    assert other[1] >= one[1] - 1e-9


@given(st.integers(0, 90), st.floats(0.01, 0.2))
def test_wilsons_bounds_are_those_of_statsmodels(successes, level):
    peer = proportion_confint(successes, 90, alpha=2 * level, method="wilson")
    assert wilson_bounds(successes, 90, level) == pytest.approx(peer, abs=1e-10)


def test_the_exact_test_answers_without_differing_pairs():
    assert mcnemar_one_sided(0, 0) == 1.0
