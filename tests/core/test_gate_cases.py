"""Cases that are settled before an interval: bad answers, ties, too few rows."""

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from everbake.core.gate import Given, Rules, judge, judge_rows
from everbake.metrics import mean_absolute_error, mean_squared_error


def mse_rules(**options):
    return Rules("mean_squared_error", mean_squared_error, "lower", **options)


def waves(n):
    i = np.arange(1, n + 1)
    return i, np.zeros(n), np.sin(5.3 * i)


class TestFirstAndBadAnswers:
    def test_without_a_champion_the_first_version_is_promoted(self):
        decision = judge([2.0, 4.0], None, [2.0, 4.5], metric=sk.mean_squared_error)
        assert (decision.verdict, decision.code) == ("promoted", "first")
        assert decision.candidate == pytest.approx(0.125)
        assert decision.champion is decision.interval is decision.difference is None
        assert decision.because == (
            "Because there is no earlier model to compare with; "
            "its mean_squared_error on 2 held-out rows is 0.125."
        )

    def test_a_first_version_without_a_held_out_row_is_promoted_without_a_figure(self):
        decision = judge_rows(Given([], None, []), mse_rules())
        assert (decision.verdict, decision.code, decision.n) == ("promoted", "first", 0)
        assert decision.candidate is None

    def test_a_first_version_whose_metric_is_undefined_is_promoted_and_says_so(self):
        decision = judge([1, 1, 1], None, [0.2, 0.3, 0.4], metric=sk.roc_auc_score)
        assert (decision.verdict, decision.candidate) == ("promoted", None)
        assert (
            "all 3 held-out rows have the outcome 1; roc_auc_score needs both" in decision.because
        )

    @pytest.mark.parametrize("champion", [None, [1.0, 2.0, 3.0]])
    @pytest.mark.parametrize("answers", [[1.0, 2.0], [1.0, 2.0, 3.0, 4.0], 1.0])
    def test_the_wrong_number_of_answers_is_rejected(self, champion, answers):
        decision = judge_rows(Given([1.0, 2.0, 3.0], champion, answers), mse_rules())
        assert (decision.verdict, decision.code) == ("rejected", "bad_output")
        assert "no valid answer on 3 of 3 held-out rows" in decision.because

    @pytest.mark.parametrize("champion", [None, [1.0, 2.0, 3.0]])
    @pytest.mark.parametrize("bad", [float("nan"), float("inf"), None])
    def test_an_answer_that_is_no_number_is_rejected(self, champion, bad):
        decision = judge_rows(Given([1.0, 2.0, 3.0], champion, [1.0, bad, 3.0]), mse_rules())
        assert (decision.verdict, decision.code) == ("rejected", "bad_output")
        assert "on 1 of 3 held-out rows" in decision.because
        assert "first: row 2" in decision.because

    def test_a_probability_above_one_is_rejected(self):
        decision = judge([0, 1, 1], [0.1, 0.9, 0.8], [0.1, 0.9, 1.2], metric=sk.log_loss)
        assert (decision.verdict, decision.code) == ("rejected", "bad_output")

    def test_an_invalid_answer_on_a_row_without_outcome_counts_too(self):
        decision = judge_rows(Given([1.0, None], [1.0, 1.0], [1.0, np.nan]), mse_rules())
        assert decision.code == "bad_output"

    def test_a_champion_that_answers_nothing_is_replaced(self):
        for before in ([np.nan] * 3, [1.0, 2.0]):
            decision = judge_rows(Given([1.0, 2.0, 3.0], before, [1.0, 2.0, 3.5]), mse_rules())
            assert (decision.verdict, decision.code) == ("promoted", "champion_broken")
            assert (
                "no valid answer on 3 of 3 held-out rows; the new one answers all"
                in decision.because
            )

    def test_rows_that_the_champion_cannot_answer_are_left_out(self):
        i, y, e0 = waves(400)
        after = e0 + 0.1 * np.cos(2.9 * i)
        broken = np.append(e0, [np.nan, np.inf])
        decision = judge_rows(
            Given(np.append(y, [9, 9]), broken, np.append(after, [1, 1])), mse_rules()
        )
        assert decision.n == 400
        assert decision.interval == pytest.approx((-0.01476232, 0.00491479), abs=1e-8)
        assert decision.evidence.notes[0] == (
            "the model in use gives no valid answer on 2 of 402 held-out rows; they were left out."
        )

    def test_a_metric_without_a_value_for_the_champion_does_not_keep_it(self):
        def correlation(y, p):
            return float(np.corrcoef(y, p)[0, 1]) if np.ptp(p) else float("nan")

        y = np.arange(30.0)
        decision = judge(y, np.ones(30), y + 0.1, metric=correlation, better="higher")
        assert (decision.verdict, decision.code) == ("promoted", "champion_broken")

    def test_a_champion_made_for_another_metric_does_not_stay_for_ever(self):
        y = np.array([0, 1] * 20)
        labels = np.array(["no", "yes"] * 20)
        decision = judge(y, labels, np.where(y, 0.8, 0.2), metric=sk.log_loss)
        assert (decision.verdict, decision.code) == ("promoted", "champion_broken")
        assert "cannot be scored" in decision.because
        decision = judge(y, np.ones((40, 3)), np.where(y, 0.8, 0.2), metric=sk.roc_auc_score)
        assert (decision.verdict, decision.code) == ("promoted", "champion_broken")

    def test_answers_of_the_wrong_shape_are_rejected(self):
        y = np.arange(30.0)
        decision = judge(y, y + 0.1, np.zeros((30, 3)), metric=sk.mean_squared_error)
        assert (decision.verdict, decision.code) == ("rejected", "bad_output")
        assert "shape (30, 3)" in decision.because

    def test_r2_of_one_outcome_is_not_decided_by_log_loss(self):
        noise = np.sin(np.arange(40)) / 100
        y = np.full(40, 0.3)
        decision = judge(y, 0.3 + noise, 0.9 + noise, metric=sk.r2_score)
        assert decision.verdict == "inconclusive"


