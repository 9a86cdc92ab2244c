"""Each rule of a plan held against what was seen: does it speak against a version, or for it?"""

import math
from dataclasses import dataclass
from typing import Literal

from everbake.core.rollout.plan import LossRule, Plan, RateRule
from everbake.core.rollout.tally import Arm, Tally
from everbake.statistics.running import Gap, Moments, paired, unpaired
from everbake.statistics.sequential import (
    Events,
    log_below,
    log_better,
    log_worse,
    rate_interval,
    ratio_interval,
)

State = Literal["worse", "passed", "open"]

_LEVEL = 0.05  # of a pass, and of what is shown
_PASS = math.log(1 / _LEVEL)
_EVENTS = 5  # of the challenger, before anything is rolled back
_START = 100  # labels of each arm, before means are compared
_NAMES = {"errors": "errors", "slow": "slow answers", "quality": "wrong answers"}


@dataclass(frozen=True)
class Finding:
    """What one rule says now.

    Attributes:
        name: of the rule.
        state: `worse` rolls back; `passed` is within its margin; `open` is neither yet.
        detail: the figures in words.
        figures: the same for scripts.
    """

    name: str
    state: State
    detail: str
    figures: dict[str, float | int | None]


def findings(plan: Plan, tally: Tally) -> list[Finding]:
    """What every rule of the plan says."""
    found = [_rate(rule, plan, tally) for rule in plan.rates]
    if plan.loss is not None:
        found.append(_loss(plan.loss, plan, tally))
    return [_kept(finding, tally) for finding in found]


def _kept(finding: Finding, tally: Tally) -> Finding:
    if finding.state == "open" and finding.name in tally.passed:
        return Finding(finding.name, "passed", finding.detail, finding.figures)
    return finding


@dataclass(frozen=True)
class _Counts:
    """Units and failures of both arms, by stage."""

    shares: tuple[float, ...]
    champion: tuple[tuple[int, int], ...]
    challenger: tuple[tuple[int, int], ...]

    def totals(self) -> tuple[int, int, int, int]:
        """Units and failures of the champion, then of the challenger."""
        (n_a, e_a), (n_b, e_b) = _summed(self.champion), _summed(self.challenger)
        return n_a, e_a, n_b, e_b

    def events(self, *, successes: bool) -> tuple[list[Events], int]:
        """The events of each stage, and how many were the challenger's."""
        stages, mine = [], 0
        for share, a, b in zip(self.shares, self.champion, self.challenger, strict=True):
            of_a, of_b = (a[0] - a[1], b[0] - b[1]) if successes else (a[1], b[1])
            stages.append(Events(share, of_a + of_b))
            mine += of_b
        return stages, mine


def _summed(arms: tuple[tuple[int, int], ...]) -> tuple[int, int]:
    return sum(n for n, _ in arms), sum(events for _, events in arms)


def _picked(rule: str, arm: Arm) -> tuple[int, int]:
    if rule == "quality":
        return arm.judged, arm.wrong
    return arm.n, arm.errors if rule == "errors" else arm.slow


def _counts(rule: str, plan: Plan, tally: Tally) -> _Counts:
    kept = list(zip(plan.stages, tally.stages, strict=False))
    return _Counts(
        tuple(stage.share for stage, _ in kept),
        tuple(_picked(rule, traffic.champion) for _, traffic in kept),
        tuple(_picked(rule, traffic.challenger) for _, traffic in kept),
    )


def _rate(rule: RateRule, plan: Plan, tally: Tally) -> Finding:
    if plan.kind == "canary":
        return _compared(rule, _counts(rule.name, plan, tally))
    if rule.name == "quality":
        return _discordant(rule, tally)
    return _alone(rule, _counts(rule.name, plan, tally))


def _compared(rule: RateRule, counts: _Counts) -> Finding:
    """Two arms with known shares: only events tell, whatever the common level is."""
    n_a, e_a, n_b, e_b = counts.totals()
    stages, mine = counts.events(successes=rule.successes)
    worse = (log_better if rule.successes else log_worse)(stages, mine)
    within = _log_within(rule, stages, mine, (n_b, e_b))
    rate_a, rate_b = e_a / n_a if n_a else 0.0, e_b / n_b if n_b else 0.0
    bar = math.log(1 / rule.alpha)
    state: State = "open"
    if worse >= bar and e_b >= _EVENTS:
        state = "worse"
    elif within >= _PASS and rate_b <= max(rule.ratio * rate_a if rule.known else 0.0, rule.cap):
        state = "passed"
    low, high = ratio_interval(stages, mine, _LEVEL)
    figures: dict[str, float | int | None] = {
        "champion_requests": n_a,
        "champion_events": e_a,
        "challenger_requests": n_b,
        "challenger_events": e_b,
        "ratio_low": low,
        "ratio_high": None if math.isinf(high) else high,
        "log_evidence_worse": worse,
        "log_evidence_needed": bar,
        "log_evidence_within": within,
        "log_within_needed": _PASS,
        "cap": rule.cap,
    }
    of = "successes" if rule.successes else _NAMES[rule.name]
    detail = (
        f"{_shown(e_b, n_b)} against {_shown(e_a, n_a)}; ratio of {of} "
        f"[{low:.3g}, {high:.3g}]; must stay below {rule.cap:.2%}"
        + (f" or {rule.ratio:.3g} times the champion's" if rule.known else "")
    )
    return Finding(rule.name, state, detail, figures)


