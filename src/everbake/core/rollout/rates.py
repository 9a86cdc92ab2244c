"""Judge a rate: is the canary's worse than the champion's, is it shown to be acceptable?

Worse: E+(1) reaches 1/alpha, on at least five failures of the canary. Acceptable:
(E-(ratio) + E_cap(cap)) / 2 reaches 20, and the observed rate agrees. The mean of two e-processes
is one where both nulls hold, so a canary that is above the ratio *and* above the cap passes with a
chance of at most 5 %; one that is above the ratio and below the cap is acceptable by the plan.
"""

from math import log
from typing import NamedTuple

from everbake.core.decision import Check
from everbake.core.rollout.findings import (
    Finding,
    bounds,
    count,
    evidence,
    percent,
    share_bounds,
    state,
    verb,
)
from everbake.core.rollout.plan import Plan, RateRule
from everbake.core.rollout.tally import Arm, Tally
from everbake.statistics.sequential import (
    Split,
    better,
    log_mean_exp,
    rate_interval,
    ratio_interval,
    under_cap,
    worse,
)

PASS = 0.05
LEAST_FAILURES = 5


class Counts(NamedTuple):
    """Failures and units of both arms in one stage."""

    share: float
    canary: tuple[int, int]
    champion: tuple[int, int]


def counts_of(plan: Plan, tally: Tally, name: str) -> tuple[Counts, ...]:
    """The counts behind a rate, by stage."""
    both = zip(plan.stages, tally.stages, strict=False)
    return tuple(
        Counts(stage.share, _counted(name, seen.canary), _counted(name, seen.champion))
        for stage, seen in both
    )


def _counted(name: str, arm: Arm) -> tuple[int, int]:
    if name == "errors":
        return arm.errors, arm.units
    if name == "latency":
        return arm.over_budget, arm.units
    return arm.wrong, arm.losses.n


def judge_rate(rule: RateRule, stages: tuple[Counts, ...], *, passed: bool) -> Finding:
    """Judge one rate; `passed`: it has passed at an earlier look, which is kept."""
    events = _events(rule, stages)
    failure = rule.event == "failure"
    harm = worse(events) if failure else better(events)
    bar = log(1 / rule.alpha)
    told = _told(rule, stages, events)
    failed = harm >= bar and sum(s.canary[0] for s in stages) >= LEAST_FAILURES
    safe, needed = _safety(rule, stages, events), log(1 / PASS)
    passed = passed or (safe >= needed and _looks_safe(rule, stages))
    detail = (
        f"{told}; worse than the champion: {evidence(harm, bar)}; "
        f"acceptable ({_limits(rule)}): {evidence(safe, needed)}"
    )
    check = Check(rule.name, state(failed=failed, passed=passed), detail)
    because = f"the canary's {verb(rule.name)} worse: {told}; {evidence(harm, bar)}"
    return Finding(check, because if failed else "", passed)


def _events(rule: RateRule, stages: tuple[Counts, ...]) -> list[Split]:
    """The events of both arms: failures, or successes where those are rarer."""
    splits = []
    for share, canary, champion in stages:
        parts = [n if rule.event == "failure" else units - n for n, units in (canary, champion)]
        splits.append(Split(share, parts[0], sum(parts)))
    return splits


def _safety(rule: RateRule, stages: tuple[Counts, ...], events: list[Split]) -> float:
    failures, units = _total(stages, "canary")
    cap = under_cap(failures, units, rule.cap)
    if rule.p0 is None:
        return cap
    ratio = better if rule.event == "failure" else worse
    return log_mean_exp([ratio(events, rule.ratio), cap])


def _looks_safe(rule: RateRule, stages: tuple[Counts, ...]) -> bool:
    """Whether the observed rate of failures is within the ratio or the cap, too.

    The champion's rate is that of each stage at the canary's share of it, or an incident during
    the last stage would look like the canary's own.
    """
    failures, units = _total(stages, "canary")
    canary = _rate(failures, units)
    champion = _rate(sum(s.canary[1] * _rate(*s.champion) for s in stages), units)
    if rule.p0 is None:
        return canary <= rule.cap
    allowed = rule.ratio * champion if rule.event == "failure" else 1 - rule.ratio * (1 - champion)
    return canary <= max(allowed, rule.cap)


def _total(stages: tuple[Counts, ...], arm: str) -> tuple[int, int]:
    kept = [getattr(stage, arm) for stage in stages]
    return sum(n for n, _ in kept), sum(units for _, units in kept)


def _rate(events: float, units: int) -> float:
    return events / units if units else 0.0


def _told(rule: RateRule, stages: tuple[Counts, ...], events: list[Split]) -> str:
    arms = []
    for arm in ("canary", "champion"):
        n, units = _total(stages, arm)
        interval = share_bounds(rate_interval(n, units))
        rate = percent(_rate(n, units))
        arms.append(f"{arm} {count(n)} of {count(units)} ({rate} {interval})")
    noun = "failures" if rule.event == "failure" else "successes"
    return f"{', '.join(arms)}, ratio of {noun} {bounds(ratio_interval(events))}"


def _limits(rule: RateRule) -> str:
    if rule.p0 is None:
        return f"below {percent(rule.cap)}"
    side = "below" if rule.event == "failure" else "above"
    return f"ratio {side} {rule.ratio:.3g} or rate below {percent(rule.cap)}"
