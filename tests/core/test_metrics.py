"""What is known of a metric agrees with scikit-learn's own function of that name."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as peers

from everbake import metrics as ready
from everbake.core.metrics import known_metric, metric_name, metric_of
from everbake.errors import UsageError

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
    assert (metric_of(loss).better, metric_of(loss).best) == ("lower", 0.0)
    assert metric_name(loss) == "pinball_loss(0.9)"
    assert metric_of(loss).row_loss(*VALUES).mean() == pytest.approx(loss(*VALUES))


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
def test_ready_metrics_weigh_rows_as_scikit_learn_does(name, data):
    weights = 1.0 + I % 3
    ours = getattr(ready, name)(*data, sample_weight=weights)
    assert ours == pytest.approx(getattr(peers, name)(*data, sample_weight=weights), rel=1e-12)


class TestMeanCost:
    cost = staticmethod(ready.mean_cost(false_positive=1, false_negative=10))

    def test_it_is_the_price_of_the_confusion_matrix(self):
        y, decisions = LABELS
        _, false_positive, false_negative, _ = peers.confusion_matrix(y, decisions).ravel()
        assert self.cost(y, decisions) == pytest.approx((false_positive + 10 * false_negative) / N)

    def test_labels_and_booleans_are_decisions_too(self):
        y, decisions = LABELS
        words = np.array(["no", "yes"])
        assert self.cost(words[y], words[decisions]) == self.cost(y, decisions)
        assert self.cost(words[y], decisions == 1) == self.cost(y, decisions)

    def test_scores_are_no_decisions(self):
        with pytest.raises(ValueError, match="give the model a threshold"):
            self.cost(*CHANCES)

    @pytest.mark.parametrize("costs", [(-1, 1), (0, 0), (float("inf"), 1), (float("nan"), 1)])
    def test_costs_that_mean_nothing(self, costs):
        with pytest.raises(UsageError, match="EB055"):
            ready.mean_cost(false_positive=costs[0], false_negative=costs[1])


@pytest.mark.parametrize("quantile", [0, 1, -0.5, float("nan")])
def test_a_quantile_lies_between_nothing_and_everything(quantile):
    with pytest.raises(UsageError, match="EB055"):
        ready.pinball_loss(quantile)


class TestGaps:
    frame = pd.DataFrame(
        {
            "y": LABELS[0],
            "decision": LABELS[1],
            "score": CHANCES[1],
            "sex": np.where(I % 3 == 0, "f", "m"),
            "w": 1.0 + I % 4,
        }
    )

    def test_selection_rates(self):
        rates = self.frame.groupby("sex")["decision"].mean()
        gap = ready.selection_rate_gap("sex", fewest=5)
        assert gap(self.frame.y, self.frame.decision, self.frame) == pytest.approx(np.ptp(rates))

    def test_equal_opportunity(self):
        rates = self.frame[self.frame.y == 1].groupby("sex")["decision"].mean()
        gap = ready.equal_opportunity_gap("sex", fewest=5)
        assert gap(self.frame.y, self.frame.decision, self.frame) == pytest.approx(np.ptp(rates))

    def test_calibration(self):
        means = self.frame.groupby("sex")[["y", "score"]].mean()
        gap = ready.calibration_gap("sex", fewest=5)
        expected = (means.y - means.score).abs().max()
        assert gap(self.frame.y, self.frame.score, self.frame) == pytest.approx(expected)

    def test_weights_count(self):
        rates = [np.average(part.decision, weights=part.w) for _, part in self.frame.groupby("sex")]
        gap = ready.selection_rate_gap("sex", fewest=5)
        found = gap(self.frame.y, self.frame.decision, self.frame, sample_weight=self.frame.w)
        assert found == pytest.approx(np.ptp(rates))

    def test_small_groups_are_not_looked_at(self):
        for made in (ready.selection_rate_gap, ready.equal_opportunity_gap):
            assert np.isnan(made("sex", fewest=50)(self.frame.y, self.frame.decision, self.frame))
        gap = ready.calibration_gap("sex", fewest=50)
        assert np.isnan(gap(self.frame.y, self.frame.score, self.frame))

    def test_they_carry_what_is_known_of_them(self):
        gap = ready.selection_rate_gap("sex")
        assert metric_name(gap) == "selection_rate_gap(sex)"
        known = metric_of(gap)
        assert (known.better, known.best, known.wants) == ("lower", 0.0, "decisions")
        assert metric_of(ready.calibration_gap("sex")).wants == "scores"

    def test_without_rows_they_say_what_is_missing(self):
        with pytest.raises(ValueError, match="it needs the column sex"):
            ready.selection_rate_gap("sex")(self.frame.y, self.frame.decision, None)


def test_r2_has_no_value_where_outcomes_do_not_vary():
    assert np.isnan(ready.r2_score([1, 1], [1, 2]))


def test_ready_metrics_are_listed_in_order():
    assert ready.__all__ == sorted(ready.__all__)
