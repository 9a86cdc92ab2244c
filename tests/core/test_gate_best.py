"""The best model so far: a second comparison that keeps small losses from adding up."""

import numpy as np
import pytest
from scipy import stats

from everbake.core.gate import Given, Rules, judge_rows
from everbake.metrics import mean_absolute_error


def rules(**options):
    return Rules("mean_absolute_error", mean_absolute_error, "lower", **options)


def noisy(n, seed, spread=2.0):
    """Row differences with mean 0 and that standard deviation."""
    d = np.random.default_rng(seed).normal(size=n)
    return spread * (d - d.mean()) / d.std(ddof=1)


def given(n, champion=0.0, best=0.0, spread=2.0, **options):
    """A candidate that is worse than the champion and the best one by that share of the gap."""
    candidate = np.full(n, 10.0)
    return Given(
        np.zeros(n),
        candidate + noisy(n, 1, spread) - 10 * champion,
        candidate,
        best=candidate + noisy(n, 2, spread) - 10 * best,
        best_name="version 3",
        **options,
    )


class TestBeside:
    def test_a_candidate_as_good_as_both_is_promoted(self):
        decision = judge_rows(given(1000), rules())
        assert (decision.verdict, decision.code) == ("promoted", "not_worse")
        assert decision.best.name == "version 3"
        assert decision.best.value == pytest.approx(10.0)
        assert decision.best.difference == pytest.approx(0.0, abs=1e-9)
        assert decision.to_dict()["best"]["interval"] == decision.best.interval

    def test_worse_than_the_best_is_rejected_though_the_champion_is_no_better(self):
        decision = judge_rows(given(1000, best=0.04), rules())
        assert (decision.verdict, decision.code) == ("rejected", "worse_than_best")
        assert decision.because.startswith(
            "Because compared with the best model so far (version 3), on 1000 held-out rows"
        )
        assert decision.difference == pytest.approx(0.0, abs=1e-9)

    def test_not_shown_to_be_no_worse_than_the_best_is_inconclusive(self):
        decision = judge_rows(given(60, champion=-0.2), rules())
        assert (decision.verdict, decision.code) == ("inconclusive", "best_undecided")
        assert decision.evidence.rows_needed > 0
        assert decision.because.endswith("The model in use stays.")

    def test_the_interval_is_that_of_the_row_differences(self):
        decision = judge_rows(given(200, best=0.01), rules())
        d = noisy(200, 2) - 0.1
        low, high = stats.t.interval(0.95, 199, d.mean(), 2 / np.sqrt(200))
        assert decision.best.interval[0] == pytest.approx(low, abs=0.01)
        assert decision.best.interval[1] == pytest.approx(high, abs=0.01)

    def test_a_challenge_need_not_gain_on_the_best(self):
        decision = judge_rows(given(1000, champion=-0.1), rules(rule="challenge"))
        assert (decision.verdict, decision.code) == ("promoted", "better")

    def test_leaning_needs_both_to_point_upwards(self):
        up = given(60, champion=-0.002, best=-0.002)
        down = given(60, champion=-0.002, best=0.002)
        assert judge_rows(up, rules(if_inconclusive="lean")).verdict == "promoted"
        assert judge_rows(down, rules(if_inconclusive="lean")).verdict == "inconclusive"

    def test_the_same_answers_as_both_are_promoted_on_any_number_of_rows(self):
        y = np.array([1.0, 2.0])
        decision = judge_rows(Given(y, y, y, best=y, best_name="version 1"), rules())
        assert (decision.verdict, decision.code) == ("promoted", "same_predictions")
        assert decision.best.interval == (0.0, 0.0)

    def test_a_sentence_about_the_best_does_not_call_it_the_model_in_use(self):
        y = np.arange(40.0)
        wave = 0.5 * np.sin(y)
        decision = judge_rows(Given(y, y + 2 * wave, y + wave, best=y, best_name="v1"), rules())
        assert "best model so far (v1), that one is right on all 40" in decision.because


class TestThePin:
    @pytest.mark.parametrize(("share", "moves"), [(0.026, False), (0.028, True)])
    def test_it_moves_beyond_any_doubt(self, share, moves):
        n, gap = 1600, 10 * (1 - share)
        decision = judge_rows(given(n, champion=-share, best=-share), rules())
        half = stats.t.ppf(stats.norm.cdf(3.29), n - 1) * 2.0 / np.sqrt(n)
        assert (10 * share - half > 0.01 * gap) == moves
        assert decision.surpasses == moves
        assert decision.to_dict()["surpasses"] == moves

    def test_without_another_best_the_champion_is_surpassed(self):
        one = given(1600, champion=-0.1)
        alone = judge_rows(Given(one.y, one.champion, one.candidate), rules())
        assert alone.surpasses
        assert not judge_rows(one, rules()).surpasses  # the best one is not

    def test_few_differing_rows_surpass_nothing(self):
        before, after = np.ones(300), np.ones(300)
        after[:19] = 0.0
        assert not judge_rows(Given(np.zeros(300), before, after), rules()).surpasses


class TestBroken:
    @pytest.mark.parametrize("best", [np.full(1000, np.nan), np.ones(999), 3.0, [None] * 1000])
    def test_without_valid_answers_only_the_champion_counts(self, best):
        one = given(1000)
        decision = judge_rows(
            Given(one.y, one.champion, one.candidate, best=best, best_name="version 3"), rules()
        )
        assert (decision.verdict, decision.best) == ("promoted", None)
        assert decision.best_broken
        assert decision.to_dict()["best_broken"]
        assert decision.evidence.notes[-1] == (
            "the best model so far (version 3) gives no valid answers on these rows; "
            "it was not compared with."
        )

    def test_some_rows_without_an_answer_are_left_out(self):
        one = given(1000, best=0.04)
        best = one.best.copy()
        best[:10] = np.nan
        decision = judge_rows(
            Given(one.y, one.champion, one.candidate, best=best, best_name="version 3"), rules()
        )
        assert (decision.code, decision.best_broken) == ("worse_than_best", False)
        assert "on 990 held-out rows" in decision.because
        assert decision.n == 1000

    def test_beside_a_champion_without_answers_the_best_still_counts(self):
        one = given(1000, best=0.04)
        decision = judge_rows(
            Given(one.y, np.full(1000, np.nan), one.candidate, best=one.best, best_name="v3"),
            rules(),
        )
        assert (decision.verdict, decision.code) == ("rejected", "worse_than_best")


class TestLooks:
    @pytest.mark.parametrize(
        ("look", "z", "sure"), [(1, 1.960, "95 %"), (2, 2.394, "98.3 %"), (10, 3.317, "99.9 %")]
    )
    def test_each_look_is_stricter(self, look, z, sure):
        one = given(2000)
        decision = judge_rows(Given(one.y, one.champion, one.candidate, look=look), rules())
        low, high = decision.interval
        assert (high - low) / 2 == pytest.approx(z * 2 / np.sqrt(2000), rel=0.01)
        assert f"({sure} sure: between" in decision.because
        assert decision.evidence.look == look
        assert decision.evidence.level == pytest.approx(0.1 / (look * (look + 1)))

    def test_from_the_fifth_look_on_newer_rows_are_asked_for(self):
        one = given(2000)
        ask = [
            judge_rows(Given(one.y, one.champion, one.candidate, look=look), rules()).evidence
            for look in (4, 5)
        ]
        told = "these rows have decided 5 times; bring newer rows."
        assert [told in each.notes for each in ask] == [False, True]
