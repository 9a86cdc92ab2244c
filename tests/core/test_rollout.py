"""Rollouts step by step: the plan, what is counted, what follows; by behaviour."""

from dataclasses import replace
from math import sqrt

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everbake.core.rollout import (
    Baseline,
    Loss,
    LossBaseline,
    Matured,
    Options,
    Plan,
    Served,
    Stage,
    Tally,
    assess,
    make_plan,
    tally_losses,
    tally_requests,
)
from everbake.core.rollout.rates import Counts, judge_rate
from everbake.core.rollout.tally import Arm, StageTally
from everbake.statistics.running import Moments

HOUR, DAY = 3600.0, 86400.0
NOBODY = frozenset()
LOSS = LossBaseline(Moments(5000, 0.2, 4999 * 0.04), 3.0, 0.9)
BASELINE = Baseline(100_000, 1000, None, 0.25, LOSS, 2.0)
STAGES = (Stage(0.1, HOUR, 200), Stage(0.5, DAY, 1000))


def canary_plan(**changed):
    return make_plan(Options("canary", "s", stages=STAGES, **changed), BASELINE)


def arms(canary, champion, stage=0):
    """Counts of one stage: (units, errors, over budget) of both arms."""
    return Tally((*(StageTally(),) * stage, StageTally(Arm(*canary), Arm(*champion))))


def look(plan, tally, stage=0, hours=100.0, passed=NOBODY):
    return assess(plan, tally, stage, hours * HOUR, hours * HOUR, passed)


def row(assessment, name):
    return next(check for check in assessment.checks if check.name == name)


def by_user(**changed):
    return canary_plan(unit="key", **changed)


def test_a_plan_by_user_takes_no_rate_from_the_history_of_requests():
    """Sixty requests a user: nearly everybody is slow once, whichever model answers."""
    assert [rule.name for rule in by_user().rates] == ["errors"]
    errors, latency = by_user(latency_budget=1.0, errors_rate=0.4).rates
    assert (errors.p0, errors.event, latency.p0) == (None, "failure", None)
    users = arms((8000, 80, 7990), (8000, 80, 7680))
    assert look(by_user(latency_budget=1.0), users, 1).step != "promote"


def test_users_who_are_taken_to_the_canary_are_no_uneven_traffic():
    plan = by_user()
    moved = Tally((StageTally(Arm(100), Arm(900)), StageTally(Arm(600, moved=400), Arm(200))))
    seen = look(plan, moved, 1)
    assert row(seen, "traffic").state == "pass"
    assert "700 of 1,000 canary requests" in row(seen, "progress").detail
    odd = Tally((StageTally(Arm(100), Arm(900)), StageTally(Arm(600), Arm(200))))
    assert look(plan, odd, 1).step == "invalid"


# --- the plan -------------------------------------------------------------------------------------


def test_the_false_roll_backs_of_all_metrics_add_up_to_five_percent():
    plan = canary_plan(loss=Loss("log_loss", "mean"))
    assert [rule.alpha for rule in plan.rates] == pytest.approx([0.02, 0.01])
    assert plan.quality.alpha == pytest.approx(0.02)
    without = make_plan(Options("canary", "s"), Baseline(5000, 10))
    assert [rule.alpha for rule in without.rates] == pytest.approx([0.05])
    two = canary_plan()
    assert [rule.alpha for rule in two.rates] == pytest.approx([0.05 * 2 / 3, 0.05 / 3])


def test_margins_follow_from_the_champions_own_rate():
    errors, latency = canary_plan().rates
    p0 = 1000.5 / 100_001
    assert errors.p0 == pytest.approx(p0)
    assert errors.ratio == pytest.approx(1 + 0.005 / p0)
    assert errors.cap == pytest.approx(p0 + 0.005)
    assert (latency.p0, latency.ratio, latency.cap) == pytest.approx((0.05, 1.25, 0.0625))
    assert canary_plan().latency_budget == 0.25


def test_a_champion_that_almost_never_fails_is_held_to_the_cap():
    (errors,) = make_plan(Options("canary", "s"), Baseline(10**6, 0)).rates
    assert errors.ratio == 16
    assert errors.cap == pytest.approx(0.005, rel=1e-3)


def test_without_a_history_only_the_declared_rate_counts():
    (errors,) = make_plan(Options("canary", "s", errors_rate=0.02), Baseline(999, 5)).rates
    assert errors.p0 is None
    assert errors.cap == pytest.approx(0.025)


