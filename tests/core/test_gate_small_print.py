"""Where two rules of the judgement meet."""

from functools import partial

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from everbake.core.gate import Given, Rules, judge, judge_rows
from everbake.core.metrics import AtLeast, AtMost
from everbake.metrics import accuracy_score, mean_absolute_error, r2_score


def normals(n, seed=1):
    rng = np.random.default_rng(seed)
    before = 10 + rng.normal(size=n)
    return np.zeros(n), before, before + 0.3 * rng.normal(size=n)


def furthest(y_true, y_pred, *, sample_weight=None):
    return float(np.max(np.abs(y_true - y_pred)))


class TestUnequalWeights:
    heavy = np.append(np.full(8, 1e3), np.ones(52))

    def test_few_heavy_rows_count_as_what_they_are_worth(self):
        y, before, after = normals(60)
        decision = judge(y, before, after, metric=mean_absolute_error, weights=self.heavy)
        worth = self.heavy.sum() ** 2 / (self.heavy**2).sum()
        d = np.abs(before) - np.abs(after)
        mean = np.average(d, weights=self.heavy)
        residuals = self.heavy * (d - mean) / self.heavy.mean()
        error = np.sqrt(60 / 59 * np.sum(residuals**2)) / 60
        half = stats.t.ppf(0.975, worth - 1) * error
        assert decision.interval[0] <= mean - half
        assert decision.interval[1] >= mean + half
        assert decision.evidence.method == "weights"

    def test_they_show_no_gain(self):
        y, before, _ = normals(60)
        after = before - 1 - 0.01 * np.sin(np.arange(60))
        ask = partial(judge, y, before, after, metric=mean_absolute_error, rule="challenge")
        assert ask().verdict == "promoted"
        decision = ask(weights=self.heavy)
        assert (decision.verdict, decision.code) == ("inconclusive", "few_rows")
        assert "are worth only 8.1 of equal weight" in decision.because

    def test_a_limit_needs_twenty_rows_worth(self):
        y, _, after = normals(60)
        limit = AtMost(mean_absolute_error, 20)
        decision = judge(
            y, None, after, metric=mean_absolute_error, guardrails=[limit], weights=self.heavy
        )
        assert decision.code == "guardrail_unknown"

    def test_a_segment_of_one_heavy_row_is_not_judged(self):
        y, before, after = normals(200)
        weights = np.append(1e4, np.ones(199))
        part = np.repeat(["a", "b"], 100)
        options = {"metric": mean_absolute_error, "weights": np.where(part == "a", weights, 5e3)}
        decision = judge(y, before, after, segments={"part": part}, **options)
        states = {each.name: each.state for each in decision.segments}
        assert states == {"part = a": "unknown", "part = b": "ok"}


class TestTiesComeFirst:
    @pytest.mark.parametrize("positives", [1, 3, 9])
    @pytest.mark.parametrize("metric", [sk.roc_auc_score, sk.average_precision_score])
    def test_the_same_ranking_of_a_rare_class_is_a_tie(self, positives, metric):
        y = np.append(np.ones(positives, int), np.zeros(60, int))
        scores = np.random.default_rng(3).random(len(y))
        decision = judge(y, scores, scores**2, metric=metric)
        assert (decision.verdict, decision.code) == ("promoted", "same_loss")

    def test_so_is_a_callable_that_sees_nothing_on_four_rows(self):
        y, scores = np.zeros(4), np.array([0.1, 0.3, 0.5, 0.7])

        def above(y_true, y_pred):
            return float(np.mean(y_pred > 0))

        decision = judge(y, scores, scores / 2, metric=above, better="lower")
        assert (decision.verdict, decision.code) == ("promoted", "same_loss")

    def test_a_difference_of_rounding_is_none(self):
        y, before, after = normals(60)

        def rounded(y_true, y_pred):
            return 0.3 - 1e-16 * float(len(set(y_pred) & theirs) == 0)

        theirs = set(before)

        decision = judge(y, before, after, metric=rounded, better="lower", rule="challenge")
        assert (decision.verdict, decision.code) == ("inconclusive", "same_loss")

    def test_rounding_hurts_no_segment(self):
        y, before, after = normals(200)

        def rounded(y_true, y_pred):
            new = len(set(y_pred) & theirs) > 0
            return (0.3 + 1e-16) * (1 + new * 1e-15) + (new and len(y_pred) == 200)

        theirs = set(after)
        part = np.repeat(["a", "b"], 100)
        decision = judge(y, before, after, metric=rounded, better="lower", segments={"part": part})
        assert all(each.state != "hurt" for each in decision.segments)


class TestExactChampions:
    def test_probabilities_that_are_exact_leave_no_gap(self):
        y = (np.arange(200) % 2).astype(float)
        after = np.clip(y + 0.2 * np.sin(np.arange(200)), 0, 1)
        before = np.abs(y - 1e-10)  # an error of rounding
        decision = judge(y, before, after, metric=sk.brier_score_loss)
        assert (decision.verdict, decision.code) == ("rejected", "champion_exact")
        assert decision.evidence.gap == 0.0
        assert decision.evidence.tolerance == 0.001

    def test_a_value_of_zero_is_not_the_best_of_an_unknown_metric(self):
        y = np.zeros(100)
        before = np.tile([1.0, -1.0], 50)

        def bias(y_true, y_pred):
            return float(np.mean(y_pred - y_true))

        decision = judge(y, before, before + 0.5, metric=bias, better="lower")
        assert (decision.verdict, decision.code) == ("rejected", "worse")


