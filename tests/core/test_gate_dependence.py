"""Weights, groups and order in time: what they do to a judgement."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn import metrics as sk

from everbake.core.gate import Given, Rules, judge, judge_rows
from everbake.errors import UsageError
from everbake.metrics import mean_absolute_error, mean_squared_error


def row_differences(d):
    """Two models whose absolute losses differ by `d` on each row."""
    after = 10.0 + np.arange(len(d)) % 2
    return np.zeros(len(d)), after + d, after


def rows(n):
    return np.arange(1, n + 1)


def labels(n, seed, shift=0.3):
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.4).astype(int)
    before = 0.5 * y + rng.random(n)
    return y, before / 2, (before + shift * rng.normal(size=n)) / 2


class TestWeights:
    def test_the_weighted_mean_and_its_students_interval(self):
        i = rows(60)
        d, w = np.sin(i) + 0.2, 1.0 + i % 3
        y, before, after = row_differences(d)
        decision = judge(y, before, after, metric=sk.mean_absolute_error, weights=w)
        mean = np.average(d, weights=w)
        assert decision.difference == pytest.approx(mean)
        assert decision.champion == pytest.approx(np.average(before, weights=w))
        residuals = w * (d - mean) / w.mean()
        error = residuals.std(ddof=1) / np.sqrt(60)
        low, high = stats.t.interval(0.95, 59, mean, error)
        assert decision.interval[0] <= low + 1e-12  # the wider of two on each side
        assert decision.interval[1] >= high - 1e-12
        assert decision.interval[1] - decision.interval[0] == pytest.approx(high - low, rel=0.02)

    def test_weights_that_are_all_the_same_change_nothing(self):
        y, before, after = labels(300, 1)
        for metric in (sk.log_loss, sk.roc_auc_score, sk.average_precision_score):
            clipped = y, np.clip(before, 0.01, 0.99), np.clip(after, 0.01, 0.99)
            plain = judge(*clipped, metric=metric)
            assert judge(*clipped, metric=metric, weights=np.full(300, 7.0)) == plain

    def test_a_weight_of_zero_leaves_the_row_out(self):
        i = rows(80)
        y, before, after = row_differences(np.sin(i) + 0.2)
        keep = i % 4 != 0
        weights = np.where(keep, 3.0, 0.0)
        whole = judge(y, before, after, metric=mean_absolute_error, weights=weights)
        part = judge(y[keep], before[keep], after[keep], metric=mean_absolute_error)
        assert (whole.n, whole.interval) == (60, part.interval)
        assert "20 rows of weight 0 were left out." in whole.evidence.notes

    def test_no_weight_above_zero_leaves_nothing_to_compare(self):
        decision = judge([1.0, 2.0], [1, 2], [2, 3], metric=sk.max_error, weights=[0, 0])
        assert (decision.verdict, decision.code, decision.n) == ("inconclusive", "no_rows", 0)

    def test_accuracy_with_weights_is_a_mean_of_rows(self):
        rng = np.random.default_rng(2)
        y = np.ones(400, int)
        before, after = (rng.random(400) < 0.8).astype(int), (rng.random(400) < 0.8).astype(int)
        w = rng.uniform(0.5, 2, 400)
        decision = judge(y, before, after, metric=sk.accuracy_score, weights=w)
        assert decision.evidence.method == "t-hall"
        assert decision.candidate == pytest.approx(sk.accuracy_score(y, after, sample_weight=w))
        assert decision.difference == pytest.approx(np.average(after - before, weights=w))

    @pytest.mark.parametrize(
        "metric", [sk.roc_auc_score, sk.average_precision_score, sk.balanced_accuracy_score]
    )
    def test_metrics_of_two_classes_are_drawn_with_their_weights(self, metric):
        y, before, after = labels(300, 3)
        if metric is sk.balanced_accuracy_score:
            before, after = (before > 0.4).astype(int), (after > 0.4).astype(int)
        w = 1.0 + rows(300) % 3
        decision = judge(y, before, after, metric=metric, weights=w)
        assert decision.evidence.method == "bootstrap"
        assert decision.evidence.resamples == 2000
        assert decision.candidate == pytest.approx(metric(y, after, sample_weight=w))
        plain = judge(y, before, after, metric=metric)
        assert decision.interval != plain.interval

    def test_a_callable_gets_weights_if_it_takes_them(self):
        i = rows(100)
        y, before, after = row_differences(np.sin(i) + 0.2)

        def cost(y_true, y_pred, sample_weight=None):
            return float(np.average(np.abs(y_pred - y_true) ** 1.5, weights=sample_weight))

        w = 1.0 + i % 3
        decision = judge(y, before, after, metric=cost, better="lower", weights=w)
        assert decision.candidate == pytest.approx(np.average(after**1.5, weights=w))
        assert decision.difference == pytest.approx(np.average(before**1.5 - after**1.5, weights=w))

    def test_root_and_explained_variance_with_weights(self):
        i = rows(200)
        truth = 3 * np.cos(i)
        before, after = truth + np.sin(5.3 * i), truth + 0.8 * np.sin(5.3 * i)
        w = 1.0 + i % 3
        for metric in (sk.root_mean_squared_error, sk.r2_score):
            decision = judge(truth, before, after, metric=metric, weights=w)
            sign = 1 if metric is sk.r2_score else -1
            expected = sign * (
                metric(truth, after, sample_weight=w) - metric(truth, before, sample_weight=w)
            )
            assert decision.difference == pytest.approx(expected)
            assert decision.evidence.method == "t-hall"


class TestGroups:
    def test_the_reference_interval_of_grouped_rows(self):
        i = rows(60)
        d = np.sin(i) + 0.3 * np.sin(i / 9)
        decision = judge(*row_differences(d), metric=mean_absolute_error, groups=(i - 1) // 6)
        assert decision.interval == pytest.approx((-0.1085961831, 0.1714814088), abs=1e-8)
        assert decision.evidence.method == "groups"
        assert decision.evidence.sd == pytest.approx(0.0619049810 * np.sqrt(60), abs=1e-8)

    def test_groups_may_be_text_and_in_any_order(self):
        i = rows(60)
        d = np.sin(i) + 0.3 * np.sin(i / 9)
        names = np.array([f"user {g}" for g in (i - 1) // 6], dtype=object)
        shuffled = np.random.default_rng(1).permutation(60)
        y, before, after = row_differences(d[shuffled])
        decision = judge(y, before, after, metric=mean_absolute_error, groups=names[shuffled])
        assert decision.interval == pytest.approx((-0.1085961831, 0.1714814088), abs=1e-8)

    def test_groups_of_one_row_each_are_no_groups(self):
        y, before, after = row_differences(np.sin(rows(60)))
        ask = partial(judge, y, before, after, metric=mean_absolute_error)
        assert ask(groups=rows(60)).interval == ask().interval

    def test_rows_without_a_group_are_a_group_each(self):
        i = rows(60)
        y, before, after = row_differences(np.sin(i))
        groups = np.where(i <= 30, (i - 1) // 6, np.nan)
        own = np.where(i <= 30, (i - 1) // 6, 100 + i)
        ask = partial(judge, y, before, after, metric=mean_absolute_error)
        decision = ask(groups=groups)
        assert decision.interval == ask(groups=own).interval
        assert "30 rows without a group count as a group each." in decision.evidence.notes

    def test_accuracy_of_grouped_rows_is_not_tangos(self):
        rng = np.random.default_rng(4)
        y = np.ones(400, int)
        before, after = (rng.random(400) < 0.7).astype(int), (rng.random(400) < 0.7).astype(int)
        decision = judge(
            y, before, after, metric=sk.accuracy_score, groups=np.repeat(np.arange(40), 10)
        )
        assert decision.evidence.method == "groups"
        sums = (after - before).reshape(40, 10).mean(axis=1)
        assert decision.interval == pytest.approx(
            stats.t.interval(0.95, 39, sums.mean(), sums.std(ddof=1) / np.sqrt(40))
        )

    @pytest.mark.parametrize("metric", [sk.roc_auc_score, sk.max_error])
    def test_other_metrics_are_drawn_by_group(self, metric):
        y, before, after = labels(200, 5)
        groups = np.repeat(np.arange(20), 10)
        decision = judge(y, before, after, metric=metric, groups=groups)
        assert decision.evidence.method == "bootstrap+groups"
        low, high = decision.interval
        half = stats.t.ppf(0.975, 19) * decision.evidence.sd / np.sqrt(200)
        assert (high - low) / 2 == pytest.approx(half)

    @pytest.mark.parametrize("metric", [mean_absolute_error, sk.max_error])
    def test_one_giant_group_leaves_too_few(self, metric):
        i = rows(200)
        y, before, after = row_differences(np.sin(i))
        groups = np.where(i <= 190, 0, i)
        decision = judge(y, before, after, metric=metric, groups=groups)
        assert (decision.verdict, decision.code) == ("inconclusive", "few_groups")
        assert decision.because == (
            "Because the 200 held-out rows are worth only 1.1 independent groups of equal size; "
            "at least 5 are needed to judge. The model in use stays."
        )
        assert decision.difference == pytest.approx(decision.champion - decision.candidate)

    def test_few_differing_rows_in_groups_show_no_gain(self):
        before, after = np.ones(300), np.ones(300)
        after[:18] = 0
        decision = judge(
            np.zeros(300),
            before,
            after,
            metric=mean_absolute_error,
            rule="challenge",
            groups=np.arange(300) // 2,
        )
        assert (decision.verdict, decision.code) == ("inconclusive", "few_differences")

    def test_the_same_answers_are_promoted_whatever_the_groups(self):
        decision = judge(
            np.arange(30.0),
            np.arange(30.0),
            np.arange(30.0),
            metric=mean_absolute_error,
            groups=np.zeros(30),
        )
        assert (decision.verdict, decision.code) == ("promoted", "same_predictions")


class TestOrder:
    def test_the_reference_interval_of_ten_blocks(self):
        i = rows(200)
        decision = judge(*row_differences(np.sin(i / 7)), metric=mean_absolute_error, order=i)
        assert decision.interval == pytest.approx((-0.2805678849, 0.4158045810), abs=1e-8)
        assert decision.evidence.method == "blocks"

    @pytest.mark.parametrize(
        "times",
        [
            pd.date_range("2026-01-01", periods=200, tz="UTC"),
            pd.date_range("2026-01-01", periods=200).to_numpy(),
            pd.Series([f"2026-{n:04d}" for n in range(200)]),
            [None, *range(199)],
        ],
    )
    def test_rows_are_put_in_order_of_any_times(self, times):
        i = rows(200)
        shuffled = np.random.default_rng(1).permutation(200)
        y, before, after = row_differences(np.sin(i / 7)[shuffled])
        order = np.asarray(times, dtype=object)[shuffled]
        decision = judge(y, before, after, metric=mean_absolute_error, order=order)
        assert decision.interval == pytest.approx((-0.2805678849, 0.4158045810), abs=1e-8)

    def test_below_twenty_rows_they_are_judged_as_if_independent(self):
        y, before, after = row_differences(np.sin(rows(19)))
        ask = partial(judge, y, before, after, metric=mean_absolute_error)
        decision = ask(order=rows(19))
        assert decision.interval == ask().interval
        assert decision.evidence.notes == (
            "too few rows for blocks of time: they were judged as if independent.",
        )

    def test_one_time_for_all_rows_is_no_order(self):
        y, before, after = row_differences(np.sin(rows(60)))
        ask = partial(judge, y, before, after, metric=mean_absolute_error)
        assert ask(order=["2026-01-01"] * 60) == ask()

    def test_times_that_cannot_be_compared_are_refused(self):
        y, before, after = row_differences(np.sin(rows(3)))
        with pytest.raises(UsageError, match="EB050 order cannot be sorted"):
            judge(y, before, after, metric=mean_absolute_error, order=[1, "b", None])

    def test_accuracy_in_time_is_judged_by_blocks(self):
        i = rows(200)
        y = np.ones(200, int)
        before, after = (i % 3 > 0).astype(int), (i % 5 > 0).astype(int)
        decision = judge(y, before, after, metric=sk.accuracy_score, order=i)
        means = (after - before).reshape(10, 20).mean(axis=1)
        assert decision.interval == pytest.approx(
            stats.t.interval(0.95, 9, means.mean(), means.std(ddof=1) / np.sqrt(10))
        )

    def test_groups_and_order_together_leave_open_what_either_does(self):
        i = rows(200)
        y, before, after = row_differences(np.sin(i / 7) + np.cos(i * 1.7))
        ask = partial(judge, y, before, after, metric=mean_absolute_error)
        groups, blocks, both = ask(groups=i % 25), ask(order=i), ask(groups=i % 25, order=i)
        assert both.interval[0] == min(groups.interval[0], blocks.interval[0])
        assert both.interval[1] == max(groups.interval[1], blocks.interval[1])
        assert both.evidence.method == "groups+blocks"

    def test_neighbours_that_are_alike_are_noted_where_no_order_is_told(self):
        i = rows(200)
        decision = judge(*row_differences(np.sin(i / 7)), metric=mean_absolute_error)
        assert decision.evidence.notes[0].startswith("rows that follow each other resemble")
        noise = np.random.default_rng(1).normal(size=200)
        assert judge(*row_differences(noise), metric=mean_absolute_error).evidence.notes == ()

    def test_the_first_example_is_promoted_in_order_of_time(self):
        y = np.array([12.0, 14.0])
        rules = Rules("mean_squared_error", mean_squared_error, "lower")
        given = Given(y, y + 1e-15, y, order=np.array([1, 2]), more_rows=3)
        assert judge_rows(given, rules).code == "same_predictions"


class TestSeveralOutputs:
    def test_a_rows_loss_is_averaged_over_its_outputs(self):
        rng = np.random.default_rng(6)
        y = rng.normal(size=(200, 3))
        before, after = y + rng.normal(size=(200, 3)), y + 0.8 * rng.normal(size=(200, 3))
        decision = judge(y, before, after, metric=sk.mean_squared_error)
        d = ((y - before) ** 2 - (y - after) ** 2).mean(axis=1)
        flat = judge(np.zeros(200), 10 + d, np.full(200, 10.0), metric=sk.mean_absolute_error)
        assert decision.interval == pytest.approx(flat.interval)
        assert decision.evidence.method == "t-hall"
        assert decision.n == 200

    def test_metrics_that_are_not_such_means_are_drawn(self):
        rng = np.random.default_rng(7)
        y = rng.normal(size=(60, 2)) * [1, 10]
        before, after = y + rng.normal(size=(60, 2)), y + rng.normal(size=(60, 2))
        decision = judge(y, before, after, metric=sk.r2_score)
        assert decision.evidence.method == "bootstrap"
        assert decision.candidate == pytest.approx(sk.r2_score(y, after))

    def test_labels_of_several_outputs(self):
        rng = np.random.default_rng(8)
        y = rng.integers(0, 2, (100, 3))
        before, after = rng.integers(0, 2, (100, 3)), rng.integers(0, 2, (100, 3))
        assert judge(y, before, after, metric=sk.hamming_loss).evidence.method == "t-hall"
        assert judge(y, before, after, metric=sk.accuracy_score).evidence.method == "bootstrap"

    def test_another_number_of_outputs_is_no_answer(self):
        rules = Rules("mean_squared_error", sk.mean_squared_error, "lower")
        y = np.ones((3, 2))
        decision = judge_rows(Given(y, y, np.ones(3)), rules)
        assert (decision.verdict, decision.code) == ("rejected", "bad_output")
