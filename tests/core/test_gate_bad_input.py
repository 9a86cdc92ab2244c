"""Metrics, labels, weights and groups that are not what they should be."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from everbake.core.gate import Given, Rules, judge, judge_rows, rail
from everbake.core.metrics import AtMost
from everbake.errors import UsageError, UserCodeError
from everbake.metrics import (
    accuracy_score,
    calibration_gap,
    mean_cost,
    mean_squared_error,
    selection_rate_gap,
)

WAVE = np.sin(5.3 * np.arange(1, 61))


def four_parts(error):
    return all((error.what, error.mend, error.code))


class TestMetrics:
    def test_an_array_of_one_number_is_a_number(self):
        def boxed(y_true, y_pred):
            return np.array([[np.mean((y_true - y_pred) ** 2)]])

        decision = judge(np.zeros(60), WAVE, WAVE / 2, metric=boxed, better="lower")
        assert decision.verdict == "promoted"

    def test_an_array_of_several_is_none(self):
        def a_row_each(y_true, y_pred):
            return (y_true - y_pred) ** 2

        with pytest.raises(
            UserCodeError, match=r"EB311 .* returned ndarray, not a number"
        ) as raised:
            judge(np.zeros(60), WAVE, WAVE / 2, metric=a_row_each, better="lower")
        assert four_parts(raised.value)

    def test_a_metric_that_draws_is_found_out(self):
        rng = np.random.default_rng(1)

        def noisy(y_true, y_pred):
            return float(np.mean(np.abs(y_true - y_pred)) + 1e-6 * rng.random())

        with pytest.raises(UserCodeError, match="EB318 the metric noisy gave") as raised:
            judge(np.zeros(60), WAVE, WAVE / 2, metric=noisy, better="lower")
        assert four_parts(raised.value)
        assert raised.value.why
        with pytest.raises(UserCodeError, match="EB318"):
            judge(np.zeros(60), None, WAVE, metric=noisy, better="lower")
        with pytest.raises(UserCodeError, match="EB318"):
            judge(
                np.zeros(60),
                None,
                WAVE,
                metric=mean_squared_error,
                guardrails=[AtMost(noisy, 1)],
            )

    def strict(self, y_true, y_pred):
        """A metric of the user's that needs two classes."""
        if len(np.unique(y_true)) < 2:
            raise ValueError("only one class present")
        return float(sk.roc_auc_score(y_true, y_pred))

    def test_raising_over_one_class_is_inconclusive(self):
        ask = partial(judge, np.ones(60, int), metric=self.strict, better="higher")
        decision = ask(WAVE, WAVE[::-1])
        assert (decision.verdict, decision.code) == ("inconclusive", "one_class")
        assert decision.because == (
            "Because all 60 held-out rows have the outcome 1; strict needs others, too (the metric "
            "strict raised ValueError: only one class present). The model in use stays."
        )
        assert ask(WAVE, WAVE).code == "same_predictions"
        first = ask(None, WAVE)
        assert (first.verdict, first.code, first.candidate) == ("promoted", "first", None)

    def test_raising_over_several_is_the_users_code(self):
        def fragile(y_true, y_pred):
            raise ValueError("no")

        with pytest.raises(UserCodeError, match="EB310"):
            judge(np.arange(60.0), WAVE, WAVE / 2, metric=fragile, better="lower")

    def test_values_that_a_known_metric_cannot_take_are_its_own_error(self):
        with pytest.raises(UserCodeError, match="EB310 the metric mean_squared_log_error raised"):
            judge(np.arange(60.0), WAVE - 3, WAVE - 4, metric=sk.mean_squared_log_error)


class TestLabels:
    def test_numbers_where_outcomes_are_text_are_no_answers(self):
        y = np.array(["0", "1"] * 10)
        rules = Rules("accuracy_score", accuracy_score, "higher")
        decision = judge_rows(Given(y, y, np.array([0, 1] * 10)), rules)
        assert (decision.verdict, decision.code) == ("rejected", "bad_output")
        assert "20 of 20 held-out rows (numbers where the outcomes are text)" in decision.because
        decision = judge_rows(Given(np.array([0, 1] * 10), None, y), rules)
        assert "(text where the outcomes are numbers)" in decision.because

    def test_a_champion_with_answers_of_another_type_is_broken(self):
        y = np.array([0, 1] * 10)
        decision = judge(y, y.astype(str), y, metric=sk.accuracy_score)
        assert (decision.verdict, decision.code) == ("promoted", "champion_broken")

    def test_booleans_and_numbers_are_the_same_labels(self):
        y = np.array([0, 1] * 20)
        decision = judge(y == 1, y.astype(float), y, metric=accuracy_score)
        assert decision.code == "same_predictions"

    def test_one_class_of_words_is_not_decided_by_log_loss(self):
        scores = np.clip(0.5 + WAVE / 3, 0, 1)
        decision = judge(np.array(["no"] * 60), scores, scores**2, metric=sk.roc_auc_score)
        assert (decision.verdict, decision.code) == ("inconclusive", "one_class")


