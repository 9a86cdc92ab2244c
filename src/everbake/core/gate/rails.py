"""Guardrails: absolute limits on the candidate, beside the comparison."""

from dataclasses import dataclass, replace
from math import isfinite

from everbake.core.decision import CheckState
from everbake.core.gate import wording
from everbake.core.gate.answers import seen_by
from everbake.core.gate.bounds import Bounds, Measured
from everbake.core.gate.duel import IN_USE, NEW, score, undefined, untold_by
from everbake.core.gate.heldout import HeldOut
from everbake.core.gate.rules import Rail, Rules
from everbake.core.gate.scoring import Scorer
from everbake.core.metrics import Metric, metric_of
from everbake.errors import UserCodeError
from everbake.statistics.mean import FEW_DIFFERENCES

_SHOWN = 0.95  # confidence of a bound that is shown and does not decide


@dataclass(frozen=True)
class Reading:
    """What one guardrail says of the candidate."""

    state: CheckState
    name: str
    text: str


@dataclass(frozen=True)
class Gauge:
    """One guardrail with its metric on the held-out rows, read for the candidate."""

    rail: Rail
    name: str
    measured: Measured

    def champion_keeps(self) -> bool | None:
        """Whether the champion keeps the limit; None without a champion that can be measured."""
        of, held = self.measured, self.measured.held
        if held.champion is None:
            return None
        answers = seen_by(of.metric, held.champion, held.y, held.thresholds[0])
        try:
            value = score(of.metric, of.scorer, answers, IN_USE)
        except UserCodeError:
            return None
        return self.rail.holds(value) if isfinite(value) else None


def readings(held: HeldOut, rules: Rules, *, tied: bool) -> tuple[Reading, ...]:
    """What every guardrail says; `tied`: nothing tells the two models apart.

    Raises:
        UserCodeError: a guardrail's metric raised.
    """
    return tuple(_read(rail, held, rules.confidence, tied=tied) for rail in rules.guardrails)


def _read(rail: Rail, held: HeldOut, confidence: float | None, *, tied: bool) -> Reading:
    name = f"{rail.name} {'at least' if rail.kind == 'at_least' else 'at most'} {rail.limit:g}"
    cannot = f"the limit on {rail.name} cannot be checked"
    metric = metric_of(rail.metric) or Metric(rail.name, "higher", float("nan"))
    reason = "no held-out row is left" if held.n == 0 else undefined(metric, held.y)
    if reason is not None:
        return Reading("unknown", name, f"{cannot}: {reason}")
    scorer = Scorer(rail.name, rail.metric, held.y, held.rows, held.weights)
    told = ", not weighted," if held.weights is not None and not scorer.takes_weights else ""
    held = replace(held, weights=scorer.weights)
    answers = seen_by(metric, held.candidate, held.y, held.thresholds[1])
    try:
        value = score(metric, scorer, answers, NEW)
    except UserCodeError as error:
        reason = untold_by(error, rail.name, held.y, answers)
        if reason is None:
            raise
        return Reading("unknown", name, f"{cannot}: {reason}")
    rows = wording.row_count(held.n)
    if not isfinite(value):
        return Reading("unknown", name, f"{cannot}: it is {value} for {NEW} on {rows}")
    if metric.row_loss is None:
        scorer.steady(value, answers, NEW)
    gauge = Gauge(rail, name, Measured(metric, scorer, answers, held, value))
    text = f"{NEW}'s {rail.name}{told} is {wording.figure(value)} on {rows}"
    if held.worth < FEW_DIFFERENCES:
        return _by_few(gauge, text, tied=tied)
    return _by_value(gauge, text) if confidence is None else _by_bound(gauge, text, confidence)


def _by_few(gauge: Gauge, text: str, *, tied: bool) -> Reading:
    if tied and gauge.champion_keeps():
        return Reading("pass", gauge.name, text)
    limit = f"the limit of {gauge.rail.limit:g}"
    needed = f"{FEW_DIFFERENCES} are needed to check {limit}"
    return Reading("unknown", gauge.name, f"{text}; {needed}")


def _by_value(gauge: Gauge, text: str) -> Reading:
    told = _told(gauge.rail, gauge.measured.rough_bounds(1 - _SHOWN))
    if gauge.rail.holds(gauge.measured.value):
        return Reading("pass", gauge.name, f"{text}{told}")
    return _broken(gauge, f"{text}{told}")


def _by_bound(gauge: Gauge, text: str, confidence: float) -> Reading:
    rail, bounds = gauge.rail, gauge.measured.bounds(1 - confidence)
    if bounds is None:
        unsure = "how sure that is cannot be told on these rows"
        return Reading("unknown", gauge.name, f"{text}; {unsure}")
    safe, other = bounds.ordered(rail.kind)
    if rail.holds(safe):
        return Reading("pass", gauge.name, f"{text}{_told(rail, bounds)}")
    if not rail.holds(other):
        word = "at most" if rail.kind == "at_least" else "at least"
        proven = f"{wording.sure(bounds.level)}: {word} {wording.figure(other)}"
        return _broken(gauge, f"{text} ({proven})")
    open_ = f"so the limit of {rail.limit:g} is neither shown to be kept nor to be broken"
    return Reading("unknown", gauge.name, f"{text}{_told(rail, bounds)}, {open_}")


def _broken(gauge: Gauge, text: str) -> Reading:
    rail = gauge.rail
    side = "below" if rail.kind == "at_least" else "above"
    also = f"; {IN_USE} violates it, too" if gauge.champion_keeps() is False else ""
    return Reading("fail", gauge.name, f"{text}, {side} the limit of {rail.limit:g}{also}")


def _told(rail: Rail, bounds: Bounds | None) -> str:
    """The bound that must keep the limit, in brackets."""
    if bounds is None:
        return ""
    safe, _ = bounds.ordered(rail.kind)
    word = "at least" if rail.kind == "at_least" else "at most"
    return f" ({wording.sure(bounds.level)}: {word} {wording.figure(safe)})"
