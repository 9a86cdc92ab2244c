"""Guardrails: absolute limits on the candidate, beside the comparison."""

from dataclasses import dataclass, replace

import numpy as np

from everbake.core.decision import Check, CheckState, Decision
from everbake.core.gate import wording
from everbake.core.gate.comparing import IN_USE, NEW, score, undefined
from everbake.core.gate.findings import Array, HeldOut
from everbake.core.gate.rules import Rail
from everbake.core.gate.scoring import Scorer, is_numeric
from everbake.core.gate.verdicts import TIES
from everbake.core.metrics import Metric, metric_of
from everbake.statistics.mean import FEW_DIFFERENCES, lower_bound, upper_bound
from everbake.statistics.proportions import wilson_bounds


@dataclass(frozen=True)
class Reading:
    """What one guardrail says of the candidate."""

    state: CheckState
    name: str
    text: str


def guarded(decision: Decision, held: HeldOut, rails: tuple[Rail, ...]) -> Decision:
    """The decision with its guardrails: the worst of both counts."""
    readings = [_read(rail, held, decision) for rail in rails]
    checks = tuple(Check(r.name, r.state, f"{r.text}.") for r in readings)
    decision = decision.with_checks(checks)
    failed = next((r for r in readings if r.state == "fail"), None)
    if failed is not None:
        return replace(
            decision, verdict="rejected", code="guardrail", because=wording.because(failed.text)
        )
    unsure = next((r for r in readings if r.state == "unknown"), None)
    if unsure is None or decision.verdict != "promoted":
        return decision
    text = unsure.text if held.champion is None else f"{unsure.text}. {wording.STAYS}"
    because = wording.because(text)
    return replace(decision, verdict="inconclusive", code="guardrail_unknown", because=because)


def _read(rail: Rail, held: HeldOut, decision: Decision) -> Reading:
    name = f"{rail.name} {'at least' if rail.kind == 'at_least' else 'at most'} {rail.limit:g}"
    metric = metric_of(rail.metric) or Metric(rail.name, "higher", float("nan"))
    reason = "no held-out row is left" if held.n == 0 else undefined(metric, held.y)
    if reason is not None:
        return Reading("unknown", name, f"the limit on {rail.name} cannot be checked: {reason}")
    scorer = Scorer(rail.name, rail.metric, held.y, held.rows)
    value = scorer.finite(score(metric, scorer, held.candidate, NEW), NEW)
    text = f"the new model's {rail.name} is {wording.figure(value)} on {wording.row_count(held.n)}"
    text += _bound(metric, rail, held)
    tied = decision.code in TIES and _kept(rail, metric, scorer, held)
    if held.n < FEW_DIFFERENCES and not tied:
        few = f"{FEW_DIFFERENCES} are needed to check the limit of {rail.limit:g}"
        return Reading("unknown", name, f"{text}; {few}")
    if rail.holds(value):
        return Reading("pass", name, text)
    side = "below" if rail.kind == "at_least" else "above"
    kept = _kept(rail, metric, scorer, held)
    also = "; the model in use violates it, too" if kept is False else ""
    return Reading("fail", name, f"{text}, {side} the limit of {rail.limit:g}{also}")


def _kept(rail: Rail, metric: Metric, scorer: Scorer, held: HeldOut) -> bool | None:
    """Whether the champion keeps the limit; None without a champion."""
    if held.champion is None:
        return None
    return rail.holds(score(metric, scorer, held.champion, IN_USE))


def _bound(metric: Metric, rail: Rail, held: HeldOut) -> str:
    """The one-sided bound of the candidate's value, where rows have losses."""
    losses = _losses(metric, held.y, held.candidate)
    if losses is None or held.n < FEW_DIFFERENCES:
        return ""
    lower_side = rail.kind == "at_least"
    word = "at least" if lower_side else "at most"
    if metric.kind == "share":
        wrong = float(np.sum(losses))
        hits = held.n - wrong if metric.better == "higher" else wrong
        bound = wilson_bounds(hits, held.n)[0 if lower_side else 1]
    else:
        bound = lower_bound(losses) if lower_side else upper_bound(losses)
    return f" (95 % sure: {word} {wording.figure(bound)})"


def _losses(metric: Metric, y: Array, answers: Array) -> Array | None:
    if metric.row_loss is None or metric.kind not in {"mean", "share"} or answers.ndim != 1:
        return None
    if metric.kind == "mean" and not (is_numeric(answers) and is_numeric(y)):
        return None
    return metric.row_loss(y, answers)