def test_a_declared_budget_takes_the_champions_share_above_it():
    options = Options("canary", "s", latency_budget=0.3)
    plan = make_plan(options, replace(BASELINE, over_budget=2000))
    assert plan.latency_budget == 0.3
    assert plan.rates[1].p0 == pytest.approx(0.02, rel=1e-3)
    assert make_plan(options).rates[1].p0 is None


def test_where_failures_are_frequent_successes_are_counted():
    (errors,) = make_plan(Options("canary", "s"), Baseline(10_000, 4000)).rates
    assert errors.event == "success"
    assert errors.ratio == pytest.approx(0.5 / 0.6, rel=1e-3)
    assert errors.cap == pytest.approx(0.5, rel=1e-3)


def test_the_margin_of_quality_is_a_tenth_of_the_reference_sd():
    assert canary_plan(loss=Loss("mae", "mean")).quality.margin == pytest.approx(0.02)
    assert canary_plan(loss=Loss("mae", "mean", 0.5)).quality.margin == 0.5


def test_heavy_tails_are_clipped_at_the_quantile_frozen_in_the_plan():
    heavy = replace(BASELINE, loss=replace(LOSS, kurtosis=11.0))
    rule = make_plan(Options("canary", "s", loss=Loss("mae", "mean")), heavy).quality
    assert (rule.clipped(7.0), rule.clipped(0.1)) == (0.9, 0.1)
    assert canary_plan(loss=Loss("mae", "mean")).quality.clipped(7.0) == 7.0


def test_labels_that_mature_too_late_leave_quality_to_others():
    plan = canary_plan(loss=Loss("mae", "mean"), maturity=30 * DAY)
    assert plan.quality is None
    assert sum(rule.alpha for rule in plan.rates) == pytest.approx(0.05)
    told = row(look(plan, Tally()), "quality")
    assert told.state == "unknown"
    assert told.detail.startswith("not judged here: labels mature after 30 days")


def test_quality_without_a_reference_is_not_judged():
    plan = make_plan(Options("canary", "s", loss=Loss("mae", "mean")), Baseline(5000, 50))
    assert plan.quality is None
    assert "no reference loss" in plan.quality_note


def test_a_share_that_can_carry_no_verdict_is_refused():
    with pytest.raises(ValueError, match="share"):
        make_plan(Options("canary", "s", stages=(Stage(1.0, HOUR, 200),)))


@pytest.mark.parametrize("kind", ["canary", "shadow"])
@pytest.mark.parametrize("loss", [None, Loss("error", "rate"), Loss("mae", "mean")])
def test_plans_travel_as_json(kind, loss):
    plan = make_plan(Options(kind, "s", loss=loss, segments=("a", "b")), BASELINE)
    assert msgspec.json.decode(msgspec.json.encode(plan), type=Plan) == plan


# --- steps of a canary ----------------------------------------------------------------------------

EQUAL = arms((30_000, 300, 1500), (30_000, 300, 1500), stage=1)


def test_equal_arms_are_promoted_from_the_last_stage():
    seen = look(canary_plan(), EQUAL, stage=1)
    assert seen.step == "promote"
    assert seen.passed == {"errors", "latency"}
    assert seen.because.startswith("Because errors, latency passed after 30,000 canary requests")


def test_an_earlier_stage_needs_dwell_and_requests_only():
    few = arms((200, 2, 10), (1800, 18, 90))
    assert look(canary_plan(), few, hours=1).step == "advance"
    assert look(canary_plan(), few, hours=0.9).step == "wait"
    short = look(canary_plan(), arms((199, 2, 10), (1800, 18, 90)), hours=1)
    assert short.step == "wait"
    assert short.because == "Because 199 of 200 canary requests are in."


def test_the_last_stage_needs_a_day_and_every_metric():
    assert look(canary_plan(), EQUAL, stage=1, hours=23).step == "wait"
    unproven = look(canary_plan(), arms((1000, 10, 50), (1000, 10, 50), stage=1), stage=1)
    assert unproven.step == "wait"
    assert "errors are not yet shown to be acceptable" in unproven.because


def test_a_pass_once_reached_is_kept():
    tally = arms((1000, 10, 50), (1000, 10, 50), stage=1)
    kept = look(canary_plan(), tally, stage=1, passed=frozenset({"errors", "latency"}))
    assert kept.step == "promote"
    assert row(kept, "errors").state == "pass"


