"""From what was declared and how the champion does to a frozen plan.

The chance of a false roll-back is 5 % in all, split over the metrics (Bonferroni): errors 2,
latency 1, quality 2; the share of an absent metric goes to the others pro rata. A pass needs every
metric at the full 5 %, without a split (intersection-union test, Berger 1982).
"""

from dataclasses import dataclass
from math import sqrt
from typing import Literal

from everbake.core.rollout.plan import QUALITY, Kind, Plan, QualityRule, RateRule, Stage, Unit
from everbake.statistics.running import Moments
from everbake.statistics.sequential import judgeable

HOUR = 3600.0
DAY = 24 * HOUR
CANARY_STAGES = (Stage(0.05, HOUR, 200), Stage(0.25, HOUR, 200), Stage(0.5, DAY, 1000))
SHADOW_STAGES = (Stage(1.0, DAY, 1000),)
FALSE_ROLL_BACKS = 0.05
KNOWN_FROM = 1000  # requests from which on the champion's own rate is trusted

_WEIGHTS = {"errors": 2.0, "latency": 1.0, QUALITY: 2.0}
_LARGEST_RATIO = 16.0
_OFTEN = 0.3  # above it successes are the rarer and so the more telling event
_ABOVE_P95 = 0.05
_MARGIN_SDS = 0.1
_HEAVY = 10.0  # kurtosis
_HALF = 0.5


@dataclass(frozen=True)
class Loss:
    """The declared quality: a loss of one row, the better direction already turned into it.

    Attributes:
        name: the metric.
        kind: "rate" for losses of 0 or 1, else "mean".
        margin: what may be lost, in units of the loss; by default a tenth of its reference sd.
    """

    name: str
    kind: Literal["rate", "mean"]
    margin: float | None = None


@dataclass(frozen=True)
class LossBaseline:
    """The champion's loss on reference rows.

    Attributes:
        moments: of the loss; of the clipped loss where the kurtosis exceeds 10.
        kurtosis: of the loss itself; 3 for the normal distribution.
        quantile_99: its 99 % quantile.
    """

    moments: Moments
    kurtosis: float
    quantile_99: float


@dataclass(frozen=True)
class Baseline:
    """How the champion did before the rollout, as a rule in the last seven days.

    Attributes:
        requests: that it was asked.
        errors: those that failed.
        over_budget: those slower than the declared budget; None without one.
        latency_p95: the 95 % quantile of the latency in seconds, the budget if none is declared.
        loss: of matured labels, if there are any.
        score_sd: standard deviation of the scores.
    """

    requests: int = 0
    errors: int = 0
    over_budget: int | None = None
    latency_p95: float | None = None
    loss: LossBaseline | None = None
    score_sd: float | None = None


@dataclass(frozen=True)
class Options:
    """What was declared of a rollout; the rest follows from the baseline.

    Attributes:
        stages: by default those of the kind.
        errors_rate: what a champion without a history is taken to fail; of users, where they are
            the units: its history knows requests alone.
        latency_rate: the same of requests over the latency budget.
        errors_margin: further failures, as a share of requests, that are acceptable.
        latency_margin: the same of requests over the budget.
        relative: further failures, relative to the champion's, that are acceptable in any case.
    """

    kind: Kind
    salt: str
    unit: Unit = "request"
    stages: tuple[Stage, ...] = ()
    loss: Loss | None = None
    latency_budget: float | None = None
    maturity: float = 0.0
    most_seconds: float = 14 * DAY
    most_requests: int = 1_000_000
    errors_rate: float = 0.01
    latency_rate: float = _ABOVE_P95
    errors_margin: float = 0.005
    latency_margin: float = 0.01
    relative: float = 0.25
    segments: tuple[str, ...] = ()


def make_plan(options: Options, baseline: Baseline | None = None) -> Plan:
    """The plan of a rollout against a champion with this baseline.

    Raises:
        ValueError: a stage of a canary has a share that can carry no verdict.
    """
    known = baseline or Baseline()
    stages = options.stages or (CANARY_STAGES if options.kind == "canary" else SHADOW_STAGES)
    if options.kind == "canary" and not all(judgeable(stage.share) for stage in stages):
        raise ValueError("the share of a canary stage has to be within 0.001 and 0.999")
    budget = _budget(options, known)
    note = _why_not_judged(options, known)
    judged = ["errors"] + ["latency"] * (budget is not None)
    judged += [QUALITY] * (options.loss is not None and not note)
    total = sum(_WEIGHTS[name] for name in judged)
    alphas = {name: FALSE_ROLL_BACKS * _WEIGHTS[name] / total for name in judged}
    rates = [_errors(options, known, alphas["errors"])]
    if "latency" in judged:
        rates.append(_latency(options, known, alphas["latency"]))
    return Plan(
        kind=options.kind,
        unit=options.unit,
        salt=options.salt,
        stages=stages,
        rates=tuple(rates),
        quality=_quality(options, known, alphas[QUALITY]) if QUALITY in judged else None,
        maturity=options.maturity,
        most_seconds=options.most_seconds,
        most_requests=options.most_requests,
        latency_budget=budget,
        quality_note=note,
        score_sd=known.score_sd or None,
        segments=options.segments,
    )


