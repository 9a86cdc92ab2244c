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


@pytest.mark.parametrize(
    ("b", "c", "n", "interval"),
    [
        (12, 2, 100, (0.0310005187, 0.1818816695)),
        (6, 0, 50, (0.0400906890, 0.2380481738)),
        (3, 9, 500, (-0.0286140126, 0.0018594688)),
        (0, 0, 1000, (-0.0038267585, 0.0038267585)),
    ],
)
def test_tangos_interval_gives_the_published_figures(b, c, n, interval):
    assert tango_interval(b, c, n) == pytest.approx(interval, abs=1e-8)


def test_without_differing_pairs_tangos_interval_has_a_closed_form():
    assert tango_interval(0, 0, 37)[1] == pytest.approx(Z**2 / (37 + Z**2), abs=1e-9)


def test_mcnemars_exact_test_gives_the_reference_figures():
    assert mcnemar_two_sided(12, 2) == pytest.approx(0.012939453125, abs=1e-12)
    assert mcnemar_one_sided(12, 2) == pytest.approx(0.0064697265625, abs=1e-12)
    assert mcnemar_one_sided(5, 0) == pytest.approx(0.03125)
    assert mcnemar_one_sided(6, 0) == pytest.approx(0.015625)
    assert mcnemar_one_sided(0, 0) == 1.0


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


def exact_coverage(p10, p01, n):
    """Probability that Tango's interval holds p10 - p01, by enumeration of likely tables."""
    truth, total = p10 - p01, 0.0
    highs = [int(stats.binom.ppf(1 - 1e-9, n, p)) + 1 for p in (p10, p01)]
    for b in range(highs[0] + 1):
        for c in range(highs[1] + 1):
            mass = stats.multinomial.pmf([b, c, n - b - c], n, [p10, p01, 1 - p10 - p01])
            if mass > 1e-12:
                lower, upper = tango_interval(b, c, n)
                total += mass * (lower <= truth <= upper)
    return 100 * total


def test_tangos_exact_coverage_gives_the_reference_figure():
    assert exact_coverage(0.008, 0.002, 1000) == pytest.approx(94.66, abs=0.01)


def test_wilsons_bounds_give_the_reference_figures():
    assert wilson_bounds(170, 200)[0] == pytest.approx(0.8038124011, abs=1e-9)
    assert wilson_bounds(169, 200)[0] == pytest.approx(0.7983316078, abs=1e-9)
    peer = proportion_confint(31, 90, alpha=0.1, method="wilson")
    assert wilson_bounds(31, 90) == pytest.approx(peer, abs=1e-10)
