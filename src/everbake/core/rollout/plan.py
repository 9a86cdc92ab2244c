"""The plan of one part of a rollout, frozen when the rollout opens."""

import math
from dataclasses import dataclass, replace
from typing import Literal

from everbake.core.spec import PartSpec
from everbake.statistics.running import NOTHING, Moments

_ENOUGH = 1_000  # requests of the champion, from which its own rates are its reference
_LABELLED = 100  # and labels, from which its loss is
_HIGHEST_RATIO = 16.0
_OFTEN = 0.30  # a rate beyond which successes are counted instead: they are the rarer event
_HEAVY = 10.0  # kurtosis from which losses are clipped
_WEIGHTS = {"errors": 2.0, "slow": 1.0, "quality": 2.0}  # of the chance to roll back in error


@dataclass(frozen=True)
class Stage:
    """One share of the traffic, kept for a while.

    Attributes:
        share: of the units that the challenger answers; 0 for a shadow.
        dwell: seconds to stay, at least.
        least: requests of the challenger, at least.
    """

    share: float
    dwell: float
    least: int


@dataclass(frozen=True)
class RateRule:
    """How a rate is compared: errors, slow answers, or wrong answers.

    Attributes:
        name: `errors`, `slow` or `quality`.
        alpha: chance to roll back a version that is no worse.
        base: the champion's rate before.
        known: whether it was measured; else only the cap counts.
        ratio: of the two rates, that must be ruled out.
        cap: rate of the challenger below which the ratio does not matter.
        successes: whether successes are counted, because failures are frequent.
    """

    name: str
    alpha: float
    base: float
    known: bool
    ratio: float
    cap: float
    successes: bool = False


@dataclass(frozen=True)
class LossRule:
    """How a loss is compared, once labels have come.

    Attributes:
        metric: whose row loss it is.
        alpha: chance to roll back a version that is no worse.
        margin: loss that must be ruled out, in the loss's own units.
        clip: largest loss that counts, None for all.
    """

    metric: str
    alpha: float
    margin: float
    clip: float | None = None


@dataclass(frozen=True)
class Baseline:
    """What the champion did in the week before.

    Attributes:
        requests: how many it answered.
        errors: how many failed.
        budget: seconds within which 95 % were answered, None if unknown.
        slow: how many took longer than the budget that the plan declares, or than `budget`.
        loss: of its labelled answers.
        kurtosis: of that loss.
        largest: its 99 % quantile.
        zero_one: whether every loss is 0 or 1.
        spread: standard deviation of its numeric predictions.
    """

    requests: int = 0
    errors: int = 0
    budget: float | None = None
    slow: int = 0
    loss: Moments = NOTHING
    kurtosis: float = 0.0
    largest: float = 0.0
    zero_one: bool = False
    spread: float | None = None


@dataclass(frozen=True)
class Plan:
    """One part of a rollout.

    Attributes:
        kind: a `shadow` only follows, a `canary` answers its share.
        unit: what is assigned: a caller's `key`, or each `request`.
        salt: of the assignment.
        stages: one after the other.
        rates: errors, slow answers, and wrong ones where the metric's loss is 0 or 1.
        loss: the metric's loss a row, where it is another.
        why_no_quality: why neither is judged here.
        metric: the recipe's metric.
        maturity: seconds after which a label is final.
        limit: seconds after which the part ends undecided.
        most: requests of both arms after which it does.
        budget: seconds that an answer may take, None where that is not judged.
        segments: columns by which a shadow's differences are split.
        spread: standard deviation of the champion's numeric predictions before; None if unknown.
    """

    kind: Literal["shadow", "canary"]
    unit: Literal["key", "request"]
    salt: str
    stages: tuple[Stage, ...]
    rates: tuple[RateRule, ...]
    loss: LossRule | None
    why_no_quality: str
    metric: str
    maturity: float
    limit: float
    most: int
    budget: float | None
    segments: tuple[str, ...] = ()
    spread: float | None = None


def planned(spec: PartSpec, metric: str, maturity: float, before: Baseline, salt: str) -> Plan:
    """The plan for a part, with the champion's figures before it.

    Args:
        spec: what the recipe declares.
        metric: the recipe's.
        maturity: seconds after which a label is final.
        before: what the champion did.
        salt: of the assignment: another one for each rollout.
    """
    stages = tuple(map(Stage, spec.shares, spec.dwell, spec.least))
    budget = before.budget if spec.latency is None else spec.latency
    rates = [_rate("errors", spec.margins[0], before.errors, before, spec)]
    if spec.kind == "canary" and budget is not None:  # a shadow makes nobody wait
        rates.append(_rate("slow", spec.margins[1], before.slow, before, spec))
    quality, why = _quality(spec, metric, maturity, before)
    if isinstance(quality, RateRule):
        rates.append(quality)
    names = [rule.name for rule in rates] + ["quality"] * isinstance(quality, LossRule)
    total = sum(_WEIGHTS[name] for name in names)
    shares = {name: spec.alpha * _WEIGHTS[name] / total for name in names}
    loss = replace(quality, alpha=shares["quality"]) if isinstance(quality, LossRule) else None
    return Plan(
        kind=spec.kind,
        unit=spec.unit,
        salt=salt,
        stages=stages,
        rates=tuple(replace(rule, alpha=shares[rule.name]) for rule in rates),
        loss=loss,
        why_no_quality=why,
        metric=metric,
        maturity=maturity,
        limit=spec.limit,
        most=spec.most,
        budget=budget if spec.kind == "canary" else None,
        segments=spec.segments,
        spread=before.spread,
    )


def _rate(name: str, margin: float, events: int, before: Baseline, spec: PartSpec) -> RateRule:
    known = before.requests >= _ENOUGH
    base = (events + 0.5) / (before.requests + 1) if known else spec.error_rate
    if name == "slow" and not known:
        base = 0.05  # what a budget at the 95 % quantile leaves
    grow = max(1 + spec.relative, 1 + margin / base)
    cap = min(base * grow, 1.0)
    return RateRule(name, 0.0, base, known, min(_HIGHEST_RATIO, grow), cap, base > _OFTEN)


def _quality(
    spec: PartSpec, metric: str, maturity: float, before: Baseline
) -> tuple[RateRule | LossRule | None, str]:
    loss = before.loss
    if maturity > spec.limit:
        return None, "labels are final only after the rollout's limit"
    if loss.n < _LABELLED:
        return None, f"{loss.n} labelled answers in the week before, {_LABELLED} are needed"
    margin = spec.margins[2] * math.sqrt(loss.variance)
    if not margin > 0:
        return None, "the champion's loss was the same on every labelled answer"
    if before.zero_one:
        ratio = min(_HIGHEST_RATIO, 1 + margin / loss.mean)
        cap = min(loss.mean + margin, 1.0)
        often = loss.mean > _OFTEN
        return RateRule("quality", 0.0, loss.mean, True, ratio, cap, often), ""  # noqa: FBT003
    clip = before.largest if before.kurtosis > _HEAVY else None
    return LossRule(metric, 0.0, margin, clip), ""
