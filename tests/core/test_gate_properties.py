"""What must hold for any rows."""

from functools import partial

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from everbake.core.gate import judge
from everbake.metrics import mean_absolute_error, mean_squared_error


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
