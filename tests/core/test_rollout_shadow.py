"""Shadow rollouts: different is not worse, worse rolls back, and what is kept is bounded."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everbake.core.rollout import (
    Baseline,
    Loss,
    LossBaseline,
    Options,
    Pair,
    Tally,
    assess,
    make_plan,
    tally_paired_losses,
    tally_pairs,
)
from everbake.core.rollout.disagreement import segment_shifts
from everbake.core.rollout.tally import MOST_CLASSES, MOST_SEGMENTS
from everbake.statistics.running import Moments, moments

LOSS = LossBaseline(Moments(5000, 0.2, 4999 * 0.04), 3.0, 0.9)
BASELINE = Baseline(100_000, 1000, None, 0.25, LOSS, 2.0)


def look(plan, tally, hours=100.0):
    return assess(plan, tally, 0, hours * 3600, hours * 3600, frozenset())


def row(assessment, name):
    return next(check for check in assessment.checks if check.name == name)


SHADOW = make_plan(Options("shadow", "s", loss=Loss("error", "rate")), BASELINE)
SAME = [Pair("yes", "yes", 0.0)] * 940 + [Pair("no", "yes", 0.5)] * 60


def test_a_shadow_that_only_differs_advances_and_says_that_labels_decide():
    seen = look(SHADOW, tally_pairs(SAME), hours=24)
    assert seen.step == "advance"
    detail = row(seen, "disagreement").detail
    assert detail.startswith("differs on 6 % [")
    assert detail.endswith("of 1,000 requests; labels needed to say which is right")
    assert row(seen, "directions").detail == "no to yes: 60"
    assert "mean 0.03, 5/50/95 % quantiles 0 / 0 / 0.496" in row(seen, "scores").detail


def test_a_shadow_waits_for_its_time_and_requests():
    assert look(SHADOW, tally_pairs(SAME), hours=23).step == "wait"
    assert look(SHADOW, tally_pairs(SAME[:999]), hours=24).step == "wait"
    assert look(SHADOW, tally_pairs(SAME[:999]), hours=14 * 24).step == "undecided"


def test_labels_on_which_only_the_shadow_errs_roll_it_back():
    worse = tally_paired_losses([(0.0, 1.0)] * 40 + [(1.0, 0.0)] * 12 + [(0.0, 0.0)] * 900)
    seen = look(SHADOW, tally_pairs(SAME).merge(worse))
    assert seen.step == "roll_back"
    assert "only the canary did badly on 40 requests, only the champion on 12" in seen.because
    even = tally_paired_losses([(0.0, 1.0)] * 40 + [(1.0, 0.0)] * 40)
    assert look(SHADOW, tally_pairs(SAME).merge(even)).step == "advance"


def test_a_shadow_with_a_larger_mean_loss_is_rolled_back():
    plan = make_plan(Options("shadow", "s", loss=Loss("mae", "mean")), BASELINE)
    losses = tally_paired_losses([(0.1, 0.2), (0.1, 0.15)] * 100)
    assert look(plan, tally_pairs(SAME).merge(losses)).step == "roll_back"
    even = tally_paired_losses([(0.1, 0.2), (0.2, 0.1)] * 100)
    assert look(plan, tally_pairs(SAME).merge(even)).step == "advance"


def test_a_shadow_that_fails_where_the_champion_answers_is_rolled_back():
    failing = tally_pairs([*SAME, *[Pair(canary_failed=True)] * 15])
    seen = look(SHADOW, failing)
    assert seen.step == "roll_back"
    assert "errors" in seen.because
    assert failing.shadow.answered == 1000


FINAL = replace(SHADOW, final=True)


def test_a_shadow_behind_which_nothing_follows_needs_evidence_of_every_metric():
    silent = look(FINAL, tally_pairs(SAME))
    assert silent.step == "wait"
    assert "quality is not yet shown to be acceptable" in silent.because
    assert look(FINAL, tally_pairs(SAME), hours=14 * 24).step == "undecided"
    labels = tally_paired_losses([(0.0, 1.0), (1.0, 0.0)] * 20 + [(0.0, 0.0)] * 4000)
    seen = look(FINAL, tally_pairs(SAME).merge(labels))
    assert seen.step == "promote"
    assert seen.because.startswith("Because errors, quality passed after 1,000 requests")


def test_a_shadow_that_is_wrong_where_the_champion_is_passes_without_a_difference():
    labels = tally_paired_losses([(0.0, 0.0)] * 3000)
    assert look(FINAL, tally_pairs(SAME).merge(labels)).step == "promote"


def test_failures_of_both_models_hold_a_shadow_up_only_above_the_cap():
    both = Pair(champion_failed=True, canary_failed=True)
    labels = tally_paired_losses([(0.0, 0.0)] * 3000)
    rare = look(FINAL, tally_pairs([*SAME, *[both] * 2]).merge(labels))
    often = look(FINAL, tally_pairs([*SAME, *[both] * 40]).merge(labels))
    assert (rare.step, often.step) == ("promote", "wait")


def test_failures_of_either_model_are_a_fair_coin():
    """McNemar: seven failures of the shadow alone are enough, unless the champion fails as well."""
    alone, champion = Pair(canary_failed=True), Pair(champion_failed=True)
    assert look(SHADOW, tally_pairs([*SAME, *[alone] * 9])).step == "roll_back"
    assert look(SHADOW, tally_pairs([*SAME, *[alone, champion] * 9])).step == "advance"


def test_scores_differ_beyond_a_tenth_of_the_champions_spread():
    pairs = [Pair(difference=gap) for gap in (0.0, 0.19, 0.21, -0.3)]
    assert tally_pairs(pairs, score_sd=2.0).shadow.differing == 2


def test_an_answer_that_is_no_number_differs_and_spoils_no_mean():
    pairs = [Pair(difference=gap, segments=("a",)) for gap in (1.0, float("nan"), float("inf"))]
    shadow = tally_pairs(pairs, score_sd=100.0).shadow
    assert (shadow.answered, shadow.differing) == (3, 2)
    assert shadow.differences == Moments(1, 1.0, 0.0)
    assert shadow.segments == (("a", Moments(1, 1.0, 0.0)),)
    assert tally_paired_losses([(0.0, float("nan"))]) == Tally()


def test_segments_are_ranked_by_what_is_certain():
    rng = np.random.default_rng(20240630)
    plan = make_plan(
        Options("shadow", "s", segments=tuple(f"g{i}" for i in range(20))),
        replace(BASELINE, score_sd=1.0),
    )
    sizes = np.geomspace(200, 20_000, 20).astype(int)
    rows = []
    for i, n in enumerate(sizes):
        gaps = rng.normal(0.1 if i == 18 else 0.0, 1.0, n)
        rows.append((f"g{i}", moments(gaps.tolist())))
    shadow = replace(Tally().shadow, segments=tuple(rows))
    ranked = segment_shifts(plan, shadow)
    assert ranked[0].name == "g18"
    assert ranked[0].at_least > 0
    assert all(shift.at_least == 0 for shift in ranked[1:])
    assert max(ranked, key=lambda shift: abs(shift.shift)).name != "g18"


def test_segments_share_the_level_and_need_two_hundred_requests():
    rows = (("few", Moments(199, 5.0, 199.0)), ("many", Moments(200, 5.0, 200.0)))
    shadow = replace(Tally().shadow, segments=rows)
    plans = [replace(SHADOW, segments=names) for names in (("many",), ("few", "many"), ())]
    lowest = []
    for plan in plans:
        (shift,) = segment_shifts(plan, shadow)
        assert (shift.name, shift.shift) == ("many", 2.5)
        lowest.append(shift.at_least)
    assert lowest == sorted(lowest, reverse=True)
    assert len(set(lowest)) == 3


def test_what_is_kept_of_a_shadow_is_bounded():
    pairs = [Pair(str(i), str(i + 1), float(i), (f"segment {i}",)) for i in range(300)]
    shadow = tally_pairs(pairs).shadow
    assert len({name for old, new, _ in shadow.directions for name in (old, new)}) <= 21
    assert MOST_CLASSES == 20
    assert sum(n for _, _, n in shadow.directions) == 300
    assert len(shadow.segments) == MOST_SEGMENTS


names = st.sampled_from(["a", "b", "c"])
pair = st.builds(
    Pair,
    names,
    names,
    st.integers(-8, 8).map(float),
    st.lists(names, max_size=2, unique=True).map(tuple),
    st.booleans(),
    st.booleans(),
)


@given(st.lists(pair, max_size=20), st.lists(pair, max_size=20))
def test_pairs_merge_as_if_counted_together_and_travel_as_json(first, second):
    merged = tally_pairs(first).merge(tally_pairs(second))
    whole = tally_pairs(first + second)
    for name in ("pairs", "answered", "failed", "differing", "directions", "spread"):
        assert getattr(merged.shadow, name) == getattr(whole.shadow, name)
    assert merged.shadow.differences.mean == pytest.approx(whole.shadow.differences.mean)
    assert msgspec.json.decode(msgspec.json.encode(merged), type=Tally) == merged
