"""From the plan and the counts to the next step of a rollout.

The order is fixed: traffic that is not split as declared makes the rollout invalid, in either
direction; harm rolls it back; then it advances, or is promoted from the last stage; at a limit it
is undecided and the traffic returns to the champion; else it waits. A limit may be extended by a
person at no statistical cost. The chance of 5 % to roll a harmless canary back is that of the
whole rollout, however often one looks.
"""

from dataclasses import dataclass
from math import log
from typing import Literal

from everbake.core.decision import Check
from everbake.core.rollout.disagreement import disagreement
from everbake.core.rollout.findings import Finding, count, evidence, verb
from everbake.core.rollout.plan import QUALITY, Plan
from everbake.core.rollout.quality import judge_failures, judge_pairs, judge_quality
from everbake.core.rollout.rates import counts_of, judge_rate
from everbake.core.rollout.tally import StageTally, Tally
from everbake.statistics.sequential import Split, judgeable, uneven_traffic

Step = Literal["wait", "advance", "promote", "roll_back", "undecided", "invalid"]

_UNEVEN = log(1000)
_HOUR = 3600.0


@dataclass(frozen=True)
class Assessment:
    """What to do now, and why.

    Attributes:
        step: wait, advance (to the next stage; of a shadow, to what follows it), promote,
            roll_back, undecided, invalid.
        because: one sentence that begins with "Because".
        checks: a row for each thing that was looked at.
        passed: metrics shown to be acceptable, now or before; to be handed in again.
    """

    step: Step
    because: str
    checks: tuple[Check, ...]
    passed: frozenset[str]


@dataclass(frozen=True)
class _Look:
    """One look at a rollout: the time, the requests, and what is found."""

    plan: Plan
    stage: int
    seconds_in_stage: float
    seconds: float
    canary: int
    requests: int
    uneven: float
    findings: tuple[Finding, ...]

    @property
    def last(self) -> bool:
        return self.stage + 1 >= len(self.plan.stages)

    @property
    def decisive(self) -> bool:
        """Whether the next step hands all requests to the canary, or to a part behind a canary."""
        return self.last and (self.plan.final or self.plan.kind == "canary")

    @property
    def blind(self) -> bool:
        """Whether the stage is split too unevenly for any verdict."""
        return self.plan.kind == "canary" and not judgeable(self.plan.stages[self.stage].share)


def assess(
    plan: Plan,
    tally: Tally,
    stage: int,
    seconds_in_stage: float,
    seconds: float,
    passed: frozenset[str],
) -> Assessment:
    """The step to take after this much was counted.

    Args:
        plan: the frozen plan.
        tally: everything counted since the rollout opened.
        stage: index of the stage that the traffic is in.
        seconds_in_stage: since that stage opened.
        seconds: since the rollout opened.
        passed: as given back by the last assessment.
    """
    if plan.kind == "shadow":
        pairs = tally.shadow.pairs
        findings, uneven = _shadow(plan, tally, passed), 0.0
        canary = requests = pairs
        rows = disagreement(plan, tally.shadow)
    else:
        findings, uneven = _canary(plan, tally, passed), _traffic(plan, tally.stages)
        canary = sum(seen.canary.units for seen in tally.stages)
        requests = canary + sum(seen.champion.units for seen in tally.stages)
        rows = (_traffic_row(uneven),)
    look = _Look(plan, stage, seconds_in_stage, seconds, canary, requests, uneven, findings)
    step, why = _step(look)
    told = [finding.check for finding in findings] + _not_judged(plan)
    checks = (*told, *rows, _progress(look))
    new = frozenset(finding.check.name for finding in findings if finding.passed)
    return Assessment(step, f"Because {why}.", checks, passed | new)


def _canary(plan: Plan, tally: Tally, passed: frozenset[str]) -> tuple[Finding, ...]:
    rates = [
        judge_rate(rule, counts_of(plan, tally, rule.name), passed=rule.name in passed)
        for rule in plan.rates
    ]
    quality = judge_quality(plan, tally, passed=QUALITY in passed)
    return (*rates, quality) if quality else tuple(rates)