class TestWeights:
    @pytest.mark.parametrize(
        "weights",
        [[1.0, -1.0], [1.0, np.nan], [1.0, np.inf], ["a", "b"], [None, 1.0], [True, "x"]],
    )
    def test_weights_that_cannot_be_used(self, weights):
        with pytest.raises(UsageError, match="EB053") as raised:
            judge([1.0, 2.0], [1.0, 2.0], [2.0, 3.0], metric=mean_squared_error, weights=weights)
        assert four_parts(raised.value)
        assert "row " in raised.value.where

    def test_a_metric_that_takes_none_refuses_them(self):
        with pytest.raises(UsageError, match=r"EB054 .* metric max_error takes none") as raised:
            judge(np.zeros(60), WAVE, WAVE / 2, metric=sk.max_error, weights=1 + WAVE**2)
        assert four_parts(raised.value)


class TestDecisions:
    cost = staticmethod(mean_cost(false_positive=1, false_negative=10))

    def given(self, thresholds):
        rng = np.random.default_rng(3)
        y = rng.integers(0, 2, 400)
        before = np.clip(0.6 * y + 0.4 * rng.random(400), 0, 1)
        after = np.clip(0.6 * y + 0.4 * rng.random(400), 0, 1) / 2
        return y, before, after, Given(y, before, after, thresholds=thresholds)

    def test_each_model_decides_at_its_own_threshold(self):
        y, before, after, given = self.given((0.5, 0.25, None))
        decision = judge_rows(given, Rules("mean_cost", self.cost, "lower"))
        assert decision.champion == pytest.approx(self.cost(y, before >= 0.5))
        assert decision.candidate == pytest.approx(self.cost(y, after >= 0.25))

    def test_the_same_scores_at_other_thresholds_are_other_answers(self):
        y, before, _, _ = self.given((None, None, None))
        given = Given(y, before, before, thresholds=(0.1, 0.9, None))
        decision = judge_rows(given, Rules("mean_cost", self.cost, "lower"))
        assert decision.code not in {"same_predictions", "same_loss"}
        assert decision.evidence.method == "t-hall"

    def test_scores_without_a_threshold_are_no_answers(self):
        *_, given = self.given((0.5, None, None))
        decision = judge_rows(given, Rules("mean_cost", self.cost, "lower"))
        assert (decision.verdict, decision.code) == ("rejected", "bad_output")
        assert "scores where decisions are needed: it has no threshold" in decision.because

    def test_fairness_gaps_are_limits_on_decisions_and_scores(self):
        y, before, after, _ = self.given((None, None, None))
        rows = pd.DataFrame({"sex": np.where(np.arange(400) % 2, "f", "m")})
        rules = Rules(
            "log_loss",
            sk.log_loss,
            "lower",
            guardrails=tuple(
                rail(AtMost(each, 0.9))
                for each in (selection_rate_gap("sex"), calibration_gap("sex"))
            ),
        )
        given = Given(y, before, after, rows=rows, thresholds=(0.5, 0.25, None))
        decision = judge_rows(given, rules)
        decided = after >= 0.25
        rates = [decided[rows.sex == one].mean() for one in ("f", "m")]
        assert f"selection_rate_gap(sex) is {np.ptp(rates):.4g} on 400" in (
            decision.checks[0].detail
        )
        assert decision.checks[1].name == "calibration_gap(sex) at most 0.9"
        assert {check.state for check in decision.checks} == {"pass"}

    def test_a_fairness_gap_may_decide(self):
        y, before, after, _ = self.given((None, None, None))
        rows = {"sex": np.where(np.arange(400) % 2, "f", "m")}
        decision = judge(y, before, after, metric=calibration_gap("sex"), rows=rows)
        assert decision.evidence.method == "bootstrap"