def _log_within(rule: RateRule, stages: list[Events], mine: int, alone: tuple[int, int]) -> float:
    """Ln of the evidence that the challenger is within the margin."""
    n, events = alone
    below = log_below(rule.cap, n, events)
    if not rule.known:
        return below
    if rule.successes:
        least = (1 - rule.cap) / (1 - rule.base)
        beside = log_worse(stages, mine, least)
    else:
        beside = log_better(stages, mine, rule.ratio)
    most = max(below, beside)
    return most + math.log((math.exp(below - most) + math.exp(beside - most)) / 2)


def _alone(rule: RateRule, counts: _Counts) -> Finding:
    """A shadow's failures: the champion has none, since only what it answered is scored again."""
    _, _, n, events = counts.totals()
    low, _ = rate_interval(events, n, rule.alpha)
    _, high = rate_interval(events, n, _LEVEL)
    state: State = "open"
    if low > rule.cap and events >= _EVENTS:
        state = "worse"
    elif high < rule.cap:
        state = "passed"
    figures: dict[str, float | int | None] = {
        "challenger_requests": n,
        "challenger_events": events,
        "rate_low": low,
        "rate_high": high,
        "cap": rule.cap,
    }
    return Finding(
        rule.name, state, f"{_shown(events, n)}; must stay below {rule.cap:.2%}", figures
    )


def _discordant(rule: RateRule, tally: Tally) -> Finding:
    """Sequential McNemar: of the pairs on which one alone was wrong, half would be each one's."""
    pairs = tally.pairs
    both = [Events(0.5, pairs.only_challenger + pairs.only_champion)]
    worse = log_worse(both, pairs.only_challenger)
    enough = pairs.only_challenger >= _EVENTS
    bar = math.log(1 / rule.alpha)
    gap = paired(pairs.losses)
    state: State = "open"
    if worse >= bar and enough:
        state = "worse"
    elif _comparable(pairs.losses) and gap.below(_LEVEL) < rule.cap - rule.base:
        state = "passed"
    figures: dict[str, float | int | None] = {
        "only_challenger_wrong": pairs.only_challenger,
        "only_champion_wrong": pairs.only_champion,
        "labelled": pairs.losses.n,
        "log_evidence_worse": worse,
        "log_evidence_needed": bar,
    }
    detail = (
        f"of {pairs.losses.n} labelled, only the challenger was wrong on {pairs.only_challenger}, "
        f"only the champion on {pairs.only_champion}"
    )
    return Finding(rule.name, state, detail, figures)


def _loss(rule: LossRule, plan: Plan, tally: Tally) -> Finding:
    if plan.kind == "shadow":
        gap, ready = paired(tally.pairs.losses), _comparable(tally.pairs.losses)
        counts = f"{tally.pairs.losses.n} labelled pairs"
    else:
        gap = unpaired(tally.champion, tally.challenger)
        ready = _comparable(tally.champion) and _comparable(tally.challenger)
        counts = f"{tally.challenger.n} and {tally.champion.n} labelled answers"
    if not ready:
        detail = f"{counts}, {_START} of each are needed"
        return Finding("quality", "open", detail, {"labelled": tally.challenger.n})
    state: State = "open"
    if gap.above(rule.alpha) > 0:
        state = "worse"
    elif gap.below(_LEVEL) < rule.margin:
        state = "passed"
    return Finding("quality", state, *_loss_told(rule, gap, counts))


def _loss_told(rule: LossRule, gap: Gap, counts: str) -> tuple[str, dict[str, float | int | None]]:
    low, high = gap.interval(_LEVEL)
    figures: dict[str, float | int | None] = {
        "difference": gap.difference,
        "low": low,
        "high": high,
        "lower_bound": gap.above(rule.alpha),
        "upper_bound": gap.below(_LEVEL),
        "margin": rule.margin,
        "observations": gap.t,
    }
    clipped = "" if rule.clip is None else f"; losses above {rule.clip:.4g} count as that"
    detail = (
        f"loss of {rule.metric} larger by {gap.difference:.4g} [{low:.4g}, {high:.4g}] on {counts};"
        f" {rule.margin:.4g} more must be ruled out{clipped}"
    )
    return detail, figures


def _comparable(losses: Moments) -> bool:
    return losses.n >= _START and losses.m2 > 0


def _shown(events: int, n: int) -> str:
    if n == 0:
        return "0 of 0"
    low, high = rate_interval(events, n, _LEVEL)
    return f"{events} of {n} ({events / n:.2%} [{low:.2%}, {high:.2%}])"
