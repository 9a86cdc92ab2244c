"""Every degenerate case by its code and its sentence, in the order in which they are looked at."""

from functools import partial

import numpy as np
import pytest
from sklearn import metrics as sk

from everbake.core.gate import Given, Rules, judge, judge_rows
from everbake.core.metrics import AtMost
from everbake.metrics import mean_absolute_error, mean_squared_error

MSE = Rules("mean_squared_error", mean_squared_error, "lower")
WAVE = np.sin(5.3 * np.arange(1, 61))


def told(decision):
    return decision.verdict, decision.code, decision.because


class TestSentences:
    def test_first(self):
        assert told(judge([2.0, 4.0], None, [2.0, 4.5], metric=mean_squared_error)) == (
            "promoted",
            "first",
            (
                "Because there is no earlier model to compare with; its mean_squared_error on 2 "
                "held-out rows is 0.125."
            ),
        )

    def test_bad_output(self):
        decision = judge_rows(Given([1.0, 2.0], [1.0, 2.0], [1.0, np.nan]), MSE)
        assert told(decision) == (
            "rejected",
            "bad_output",
            (
                "Because the new model gives no valid answer on 1 of 2 held-out rows (missing or "
                "infinite values; first: row 2)."
            ),
        )

    def test_champion_broken(self):
        decision = judge_rows(Given([1.0, 2.0], [np.nan, np.inf], [1.0, 2.0]), MSE)
        assert told(decision) == (
            "promoted",
            "champion_broken",
            (
                "Because the model in use gives no valid answer on 2 of 2 held-out rows; the new "
                "one answers all."
            ),
        )

    def test_no_rows(self):
        decision = judge_rows(Given([None, None], [1.0, 2.0], [1.0, 2.0]), MSE)
        assert told(decision) == (
            "inconclusive",
            "no_rows",
            (
                "Because no held-out row with a known outcome is left, so nothing can be compared. "
                "The model in use stays."
            ),
        )
        assert decision.evidence.notes == ("2 rows without a known outcome were left out.",)

    @pytest.mark.parametrize(
        ("more", "rule", "verdict", "tail"),
        [
            (3, "refresh", "promoted", "the new one has learned from 3 more rows and nothing "),
            (0, "refresh", "promoted", "nothing speaks against the new one."),
            (3, "challenge", "inconclusive", "the change brings no visible difference."),
        ],
    )
    def test_same_predictions(self, more, rule, verdict, tail):
        rules = Rules("mean_squared_error", mean_squared_error, "lower", rule=rule)
        y = np.array([2.0, 4.0])
        decision = judge_rows(Given(y, y, y + 8e-16, more_rows=more), rules)
        assert (decision.verdict, decision.code) == (verdict, "same_predictions")
        start = "Because on all 2 held-out rows both models give the same answers (largest "
        assert decision.because.startswith(f"{start}difference 9e-16, rounding only); {tail}")

    def test_errors_of_1e12_at_values_of_10_are_the_same_predictions(self):
        y = np.array([10.0, 9.0, 8.0])
        decision = judge(y, y + 1e-12, y + 3e-12, metric=mean_squared_error)
        assert (decision.verdict, decision.code) == ("promoted", "same_predictions")

    def test_both_exact(self):
        y = np.array([10.0, 9.0, 8.0])
        decision = judge(y, y - 7e-9, y + 8e-9, metric=mean_squared_error)
        assert told(decision) == (
            "promoted",
            "both_exact",
            (
                "Because both models are right on all 3 held-out rows to within rounding (largest "
                "error 8e-09 where values reach 10); nothing speaks against the new one."
            ),
        )

    def test_same_loss(self):
        decision = judge(np.zeros(3), np.ones(3), -np.ones(3), metric=mean_squared_error)
        assert told(decision) == (
            "promoted",
            "same_loss",
            (
                "Because the answers differ on 3 rows, but both are equally right on every one; "
                "nothing speaks against the new one."
            ),
        )

    def test_one_class(self):
        decision = judge(np.ones(30, int), WAVE[:30], WAVE[30:], metric=sk.roc_auc_score)
        assert told(decision) == (
            "inconclusive",
            "one_class",
            (
                "Because all 30 held-out rows have the outcome 1; roc_auc_score needs both. "
                "The model in use stays."
            ),
        )

    def test_rare_class(self):
        y = np.array([1] * 4 + [0] * 56)
        decision = judge(y, WAVE, WAVE[::-1], metric=sk.roc_auc_score)
        assert told(decision) == (
            "inconclusive",
            "rare_class",
            (
                "Because only 4 rows have the outcome 1; 10 are needed for roc_auc_score. "
                "The model in use stays."
            ),
        )

    def test_too_few_rows(self):
        y = np.zeros(3)
        decision = judge(y, np.full(3, 2.0), [1.0, 1.5, 2.0], metric=mean_absolute_error)
        assert told(decision) == (
            "inconclusive",
            "too_few_rows",
            (
                "Because only 3 held-out rows; at least 6 are needed to judge and 20 to show a "
                "gain. So far the new model is 25 % better, which can be chance. The model in "
                "use stays."
            ),
        )

    def test_few_rows(self):
        decision = judge(np.zeros(10), 1 + WAVE[:10], 1 + WAVE[10:20], metric=mean_squared_error)
        assert (decision.verdict, decision.code) == ("inconclusive", "few_rows")
        assert decision.because.startswith(
            "Because only 10 of 10 rows tell the two models apart: on 10 held-out rows"
        )

    def test_few_differences(self):
        y, before, after = np.zeros(60), np.ones(60), np.ones(60)
        after[:4], after[4:7] = 2.0, 0.0
        decision = judge(y, before, after, metric=mean_squared_error)
        assert (decision.verdict, decision.code) == ("inconclusive", "few_differences")
        assert decision.because.startswith(
            "Because only 7 of 60 rows tell the two models apart: on 60 held-out rows"
        )

    def test_constant_difference(self):
        decision = judge(np.zeros(25), np.full(25, 2.0), np.ones(25), metric=mean_absolute_error)
        assert told(decision) == (
            "promoted",
            "constant_difference",
            (
                "Because on 25 held-out rows the new model's mean_absolute_error is 1 against 2: "
                "on every row the new model is 50 % better."
            ),
        )

    def test_champion_exact(self):
        y = np.arange(40.0)
        decision = judge(y, y, y + 0.5 * np.sin(y), metric=mean_squared_error)
        assert (decision.verdict, decision.code) == ("rejected", "champion_exact")
        assert decision.because == (
            "Because the model in use is right on all 40 held-out rows; the new one is off by up "
            "to 0.5."
        )

    def test_a_constant_candidate_is_noted(self):
        y = WAVE
        decision = judge(y, y + 0.1, np.zeros(60), metric=mean_squared_error)
        assert "the new model gives the same answer on every row." in decision.evidence.notes
        assert decision.verdict == "rejected"