def test_harm_rolls_back_before_anything_else_is_looked_at():
    bad = arms((3000, 90, 150), (3000, 30, 150), stage=1)
    seen = look(canary_plan(), bad, stage=1, hours=10_000, passed=frozenset({"errors", "latency"}))
    assert seen.step == "roll_back"
    assert seen.because.startswith("Because the canary's errors are worse: canary 90 of 3,000 (3 %")
    assert row(seen, "errors").state == "fail"
    assert row(seen, "latency").state != "fail"


def test_slow_answers_roll_back_too():
    seen = look(canary_plan(), arms((3000, 30, 300), (3000, 30, 150), stage=1))
    assert seen.step == "roll_back"
    assert "latency" in seen.because


def test_a_handful_of_failures_rolls_nothing_back():
    plan = canary_plan()
    assert look(plan, arms((20, 4, 0), (180, 0, 0)), hours=0.1).step == "wait"
    assert look(plan, arms((20, 5, 0), (180, 0, 0)), hours=0.1).step == "roll_back"


def test_an_incident_that_hits_both_arms_while_the_share_grows_is_no_harm():
    calm = StageTally(Arm(1000, 10, 50), Arm(9000, 90, 450))
    storm = StageTally(Arm(5000, 1000, 250), Arm(5000, 1000, 250))
    seen = look(canary_plan(), Tally((calm, storm)), stage=1)
    assert seen.step == "promote"


def test_traffic_split_otherwise_than_declared_makes_all_invalid():
    bad = arms((5300, 500, 0), (4700, 10, 0), stage=1)
    seen = look(canary_plan(), bad, stage=1)
    assert seen.step == "invalid"
    assert row(seen, "traffic").state == "fail"


def test_at_a_limit_the_outcome_is_undecided():
    plan = canary_plan()
    few = arms((500, 5, 25), (500, 5, 25), stage=1)
    assert look(plan, few, stage=1, hours=14 * 24).step == "undecided"
    assert look(plan, few, stage=1, hours=14 * 24 - 1).step == "wait"
    small = replace(plan, most_requests=1000)
    told = look(small, few, stage=1)
    assert told.step == "undecided"
    assert told.because.startswith("Because the limit of 1,000 requests is reached")


def test_busy_traffic_does_not_use_a_rollout_up_before_its_day_is_over():
    plan = replace(canary_plan(), most_requests=1000)
    few = arms((500, 5, 25), (500, 5, 25), stage=1)
    assert look(plan, few, stage=1, hours=23).step == "wait"
    assert look(plan, few, stage=1, hours=24).step == "undecided"


def test_proof_at_the_limit_still_promotes():
    assert look(canary_plan(), EQUAL, stage=1, hours=14 * 24).step == "promote"


def test_zero_failures_prove_safety_below_the_cap():
    plan = make_plan(Options("canary", "s", stages=STAGES), Baseline(10**6, 0))
    assert look(plan, arms((1100, 0), (1100, 0), stage=1), stage=1).step == "promote"
    unknown = make_plan(Options("canary", "s", stages=STAGES, errors_rate=0.004))
    assert unknown.rates[0].cap == pytest.approx(0.009)
    assert look(unknown, arms((1000, 0), (1000, 3), stage=1), stage=1).step == "promote"
    assert look(unknown, arms((1000, 9), (1000, 9), stage=1), stage=1).step == "wait"


def test_frequent_failures_are_judged_by_their_successes():
    plan = make_plan(Options("canary", "s", stages=STAGES), Baseline(10_000, 4000))
    worse = look(plan, arms((2000, 1100), (2000, 800), stage=1), stage=1)
    assert worse.step == "roll_back"
    assert look(plan, arms((4000, 1600), (4000, 1600), stage=1), stage=1).step == "promote"
    assert look(plan, arms((4000, 1200), (4000, 1600), stage=1), stage=1).step == "promote"
    above_the_cap = arms((4000, 2400), (4000, 2400), stage=1)
    assert look(plan, above_the_cap, stage=1).step == "promote"


def labels(canary, champion, n=2000):
    """Matured losses of stage 1, of mean `canary` and `champion` and a spread of 0.2."""
    spread = 0.2 * sqrt(3) * (2 * np.arange(n) / (n - 1) - 1)
    rows = [Matured(1, canary=True, loss=canary + gap) for gap in spread]
    return tally_losses(rows + [Matured(1, canary=False, loss=champion + gap) for gap in spread])


