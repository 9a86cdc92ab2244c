"""Calibration: the line, the error over bins, the reliability curve."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.special import expit, logit
from statsmodels.discrete.discrete_model import Logit
from statsmodels.stats.proportion import proportion_confint

from everbake.statistics.bootstrap import Plan
from everbake.statistics.calibration import (
    NotEstimableError,
    _squares,
    calibration_error,
    calibration_line,
    error_interval,
    reliability,
)


def drawn(seed, n=200, intercept=0.0, slope=1.0):
    """Outcomes and probabilities of which `intercept + slope logit(p)` is true."""
    rng = np.random.default_rng(seed)
    p = rng.uniform(0.02, 0.98, n)
    return rng.random(n) < expit(intercept + slope * logit(p)), p


# --- the line -------------------------------------------------------------------------------------


@given(st.integers(0, 9999), st.floats(-1, 1), st.floats(0.3, 2))
def test_the_line_is_the_logistic_regression_of_statsmodels(seed, intercept, slope):
    y, p = drawn(seed, 200, intercept, slope)
    assume(0 < y.sum() < 200)
    line = calibration_line(y, p)
    design = np.column_stack([np.ones(200), logit(p)])
    peer = Logit(y.astype(float), design).fit(disp=0, method="newton", tol=1e-12)
    assert (line.intercept, line.slope) == pytest.approx(peer.params, abs=1e-7)
    assert (line.intercept_error, line.slope_error) == pytest.approx(peer.bse, rel=1e-6)
    both = line.intercept_interval(0.1), line.slope_interval(0.1)
    assert np.array(both) == pytest.approx(peer.conf_int(0.1), abs=1e-6)


def test_certain_answers_are_clipped():
    y, p = drawn(1)
    p[:3], y[:3] = (0.0, 1.0, 1.0), (False, True, False)
    edge = 1e-6
    assert calibration_line(y, p) == calibration_line(y, np.clip(p, edge, 1 - edge))


def separated(n=60):
    p = np.linspace(0.1, 0.9, n)
    return p > 0.5, p


def constant(n=60):
    return np.arange(n) % 3 == 0, np.full(n, 0.3)


def one_class(n=60):
    return np.ones(n, dtype=bool), np.linspace(0.1, 0.9, n)


def steep(n=4000):
    rng = np.random.default_rng(5)
    p = rng.uniform(0.49, 0.51, n)
    return rng.random(n) < expit(80 * logit(p)), p


@pytest.mark.parametrize("case", [separated, constant, one_class, steep])
def test_data_without_a_line_are_said_to_have_none(case):
    with pytest.raises(NotEstimableError):
        calibration_line(*case())


# --- the error over bins --------------------------------------------------------------------------


def bin_by_bin(y, p, bins):
    """Debiased square, plug-in error and its expectation, over bins of equally many rows."""
    order, n = np.argsort(p, kind="stable"), len(p)
    square = plug_in = expected = 0.0
    for rows in np.array_split(order, bins):
        mine, seen, count = p[rows].mean(), y[rows].mean(), len(rows)
        square += count / n * ((mine - seen) ** 2 - seen * (1 - seen) / (count - 1))
        plug_in += count / n * abs(mine - seen)
        spread = np.sqrt(sum(q * (1 - q) for q in p[rows]))
        expected += count / n * np.sqrt(2 / np.pi) * spread / count
    return square, plug_in, expected


@pytest.mark.parametrize("bins", [1, 4, 10])
def test_the_error_is_that_of_each_bin_by_itself(bins):
    y, p = drawn(3)  # 200 rows, so that all bins are of one size
    found = calibration_error(y, p, bins)
    expected = bin_by_bin(y, p, bins)
    assert (found.square, found.plug_in, found.expected) == pytest.approx(expected, abs=1e-12)
    assert found.root == pytest.approx(np.sign(expected[0]) * abs(expected[0]) ** 0.5, abs=1e-12)


def test_chance_alone_is_taken_off_and_what_it_puts_there_is_expected():
    found = [calibration_error(*drawn(seed, 400)) for seed in range(300)]
    squares, plug_in, expected = zip(
        *((e.square, e.plug_in, e.expected) for e in found), strict=True
    )
    error = np.std(squares) / np.sqrt(len(squares))
    assert np.mean(squares) == pytest.approx(0.0, abs=3 * error)
    assert np.mean(plug_in) == pytest.approx(np.mean(expected), rel=0.03)


def test_rows_of_one_probability_stay_together():
    p = np.repeat([0.2, 0.7], [55, 45])
    y = np.arange(100) % 2 == 0
    curve = reliability(y, p)
    assert [(point.predicted, point.n) for point in curve] == [
        (pytest.approx(0.2), 55),
        (pytest.approx(0.7), 45),
    ]
    found = calibration_error(y, p)
    gap = 0.55 * abs(0.2 - y[:55].mean()) + 0.45 * abs(0.7 - y[55:].mean())
    assert found.plug_in == pytest.approx(gap)


def test_few_rows_get_few_bins():
    y, p = drawn(4, 5)
    curve = reliability(y, p)
    assert sum(point.n for point in curve) == 5
    assert all(point.n >= 2 for point in curve)
    assert np.isfinite(calibration_error(y, p).square)


def test_the_curve_carries_wilsons_intervals():
    y, p = drawn(6, 300)
    for point in reliability(y, p):
        hits = round(point.observed * point.n)
        peer = proportion_confint(hits, point.n, alpha=0.05, method="wilson")
        assert (point.lower, point.upper) == pytest.approx(peer, abs=1e-9)
    predicted = [point.predicted for point in reliability(y, p)]
    assert predicted == sorted(predicted)


# --- the interval of the error --------------------------------------------------------------------


def test_resampling_by_weights_is_resampling_of_rows():
    y, p = drawn(4, 300)
    counts = np.bincount(np.random.default_rng(1).integers(0, 300, 300), minlength=300)
    square = _squares(y, p, 15)
    # In bins that stay as they are: each bin's rows as often as they were drawn.
    number = np.searchsorted(np.sort(p), p) * 15 // 300
    expected = 0.0
    for each in range(15):
        rows = np.repeat(np.flatnonzero(number == each), counts[number == each])
        predicted, observed = p[rows].mean(), y[rows].mean()
        chance = observed * (1 - observed) / (len(rows) - 1)
        expected += len(rows) / 300 * ((predicted - observed) ** 2 - chance)
    assert square(counts[None].astype(np.uint8))[0] == pytest.approx(expected, abs=1e-12)
    ones = np.ones((2, 300), np.uint8)
    assert square(ones) == pytest.approx([calibration_error(y, p).square] * 2, abs=1e-12)


@pytest.mark.parametrize(("slope", "root"), [(1.0, 0.0), (0.7, 0.0577)])
def test_the_interval_of_the_error_covers_the_true_one(slope, root):
    missed = 0
    for seed in range(150):
        y, p = drawn(seed, 500, 0.0, slope)
        plan = Plan(500, y.astype(np.intp), seed, resamples=200)
        low, high = error_interval(y, p, plan)
        missed += not low <= root <= high
    # Five in a hundred may: of 150 more than 17 would be one chance in a thousand.
    assert missed <= 17