def _shadow(plan: Plan, tally: Tally, passed: frozenset[str]) -> tuple[Finding, ...]:
    shadow = tally.shadow
    rates = [judge_failures(rule, shadow, passed=rule.name in passed) for rule in plan.rates]
    quality = judge_pairs(plan, shadow, passed=QUALITY in passed)
    return (*rates, quality) if quality else tuple(rates)


def _not_judged(plan: Plan) -> list[Check]:
    if not plan.quality_note:
        return []
    return [Check(QUALITY, "unknown", f"not judged here: {plan.quality_note}")]


def _traffic(plan: Plan, stages: tuple[StageTally, ...]) -> float:
    both = zip(plan.stages, stages, strict=False)
    return uneven_traffic(
        # Who has moved was not assigned by this stage's share.
        Split(
            stage.share,
            seen.canary.units - seen.canary.moved,
            seen.canary.units - seen.canary.moved + seen.champion.units,
        )
        for stage, seen in both
    )


def _traffic_row(uneven: float) -> Check:
    state: Literal["pass", "fail"] = "fail" if uneven >= _UNEVEN else "pass"
    return Check("traffic", state, f"not split as declared: {evidence(uneven, _UNEVEN)}")


def _step(look: _Look) -> tuple[Step, str]:
    if look.uneven >= _UNEVEN:
        told = evidence(look.uneven, _UNEVEN)
        return "invalid", f"requests are not split between the models as declared: {told}"
    harm = [finding.harm for finding in look.findings if finding.harm and not look.blind]
    if harm:
        return "roll_back", harm[0]
    missing = _missing(look)
    if not missing:
        return _forward(look)
    limit = _limit(look)
    if limit:
        return "undecided", f"{limit} and {missing[0]}"
    return "wait", ", and ".join(missing)


def _forward(look: _Look) -> tuple[Step, str]:
    if look.decisive:
        names = [finding.check.name for finding in look.findings]
        requests = "requests" if look.plan.kind == "shadow" else "canary requests"
        return "promote", f"{', '.join(names)} passed after {count(look.canary)} {requests}"
    if look.plan.kind == "shadow":
        return "advance", f"after {count(look.canary)} requests nothing shows the canary as worse"
    share = look.plan.stages[look.stage + 1].share
    told = f"after {count(look.canary)} canary requests nothing shows the canary as worse"
    return "advance", f"{told}, and the share may grow to {100 * share:.3g} %"


def _missing(look: _Look) -> list[str]:
    """What the next step still needs, in words."""
    stage = look.plan.stages[look.stage]
    missing = []
    if look.blind:
        missing.append("so uneven a share of requests allows no verdict")
    if look.canary < stage.least:
        missing.append(f"{count(look.canary)} of {count(stage.least)} canary requests are in")
    if look.seconds_in_stage < stage.dwell:
        told = f"{look.seconds_in_stage / _HOUR:.3g} of {stage.dwell / _HOUR:.3g} hours"
        missing.append(f"{told} of this stage are over")
    if look.decisive:
        open_ones = [f.check.name for f in look.findings if not f.passed]
        missing += [f"{verb(name)} not yet shown to be acceptable" for name in open_ones]
    return missing


def _limit(look: _Look) -> str:
    """The limit that is reached; busy traffic cannot use a rollout up before its stage is over."""
    plan = look.plan
    if look.seconds >= plan.most_seconds:
        return f"the limit of {plan.most_seconds / _HOUR:.4g} hours is reached"
    stage_is_over = look.seconds_in_stage >= plan.stages[look.stage].dwell
    if stage_is_over and look.requests >= plan.most_requests:
        return f"the limit of {count(plan.most_requests)} requests is reached"
    return ""


def _progress(look: _Look) -> Check:
    stage = look.plan.stages[look.stage]
    ready = look.canary >= stage.least and look.seconds_in_stage >= stage.dwell
    detail = (
        f"stage {look.stage + 1} of {len(look.plan.stages)} at {100 * stage.share:.3g} %: "
        f"{count(look.canary)} of {count(stage.least)} canary requests, "
        f"{look.seconds_in_stage / _HOUR:.3g} of {stage.dwell / _HOUR:.3g} hours"
    )
    return Check("progress", "pass" if ready else "unknown", detail)
