"""Evidence that may be looked at at any time: reference figures, and what must always hold."""

from math import exp, inf, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.special import betaln

from everbake.statistics.running import (
    Moments,
    moments,
    one_sided,
    paired,
    two_sided,
    unpaired,
)
from everbake.statistics.sequential import (
    RATIOS,
    Split,
    better,
    log_mean_exp,
    rate_interval,
    ratio_interval,
    under_cap,
    uneven_traffic,
    worse,
)
from everbake.statistics.sketch import sketch

REL = 1e-3


def near(value):
    return pytest.approx(value, rel=REL)


def least(holds):
    """The least number from 1 on for which something holds."""
    return next(n for n in range(1, 100_000) if holds(n))


@pytest.mark.parametrize(
    ("stages", "evidence"),
    [([Split(0.5, 30, 42)], 2.7347), ([Split(0.05, 4, 10), Split(0.25, 6, 20)], 1.0949)],
)
def test_evidence_of_being_worse(stages, evidence):
    assert worse(stages) == near(evidence)


@pytest.mark.parametrize(
    ("stages", "evidence"), [([Split(0.5, 50, 100)], 0.8040), ([Split(0.1, 10, 100)], -0.0428)]
)
def test_evidence_of_being_better(stages, evidence):
    assert better(stages, 1.5) == pytest.approx(evidence, rel=REL, abs=5e-5)


@pytest.mark.parametrize(
    ("split", "interval"),
    [
        (Split(0.5, 200, 300), (1.348, 3.025)),
        (Split(0.5, 30, 42), (0.897, 8.366)),
        (Split(0.5, 0, 20), (0.0, 0.2975)),
        (Split(0.1, 10, 100), (0.2845, 2.539)),
    ],
)
def test_confidence_sequence_of_the_ratio(split, interval):
    assert ratio_interval([split]) == near(interval)


def test_nothing_is_known_of_the_ratio_before_the_first_event():
    assert ratio_interval([Split(0.5, 0, 0)]) == (0.0, inf)


def test_nine_canary_events_in_a_row_are_evidence_at_two_percent():
    assert worse([Split(0.5, 8, 8)]) == near(3.8084)
    assert worse([Split(0.5, 9, 9)]) == near(4.3731)
    assert least(lambda k: worse([Split(0.5, k, k)]) >= log(50)) == 9
    assert worse([Split(0.1, 3, 3)]) == near(4.006)


def test_evidence_under_a_cap():
    assert least(lambda n: under_cap(0, n, 0.006) >= log(20)) == 709
    assert least(lambda n: under_cap(0, n, 0.006) >= log(40)) == 849
    assert under_cap(20, 10_000, 0.006) == near(16.2613)
    assert under_cap(0, 10_000, 1.0) == -inf


@pytest.mark.parametrize(
    ("events", "units", "interval"),
    [
        (10, 1000, (0.002406, 0.026164)),
        (0, 100, (0.0, 0.05703)),
        (1, 10, (0.000466, 0.54401)),
        (0, 0, (0.0, 1.0)),
    ],
)
def test_confidence_sequence_of_a_rate(events, units, interval):
    assert rate_interval(events, units) == near(interval)


def test_traffic_check():
    assert uneven_traffic([Split(0.5, 5000, 10_000)]) == near(-1.1992)
    assert uneven_traffic([Split(0.5, 5200, 10_000)]) == near(6.0758)
    assert uneven_traffic([Split(0.5, 5211, 10_000)]) < log(1000)
    assert uneven_traffic([Split(0.5, 5212, 10_000)]) >= log(1000)


def test_widths_of_the_asymptotic_confidence_sequence():
    widths = [two_sided(t, 0.05) for t in (100, 1000, 5000, 100_000)]
    assert widths == near([6.6944, 3.3639, 3.0352, 3.3369])
    assert one_sided(1000, 0.05) == near(3.1524)
    assert [one_sided(t, 0.02) for t in (1000, 5000)] == near([3.4498, 3.1210])


def test_the_evidence_is_the_likelihood_ratio_of_the_arm_labels():
    def chance(ratio):
        return 0.2 * ratio / (0.2 * ratio + 0.8)

    null = stats.binom.logpmf(7, 30, chance(1.2))
    terms = [stats.binom.logpmf(7, 30, chance(1.2 * h)) - null for h in RATIOS]
    assert worse([Split(0.2, 7, 30)], 1.2) == pytest.approx(log_mean_exp(terms), rel=1e-9)


def test_the_traffic_evidence_is_scipys_beta_binomial():
    mixture = stats.betabinom.logpmf(130, 1000, 100, 900)
    null = stats.binom.logpmf(130, 1000, 0.1)
    assert uneven_traffic([Split(0.1, 130, 1000)]) == pytest.approx(mixture - null, rel=1e-8)


def test_the_ends_of_a_rate_are_where_the_mixture_has_twenty_times_the_likelihood():
    for p in rate_interval(10, 1000):
        mixture = betaln(10.5, 990.5) - betaln(0.5, 0.5)
        assert mixture - stats.binom.logpmf(10, 1000, p) + stats.binom.logpmf(10, 1000, 0.01) - (
            10 * log(0.01) + 990 * log(0.99)
        ) == pytest.approx(log(20), rel=1e-6)


shares = st.floats(0.001, 0.999)
splits = st.builds(
    lambda share, canary, champion: Split(share, canary, canary + champion),
    shares,
    st.integers(0, 300),
    st.integers(0, 300),
)
stages = st.lists(splits, min_size=1, max_size=4)


