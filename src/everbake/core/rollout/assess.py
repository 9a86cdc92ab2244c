"""What follows from what was seen: go on, wait, roll back, or end without a verdict."""

import math
from dataclasses import dataclass
from typing import Literal

from everbake.core.decision import Check
from everbake.core.rollout.disagreement import disagreement
from everbake.core.rollout.plan import Plan
from everbake.core.rollout.rules import Finding, findings
from everbake.core.rollout.tally import Tally
from everbake.statistics.sequential import log_ratio_mismatch

Step = Literal["wait", "advance", "promote", "roll_back", "undecided", "invalid"]

_MISMATCH = math.log(1_000)
_NAMES = {"errors": "errors", "slow": "slow answers", "quality": "quality"}


@dataclass(frozen=True)
class Moment:
    """Where a part of a rollout stands.

    Attributes:
        stage: of the plan, from 0.
        in_stage: seconds since the stage began.
        in_part: seconds since the part began.
    """

    stage: int
    in_stage: float
    in_part: float


@dataclass(frozen=True)
class Assessment:
    """What follows, with what it rests on.

    Attributes:
        step: what to do.
        because: one sentence.
        checks: one for each rule, for the traffic, and for what is still awaited.
        findings: the rules' figures.
    """

    step: Step
    because: str
    checks: tuple[Check, ...]
    findings: tuple[Finding, ...]


def passed(plan: Plan, tally: Tally) -> tuple[str, ...]:
    """The rules that are passed, now or before: to be kept with the tally."""
    now = {finding.name for finding in findings(plan, tally) if finding.state == "passed"}
    return tuple(sorted(now | set(tally.passed)))


def assess(plan: Plan, tally: Tally, moment: Moment) -> Assessment:
    """What follows for a part of a rollout.

    Looked at first is whether the traffic was split as planned, then whether anything speaks
    against the challenger, then whether it may go on; a limit ends the part without a verdict.

    Args:
        plan: as frozen.
        tally: what was seen.
        moment: how long it has been going on.
    """
    found = tuple(findings(plan, tally))
    mismatch = _mismatch(plan, tally)
    awaited = _awaited(plan, tally, moment, found)
    step, because = _step(plan, tally, moment, found, (mismatch, awaited))
    checks = tuple(_check(finding) for finding in found)
    if plan.why_no_quality:
        checks += (Check("quality", "unknown", f"not judged here: {plan.why_no_quality}"),)
    if plan.kind == "canary":
        checks += (_traffic(mismatch, tally),)
    else:
        checks += disagreement(plan, tally.pairs)
    if awaited:
        checks += (Check("awaited", "unknown", "; ".join(awaited)),)
    return Assessment(step, because, checks, found)


def _step(
    plan: Plan,
    tally: Tally,
    moment: Moment,
    found: tuple[Finding, ...],
    seen: tuple[float, list[str]],
) -> tuple[Step, str]:
    mismatch, awaited = seen
    who = f"{tally.challenger_requests} of {tally.requests} requests"
    if plan.kind == "shadow":
        who = f"{tally.challenger_requests} requests scored twice"
    if mismatch >= _MISMATCH:
        return "invalid", f"Because the challenger did not get its share of the traffic: {who}."
    worse = [finding for finding in found if finding.state == "worse"]
    if worse:
        what = "; ".join(f"{_NAMES[f.name]}: {f.detail}" for f in worse)
        return "roll_back", f"Because the challenger is worse after {who}: {what}."
    if not awaited:
        return _onward(plan, moment, found, who)
    remains = "; ".join(awaited)
    if moment.in_part >= plan.limit or tally.requests >= plan.most:
        limit = _span(plan.limit) if moment.in_part >= plan.limit else f"{plan.most} requests"
        return "undecided", f"Because the limit of {limit} is reached after {who}: {remains}."
    return "wait", f"Because {remains}, after {who}."


def _onward(plan: Plan, moment: Moment, found: tuple[Finding, ...], who: str) -> tuple[Step, str]:
    last = moment.stage == len(plan.stages) - 1
    shown = [_NAMES[f.name] for f in found if f.state == "passed"]
    if not last:
        return "advance", f"Because nothing speaks against the challenger after {who}."
    if not shown or plan.kind == "shadow":
        return "promote", f"Because nothing speaks against the challenger after {who}."
    names = ", ".join(shown)
    return "promote", (
        f"Because {names} are shown to stay within their margins after {who}, and nothing speaks "
        "against the challenger."
    )


def _awaited(plan: Plan, tally: Tally, moment: Moment, found: tuple[Finding, ...]) -> list[str]:
    """What the stage still lacks before the challenger may go on."""
    stage = plan.stages[moment.stage]
    last = moment.stage == len(plan.stages) - 1
    awaited = []
    if moment.in_stage < stage.dwell:
        awaited.append(f"{_span(stage.dwell - moment.in_stage)} of {_span(stage.dwell)} remain")
    seen = tally.stages[moment.stage].challenger.n if moment.stage < len(tally.stages) else 0
    count = tally.challenger_requests if last else seen
    if count < stage.least:
        awaited.append(f"{count} requests of {stage.least} have come")
    if last and plan.kind == "canary":
        unshown = [_NAMES[f.name] for f in found if f.state == "open"]
        if unshown:
            awaited.append(f"{', '.join(unshown)} not shown to stay within the margin yet")
    return awaited


def _mismatch(plan: Plan, tally: Tally) -> float:
    if plan.kind == "shadow":
        return 0.0
    return log_ratio_mismatch(
        (stage.share, traffic.challenger.n, traffic.champion.n)
        for stage, traffic in zip(plan.stages, tally.stages, strict=False)
    )


def _traffic(mismatch: float, tally: Tally) -> Check:
    detail = f"{tally.challenger_requests} of {tally.requests} requests, ln E {mismatch:.2f}"
    return Check("traffic", "fail" if mismatch >= _MISMATCH else "pass", detail)


def _check(finding: Finding) -> Check:
    if finding.state == "worse":
        return Check(finding.name, "fail", finding.detail)
    return Check(finding.name, "pass" if finding.state == "passed" else "unknown", finding.detail)


def _span(seconds: float) -> str:
    for unit, size in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"
