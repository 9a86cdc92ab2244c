"""Guardrails: by value and by bound, and how often they pass."""

from functools import partial

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from everbake.core.gate import Given, Rules, judge, judge_rows, rail
from everbake.core.metrics import AtLeast, AtMost
from everbake.errors import UserCodeError
from everbake.metrics import mean_absolute_error, mean_squared_error, root_mean_squared_error


def right(hits, n):
    """Outcomes and answers of which `hits` are right."""
    return np.ones(n, int), (np.arange(n) < hits).astype(int)


def state(hits, n, confidence=None):
    y, answers = right(hits, n)
    limit = AtLeast(sk.accuracy_score, 0.8)
    decision = judge(
        y, None, answers, metric=sk.accuracy_score, guardrails=[limit], confidence=confidence
    )
    return decision.checks[0].state


def fewest(n, wanted, confidence=None):
    """The fewest hits whose state is among the wanted, by bisection: more hits are no worse."""
    low, high = -1, n
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if state(middle, n, confidence) in wanted else (middle, high)
    return high


class TestHowOftenTheyPass:
    @pytest.mark.parametrize(
        ("n", "published"),
        [(50, (26, 45, 58, 72, 88)), (200, (6, 28, 54, 80, 98)), (1000, (0, 7, 52, 95, 100))],
    )
    def test_by_value(self, n, published):
        passing = fewest(n, {"pass"})
        assert passing == round(0.8 * n)
        exact = [100 * stats.binom.sf(passing - 1, n, t) for t in (0.75, 0.78, 0.8, 0.82, 0.85)]
        assert exact == pytest.approx(published, abs=0.6)

    @pytest.mark.parametrize(
        ("n", "smallest", "published"),
        [
            (50, 0.90, (1, 2, 5, 9, 22)),
            (200, 0.85, (0, 1, 4, 16, 55)),
            (1000, 0.821, (0, 0, 5, 49, 100)),
        ],
    )
    def test_by_bound(self, n, smallest, published):
        passing = fewest(n, {"pass"}, confidence=0.95)
        assert passing / n == pytest.approx(smallest)
        exact = [100 * stats.binom.sf(passing - 1, n, t) for t in (0.75, 0.78, 0.8, 0.82, 0.85)]
        assert exact == pytest.approx(published, abs=0.6)

    def test_between_the_bounds_it_is_open_and_below_both_it_is_broken(self):
        broken = fewest(200, {"pass", "unknown"}, confidence=0.95) - 1
        assert state(broken, 200, 0.95) == "fail"
        assert state(broken + 1, 200, 0.95) == "unknown"
        # the upper bound of Wilson's one-sided interval, solved the other way round
        z, share = stats.norm.ppf(0.95), broken / 200
        assert (0.8 - share) / np.sqrt(0.8 * 0.2 / 200) > z