@given(stages, shares, st.floats(0.05, 20))
def test_one_more_event_multiplies_the_evidence_by_one_on_average(drawn, share, ratio):
    chance = share * ratio / (share * ratio + 1 - share)
    now = [*drawn, Split(share, 0, 0)]
    canary, champion = [*drawn, Split(share, 1, 1)], [*drawn, Split(share, 0, 1)]
    for evidence in (worse, better):
        base = evidence(now, ratio)
        mean = chance * exp(min(evidence(canary, ratio) - base, 50)) + (1 - chance) * exp(
            min(evidence(champion, ratio) - base, 50)
        )
        assert mean == pytest.approx(1, rel=1e-6)


@given(stages, shares, st.floats(0.05, 20), st.floats(0.1, 1))
def test_under_the_null_the_evidence_does_not_grow(drawn, share, ratio, part):
    true = ratio * part
    chance = share * true / (share * true + 1 - share)
    base = worse(drawn, ratio)
    grown = [exp(worse([*drawn, Split(share, k, 1)], ratio) - base) for k in (1, 0)]
    assert chance * grown[0] + (1 - chance) * grown[1] <= 1 + 1e-9


@given(stages, st.floats(0.05, 20), st.floats(1.01, 4))
def test_evidence_falls_and_rises_with_the_ratio(drawn, ratio, more):
    assert worse(drawn, ratio * more) <= worse(drawn, ratio) + 1e-9
    assert better(drawn, ratio * more) >= better(drawn, ratio) - 1e-9


@given(stages, st.sampled_from([0.01, 0.05, 0.2]))
def test_the_ends_of_the_ratio_carry_exactly_the_evidence_asked_for(drawn, alpha):
    lower, upper = ratio_interval(drawn, alpha)
    assert lower < upper
    if lower > 0:
        assert worse(drawn, lower) == pytest.approx(log(2 / alpha), abs=1e-6)
    if upper < inf:
        assert better(drawn, upper) == pytest.approx(log(2 / alpha), abs=1e-6)


@given(st.integers(0, 2000), st.integers(0, 2000))
def test_a_rate_lies_within_its_interval(events, good):
    lower, upper = rate_interval(events, events + good)
    assert 0 <= lower <= upper <= 1
    if events + good:
        assert lower <= events / (events + good) <= upper


def test_a_split_too_uneven_carries_no_evidence():
    assert worse([Split(0.9995, 90, 90)]) == 0
    assert better([Split(0.0005, 0, 900)]) == 0
    assert uneven_traffic([Split(1.0, 90, 100)]) == 0


def test_large_counts_stay_finite():
    assert worse([Split(0.5, 10**6, 10**6 + 1)]) == pytest.approx(10**6 * log(32 / 17), rel=1e-4)
    assert under_cap(10**6, 10**6, 0.5) == pytest.approx(-(10**6) * log(1.1), rel=1e-4)


values = st.lists(st.floats(-1e6, 1e6), max_size=40)


@given(values, values)
def test_merged_moments_are_those_of_all_values(first, second):
    merged, whole = moments(first).merge(moments(second)), moments(first + second)
    assert merged.n == whole.n
    assert merged.mean == pytest.approx(whole.mean, rel=1e-9, abs=1e-6)
    assert merged.m2 == pytest.approx(whole.m2, rel=1e-9, abs=1e-3)


def test_moments_are_numpys():
    d = np.sin(np.arange(50.0)) + 1e6
    kept = moments(d)
    assert (kept.mean, kept.variance) == pytest.approx((d.mean(), d.var(ddof=1)), rel=1e-9)


def test_a_paired_estimate_needs_a_hundred_rows_that_differ():
    assert paired(moments([0.1, 0.3] * 49)) is None
    assert paired(moments([0.5] * 200)) is None
    estimate = paired(moments([0.1, 0.3] * 100))
    assert estimate.difference == pytest.approx(0.2)
    low, high = estimate.interval(0.05)
    assert low < estimate.lower(0.05) < 0.2 < estimate.upper(0.05) < high


def test_an_unpaired_estimate_takes_the_larger_variance():
    small, large = Moments(100, 2.0, 99 * 4.0), Moments(400, 1.5, 399 * 1.0)
    estimate = unpaired([(small, large)])
    assert estimate.difference == pytest.approx(0.5)
    assert estimate.error == pytest.approx((4.0 * (1 / 100 + 1 / 400)) ** 0.5)
    assert estimate.n == 500
    assert unpaired([(Moments(99, 2.0, 400.0), large)]) is None
    assert unpaired([(Moments(100), Moments(100))]) is None


def test_a_level_that_moves_with_the_traffic_is_no_difference():
    calm, storm = Moments(1000, 1.0, 999.0), Moments(1000, 9.0, 999.0)
    few = (Moments(100, 1.0, 99.0), calm), (storm, Moments(100, 9.0, 99.0))
    assert unpaired(few).difference == pytest.approx(0)


@given(values.filter(bool), values)
def test_sketches_add_up_and_give_quantiles_within_two_percent(first, second):
    both = sketch(first).merge(sketch(second))
    assert both == sketch(first + second)
    ordered = np.sort(first + second)
    for q in (0.05, 0.5, 0.95):
        true = np.quantile(ordered, q, method="inverted_cdf")
        assert both.quantile(q) == pytest.approx(true, rel=0.021, abs=2e-9)


def test_an_empty_sketch_has_no_quantile():
    assert sketch([]).quantile(0.5) is None
