"""Segments: which subgroups are hurt, which are not judged, and how many can be judged."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn import metrics as sk
from statsmodels.stats.multitest import multipletests

from everbake.core.gate import Given, Rules, judge, judge_rows
from everbake.metrics import mean_absolute_error, mean_squared_error


def halves(n=400, hurt=0.3, seed=1):
    """Equal models, but for the second half of the rows."""
    rng = np.random.default_rng(seed)
    y, before = np.zeros(n), np.full(n, 10.0) + rng.normal(size=n)
    after = before + 2 * rng.normal(size=n)
    after[n // 2 :] += 10 * hurt
    after[: n // 2] -= 10 * hurt
    return y, before, after, np.repeat(["a", "b"], n // 2)


def named(decision, name):
    return next(each for each in decision.segments if each.name == name)


class TestHurt:
    def test_a_hurt_segment_rejects_and_is_named(self):
        y, before, after, part = halves()
        ask = partial(judge, y, before, after, metric=mean_absolute_error)
        assert ask().verdict == "promoted"
        decision = ask(segments={"part": part})
        assert (decision.verdict, decision.code) == ("rejected", "segment_hurt")
        hurt, fine = named(decision, "part = b"), named(decision, "part = a")
        assert (hurt.state, fine.state, hurt.n) == ("hurt", "ok", 200)
        worse = f"{100 * -hurt.difference / hurt.champion:.1f}"
        assert decision.because == (
            f"Because segment part = b gets worse by {worse} % on 200 rows "
            "(p < 0.0001 after correction for 2 segments)."
        )
        assert hurt.detail.startswith(f"{worse} % worse, between ")

    def test_the_probabilities_are_corrected_as_holm_does(self):
        rng = np.random.default_rng(2)
        n, parts = 1000, np.arange(1000) % 10
        before = 10 + rng.normal(size=n)
        after = before + rng.normal(size=n) + np.where(parts == 3, 0.2, 0.02)
        decision = judge(
            np.zeros(n), before, after, metric=mean_absolute_error, segments={"part": parts}
        )
        d = before - after
        plain = [stats.ttest_1samp(d[parts == k], 0, alternative="less").pvalue for k in range(10)]
        holm = multipletests(plain, method="holm")[1]
        found = [named(decision, f"part = {k}").p for k in range(10)]
        # the larger of two probabilities, so never below Student's
        assert np.all(np.array(found) >= holm - 1e-12)
        assert found == pytest.approx(holm, abs=0.05)

    def test_one_of_several_columns_and_all_others_count(self):
        y, before, after, part = halves()
        noise = np.arange(400) % 4
        decision = judge(
            y,
            before,
            after,
            metric=mean_absolute_error,
            segments={"part": part, "noise": noise},
        )
        assert "after correction for 6 segments" in decision.because

    def test_accuracy_is_tested_by_mcnemar(self):
        y = np.ones(200, int)
        before, after = y.copy(), y.copy()
        after[:9] = 0
        before[9:12] = 0
        before[100:110] = 0
        part = np.repeat(["a", "b"], 100)
        decision = judge(y, before, after, metric=sk.accuracy_score, segments={"part": part})
        p = stats.binomtest(9, 12, 0.5, alternative="greater").pvalue
        assert named(decision, "part = a").p == pytest.approx(2 * p)
        assert named(decision, "part = a").interval[0] < named(decision, "part = a").difference

    @pytest.mark.parametrize(
        "metric",
        [sk.roc_auc_score, sk.average_precision_score, sk.root_mean_squared_error, sk.r2_score],
    )
    def test_other_metrics_are_judged_within_segments(self, metric):
        rng = np.random.default_rng(3)
        n = 600
        y = (rng.random(n) < 0.5).astype(float)
        before = y + rng.normal(size=n)
        part = np.repeat(["a", "b"], n // 2)
        after = np.where(part == "a", before, y + 2.5 * rng.normal(size=n))
        after = after + 0.01 * rng.normal(size=n)
        decision = judge(y, before, after, metric=metric, segments={"part": part})
        second = part == "b"
        segment = named(decision, "part = b")
        assert segment.candidate == pytest.approx(metric(y[second], after[second]))
        assert segment.state == "hurt"
        assert named(decision, "part = a").state == "ok"

    def test_groups_are_respected_within_segments(self):
        y, before, after, part = halves(hurt=0.02)
        groups = np.arange(400) // 10
        ask = partial(judge, y, before, after, metric=mean_absolute_error, segments={"part": part})
        d = (np.abs(before) - np.abs(after))[200:]
        sums = d.reshape(20, 10).mean(axis=1)
        low, high = stats.t.interval(0.95, 19, sums.mean(), sums.std(ddof=1) / np.sqrt(20))
        assert named(ask(groups=groups), "part = b").interval == pytest.approx((low, high))
        giant = named(ask(groups=np.maximum(np.arange(400) - 150, 0)), "part = a")
        assert (giant.state, giant.detail) == (
            "unknown",
            "not judged: too few independent groups.",
        )

    def test_a_rejection_by_all_rows_keeps_its_own_sentence(self):
        y, before, after, part = halves()
        decision = judge(y, before, after + 20, metric=mean_absolute_error, segments={"part": part})
        assert (decision.verdict, decision.code) == ("rejected", "worse")
        assert {each.state for each in decision.segments} == {"hurt"}


class TestAllMustPass:
    def ask(self, spread, **options):
        rng = np.random.default_rng(4)
        before = 10 + rng.normal(size=400)
        after = before + spread * rng.normal(size=400)
        part = np.repeat(["a", "b"], 200)
        return judge(
            np.zeros(400),
            before,
            after,
            metric=mean_absolute_error,
            segments={"part": part},
            all_must_pass=True,
            **options,
        )

    def test_segments_that_are_shown_to_be_no_worse_pass(self):
        decision = self.ask(1.0)
        assert decision.verdict == "promoted"
        for each in decision.segments:
            assert each.interval[0] >= -0.05 * each.champion

    def test_a_segment_that_is_open_leaves_the_champion(self):
        assert judge_all(self.ask(4.0)) == ("inconclusive", "segment_open")
        text = self.ask(4.0).because
        assert text.startswith("Because all segments must pass, and in segment part = ")
        assert "(200 held-out rows) a loss of more than 5 % cannot be ruled out" in text
        assert text.endswith("The model in use stays.")

    def test_the_choice_for_inconclusive_cases_applies(self):
        assert self.ask(4.0, if_inconclusive="promote").verdict == "promoted"
        assert self.ask(4.0, if_inconclusive="reject").verdict == "rejected"


def judge_all(decision):
    return decision.verdict, decision.code


class TestDividing:
    def names(self, column, n=200):
        y, before, after, _ = halves(n)
        decision = judge(y, before, after, metric=mean_absolute_error, segments={"x": column})
        return [each.name for each in decision.segments]

    def test_numbers_are_cut_at_their_quintiles(self):
        assert sorted(self.names(np.arange(200.0) / 2)) == [
            "20 <= x < 40",
            "40 <= x < 60",
            "60 <= x < 80",
            "x < 20",
            "x >= 80",
        ]

    def test_few_numbers_and_booleans_are_categories(self):
        assert sorted(self.names(np.arange(200) % 3)) == ["x = 0", "x = 1", "x = 2"]
        assert sorted(self.names(np.arange(200) % 2 == 0)) == ["x = False", "x = True"]

    def test_times_are_cut_too(self):
        days = pd.date_range("2026-01-01", periods=200).to_numpy().astype("datetime64[D]")
        assert "x < 2026-02-10" in self.names(days)

    def test_a_skewed_column_has_fewer_ranges(self):
        column = np.where(np.arange(200) < 150, 0.0, np.arange(200) / 10)
        assert sorted(self.names(column)) == ["x < 16", "x >= 16"]

    @pytest.mark.parametrize("missing", [None, float("nan"), pd.NA])
    def test_missing_values_are_a_segment(self, missing):
        column = np.array(["a", "b", missing, "a"] * 50, dtype=object)
        assert sorted(self.names(column)) == ["x = a", "x = b", "x missing"]
        numbers = np.array([1.5, missing] * 100, dtype=object)
        assert sorted(self.names(numbers)) == ["x = 1.5", "x missing"]

    def test_values_of_several_types_are_told_apart_by_their_text(self):
        column = np.array(["a", 1] * 100, dtype=object)
        assert sorted(self.names(column)) == ["x = 1", "x = a"]

    def test_long_values_are_cut(self):
        assert self.names(np.array(["y" * 100] * 200)) == [f"x = {'y' * 60}..."]

    def test_pairs_of_columns(self):
        y, before, after, _ = halves(400)
        sex, age = np.arange(400) % 2, np.arange(400.0)
        decision = judge(
            y,
            before,
            after,
            metric=mean_absolute_error,
            segments={("sex", "age"): (np.where(sex, "f", "m"), age)},
        )
        names = {each.name for each in decision.segments}
        assert "sex = f, age < 80" in names
        assert len(names) == 10

    def test_a_column_that_is_not_there_is_not_judged(self):
        y, before, after, _ = halves()
        rules = Rules("mean_absolute_error", mean_absolute_error, "lower", segments=("sex",))
        decision = judge_rows(Given(y, before, after), rules)
        assert decision.segments[0].detail == "not judged: the rows have no column sex."


class TestTooFew:
    def test_below_twenty_rows_a_segment_neither_blocks_nor_counts(self):
        y, before, after, _ = halves(hurt=0.0)
        after[:19] += 1000
        part = np.where(np.arange(400) < 19, "few", "many")
        decision = judge(y, before, after, metric=sk.median_absolute_error, segments={"part": part})
        few = named(decision, "part = few")
        assert (few.state, few.p, few.detail) == ("unknown", None, "not judged: too few rows.")

    def test_fewer_than_six_differing_rows_neither(self):
        y, before = np.ones(200, int), np.ones(200, int)
        after = before.copy()
        after[:5] = 0
        before[100:130] = 0
        part = np.repeat(["a", "b"], 100)
        decision = judge(y, before, after, metric=sk.accuracy_score, segments={"part": part})
        assert named(decision, "part = a").state == "unknown"
        assert decision.verdict == "promoted"

    def test_too_few_rows_of_one_outcome(self):
        rng = np.random.default_rng(5)
        y = rng.integers(0, 2, 400)
        y[:200] = 0
        y[:9] = 1
        before, after = y + rng.normal(size=400), y + rng.normal(size=400)
        part = np.repeat(["a", "b"], 200)
        decision = judge(y, before, after, metric=sk.roc_auc_score, segments={"part": part})
        assert named(decision, "part = a").detail == "not judged: too few rows of one outcome."

    def test_ten_thousand_values_of_one_row_each_are_one_entry(self):
        n = 10_000
        y, before, after, _ = halves(n, hurt=0.0)
        names = np.array([f"customer {i}" for i in range(n)], dtype=object)
        decision = judge(y, before, after, metric=mean_absolute_error, segments={"id": names})
        (only,) = decision.segments
        assert (only.name, only.n, only.state) == ("id: 10,000 values", n, "unknown")
        assert only.detail == "not judged: too few rows in each of 10,000 values."

    def test_very_many_segments_are_bounded(self):
        n = 48_000
        y, before, after, _ = halves(n, hurt=0.0)
        codes = np.array([f"shop {i % 2000:04d}" for i in range(n)])
        decision = judge(y, before, after, metric=mean_absolute_error, segments={"shop": codes})
        assert len(decision.segments) <= 203
        rest = named(decision, "800 further segments")
        assert (rest.state, rest.n) == ("ok", 800 * 24)
        beyond = named(decision, "shop: 1,000 further values")
        assert beyond.state == "unknown"
        assert beyond.detail == "not judged: only the 1,000 largest are."

    def test_ties_and_first_versions_have_no_segments(self):
        y, before, _, part = halves()
        ask = partial(judge, y, metric=mean_squared_error, segments={"part": part})
        assert ask(before, before).segments == ()
        assert ask(None, before).segments == ()

    def test_a_root_or_scale_of_zero_in_a_segment_is_judged_on_squares(self):
        rng = np.random.default_rng(6)
        y = np.where(np.arange(400) < 200, 5.0, rng.normal(size=400))
        before = y + 0.1 * rng.normal(size=400)
        after = y + 0.1 * rng.normal(size=400)
        before[:200] = 5.0
        part = np.repeat(["a", "b"], 200)
        for metric in (sk.root_mean_squared_error, sk.r2_score):
            decision = judge(y, before, after, metric=metric, segments={"part": part})
            assert named(decision, "part = a").state == "hurt"
            assert named(decision, "part = a").champion == 0.0


class TestRates:
    def test_ten_equal_segments_block_as_often_as_published(self, counted):
        rng = np.random.default_rng(5)
        part = np.repeat(np.arange(10), 200)
        rules = Rules("mean_absolute_error", mean_absolute_error, "lower", segments=("part",))
        rounds, blocked = counted(5000), 0
        y, candidate = np.zeros(2000), np.full(2000, 10.0)
        for _ in range(rounds):
            d = 2 * rng.normal(size=2000)
            given = Given(y, candidate + d, candidate, segments={"part": part})
            blocked += judge_rows(given, rules).code == "segment_hurt"
        error = 100 * np.sqrt(0.05 * 0.95 / rounds)
        assert 100 * blocked / rounds == pytest.approx(5.0, abs=3 * error)
