"""What must hold for any rows."""

import json
from functools import partial

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from everbake.core.gate import Given, Rules, judge, judge_rows
from everbake.core.metrics import AtLeast, AtMost
from everbake.errors import UserCodeError
from everbake.metrics import (
    accuracy_score,
    log_loss,
    mean_absolute_error,
    mean_squared_error,
    r2_score,
    root_mean_squared_error,
)

WORST_FIRST = {"rejected": 0, "inconclusive": 1, "promoted": 2}
OF_FIGURES = (mean_squared_error, mean_absolute_error, root_mean_squared_error, r2_score)


def furthest(y, p):
    return float(np.max(np.abs(y - p)))


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

    @given(st.lists(st.floats(-3, 3), min_size=25, max_size=60), st.floats(0.01, 1))
    def test_a_candidate_that_gets_worse_is_never_judged_better(self, drawn, shift):
        order = {"rejected": 0, "inconclusive": 1, "promoted": 2}
        y, before = np.zeros(len(drawn)), np.full(len(drawn), 10.0)
        after = before + np.array(drawn)
        ask = partial(judge, y, before, metric=mean_absolute_error)
        one, other = ask(after), ask(after + shift)
        assume(min(one.evidence.differing, other.evidence.differing) >= 20)
        assert order[other.verdict] <= order[one.verdict]
        assert other.difference < one.difference

    @settings(max_examples=8, deadline=None)
    @given(samples, st.integers(0, 2**31))
    def test_the_same_rows_give_the_same_answer(self, drawn, seed):
        y, before, after = map(np.array, zip(*drawn, strict=True))
        ask = partial(judge, y, before, after, metric=furthest, better="lower", seed=seed)
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


def near(value, scale):
    """Equal but for what summing up in another order or unit loses."""
    return pytest.approx(value, rel=1e-6, abs=1e-7 * scale)


@st.composite
def problems(draw, most=50):
    """Outcomes and two models' answers, often alike, as arrays of figures."""
    n = draw(st.integers(1, most))
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    y = np.round(10 * rng.normal(size=n), 3)
    before = y + np.round(rng.normal(size=n), 3)
    apart = draw(st.sampled_from([0.0, 0.01, 0.3, 2.0]))
    differ = rng.random(n) < draw(st.sampled_from([0.1, 0.5, 1.0]))
    after = before + differ * np.round(apart * rng.normal(size=n) + draw(st.floats(-1, 1)), 3)
    return y, before, after


class TestInvariance:
    @settings(deadline=None)
    @given(problems(), st.sampled_from(OF_FIGURES), st.integers(0, 99), st.floats(1e-6, 1e6))
    def test_neither_order_nor_unit_of_the_weights_matters(self, drawn, metric, seed, unit):
        y, before, after = drawn
        rng = np.random.default_rng(seed)
        weights, mixed = rng.integers(1, 5, len(y)).astype(float), rng.permutation(len(y))
        one = judge(y, before, after, metric=metric, weights=weights)
        other = judge(
            y[mixed], before[mixed], after[mixed], metric=metric, weights=unit * weights[mixed]
        )
        assert (other.verdict, other.code) == (one.verdict, one.code)
        if one.interval is not None:
            scale = 1e-3 + max(map(abs, one.interval))
            assert other.interval == near(one.interval, scale)

    @settings(deadline=None, max_examples=25)
    @given(st.integers(0, 99), st.sampled_from([sk.average_precision_score, sk.roc_auc_score]))
    def test_the_order_of_the_rows_does_not_matter_to_what_is_drawn(self, seed, metric):
        rng = np.random.default_rng(seed)
        y = rng.integers(0, 2, 80)
        before, after = np.round(y / 3 + rng.random((2, 80)), 1)
        groups, mixed = rng.integers(0, 20, 80), rng.permutation(80)
        one = judge(y, before, after, metric=metric, groups=groups)
        other = judge(y[mixed], before[mixed], after[mixed], metric=metric, groups=groups[mixed])
        assert (other.verdict, other.code) == (one.verdict, one.code)
        assert other.interval == pytest.approx(one.interval, rel=1e-9, abs=1e-12)

    @settings(deadline=None)
    @given(
        problems(),
        st.sampled_from([(mean_squared_error, 2), (mean_absolute_error, 1), (r2_score, 0)]),
        st.sampled_from([1e-3, 0.5, 7.0, 1e4]),
    )
    def test_the_unit_of_the_figures_only_scales_the_difference(self, drawn, metric, unit):
        y, before, after = drawn
        function, power = metric
        one = judge(y, before, after, metric=function)
        other = judge(unit * y, unit * before, unit * after, metric=function)
        assert (other.verdict, other.code) == (one.verdict, one.code)
        if one.interval is not None:
            scale = 1e-3 + max(map(abs, one.interval))
            told = tuple(end / unit**power for end in other.interval)
            assert told == near(one.interval, scale)

    @settings(deadline=None)
    @given(problems(), st.sampled_from(OF_FIGURES[:3]))
    def test_swapping_the_models_mirrors_the_interval(self, drawn, metric):
        y, before, after = drawn
        there = judge(y, before, after, metric=metric)
        back = judge(y, after, before, metric=metric)
        assert (there.interval is None) == (back.interval is None)
        if there.interval is not None:
            scale = 1e-3 + max(map(abs, there.interval))
            assert back.interval == near((-there.interval[1], -there.interval[0]), scale)

    @given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 60))
    def test_so_it_does_for_accuracy(self, won, lost, rest):
        n = won + lost + rest
        assume(n >= 6)
        y = np.ones(n, int)
        before, after = y.copy(), y.copy()
        before[:won] = 0
        after[won : won + lost] = 0
        there = judge(y, before, after, metric=accuracy_score)
        back = judge(y, after, before, metric=accuracy_score)
        assert back.interval == near((-there.interval[1], -there.interval[0]), 1)


