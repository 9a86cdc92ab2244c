"""The gate's verdicts: reference cases, every tie, guardrails, and what must hold for any rows."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from everbake.core.gate import Rail, Rules, judge, judge_rows
from everbake.core.metrics import AtLeast, AtMost
from everbake.errors import UsageError, UserCodeError
from everbake.metrics import mean_absolute_error, mean_squared_error


def mse_rules(**options):
    return Rules("mean_squared_error", mean_squared_error, "lower", **options)


def waves(n):
    i = np.arange(1, n + 1)
    return i, np.zeros(n), np.sin(5.3 * i)


def pairs(b, c, n, wrong):
    """Labels on which only the candidate is right b times, only the champion c times."""
    y = np.ones(n, dtype=int)
    before, after = y.copy(), y.copy()
    before[:b] = 0
    after[b : b + c] = 0
    for answers, own in ((before, b), (after, c)):
        answers[n - (wrong - own) :] = 0
    return y, before, after


class TestReference:
    def test_a_refresh_that_is_not_worse_is_promoted(self):
        i, y, e0 = waves(400)
        decision = judge(y, e0, e0 + 0.1 * np.cos(2.9 * i), metric=sk.mean_squared_error)
        assert (decision.verdict, decision.code) == ("promoted", "not_worse")
        assert decision.interval == pytest.approx((-0.01476232, 0.00491479), abs=1e-8)
        assert decision.evidence.tolerance == pytest.approx(0.02499949, abs=1e-8)
        assert decision.evidence.equal_within == pytest.approx(0.02499949 / 5, abs=1e-8)
        assert decision.evidence.method == "t-hall"

    def test_the_same_on_fifty_rows_is_inconclusive(self):
        i, y, e0 = waves(50)
        decision = judge(y, e0, e0 + 0.1 * np.cos(2.9 * i), metric=sk.mean_squared_error)
        assert (decision.verdict, decision.code) == ("inconclusive", "undecided")
        assert decision.interval[0] == pytest.approx(-0.03782045, abs=1e-8)
        assert decision.evidence.rows_needed == 76

    def test_better_worse_and_unlike(self):
        i, y, e0 = waves(400)
        better = judge(y, e0, 0.9 * e0 + 0.05 * np.cos(2.9 * i), metric=mean_squared_error)
        worse = judge(y, e0, 1.15 * e0 + 0.1 * np.cos(2.9 * i), metric=mean_squared_error)
        unlike = judge(y, e0, np.sin(4.1 * i), metric=mean_squared_error)
        assert (better.verdict, better.code) == ("promoted", "better")
        assert better.interval[0] == pytest.approx(0.08587269, abs=1e-8)
        assert (worse.verdict, worse.code) == ("rejected", "worse")
        assert worse.interval[1] == pytest.approx(-0.15015958, abs=1e-8)
        assert unlike.verdict == "inconclusive"

    @pytest.mark.parametrize(
        ("b", "c", "n", "verdict", "side", "bound"),
        [
            (30, 30, 10000, "promoted", 0, -0.0015654),
            (10, 10, 1000, "inconclusive", 0, -0.0095334),
            (20, 45, 1000, "rejected", 1, -0.0094789),
        ],
    )
    def test_accuracy(self, b, c, n, verdict, side, bound):
        y, before, after = pairs(b, c, n, wrong=n // 10)
        decision = judge(y, before, after, metric=sk.accuracy_score)
        assert decision.verdict == verdict
        if (b, c) == (20, 45):
            assert decision.champion == pytest.approx(0.9)
        assert decision.interval[side] == pytest.approx(bound, abs=1e-7)
        assert decision.evidence.method == "tango"

    def test_a_challenge_must_show_a_gain(self):
        i, y, e0 = waves(400)
        ask = partial(judge, y, e0, metric=mean_squared_error, rule="challenge")
        assert ask(0.9 * e0 + 0.05 * np.cos(2.9 * i)).verdict == "promoted"
        assert ask(e0 + 0.1 * np.cos(2.9 * i)).verdict == "inconclusive"
        assert ask(1.15 * e0 + 0.1 * np.cos(2.9 * i)).verdict == "rejected"

    def test_a_challenge_that_cannot_gain_enough_is_rejected(self):
        i, y, e0 = waves(400)
        after = 0.9 * e0 + 0.05 * np.cos(2.9 * i)
        decision = judge(y, e0, after, metric=mean_squared_error, rule="challenge", min_gain=0.2)
        assert (decision.verdict, decision.code) == ("rejected", "no_gain")
        assert "a gain of more than 40 % is ruled out" in decision.because

    def test_a_table_of_six_to_none_shows_no_gain_and_seven_does(self):
        for won, verdict in ((5, "inconclusive"), (7, "promoted")):
            y, before, after = pairs(won, 0, 100, wrong=10)
            after = np.ones(100, dtype=int)
            before = after.copy()
            before[:won] = 0
            decision = judge(y, before, after, metric=sk.accuracy_score, rule="challenge")
            assert decision.verdict == verdict

    def test_promotion_of_equal_models_is_as_frequent_as_published(self):
        rng = np.random.default_rng(18)
        promoted = {shift: 0 for shift in (0.0, -0.05)}
        rounds = 600
        rules = Rules("cost", lambda _y, p: float(np.mean(p)), "lower")
        assert rules.better == "lower"
        for _ in range(rounds):
            d = 0.2 * rng.normal(size=200)
            for shift in promoted:
                loss0 = np.full(200, 1.0)
                loss1 = loss0 - (d + shift)
                y = np.zeros(200)
                decision = judge_rows(
                    y, loss0, loss1, Rules("mean_absolute_error", mean_absolute_error, "lower")
                )
                promoted[shift] += decision.verdict == "promoted"
        assert 100 * promoted[0.0] / rounds == pytest.approx(94.0, abs=3.0)
        assert 100 * promoted[-0.05] / rounds == pytest.approx(2.5, abs=2.0)


class TestFirstAndBadAnswers:
    def test_without_a_champion_the_first_version_is_promoted(self):
        decision = judge([2.0, 4.0], None, [2.0, 4.5], metric=sk.mean_squared_error)
        assert (decision.verdict, decision.code) == ("promoted", "first_version")
        assert decision.candidate == pytest.approx(0.125)
        assert decision.champion is decision.interval is decision.difference is None
        assert decision.because == (
            "Because there is no earlier model to compare with; "
            "its mean_squared_error on 2 held-out rows is 0.125."
        )

    def test_a_first_version_without_a_held_out_row_is_promoted_without_a_figure(self):
        decision = judge_rows([], None, [], mse_rules())
        assert (decision.verdict, decision.code, decision.n) == ("promoted", "first_version", 0)
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
        decision = judge_rows([1.0, 2.0, 3.0], champion, answers, mse_rules())
        assert (decision.verdict, decision.code) == ("rejected", "wrong_length")
        assert "for 3 held-out rows" in decision.because

    @pytest.mark.parametrize("champion", [None, [1.0, 2.0, 3.0]])
    @pytest.mark.parametrize("bad", [float("nan"), float("inf"), None])
    def test_an_answer_that_is_no_number_is_rejected(self, champion, bad):
        decision = judge_rows([1.0, 2.0, 3.0], champion, [1.0, bad, 3.0], mse_rules())
        assert (decision.verdict, decision.code) == ("rejected", "not_finite")
        assert "on 1 of 3 held-out rows" in decision.because
        assert "first: row 2" in decision.because

    def test_a_probability_above_one_is_rejected(self):
        decision = judge([0, 1, 1], [0.1, 0.9, 0.8], [0.1, 0.9, 1.2], metric=sk.log_loss)
        assert (decision.verdict, decision.code) == ("rejected", "bad_output")

    def test_an_invalid_answer_on_a_row_without_outcome_counts_too(self):
        decision = judge_rows([1.0, None], [1.0, 1.0], [1.0, np.nan], mse_rules())
        assert decision.code == "not_finite"

    def test_a_champion_that_answers_nothing_is_replaced(self):
        for before in ([np.nan] * 3, [1.0, 2.0]):
            decision = judge_rows([1.0, 2.0, 3.0], before, [1.0, 2.0, 3.5], mse_rules())
            assert (decision.verdict, decision.code) == ("promoted", "champion_broken")
            assert (
                "no valid answer on 3 of 3 held-out rows; the new one answers all"
                in decision.because
            )

    def test_rows_that_the_champion_cannot_answer_are_left_out(self):
        i, y, e0 = waves(400)
        after = e0 + 0.1 * np.cos(2.9 * i)
        broken = np.append(e0, [np.nan, np.inf])
        decision = judge_rows(np.append(y, [9, 9]), broken, np.append(after, [1, 1]), mse_rules())
        assert decision.n == 400
        assert decision.interval == pytest.approx((-0.01476232, 0.00491479), abs=1e-8)
        assert decision.evidence.notes == (
            "2 rows without a valid answer of the model in use were left out.",
        )

    def test_a_metric_without_a_value_for_the_champion_does_not_keep_it(self):
        def correlation(y, p):
            return float(np.corrcoef(y, p)[0, 1]) if np.ptp(p) else float("nan")

        y = np.arange(30.0)
        decision = judge(y, np.ones(30), y + 0.1, metric=correlation, better="higher")
        assert (decision.verdict, decision.code) == ("promoted", "champion_broken")


class TestUnknownOutcomes:
    def test_rows_without_an_outcome_are_left_out_and_counted(self):
        i, y, e0 = waves(400)
        after = e0 + 0.1 * np.cos(2.9 * i)
        truth = np.append(y, [np.nan, np.nan])
        decision = judge_rows(truth, np.append(e0, [0, 0]), np.append(after, [5, 5]), mse_rules())
        assert decision.n == 400
        assert decision.interval[0] == pytest.approx(-0.01476232, abs=1e-8)
        assert decision.evidence.notes == ("2 rows without a known outcome were left out.",)

    @pytest.mark.parametrize("missing", [None, float("nan"), pd.NA, pd.NaT])
    def test_no_known_outcome_is_inconclusive(self, missing):
        decision = judge_rows([missing] * 3, [1.0] * 3, [2.0] * 3, mse_rules())
        assert (decision.verdict, decision.code, decision.n) == ("inconclusive", "no_rows", 0)
        assert decision.because == (
            "Because no held-out row with a known outcome is left, so nothing can be compared. "
            "The model in use stays."
        )

    def test_labels_may_be_missing(self):
        y = np.array(["a", None, "b", "a"], dtype=object)
        rules = Rules("accuracy_score", sk.accuracy_score, "higher")
        decision = judge_rows(y, ["a", "a", "b", "a"], ["a", "b", "b", "a"], rules)
        assert (decision.n, decision.code) == (3, "same_predictions")


class TestTies:
    @pytest.mark.parametrize("n", [1, 2, 3])
    def test_the_first_example_is_promoted_on_any_number_of_rows(self, n):
        y = np.array([12.0, 14.0, 16.0])[:n]
        before = y + np.array([1e-15, -8e-16, 2e-15])[:n]
        decision = judge_rows(y, before, y, mse_rules(), more_rows=3)
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


class TestOutcomesThatTellNothing:
    def test_one_class_is_judged_by_log_loss_where_answers_are_probabilities(self):
        rng = np.random.default_rng(1)
        before, after = rng.uniform(0.4, 0.6, 60), rng.uniform(0.7, 0.9, 60)
        decision = judge(np.ones(60, dtype=int), before, after, metric=sk.roc_auc_score)
        assert (decision.verdict, decision.metric) == ("promoted", "log_loss")
        assert decision.because.startswith(
            "Because all 60 held-out rows have the outcome 1; roc_auc_score needs both, "
            "so log loss decides: on 60 held-out rows"
        )

    def test_one_class_with_scores_of_another_kind_is_inconclusive(self):
        decision = judge(
            np.ones(60, dtype=int), np.arange(60.0), np.arange(60.0)[::-1], metric=sk.roc_auc_score
        )
        assert (decision.verdict, decision.code) == ("inconclusive", "one_class")
        assert decision.candidate is None

    @pytest.mark.parametrize("metric", [sk.f1_score, sk.average_precision_score])
    def test_a_rare_class_is_named(self, metric):
        y = np.array([1] * 9 + [0] * 60)
        before, after = np.arange(69) % 2, np.arange(69) % 3 % 2
        decision = judge(y, before, after, metric=metric)
        assert (decision.verdict, decision.code) == ("inconclusive", "rare_class")
        assert "only 9 rows have the outcome 1; 10 are needed" in decision.because

    def test_outcomes_that_do_not_vary_have_no_explained_variance(self):
        decision = judge(np.ones(30), np.arange(30.0), np.arange(30.0) + 1, metric=sk.r2_score)
        assert (decision.verdict, decision.code) == ("inconclusive", "one_class")

    def test_log_loss_of_one_class_is_judged(self):
        rng = np.random.default_rng(2)
        before, after = rng.uniform(0.4, 0.6, 60), rng.uniform(0.7, 0.9, 60)
        decision = judge(np.ones(60, dtype=int), before, after, metric=sk.log_loss)
        assert decision.verdict == "promoted"
        assert decision.candidate == pytest.approx(-np.log(after).mean())


class TestFewRows:
    @pytest.mark.parametrize("n", [1, 5])
    def test_below_six_rows_nothing_is_judged(self, n):
        y = np.zeros(n)
        decision = judge(
            y, np.linspace(1, 2, n), np.linspace(0.5, 0.7, n), metric=mean_squared_error
        )
        assert (decision.verdict, decision.code) == ("inconclusive", "too_few_rows")
        row = "row" if n == 1 else "rows"
        assert f"only {n} held-out {row}; at least 6 are needed to judge and 20" in decision.because
        assert "% better, which can be chance. The model in use stays." in decision.because
        assert decision.difference > 0

    def test_below_twenty_rows_no_challenge_is_promoted(self):
        rng = np.random.default_rng(3)
        y = np.zeros(19)
        before, after = 2 + 0.1 * rng.random(19), 1 + 0.1 * rng.random(19)
        challenge = judge(y, before, after, metric=mean_squared_error, rule="challenge")
        assert challenge.interval[0] > 0
        assert (challenge.verdict, challenge.code) == ("inconclusive", "few_rows")
        assert "only 19 of 19 rows tell the two models apart" in challenge.because
        refresh = judge(y, before, after, metric=mean_squared_error)
        assert (refresh.verdict, refresh.code) == ("promoted", "not_worse")

    def test_few_differing_rows_show_no_gain(self):
        y = np.zeros(300)
        before = np.ones(300)
        after = before.copy()
        after[:19] = 0
        decision = judge(y, before, after, metric=mean_squared_error, rule="challenge")
        assert (decision.verdict, decision.code) == ("inconclusive", "few_differences")
        assert "only 19 of 300 rows tell the two models apart" in decision.because
        after[19] = 0
        assert (
            judge(y, before, after, metric=mean_squared_error, rule="challenge").verdict
            == "promoted"
        )

    def test_five_pairs_are_too_few_for_accuracy(self):
        y = np.ones(100, dtype=int)
        before = y.copy()
        before[:5] = 0
        decision = judge(y, before, y, metric=sk.accuracy_score, rule="challenge")
        assert (decision.verdict, decision.code) == ("inconclusive", "few_differences")

    def test_a_constant_difference_is_its_own_interval(self):
        y = np.zeros(25)
        better = judge(y, np.full(25, 2.0), np.full(25, 1.0), metric=mean_absolute_error)
        assert (better.verdict, better.code) == ("promoted", "constant_difference")
        assert better.interval == (1.0, 1.0)
        assert "on every row the new model is 50 % better" in better.because
        worse = judge(y, np.full(25, 1.0), np.full(25, 2.0), metric=mean_absolute_error)
        assert (worse.verdict, worse.code) == ("rejected", "constant_difference")

    def test_beside_an_exact_champion(self):
        i, y, _ = waves(40)
        truth = y + i
        decision = judge(truth, truth, truth + 0.5 * np.sin(i), metric=mean_squared_error)
        assert (decision.verdict, decision.code) == ("rejected", "champion_exact")
        assert (
            "is right on all 40 held-out rows; the new one is off by up to 0.5" in decision.because
        )
        assert decision.evidence.tolerance == decision.evidence.gap == 0.0

    def test_beside_an_exact_champion_accuracy_keeps_its_floor(self):
        y = np.ones(20000, dtype=int)
        after = y.copy()
        after[:2] = 0
        decision = judge(y, y, after, metric=sk.accuracy_score)
        assert (decision.verdict, decision.evidence.tolerance) == ("promoted", 0.001)

    def test_a_constant_candidate_and_certain_probabilities_are_noted(self):
        y = np.tile([0, 1], 30)
        before = np.where(y == 1, 0.9, 0.0)
        decision = judge(y, before, np.full(60, 0.5), metric=sk.log_loss)
        assert decision.verdict == "rejected"
        assert decision.evidence.notes == (
            "the new model gives the same answer on every row.",
            "probabilities of exactly 0 or 1 were clipped: 30 of the model in use, 0 of the new one.",
        )


class TestOtherMetrics:
    def data(self, n=200):
        rng = np.random.default_rng(5)
        y = rng.integers(0, 2, n)
        before = np.clip(0.5 * y + 0.5 * rng.random(n), 0, 1)
        return y, before, np.clip(before + 0.2 * rng.normal(size=n), 0, 1)

    def test_auroc_is_judged_by_delong(self):
        y, before, after = self.data()
        decision = judge(y, before, after, metric=sk.roc_auc_score)
        assert decision.evidence.method == "delong"
        expected = sk.roc_auc_score(y, after) - sk.roc_auc_score(y, before)
        assert decision.difference == pytest.approx(expected, abs=1e-12)

    def test_string_labels_work_for_auroc_and_log_loss(self):
        y, before, after = self.data()
        words = np.where(y == 1, "yes", "no")
        for metric in (sk.roc_auc_score, sk.log_loss):
            a = judge(y, before, after, metric=metric)
            b = judge(words, before, after, metric=metric)
            assert a.interval == pytest.approx(b.interval)

    def test_a_matrix_of_probabilities(self):
        y, before, after = self.data()
        two = judge(y, np.c_[1 - before, before], np.c_[1 - after, after], metric=sk.log_loss)
        assert two.interval == pytest.approx(judge(y, before, after, metric=sk.log_loss).interval)
        assert two.evidence.method == "t-hall"

    def test_a_metric_of_ones_own_is_resampled(self):
        y, before, after = self.data()

        def cost(y_true, y_pred):
            return float(np.mean(np.where(y_true == 1, 5, 1) * np.abs(y_true - y_pred)))

        decision = judge(y, before, after, metric=cost, better="lower")
        assert decision.evidence.method == "bootstrap"
        d = np.where(y == 1, 5, 1) * (np.abs(y - before) - np.abs(y - after))
        assert decision.evidence.sd == pytest.approx(d.std(ddof=1), rel=0.1)
        assert decision.difference == pytest.approx(d.mean())

    def test_a_function_that_only_borrows_a_known_name_is_resampled(self):
        i, y, e0 = waves(100)

        def mean_squared_error(y_true, y_pred):
            return float(np.mean(np.abs(y_true - y_pred) ** 3))

        decision = judge(y, e0, e0 + 0.1 * np.cos(2.9 * i), metric=mean_squared_error)
        assert decision.evidence.method == "bootstrap"

    def test_the_seed_comes_from_the_rows_unless_it_is_given(self):
        y, before, after = self.data()
        ask = partial(judge, y, before, after, metric=sk.median_absolute_error)
        assert ask() == ask()
        assert ask(seed=1) == ask(seed=1)
        assert ask(seed=1).interval != ask(seed=2).interval

    @pytest.mark.parametrize("form", ["frame", "dict", "list", "array"])
    def test_a_metric_may_ask_for_the_rows(self, form):
        y, before, after = self.data()
        weight = np.linspace(1, 2, len(y))
        forms = {
            "frame": pd.DataFrame({"w": weight}),
            "dict": {"w": weight},
            "list": list(weight),
            "array": weight,
        }

        def weighted(y_true, y_pred, rows):
            w = np.asarray(rows["w"] if form in {"frame", "dict"} else rows)
            return float(np.average(np.abs(y_true - y_pred), weights=w))

        decision = judge(y, before, after, metric=weighted, better="lower", rows=forms[form])
        assert decision.candidate == pytest.approx(np.average(np.abs(y - after), weights=weight))
        assert decision.evidence.method == "bootstrap"

    def test_a_metric_without_a_value_on_most_resamples_is_inconclusive(self):
        y = np.arange(30.0)
        spent = iter(range(2))

        def moody(y_true, y_pred):
            return float(np.mean(y_pred)) if next(spent, None) is not None else float("nan")

        decision = judge(y, y, y + 1, metric=moody, better="lower")
        assert (decision.verdict, decision.code) == ("inconclusive", "undefined_resamples")

    def test_root_and_explained_variance_have_fast_intervals(self):
        i, y, e0 = waves(200)
        truth = y + 3 * np.cos(i)
        for metric in (sk.root_mean_squared_error, sk.r2_score):
            decision = judge(truth, truth + e0, truth + 0.8 * e0, metric=metric)
            assert decision.evidence.method == "t-hall"
            assert decision.verdict == "promoted"
            lower, upper = decision.interval
            assert lower < decision.difference < upper

    def test_a_root_of_zero_is_decided_on_the_squares(self):
        i, y, e0 = waves(60)
        decision = judge(y, e0, y, metric=sk.root_mean_squared_error)
        assert (decision.verdict, decision.metric) == ("promoted", "mean_squared_error")
        assert len(i) == decision.n


class TestIfInconclusive:
    def ask(self, choice, sign=1.0, rule="refresh"):
        i, y, e0 = waves(50)
        after = np.sin(4.1 * i) * (0.99 if sign > 0 else 1.05)
        return judge(y, e0, after, metric=mean_squared_error, if_inconclusive=choice, rule=rule)

    def test_keep_is_the_default(self):
        assert self.ask("keep").verdict == "inconclusive"

    def test_reject_and_promote_do_as_they_say(self):
        assert self.ask("reject").verdict == "rejected"
        assert self.ask("promote").verdict == "promoted"
        assert self.ask("promote").because.endswith("the gate promotes what is not decided.")

    def test_lean_promotes_what_points_upwards(self):
        up, down = self.ask("lean"), self.ask("lean", sign=-1.0)
        assert (up.verdict, up.code) == ("promoted", "lean")
        assert up.because.endswith("not shown, but it points upwards.")
        assert down.verdict == "inconclusive"
        assert self.ask("lean", rule="challenge").verdict == "inconclusive"


class TestGuardrails:
    def rows(self, n=200):
        y = np.ones(n, dtype=int)
        after = y.copy()
        after[: n // 4] = 0
        return y, after

    def test_a_limit_that_is_kept_is_on_record(self):
        y, after = self.rows()
        decision = judge(
            y, after, after, metric=sk.accuracy_score, guardrails=[AtLeast(sk.accuracy_score, 0.7)]
        )
        assert decision.verdict == "promoted"
        (check,) = decision.checks
        assert (check.name, check.state) == ("accuracy_score at least 0.7", "pass")
        assert "0.75 on 200 held-out rows (95 % sure: at least 0.6" in check.detail

    def test_a_limit_that_is_broken_rejects(self):
        y, after = self.rows()
        decision = judge(
            y, after, after, metric=sk.accuracy_score, guardrails=[AtLeast(sk.accuracy_score, 0.8)]
        )
        assert (decision.verdict, decision.code) == ("rejected", "guardrail")
        assert ", below the limit of 0.8; the model in use violates it, too." in decision.because

    def test_a_first_version_is_guarded_too(self):
        y, after = self.rows()
        decision = judge(
            y, None, after, metric=sk.accuracy_score, guardrails=[AtMost(sk.zero_one_loss, 0.2)]
        )
        assert (decision.verdict, decision.code) == ("rejected", "guardrail")
        assert "above the limit of 0.2" in decision.because

    def test_below_twenty_rows_a_limit_is_not_checked(self):
        y, after = self.rows(12)
        decision = judge(
            y, None, after, metric=sk.accuracy_score, guardrails=[AtLeast(sk.accuracy_score, 0.5)]
        )
        assert (decision.verdict, decision.code) == ("inconclusive", "guardrail_unknown")
        assert decision.checks[0].state == "unknown"

    def test_a_tie_with_a_champion_that_keeps_the_limit_passes_on_few_rows(self):
        y, after = self.rows(12)
        rails = [AtLeast(sk.accuracy_score, 0.5)]
        assert (
            judge(y, after, after, metric=sk.accuracy_score, guardrails=rails).verdict == "promoted"
        )
        rails = [AtLeast(sk.accuracy_score, 0.9)]
        assert (
            judge(y, after, after, metric=sk.accuracy_score, guardrails=rails).verdict
            == "inconclusive"
        )

    def test_a_limit_on_a_loss_shows_its_upper_bound(self):
        i, y, e0 = waves(100)
        rail = Rail("at_most", "mean_absolute_error", mean_absolute_error, 10.0)
        decision = judge(y, e0, 0.9 * e0, metric=mean_squared_error, guardrails=[rail])
        assert "(95 % sure: at most 0." in decision.checks[0].detail
        assert len(i) == 100

    def test_the_worse_of_comparison_and_guardrail_counts(self):
        i, y, e0 = waves(15)
        rail = AtMost(mean_absolute_error, 100.0)
        decision = judge(
            y + i, y + i, y + i + 50 + e0, metric=mean_squared_error, guardrails=[rail]
        )
        assert decision.verdict == "rejected"

    def test_a_limit_whose_metric_is_undefined_is_unknown(self):
        y, after = self.rows()
        rail = AtLeast(sk.roc_auc_score, 0.5)
        decision = judge(y, after, after, metric=sk.accuracy_score, guardrails=[rail])
        assert (decision.verdict, decision.code) == ("inconclusive", "guardrail_unknown")


class TestErrors:
    def test_a_metric_that_raises_is_the_users_code(self):
        def broken(y_true, y_pred):
            raise KeyError("price")

        with pytest.raises(UserCodeError, match="EB310 the metric broken raised KeyError: 'price'"):
            judge([1.0], [1.0], [2.0], metric=broken, better="lower")

    @pytest.mark.parametrize("answer", [float("nan"), float("inf"), "high", None, [1, 2]])
    def test_a_metric_without_a_finite_number_is_the_users_code(self, answer):
        with pytest.raises(UserCodeError, match="EB311 the metric odd returned"):
            judge([1.0], None, [2.0], metric=lambda *_: answer, better="lower") if False else (
                judge_rows([1.0], None, [2.0], Rules("odd", lambda y, p: answer, "lower"))
            )

    @pytest.mark.parametrize(
        ("arguments", "code"),
        [
            (([], [], []), "EB050"),
            (([1.0, np.nan], [1.0, 1.0], [1.0, 1.0]), "EB050"),
            (([[1.0, 2.0]], [1.0], [1.0]), "EB050"),
            (([1.0, 2.0], [1.0], [1.0, 2.0]), "EB050"),
            (([1.0, 2.0], [1.0, 2.0], [1.0]), "EB050"),
        ],
    )
    def test_arguments_that_do_not_fit_each_other(self, arguments, code):
        with pytest.raises(UsageError, match=code):
            judge(*arguments, metric=mean_squared_error)

    @pytest.mark.parametrize(
        ("options", "code"),
        [
            ({"metric": lambda y, p: 0.0}, "EB051"),
            ({"metric": mean_squared_error, "better": "higher"}, "EB051"),
            ({"metric": mean_squared_error, "rule": "duel"}, "EB052"),
            ({"metric": mean_squared_error, "if_inconclusive": "guess"}, "EB052"),
            ({"metric": lambda y, p: 0.0, "better": "up"}, "EB052"),
            ({"metric": mean_squared_error, "tolerance": 0.001}, "EB052"),
            ({"metric": mean_squared_error, "guardrails": [0.8]}, "EB052"),
            ({"metric": 3}, "EB052"),
        ],
    )
    def test_options_that_mean_nothing(self, options, code):
        with pytest.raises(UsageError, match=code):
            judge([1.0], [1.0], [1.0], **options)


figures = st.floats(-100, 100).map(lambda x: round(x, 3))
samples = st.lists(st.tuples(figures, figures, figures), min_size=6, max_size=60)


class TestProperties:
    @given(samples)
    def test_swapping_the_models_mirrors_difference_and_interval(self, drawn):
        y, before, after = map(np.array, zip(*drawn, strict=True))
        there = judge(y, before, after, metric=mean_squared_error)
        back = judge(y, after, before, metric=mean_squared_error)
        scale = 1e-7 * max(1.0, there.champion, there.candidate)
        assert there.difference == pytest.approx(-back.difference, abs=scale)
        assert there.interval[0] == pytest.approx(-back.interval[1], rel=1e-6, abs=scale)
        assert there.interval[1] == pytest.approx(-back.interval[0], rel=1e-6, abs=scale)

    @given(samples)
    def test_the_order_of_the_rows_does_not_matter(self, drawn):
        y, before, after = map(np.array, zip(*drawn, strict=True))
        one = judge(y, before, after, metric=mean_squared_error)
        other = judge(y[::-1], before[::-1], after[::-1], metric=mean_squared_error)
        assert one.verdict == other.verdict
        assert one.code == other.code

    @given(samples)
    def test_every_sentence_begins_with_because_and_ends_with_a_stop(self, drawn):
        y, before, after = map(np.array, zip(*drawn, strict=True))
        for rule in ("refresh", "challenge"):
            decision = judge(y, before, after, metric=mean_squared_error, rule=rule)
            assert decision.because.startswith("Because ")
            assert decision.because.endswith(".")
            assert "nan" not in decision.because
            assert ".." not in decision.because

    @given(samples, st.floats(1.1, 5))
    def test_a_candidate_that_gets_worse_is_never_judged_better(self, drawn, factor):
        order = {"rejected": 0, "inconclusive": 1, "promoted": 2}
        y, before, after = map(np.array, zip(*drawn, strict=True))
        assume(np.ptp(before - y) > 1 and np.ptp(after - y) > 1)
        shifted = y + np.sign(after - y) * np.sqrt((after - y) ** 2 + factor)
        assume(np.all(np.abs(after - y) > 0))
        one = judge(y, before, after, metric=mean_squared_error)
        other = judge(y, before, shifted, metric=mean_squared_error)
        assume(len(y) >= 20 and min(one.evidence.differing, other.evidence.differing) >= 20)
        assert order[other.verdict] <= order[one.verdict]

    @settings(max_examples=20, deadline=None)
    @given(samples, st.integers(0, 2**31))
    def test_the_same_rows_give_the_same_answer(self, drawn, seed):
        y, before, after = map(np.array, zip(*drawn, strict=True))
        ask = partial(judge, y, before, after, metric=sk.max_error, seed=seed)
        assert ask() == ask()

    @given(samples)
    def test_repeated_rows_narrow_the_interval(self, drawn):
        y, before, after = map(np.array, zip(*drawn, strict=True))
        one = judge(y, before, after, metric=mean_squared_error)
        four = judge(
            np.tile(y, 4), np.tile(before, 4), np.tile(after, 4), metric=mean_squared_error
        )
        assume(one.interval[1] - one.interval[0] > 1e-6)
        assert four.interval[1] - four.interval[0] < one.interval[1] - one.interval[0]
