"""Judge a loss once labels have matured: two arms of a canary, or the same rows of a shadow."""

from math import log

from everbake.core.decision import Check
from everbake.core.rollout.findings import Finding, bounds, count, evidence, state, verb
from everbake.core.rollout.plan import QUALITY, Plan, QualityRule, RateRule
from everbake.core.rollout.rates import PASS, counts_of, judge_rate
from everbake.core.rollout.tally import Discordant, Shadow, Tally
from everbake.statistics.running import Estimate, paired, unpaired
from everbake.statistics.sequential import Split, better, log_mean_exp, under_cap, worse

_EVEN = 0.5


def judge_quality(plan: Plan, tally: Tally, *, passed: bool) -> Finding | None:
    """What matured labels of a canary say; None where it is not judged."""
    rule = plan.quality
    if rule is None:
        return None
    if rule.rate is not None:
        return judge_rate(rule.rate, counts_of(plan, tally, QUALITY), passed=passed)
    stages = [(stage.canary.losses, stage.champion.losses) for stage in tally.stages]
    estimate = unpaired(stages)
    if estimate is None:
        seen = [sum(pair[arm].n for pair in stages) for arm in (0, 1)]
        labels = f"{count(seen[0])} and {count(seen[1])} matured labels"
        detail = f"{rule.name}: {labels} of canary and champion say nothing yet"
        return Finding(Check(QUALITY, state(failed=False, passed=passed), detail), "", passed)
    return _judge_mean(rule, estimate, passed=passed or estimate.upper(PASS) < rule.margin)


def judge_pairs(plan: Plan, shadow: Shadow, *, passed: bool) -> Finding | None:
    """What matured labels of a shadow say; None where quality is not judged.

    Losses of 0 or 1 pass once the mean difference or the share of rows on which the canary alone
    is wrong, which is no smaller, is shown to be below the margin; each at half the chance.
    """
    rule = plan.quality
    if rule is None:
        return None
    estimate = paired(shadow.losses)
    if rule.kind == "rate":
        half = PASS / 2
        rare = under_cap(shadow.wrong.canary, shadow.losses.n, rule.margin) >= log(1 / half)
        small = estimate is not None and estimate.upper(half) < rule.margin
        told = f"acceptable below {rule.margin:.4g} more wrong answers a label"
        seen = shadow.wrong
        return judge_discordant(QUALITY, rule.alpha, seen, told, passed=passed or rare or small)
    if estimate is None:
        labels = f"{count(shadow.losses.n)} matured labels say nothing yet"
        check = Check(QUALITY, state(failed=False, passed=passed), f"{rule.name}: {labels}")
        return Finding(check, "", passed)
    return _judge_mean(rule, estimate, passed=passed or estimate.upper(PASS) < rule.margin)


def judge_failures(rule: RateRule, shadow: Shadow, *, passed: bool) -> Finding:
    """What the failures of a shadow say beside the champion's over the same requests.

    A ratio of the failures of one model alone that is ruled out is ruled out for all failures,
    too: what both fail brings the two rates closer together.
    """
    seen, units = shadow.failed, shadow.pairs
    failed = units - shadow.answered
    canary, champion = failed - seen.champion, failed - seen.canary
    evidences = [under_cap(canary, units, rule.cap)]
    allowed = rule.cap * units
    if rule.p0 is not None and rule.event == "failure":
        evidences.append(better([_alone(seen)], rule.ratio))
        allowed = max(allowed, rule.ratio * champion)
    safe, needed = log_mean_exp(evidences), log(1 / PASS)
    told = f"acceptable: {evidence(safe, needed)}"
    passed = passed or (safe >= needed and canary <= allowed)
    return judge_discordant(rule.name, rule.alpha, seen, told, passed=passed)


def judge_discordant(
    name: str, alpha: float, seen: Discordant, acceptable: str, *, passed: bool
) -> Finding:
    """Sequential McNemar: among pairs on which one model alone did badly, is it the canary?

    Only these pairs tell the models apart, and with equal models each of them is a fair coin
    (McNemar 1947), so they are events at an even share.

    Args:
        name: of the metric.
        alpha: chance of a false roll-back by it.
        seen: the pairs.
        acceptable: what is said of a pass.
        passed: whether it has passed.
    """
    harm, bar = worse([_alone(seen)]), log(1 / alpha)
    failed = harm >= bar  # at an even share no fewer than seven are enough
    told = f"only the canary did badly on {count(seen.canary)} requests, only the champion on "
    told += f"{count(seen.champion)}; worse than the champion: {evidence(harm, bar)}"
    harmful = f"the canary's {verb(name)} worse: {told}"
    check = Check(name, state(failed=failed, passed=passed), f"{told}; {acceptable}")
    return Finding(check, harmful if failed else "", passed)


def _alone(seen: Discordant) -> Split:
    return Split(_EVEN, seen.canary, seen.canary + seen.champion)


def _judge_mean(rule: QualityRule, estimate: Estimate, *, passed: bool) -> Finding:
    low = estimate.lower(rule.alpha)
    told = (
        f"{rule.name}: loss of the canary minus the champion's {estimate.difference:.4g}, 95 % "
        f"{bounds(estimate.interval(PASS))} on {count(estimate.n)} labels"
    )
    detail = (
        f"{told}; lower bound {low:.4g} (worse above 0); upper bound {estimate.upper(PASS):.4g} "
        f"(acceptable below {rule.margin:.4g}){_clipping(rule)}"
    )
    failed = low > 0
    because = f"the canary's quality is worse: {told}; its lower bound {low:.4g} is above 0"
    return Finding(
        Check(QUALITY, state(failed=failed, passed=passed), detail),
        because if failed else "",
        passed,
    )


def _clipping(rule: QualityRule) -> str:
    if rule.clip is None:
        return ""
    return f"; losses above {rule.clip:.4g} count as that, for their tail is heavy"