class TestGuardrails:
    def test_they_are_read_on_all_rows_that_the_candidate_answers(self):
        y = np.zeros(100)
        before = np.where(np.arange(100) < 40, 1.0, np.nan)
        after = np.where(np.arange(100) < 40, 0.1, 9.0)
        limit = AtMost(mean_absolute_error, 2)
        decision = judge(y, before, after, metric=mean_absolute_error, guardrails=[limit])
        assert (decision.verdict, decision.code) == ("rejected", "guardrail")
        assert "5.44 on 100 held-out rows" in decision.because
        assert "violates it, too" not in decision.because  # it has no value there
        assert decision.n == 40

    def test_one_that_cannot_be_checked_is_told_before_an_open_comparison(self):
        y = np.ones(200, int)
        before, after = y.copy(), y.copy()
        before[:30], after[15:46] = 0, 0
        limit = AtLeast(accuracy_score, 0.85)
        decision = judge(
            y, before, after, metric=accuracy_score, guardrails=[limit], confidence=0.95
        )
        assert (decision.verdict, decision.code) == ("inconclusive", "guardrail_unknown")


class TestRowsNeeded:
    def test_enough_to_have_twenty_rows_that_differ(self):
        before = np.ones(1000)
        after = np.where(np.arange(1000) % 100, 1.0, 0.01 * (np.arange(1000) // 100))
        decision = judge(
            np.zeros(1000), before, after, metric=mean_absolute_error, rule="challenge"
        )
        assert (decision.verdict, decision.code) == ("inconclusive", "few_differences")
        assert decision.evidence.differing == 10
        assert decision.evidence.rows_needed == 1000

    def test_a_gain_wanted_in_units_of_another_metric_does_not_count_in_log_loss(self):
        rng = np.random.default_rng(2)
        y = np.append(np.ones(5, int), np.zeros(200, int))
        before, after = np.full(205, 0.3), 0.05 + 0.01 * rng.random(205)
        decision = judge(y, before, after, metric=sk.roc_auc_score, rule="challenge", min_gain=0.5)
        assert decision.metric == "log_loss"
        assert decision.code != "no_gain"


class TestOrderOfRows:
    @pytest.mark.parametrize(
        ("metric", "better"),
        [
            (sk.average_precision_score, None),
            (sk.roc_auc_score, None),
            (sk.balanced_accuracy_score, None),
            (furthest, "lower"),
        ],
    )
    @pytest.mark.parametrize("told", [(), ("groups",), ("weights",)])
    def test_what_is_drawn_does_not_depend_on_it(self, metric, better, told):
        rng = np.random.default_rng(5)
        y = rng.integers(0, 2, 300)
        before, after = np.round(y / 2 + rng.random((2, 300)), 2)
        if metric is sk.balanced_accuracy_score:
            before, after = (before > 0.75).astype(int), (after > 0.8).astype(int)
        known = {
            "groups": np.array([f"user {i % 47}" for i in range(300)], object),
            "weights": rng.random(300),
        }
        known = {name: known[name] for name in told}
        mixed = rng.permutation(300)
        one = judge(y, before, after, metric=metric, better=better, **known)
        known = {name: values[mixed] for name, values in known.items()}
        other = judge(y[mixed], before[mixed], after[mixed], metric=metric, better=better, **known)
        assert other.interval == pytest.approx(one.interval, rel=1e-9, abs=1e-12)
        assert other.evidence.rows_digest == one.evidence.rows_digest
        assert (other.verdict, other.code) == (one.verdict, one.code)

    def test_text_is_judged_as_the_numbers_that_it_stands_for(self):
        rng = np.random.default_rng(6)
        y, before, after = rng.integers(0, 2, (3, 200))
        words = np.array(["no", "yes"])
        for metric in (sk.balanced_accuracy_score, sk.matthews_corrcoef):
            plain = judge(y, before, after, metric=metric, seed=1)
            told = judge(words[y], words[before], words[after], metric=metric, seed=1)
            assert told.interval == pytest.approx(plain.interval)


class TestLogLossInstead:
    def test_models_that_decide_are_judged_by_their_scores(self):
        rng = np.random.default_rng(7)
        y = np.append(np.ones(5, int), np.zeros(195, int))
        before, after = rng.random((2, 200)) / 2
        given = Given(y, before, after, thresholds=(0.4, 0.9, None))  # it never says yes
        decision = judge_rows(given, Rules("recall_score", sk.recall_score, "higher"))
        assert decision.metric == "log_loss"
        assert decision.candidate == pytest.approx(sk.log_loss(y, after))
        assert not any("same answer on every row" in note for note in decision.evidence.notes)

    def test_labels_have_none(self):
        y = np.append(np.ones(5, int), np.zeros(195, int))
        labels = np.arange(200) % 2
        decision = judge(y, labels, 1 - labels, metric=sk.f1_score)
        assert (decision.verdict, decision.code) == ("inconclusive", "rare_class")


class TestSeveralOutputs:
    def test_explained_variance_of_several_is_drawn(self):
        rng = np.random.default_rng(8)
        y = rng.normal(size=(60, 2))
        before, after = y + rng.normal(size=(2, 60, 2)) / 2
        assert judge(y, before, after, metric=r2_score).evidence.method == "bootstrap"
