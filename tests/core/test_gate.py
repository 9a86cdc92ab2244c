"""The gate's verdicts: reference cases, options, guardrails, errors."""

from functools import partial

import numpy as np
import pytest
from sklearn import metrics as sk

from everbake.core.gate import Given, Rail, Rules, judge, judge_rows
from everbake.core.metrics import AtLeast, AtMost
from everbake.errors import UsageError, UserCodeError
from everbake.metrics import mean_absolute_error, mean_squared_error


def waves(n):
    i = np.arange(1, n + 1)
    return i, np.zeros(n), np.sin(5.3 * i)


def pairs(b, c, n, wrong):
    """Only the candidate is right on b rows, only the champion on c; it is wrong on `wrong`."""
    y = np.ones(n, dtype=int)
    before, after = y.copy(), y.copy()
    before[:b] = 0
    after[b : b + c] = 0
    shared = wrong - b
    before[n - shared :] = after[n - shared :] = 0
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
        # scipy's noncentral t reaches a power of .8 with 168 rows at the level of the next look
        assert decision.evidence.rows_needed == 168 - 50

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

    def test_equal_and_worse_models_are_promoted_as_often_as_published(self):
        rng = np.random.default_rng(18)
        rules = Rules("mean_absolute_error", mean_absolute_error, "lower")
        rounds, promoted = 1000, {0.0: 0, -0.05: 0}
        for _ in range(rounds):
            d = 0.2 * rng.normal(size=200)
            before = np.full(200, 10.0) + d - d.mean()  # a gap that is the same every time
            for shift in promoted:
                after = before - 10 * (d + shift)
                decision = judge_rows(Given(np.zeros(200), before, after), rules)
                promoted[shift] += decision.verdict == "promoted"
        # within three standard errors of both simulations
        assert 100 * promoted[0.0] / rounds == pytest.approx(94.0, abs=2.4)
        assert 100 * promoted[-0.05] / rounds == pytest.approx(2.5, abs=1.6)


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
        rules = Rules("odd", lambda *_: answer, "lower")
        with pytest.raises(UserCodeError, match="EB311 the metric odd returned"):
            judge_rows(Given([1.0], None, [2.0]), rules)

    @pytest.mark.parametrize(
        ("arguments", "code"),
        [
            (([], [], []), "EB050"),
            (([1.0, np.nan], [1.0, 1.0], [1.0, 1.0]), "EB050"),
            (([[1.0, 2.0]], [1.0], [1.0]), "EB050"),
            (([1.0, 2.0], [1.0], [1.0, 2.0]), "EB050"),
            (([1.0, 2.0], [1.0, 2.0], [1.0]), "EB050"),
            ((1.0, [1.0], [1.0]), "EB050"),
            ((np.ones((3, 2)), np.ones((3, 2)), np.ones((3, 3))), "EB050"),
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
            ({"metric": mean_squared_error, "tolerance": 0.001, "equal_within": 0.01}, "EB052"),
            ({"metric": mean_squared_error, "guardrails": [0.8]}, "EB052"),
            ({"metric": 3}, "EB052"),
            ({"metric": mean_squared_error, "min_gain": 1.0}, "EB052"),
            ({"metric": mean_squared_error, "confidence": 0.05}, "EB052"),
            ({"metric": mean_squared_error, "confidence": 1.0}, "EB052"),
            ({"metric": mean_squared_error, "look": 0}, "EB052"),
            ({"metric": mean_squared_error, "segments": {("a", "b"): [1.0]}}, "EB052"),
            ({"metric": mean_squared_error, "segments": {"a": [1.0, 2.0]}}, "EB050"),
            ({"metric": mean_squared_error, "groups": [1.0, 2.0]}, "EB050"),
            ({"metric": mean_squared_error, "groups": [{}]}, "EB050"),
            ({"metric": mean_squared_error, "order": [1.0, 2.0]}, "EB050"),
            ({"metric": mean_squared_error, "weights": [1.0, 2.0]}, "EB050"),
        ],
    )
    def test_options_that_mean_nothing(self, options, code):
        with pytest.raises(UsageError, match=code):
            judge([1.0], [1.0], [1.0], **options)