class TestUnknownOutcomes:
    def test_rows_without_an_outcome_are_left_out_and_counted(self):
        i, y, e0 = waves(400)
        after = e0 + 0.1 * np.cos(2.9 * i)
        truth = np.append(y, [np.nan, np.nan])
        decision = judge_rows(
            Given(truth, np.append(e0, [0, 0]), np.append(after, [5, 5])), mse_rules()
        )
        assert decision.n == 400
        assert decision.interval[0] == pytest.approx(-0.01476232, abs=1e-8)
        assert decision.evidence.notes[0] == "2 rows without a known outcome were left out."

    @pytest.mark.parametrize("missing", [None, float("nan"), pd.NA, pd.NaT])
    def test_no_known_outcome_is_inconclusive(self, missing):
        decision = judge_rows(Given([missing] * 3, [1.0] * 3, [2.0] * 3), mse_rules())
        assert (decision.verdict, decision.code, decision.n) == ("inconclusive", "no_rows", 0)
        assert decision.because == (
            "Because no held-out row with a known outcome is left, so nothing can be compared. "
            "The model in use stays."
        )

    def test_labels_may_be_missing(self):
        y = np.array(["a", None, "b", "a"], dtype=object)
        rules = Rules("accuracy_score", sk.accuracy_score, "higher")
        decision = judge_rows(Given(y, ["a", "a", "b", "a"], ["a", "b", "b", "a"]), rules)
        assert (decision.n, decision.code) == (3, "same_predictions")


