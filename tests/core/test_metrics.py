"""What is known of a metric agrees with scikit-learn's own function of that name."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn import metrics as peers

from everbake import metrics as ready
from everbake.core.metrics import known_metric, metric_name, metric_of

N = 60
I = np.arange(1, N + 1)  # noqa: E741 - the row number
VALUES = 3 + np.sin(I), 3 + np.sin(I) + 0.3 * np.cos(5 * I)
LABELS = (np.sin(I) > 0).astype(int), (np.sin(I) + 0.4 * np.cos(5 * I) > 0).astype(int)
CHANCES = LABELS[0], np.clip(0.5 + 0.45 * np.sin(I + 0.4), 0, 1)
MEANS = [
    ("mean_squared_error", VALUES),
    ("mean_absolute_error", VALUES),
    ("mean_pinball_loss", VALUES),
    ("mean_squared_log_error", VALUES),
    ("mean_absolute_percentage_error", VALUES),
    ("log_loss", CHANCES),
    ("brier_score_loss", CHANCES),
    ("zero_one_loss", LABELS),
    ("hamming_loss", LABELS),
]


@pytest.mark.parametrize(("name", "data"), MEANS)
def test_the_mean_row_loss_is_scikit_learns_metric(name, data):
    metric = known_metric(name)
    assert metric.row_loss(*data).mean() == pytest.approx(getattr(peers, name)(*data), rel=1e-12)
    assert (metric.better, metric.best) == ("lower", 0.0)


@pytest.mark.parametrize("name", ["root_mean_squared_error", "root_mean_squared_log_error"])
def test_the_root_of_the_mean_row_loss_is_scikit_learns_metric(name):
    loss = known_metric(name).row_loss(*VALUES)
    assert np.sqrt(loss.mean()) == pytest.approx(getattr(peers, name)(*VALUES), rel=1e-12)


def test_log_loss_of_a_matrix_of_probabilities_is_scikit_learns():
    y = np.array(["a", "b", "c", "a", "c"])
    p = np.array(
        [[0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.0, 0.0, 1.0], [0, 0.5, 0.5], [0.2, 0.2, 0.6]]
    )
    assert known_metric("log_loss").row_loss(y, p).mean() == pytest.approx(peers.log_loss(y, p))


def test_string_labels_have_the_last_in_order_as_the_positive_class():
    y = np.array(["no", "yes", "yes", "no"])
    p = np.array([0.2, 0.9, 0.6, 0.4])
    assert known_metric("log_loss").row_loss(y, p).mean() == pytest.approx(peers.log_loss(y, p))


@pytest.mark.parametrize(
    "name", ["accuracy_score", "r2_score", "roc_auc_score", "f1_score", "average_precision_score"]
)
def test_scores_are_better_when_higher_and_best_at_one(name):
    metric = known_metric(name)
    assert (metric.better, metric.best) == ("higher", 1.0)


def test_every_known_name_is_one_of_scikit_learns():
    from everbake.core.metrics import _KNOWN

    assert [name for name in _KNOWN if not hasattr(peers, name)] == []


def test_a_stranger_is_not_known():
    assert known_metric("profit") is None


def test_a_metric_is_named_after_its_function_or_its_class():
    class Profit:
        def __call__(self, y, p):
            return 0.0

    assert metric_name(peers.f1_score) == "f1_score"
    assert metric_name(Profit()) == "Profit"


def test_knowing_metrics_loads_no_library():
    code = (
        "import sys, everbake.core.metrics; "
        "print([m for m in ('numpy', 'scipy', 'sklearn') if m in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert answer.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("mean_squared_error", VALUES),
        ("root_mean_squared_error", VALUES),
        ("mean_absolute_error", VALUES),
        ("r2_score", VALUES),
        ("accuracy_score", LABELS),
        ("brier_score_loss", CHANCES),
        ("log_loss", CHANCES),
    ],
)
def test_ready_metrics_give_scikit_learns_figures(name, data):
    assert getattr(ready, name)(*data) == pytest.approx(getattr(peers, name)(*data), rel=1e-12)


def test_a_ready_pinball_loss_is_scikit_learns_of_that_quantile():
    loss = ready.pinball_loss(0.9)
    assert loss(*VALUES) == pytest.approx(peers.mean_pinball_loss(*VALUES, alpha=0.9))
    assert known_metric(metric_name(loss)).better == "lower"


def test_r2_has_no_value_where_outcomes_do_not_vary():
    assert np.isnan(ready.r2_score([1, 1], [1, 2]))


def test_ready_metrics_are_listed_in_order():
    assert ready.__all__ == sorted(ready.__all__)


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
    from sklearn.calibration import calibration_curve
    from statsmodels.api import GLM, add_constant
    from statsmodels.genmod.families import Binomial

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