class TestMonotony:
    @settings(deadline=None)
    @given(problems(), st.sampled_from(OF_FIGURES), st.integers(1, 50), st.integers(1, 10**9))
    def test_a_later_look_never_narrows_the_interval(self, drawn, metric, look, later):
        y, before, after = drawn
        one = judge(y, before, after, metric=metric, look=look)
        other = judge(y, before, after, metric=metric, look=look + later)
        assert (one.interval is None) == (other.interval is None)
        if one.interval is not None:
            assert other.interval[0] <= one.interval[0] + 1e-12 * abs(one.interval[0])
            assert other.interval[1] >= one.interval[1] - 1e-12 * abs(one.interval[1])

    @settings(deadline=None)
    @given(problems(), st.floats(0, 5), st.booleans())
    def test_a_limit_never_improves_a_verdict(self, drawn, limit, sure):
        y, before, after = drawn
        ask = partial(judge, y, before, after, metric=mean_absolute_error)
        limits = [AtMost(mean_absolute_error, limit), AtLeast(r2_score, 0.5)]
        plain, guarded = ask(), ask(guardrails=limits, confidence=0.9 if sure else None)
        assert WORST_FIRST[guarded.verdict] <= WORST_FIRST[plain.verdict]
        states = {check.state for check in guarded.checks}
        if "fail" in states:
            assert guarded.verdict == "rejected"
        elif "unknown" in states:
            assert guarded.verdict != "promoted"

    @settings(deadline=None)
    @given(problems(most=150), st.integers(1, 4), st.booleans(), st.integers(0, 99))
    def test_a_segment_never_improves_a_verdict(self, drawn, parts, all_must_pass, seed):
        y, before, after = drawn
        part = np.random.default_rng(seed).integers(0, parts, len(y))
        ask = partial(judge, y, before, after, metric=mean_squared_error)
        plain, parted = ask(), ask(segments={"part": part}, all_must_pass=all_must_pass)
        assert WORST_FIRST[parted.verdict] <= WORST_FIRST[plain.verdict]
        states = {segment.state for segment in parted.segments}
        if "hurt" in states:
            assert parted.verdict == "rejected"
        elif "open" in states:
            assert parted.verdict != "promoted"

    @settings(deadline=None)
    @given(problems(), st.floats(-2, 2))
    def test_neither_does_the_best_model_so_far(self, drawn, shift):
        y, before, after = drawn
        rules = Rules("mean_absolute_error", mean_absolute_error, "lower")
        plain = judge_rows(Given(y, before, after), rules)
        beside = judge_rows(Given(y, before, after, best=before + shift, best_name="v1"), rules)
        assert WORST_FIRST[beside.verdict] <= WORST_FIRST[plain.verdict]


class TestRecord:
    @settings(deadline=None)
    @given(
        problems(),
        st.sampled_from([*OF_FIGURES, sk.max_error, sk.mean_squared_log_error]),
        st.sampled_from(["refresh", "challenge"]),
        st.sampled_from(["keep", "reject", "promote", "lean"]),
        st.sampled_from([1.0, 1e-160, 1e-8, 1e8, 1e150]),
    )
    def test_it_is_always_json_and_the_same_on_every_call(self, drawn, metric, rule, choice, unit):
        y, before, after = (unit * np.abs(each) for each in drawn)
        better = None if metric is not sk.max_error else "lower"
        options = {"metric": metric, "better": better, "rule": rule, "if_inconclusive": choice}
        part = np.arange(len(y)) % 2
        ask = partial(judge, y, before, after, segments={"part": part}, **options)
        try:
            decision = ask()
        except UserCodeError:  # the metric's own complaint, such as of an overflow
            return
        text = json.dumps(decision.to_dict(), allow_nan=False)
        assert text == json.dumps(ask().to_dict(), allow_nan=False)
        assert decision.because.startswith("Because ")
        assert decision.because.endswith(".")

    @settings(deadline=None)
    @given(st.lists(st.tuples(st.booleans(), st.floats(0, 1), st.floats(0, 1)), min_size=1))
    def test_so_it_is_for_probabilities(self, drawn):
        y, before, after = map(np.array, zip(*drawn, strict=True))
        for metric in (log_loss, sk.brier_score_loss):
            decision = judge(y, before, after, metric=metric)
            json.dumps(decision.to_dict(), allow_nan=False)