def test_quality_rolls_back_or_has_to_pass():
    plan = canary_plan(loss=Loss("mae", "mean"))
    rates_passed = frozenset({"errors", "latency"})
    waiting = look(plan, EQUAL, stage=1)
    assert waiting.step == "wait"
    assert waiting.because == "Because quality is not yet shown to be acceptable."
    bad = look(plan, EQUAL.merge(labels(0.23, 0.2)), stage=1, passed=rates_passed)
    assert bad.step == "roll_back"
    assert "quality" in bad.because
    assert look(plan, EQUAL.merge(labels(0.2, 0.2, 200)), stage=1).step == "wait"
    good = look(plan, EQUAL.merge(labels(0.2, 0.2, 20_000)), stage=1)
    assert good.step == "promote"
    assert good.passed == {"errors", "latency", "quality"}


def test_a_loss_of_zero_or_one_is_judged_as_a_rate():
    reference = replace(BASELINE, loss=LossBaseline(Moments(5000, 0.1, 450.0), 8.0, 1.0))
    plan = make_plan(Options("canary", "s", stages=STAGES, loss=Loss("error", "rate")), reference)
    assert plan.quality.rate.ratio == pytest.approx(1.3, rel=1e-2)

    def wrong(canary, champion, n=3000):
        rows = [Matured(1, canary=True, loss=float(i < canary)) for i in range(n)]
        return tally_losses(
            rows + [Matured(1, canary=False, loss=float(i < champion)) for i in range(n)]
        )

    assert look(plan, EQUAL.merge(wrong(450, 300)), stage=1).step == "roll_back"
    assert look(plan, EQUAL.merge(wrong(300, 300)), stage=1).step == "promote"


def test_too_uneven_a_share_allows_no_verdict():
    plan = replace(canary_plan(), stages=(Stage(0.9995, HOUR, 200),))
    seen = look(plan, arms((9000, 900, 0), (5, 0, 0)))
    assert seen.step == "wait"
    assert look(plan, arms((9000, 900, 0), (5, 0, 0)), hours=14 * 24).step == "undecided"
    later = replace(plan, stages=(Stage(0.5, HOUR, 200), *plan.stages))
    harm = arms((3000, 90, 150), (3000, 30, 150))
    assert look(later, harm).step == "roll_back"
    assert look(later, harm, stage=1).step == "wait"


def test_evidence_without_the_rates_to_match_is_no_pass():
    rule = canary_plan().rates[0]
    even = judge_rate(rule, (Counts(0.5, (40, 4000), (60, 4000)),), passed=False)
    odd = judge_rate(rule, (Counts(0.5, (40, 400), (60, 4000)),), passed=False)
    assert even.passed
    assert not odd.passed


counts = st.integers(0, 2000)
arm = st.builds(
    lambda units, errors, slow: Arm(units, min(errors, units), min(slow, units)),
    counts,
    st.integers(0, 60),
    st.integers(0, 200),
)
tallies = st.builds(Tally, st.lists(st.builds(StageTally, arm, arm), max_size=2).map(tuple))


@given(tallies, st.integers(0, 1), st.floats(0, 500), st.sampled_from([set(), {"errors"}]))
def test_whatever_was_counted_the_order_of_the_steps_holds(tally, stage, hours, before):
    plan = canary_plan()
    seen = look(plan, tally, stage, hours, frozenset(before))
    states = {check.name: check.state for check in seen.checks}
    canary = sum(kept.canary.units for kept in tally.stages)
    harmed = "fail" in (states["errors"], states["latency"])
    assert seen.because.startswith("Because ")
    assert seen.passed >= before
    assert (seen.step == "invalid") == (states["traffic"] == "fail")
    assert (seen.step == "roll_back") == (harmed and seen.step != "invalid")
    if seen.step in ("advance", "promote"):
        assert canary >= plan.stages[stage].least
        assert hours * HOUR >= plan.stages[stage].dwell
        assert (seen.step == "promote") == (stage == 1)
    if seen.step == "promote":
        assert seen.passed == {"errors", "latency"}
    if seen.step == "undecided":
        assert hours * HOUR >= plan.most_seconds
    if seen.step == "wait":
        assert hours * HOUR < plan.most_seconds


@given(tallies, tallies, tallies)
def test_merging_counts_in_any_order_gives_the_same(a, b, c):
    assert a.merge(b) == b.merge(a)
    assert a.merge(b).merge(c) == a.merge(b.merge(c))
    assert a.merge(Tally()) == a


@given(st.lists(st.builds(Served, st.integers(0, 2), st.booleans(), st.booleans(), st.booleans())))
def test_counting_one_by_one_gives_the_same_as_all_at_once(rows):
    folded = Tally()
    for served in rows:
        folded = folded.merge(tally_requests([served]))
    assert folded == tally_requests(rows)
    assert sum(s.canary.units + s.champion.units for s in folded.stages) == len(rows)