class TestBounds:
    def test_wilsons_bound_is_told(self):
        y, answers = right(170, 200)
        decision = judge(
            y,
            None,
            answers,
            metric=sk.accuracy_score,
            guardrails=[AtLeast(sk.accuracy_score, 0.8)],
            confidence=0.95,
        )
        assert decision.verdict == "promoted"
        assert "is 0.85 on 200 held-out rows (95 % sure: at least 0.8038)" in (
            decision.checks[0].detail
        )

    def test_an_open_bound_is_inconclusive_and_says_so(self):
        y, answers = right(169, 200)
        decision = judge(
            y,
            answers,
            answers,
            metric=sk.accuracy_score,
            guardrails=[AtLeast(sk.accuracy_score, 0.8)],
            confidence=0.95,
        )
        assert (decision.verdict, decision.code) == ("inconclusive", "guardrail_unknown")
        assert decision.because == (
            "Because the new model's accuracy_score is 0.845 on 200 held-out rows (95 % sure: at "
            "least 0.7983), so the limit of 0.8 is neither shown to be kept nor to be broken. "
            "The model in use stays."
        )

    def test_the_recipes_choice_never_lifts_a_guardrail_but_may_reject(self):
        y, answers = right(169, 200)
        ask = partial(
            judge,
            y,
            answers,
            answers,
            metric=sk.accuracy_score,
            guardrails=[AtLeast(sk.accuracy_score, 0.8)],
            confidence=0.95,
        )
        for choice, verdict in (
            ("promote", "inconclusive"),
            ("lean", "inconclusive"),
            ("reject", "rejected"),
        ):
            decision = ask(if_inconclusive=choice)
            assert decision.verdict == verdict
            decided = f'if_inconclusive="{choice}"' if verdict == "rejected" else ""
            assert decision.decided_by == decided

    @pytest.mark.parametrize(
        ("metric", "power"), [(mean_squared_error, 1.0), (root_mean_squared_error, 0.5)]
    )
    def test_the_bound_of_a_mean_is_students_or_wider(self, metric, power):
        rng = np.random.default_rng(1)
        y, answers = np.zeros(100), rng.normal(size=100)
        squares = answers**2
        high = squares.mean() + stats.t.ppf(0.95, 99) * squares.std(ddof=1) / 10
        for limit, verdict in (
            (1.2 * high**power, "promoted"),
            (0.99 * high**power, "inconclusive"),
        ):
            decision = judge(
                y, None, answers, metric=metric, guardrails=[AtMost(metric, limit)], confidence=0.95
            )
            assert decision.verdict == verdict

    def test_other_metrics_are_drawn(self):
        rng = np.random.default_rng(2)
        y = rng.integers(0, 2, 300)
        scores = y + rng.normal(size=300)
        area = sk.roc_auc_score(y, scores)
        for below, passes in ((0.01, "unknown"), (0.1, "pass"), (-0.1, "fail")):
            decision = judge(
                y,
                None,
                scores,
                metric=sk.roc_auc_score,
                guardrails=[AtLeast(sk.roc_auc_score, area - below)],
                confidence=0.95,
            )
            assert decision.checks[0].state == passes

    def test_groups_widen_the_bound(self):
        y, answers = right(170, 200)
        ask = partial(
            judge,
            y,
            None,
            answers,
            metric=sk.accuracy_score,
            guardrails=[AtLeast(sk.accuracy_score, 0.8)],
            confidence=0.95,
        )
        assert ask().verdict == "promoted"
        assert ask(groups=np.arange(200) // 20).verdict == "inconclusive"
        assert "how sure that is cannot be told" in ask(groups=np.arange(200) // 50).because

    def test_a_bound_is_also_shown_for_a_callable(self):
        def furthest(y_true, y_pred):
            return float(np.max(np.abs(y_true - y_pred)))

        y = np.zeros(50)
        decision = judge(
            y,
            None,
            np.sin(np.arange(50)),
            metric=mean_squared_error,
            guardrails=[AtMost(furthest, 2)],
        )
        assert "(95 % sure: at most 1." in decision.checks[0].detail


class TestCannotBeChecked:
    def test_a_metric_without_a_value_is_unknown(self):
        def nothing(y_true, y_pred):
            return float("nan")

        decision = judge(
            np.zeros(30),
            None,
            np.arange(30.0),
            metric=mean_squared_error,
            guardrails=[AtMost(nothing, 1)],
        )
        assert (decision.verdict, decision.code) == ("inconclusive", "guardrail_unknown")
        assert "cannot be checked: it is nan for the new model" in decision.because

    def test_a_metric_that_raises_is_the_users_code(self):
        def broken(y_true, y_pred):
            raise KeyError("price")

        rules = Rules(
            "mean_squared_error",
            mean_squared_error,
            "lower",
            guardrails=(rail(AtMost(broken, 1)),),
        )
        with pytest.raises(UserCodeError, match="EB310 the metric broken raised KeyError"):
            judge_rows(Given(np.zeros(30), None, np.arange(30.0)), rules)

    def test_a_champion_that_the_metric_cannot_read_is_not_blamed(self):
        def strict(y_true, y_pred):
            if np.max(y_pred) > 10:
                raise ValueError("too high")
            return float(np.max(y_pred))

        y = np.zeros(40)
        decision = judge(
            y,
            np.full(40, 20.0),
            np.linspace(1, 2, 40),
            metric=mean_absolute_error,
            guardrails=[AtMost(strict, 1)],
        )
        assert (decision.verdict, decision.code) == ("rejected", "guardrail")
        assert "violates" not in decision.because

    def test_weights_reach_a_guardrail_that_takes_them_and_it_says_if_not(self):
        y, w = np.zeros(60), 1.0 + np.arange(60) % 3
        answers = np.linspace(1, 2, 60)
        decision = judge(
            y,
            answers[::-1],
            answers,
            metric=mean_absolute_error,
            weights=w,
            guardrails=[AtMost(sk.mean_absolute_error, 5), AtMost(sk.max_error, 5)],
        )
        weighted, plain = decision.checks
        assert f"is {np.average(answers, weights=w):.4g} on 60" in weighted.detail
        assert "max_error, not weighted, is 2 on 60 held-out rows" in plain.detail
