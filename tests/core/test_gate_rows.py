"""What few rows, rare classes and metrics of other kinds lead to."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from everbake.core.gate import judge
from everbake.metrics import mean_absolute_error, mean_squared_error

CLIPPED = "probabilities of exactly 0 or 1 were clipped: 30 of the model in use, 0 of the new one."


def waves(n):
    i = np.arange(1, n + 1)
    return i, np.zeros(n), np.sin(5.3 * i)


def furthest(y, p):
    return float(np.max(np.abs(y - p)))


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
        assert decision.evidence.notes[:2] == (
            "the new model gives the same answer on every row.",
            CLIPPED,
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
        ask = partial(judge, y, before, after, metric=furthest, better="lower")
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

        def picky(y_true, y_pred):
            once = len(np.unique(y_true)) == len(y_true)
            return float(np.mean(y_pred)) if once else float("nan")

        decision = judge(y, y, y + 1, metric=picky, better="lower")
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