class TestOrder:
    def test_a_bad_answer_comes_before_everything(self):
        decision = judge_rows(Given([None], None, [np.nan]), MSE)
        assert decision.code == "bad_output"

    def test_a_guardrail_that_fails_comes_before_a_tie(self):
        y = np.zeros(30)
        limit = AtMost(mean_absolute_error, 0.5)
        decision = judge(y, np.ones(30), np.ones(30), metric=mean_squared_error, guardrails=[limit])
        assert (decision.verdict, decision.code) == ("rejected", "guardrail")
        assert decision.because.endswith("; the model in use violates it, too.")
        assert decision.difference == 0.0

    def test_a_tie_comes_before_too_few_rows(self):
        assert judge([1.0], [1.0], [1.0], metric=mean_squared_error).code == "same_predictions"

    def test_a_guardrail_that_fails_is_told_before_a_loss(self):
        y = np.zeros(60)
        limit = AtMost(mean_absolute_error, 0.5)
        decision = judge(y, WAVE, 5 + WAVE, metric=mean_squared_error, guardrails=[limit])
        assert decision.code == "guardrail"
        assert decision.interval[1] < 0


class TestChoices:
    @pytest.mark.parametrize("choice", ["promote", "reject", "lean"])
    def test_a_choice_that_decides_is_named(self, choice):
        after = 0.99 * np.sin(4.1 * np.arange(1, 61))
        ask = partial(judge, np.zeros(60), WAVE, after, metric=mean_squared_error)
        assert ask().decided_by == ""
        decision = ask(if_inconclusive=choice)
        assert decision.decided_by == f'if_inconclusive="{choice}"'
        assert decision.to_dict()["decided_by"] == decision.decided_by
        assert decision.evidence.rows_needed == 0

    def test_a_verdict_of_the_data_is_not_decided_by_a_choice(self):
        decision = judge(
            np.zeros(60), WAVE, 2 * WAVE, metric=mean_squared_error, if_inconclusive="promote"
        )
        assert (decision.verdict, decision.decided_by) == ("rejected", "")


class TestRecord:
    def test_it_is_complete(self):
        record = judge(np.zeros(60), WAVE, 0.99 * WAVE, metric=mean_squared_error, seed=7).to_dict()
        assert set(record) == {
            "verdict",
            "code",
            "because",
            "metric",
            "checks",
            "evidence",
            "segments",
            "best",
            "decided_by",
            "surpasses",
            "best_broken",
            "curves",
        }
        assert record["metric"]["n"] == record["evidence"]["differing"] == 60
        evidence = record["evidence"]
        gap = np.mean(WAVE**2)
        assert evidence["gap"] == pytest.approx(gap)
        assert evidence["tolerance"] == pytest.approx(0.05 * gap)
        assert evidence["equal_within"] == pytest.approx(0.01 * gap)
        assert (evidence["level"], evidence["look"], evidence["seed"]) == (0.05, 1, 7)
        assert (evidence["method"], evidence["resamples"]) == ("t-hall", 0)
        assert len(evidence["rows_digest"]) == 64

    def test_a_tie_records_margins_too(self):
        evidence = judge(np.zeros(9), np.ones(9), np.ones(9), metric=mean_squared_error).evidence
        assert (evidence.gap, evidence.tolerance) == (1.0, 0.05)

    def test_few_rows_record_what_differs(self):
        evidence = judge(np.zeros(3), np.ones(3), [1, 1, 2], metric=mean_squared_error).evidence
        assert (evidence.differing, evidence.rows_needed) == (1, None)