def _budget(options: Options, known: Baseline) -> float | None:
    """A shadow is off the way of the answer: its latency is nobody's wait.

    The 95 % quantile of requests says nothing of users: most of them are slower once.
    """
    if options.kind == "shadow":
        return None
    if options.latency_budget is not None or options.unit == "key":
        return options.latency_budget
    return known.latency_p95 if known.requests >= KNOWN_FROM else None


def _errors(options: Options, known: Baseline, alpha: float) -> RateRule:
    p0 = None if options.unit == "key" else _smoothed(known.errors, known.requests)
    return _rate_rule("errors", alpha, (p0, options.errors_rate), options.errors_margin, options)


def _latency(options: Options, known: Baseline, alpha: float) -> RateRule:
    p0: float | None = _ABOVE_P95
    if options.latency_budget is not None:
        over = None if options.unit == "key" else known.over_budget
        p0 = None if over is None else _smoothed(over, known.requests)
    return _rate_rule("latency", alpha, (p0, options.latency_rate), options.latency_margin, options)


def _quality(options: Options, known: Baseline, alpha: float) -> QualityRule:
    loss, reference = options.loss, known.loss
    if loss is None:
        raise ValueError("no loss was declared")
    margin = _margin(loss, reference) or 0.0
    clip = reference.quantile_99 if reference and reference.kurtosis > _HEAVY else None
    if loss.kind == "mean" or reference is None:
        return QualityRule(loss.name, loss.kind, alpha, margin, clip)
    rate, n = _reference_rate(reference), reference.moments.n
    p0 = rate if n >= KNOWN_FROM else None
    rule = _rate_rule(QUALITY, alpha, (p0, rate), margin, options)
    return QualityRule(loss.name, loss.kind, alpha, margin, None, rule)


def _why_not_judged(options: Options, known: Baseline) -> str:
    if options.loss is None:
        return ""
    if options.maturity > options.most_seconds:
        days, most = options.maturity / DAY, options.most_seconds / DAY
        return f"labels mature after {days:.3g} days and the rollout ends after {most:.3g}"
    if not _margin(options.loss, known.loss):
        return "the champion has no reference loss from which to take a margin"
    return ""


def _margin(loss: Loss, reference: LossBaseline | None) -> float | None:
    if loss.kind == "rate" and reference is None:
        return None
    if loss.margin is not None or reference is None:
        return loss.margin
    if loss.kind == "mean":
        return _MARGIN_SDS * sqrt(reference.moments.variance)
    rate = _reference_rate(reference)
    return _MARGIN_SDS * sqrt(rate * (1 - rate))


def _reference_rate(reference: LossBaseline) -> float:
    n = reference.moments.n
    return (reference.moments.mean * n + _HALF) / (n + 1)


def _smoothed(events: int, n: int) -> float | None:
    return (events + _HALF) / (n + 1) if n >= KNOWN_FROM else None


def _rate_rule(
    name: str, alpha: float, rates: tuple[float | None, float], margin: float, options: Options
) -> RateRule:
    """`rates`: the champion's, if it is known, and the one to take if not.

    Where failures are frequent, successes are counted. They may fall by as much as failures may
    rise, and at most in the inverse proportion. Not where users are the units: of one who has
    not failed, nobody knows yet.
    """
    p0, rate = rates[0], rates[1] if rates[0] is None else rates[0]
    factor = max(1 + options.relative, 1 + margin / rate) if rate > 0 else _LARGEST_RATIO
    ratio = min(_LARGEST_RATIO, factor)
    if rate <= _OFTEN or (options.unit == "key" and name != QUALITY):
        return RateRule(name, alpha, p0, ratio, rate * factor)
    good = 1 - rate
    lowest = max(1 / ratio, (1 - rate * ratio) / good) if good > 0 else 1 / ratio
    return RateRule(name, alpha, p0, lowest, 1 - lowest * good, "success")