class TestTies:
    @pytest.mark.parametrize("n", [1, 2, 3])
    def test_the_first_example_is_promoted_on_any_number_of_rows(self, n):
        y = np.array([12.0, 14.0, 16.0])[:n]
        before = y + np.array([1e-15, -8e-16, 2e-15])[:n]
        decision = judge_rows(Given(y, before, y, more_rows=3), mse_rules())
        assert (decision.verdict, decision.code) == ("promoted", "same_predictions")
        assert (decision.difference, decision.interval) == (0.0, (0.0, 0.0))
        assert decision.candidate == 0.0
        assert decision.champion < 1e-9
        assert decision.because.startswith("Because on ")
        assert decision.because.endswith(
            "the new one has learned from 3 more rows and nothing speaks against it."
        )

    def test_rounding_is_named_with_its_size(self):
        decision = judge([2.0, 4.0], [2.0, 4.0], [2.0, 4.0 + 8e-16 * 2], metric=mean_squared_error)
        assert decision.because == (
            "Because on all 2 held-out rows both models give the same answers "
            "(largest difference 2e-15, rounding only); nothing speaks against the new one."
        )

    def test_a_challenge_with_the_same_answers_shows_nothing(self):
        decision = judge([1, 2], [1, 2], [1, 2], metric=mean_squared_error, rule="challenge")
        assert (decision.verdict, decision.code) == ("inconclusive", "same_predictions")
        assert decision.because.endswith("the change brings no visible difference.")

    def test_labels_that_are_all_equal_are_the_same_answers(self):
        decision = judge(["a", "b"], ["b", "b"], ["b", "b"], metric=sk.accuracy_score)
        assert (decision.verdict, decision.code) == ("promoted", "same_predictions")

    def test_answers_in_single_precision_round_more_coarsely(self):
        y = np.full(5, 10.0)
        before = y.astype(np.float32)
        after = before + np.float32(4e-5)
        assert judge(y, before, after, metric=mean_squared_error).code == "same_predictions"
        exact = judge(y, before.astype(float), after.astype(float), metric=mean_squared_error)
        assert exact.code != "same_predictions"

    @pytest.mark.parametrize(
        "metric", [mean_squared_error, sk.root_mean_squared_error, mean_absolute_error, sk.r2_score]
    )
    def test_two_models_that_are_right_to_within_rounding(self, metric):
        y = np.array([10.0, 9.0, 8.0])
        before, after = y - 7e-9, y + 8e-9
        decision = judge(y, before, after, metric=metric)
        assert (decision.verdict, decision.code) == ("promoted", "both_exact")
        assert "to within rounding (largest error 8e-09 where values reach 10)" in decision.because
        challenge = judge(y, before, after, metric=metric, rule="challenge")
        assert (challenge.verdict, challenge.code) == ("inconclusive", "both_exact")

    def test_errors_far_below_the_outcomes_are_the_same_answers(self):
        y = np.array([10.0, 9.0, 8.0])
        decision = judge(y, y + 1e-12, y + 3e-12, metric=mean_squared_error)
        assert (decision.verdict, decision.code) == ("promoted", "same_predictions")

    def test_equal_losses_of_different_answers(self):
        y = np.zeros(30)
        decision = judge(y, np.ones(30), -np.ones(30), metric=mean_squared_error)
        assert (decision.verdict, decision.code) == ("promoted", "same_loss")
        assert "the answers differ on 30 rows, but both are equally right" in decision.because
        challenge = judge(y, np.ones(30), -np.ones(30), metric=mean_squared_error, rule="challenge")
        assert challenge.verdict == "inconclusive"

    def test_wrong_labels_of_two_kinds_are_equally_wrong(self):
        y = ["a"] * 25
        decision = judge(y, ["b"] * 25, ["c"] * 25, metric=sk.accuracy_score)
        assert decision.code == "same_loss"

    def test_the_same_ranking_by_other_scores(self):
        y = np.tile([0, 1], 20)
        scores = np.linspace(0.1, 0.9, 40)
        decision = judge(y, scores, scores**2, metric=sk.roc_auc_score)
        assert (decision.verdict, decision.code) == ("promoted", "same_loss")

    def test_a_resampled_metric_that_sees_no_difference(self):
        y = np.arange(30.0)
        decision = judge(y, y + 1, y - 1, metric=sk.median_absolute_error)
        assert (decision.verdict, decision.code) == ("promoted", "same_loss")
