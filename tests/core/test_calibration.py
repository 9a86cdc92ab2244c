"""Metrics of calibration: known to the gate, and what independent code finds."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from statsmodels.api import GLM, add_constant
from statsmodels.genmod.families import Binomial

from everbake import AtMost, judge
from everbake import metrics as ready
from everbake.core.metrics import metric_of


def test_calibration_metrics_are_known_and_see_probabilities():
    for metric in (
        ready.expected_calibration_error,
        ready.calibration_error,
        ready.calibration_slope_gap,
    ):
        known = metric_of(metric)
        assert known.name == metric.__name__
        assert (known.better, known.probabilities, known.wants) == ("lower", True, "scores")


def test_calibration_metrics_are_those_of_an_independent_fit():
    random = np.random.default_rng(5)
    logit = random.normal(size=4000)
    y = (random.random(4000) < 1 / (1 + np.exp(-logit))).astype(int)
    p = 1 / (1 + np.exp(-2 * logit))  # twice too sure
    slope = GLM(y, add_constant(np.log(p / (1 - p))), Binomial()).fit().params[1]
    assert ready.calibration_slope_gap(y, p) == pytest.approx(abs(slope - 1), rel=1e-6)
    happened, told = calibration_curve(y, p, n_bins=15, strategy="quantile")
    # Its bins may differ from ours by a row.
    plug_in = np.mean(np.abs(happened - told))
    assert ready.expected_calibration_error(y, p) == pytest.approx(plug_in, abs=0.003)
    assert (
        0
        < ready.calibration_error(y, p)
        == pytest.approx(np.sqrt(np.mean((happened - told) ** 2)), rel=0.1)
    )
    assert ready.calibration_error(y, 1 / (1 + np.exp(-logit))) < 0.02


def test_there_is_no_slope_where_outcomes_are_separated():
    y = np.arange(50) >= 25
    assert np.isnan(ready.calibration_slope_gap(y, np.where(y, 0.9, 0.1)))


def test_a_limit_on_calibration_turns_a_model_away_that_is_right_in_order_only():
    random = np.random.default_rng(3)
    logit = random.normal(size=1500)
    y = (random.random(1500) < 1 / (1 + np.exp(-logit))).astype(int)
    honest, bold = 1 / (1 + np.exp(-logit)), 1 / (1 + np.exp(-4 * logit))
    limits = [AtMost(ready.calibration_error, 0.1), AtMost(ready.calibration_slope_gap, 0.3)]
    fields = {"metric": ready.log_loss, "guardrails": limits}
    assert judge(y, None, honest, **fields).verdict == "promoted"
    told = judge(y, honest, bold, **fields)
    assert (told.verdict, told.code) == ("rejected", "guardrail")
    assert "calibration" in told.because


def test_where_only_one_outcome_came_a_limit_on_calibration_is_open():
    y, p = np.zeros(60, int), np.linspace(0.1, 0.2, 60)
    told = judge(
        y, None, p, metric=ready.log_loss, guardrails=[AtMost(ready.calibration_error, 0.1)]
    )
    assert told.checks[0].state == "unknown"
