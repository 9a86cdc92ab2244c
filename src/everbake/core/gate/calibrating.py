"""Curves of both models on the held-out rows: they decide nothing, and say where to look.

Calibration is told of models that give probabilities of two outcomes, costs of those that decide.
Weights count in the costs, as they do in the metric; a reliability curve is about rows.
"""

from dataclasses import replace

import numpy as np

from everbake.core.decision import (
    Calibration,
    Check,
    CheckState,
    CostCurve,
    Curves,
    Decision,
    ReliabilityBin,
)
from everbake.core.gate.given import Given
from everbake.core.gate.heldout import Array, Flags, Floats, HeldOut, Indices, held_out
from everbake.core.gate.scoring import as_answers, is_numeric, present
from everbake.core.metrics import positives
from everbake.statistics.bootstrap import Plan
from everbake.statistics.calibration import (
    Line,
    NotEstimableError,
    calibration_error,
    calibration_line,
    error_interval,
    reliability,
)
from everbake.statistics.clusters import TooFewGroupsError
from everbake.statistics.thresholds import cost_curve

Prices = tuple[float, float]

FEWEST = 10  # rows of either outcome, below which calibration cannot be told
_LARGE = 0.05  # calibration error that is worth a warning
_RESAMPLES = 200  # they know a standard error to within 5 %
_POINTS = 100
_DIGITS = 6  # of what is only drawn
_OUTCOMES = 2
_GLANCE = 100  # rows


def with_curves(decision: Decision, given: Given, prices: Prices | None) -> Decision:
    """The decision with the curves of both models, and a warning where probabilities mislead.

    Args:
        decision: about these rows.
        given: what it rests on.
        prices: what a false positive and a false negative cost, where models decide.
    """
    curves = curves_of(given, prices)
    if curves is None:
        return decision
    decision = replace(decision, curves=curves)
    return decision if curves.candidate is None else decision.with_checks((_check(curves),))


def curves_of(given: Given, prices: Prices | None) -> Curves | None:
    """The curves of both models; None where there are none to draw."""
    if not _two(as_answers(given.y)):
        return None
    held = held_out(given, None)
    held = held.where(present(held.y), "")
    candidate, candidate_cost = _of_one(held, held.candidate, held.thresholds[1], prices)
    champion, champion_cost = _of_one(held, held.champion, held.thresholds[0], prices)
    if not any((candidate, champion, candidate_cost, champion_cost)):
        return None
    told = prices if candidate_cost or champion_cost else None
    return Curves(candidate, champion, candidate_cost, champion_cost, told)


def _two(y: Array) -> bool:
    """Whether outcomes are known, and of two kinds at most."""
    if y.ndim != 1:
        return False
    known = present(y)
    few = y[:_GLANCE][known[:_GLANCE]]  # most often they tell
    if len(np.unique(few)) > _OUTCOMES:
        return False
    return bool(known.any()) and len(np.unique(y[known])) <= _OUTCOMES


def _of_one(
    held: HeldOut, answers: Array | None, threshold: float | None, prices: Prices | None
) -> tuple[Calibration | None, CostCurve | None]:
    """Calibration and costs of one model, on the rows that it answers."""
    if answers is None or answers.shape != held.y.shape or not is_numeric(answers):
        return None, None
    usable = present(answers)
    scores, positive = answers[usable].astype(np.float64), positives(held.y)[usable]
    weights = None if held.weights is None else held.weights[usable]
    groups = None if held.groups is None else _again(held.groups[usable])
    plan = Plan(len(scores), positive.astype(np.intp), held.seed, _RESAMPLES, groups)
    calibration = calibration_of(positive, scores, plan) if _are_probabilities(scores) else None
    if prices is None or threshold is None:
        return calibration, None
    return calibration, _costs(positive, scores, prices, threshold, weights)


def _again(groups: Indices) -> Indices:
    """The same groups, numbered from 0 without a gap."""
    return np.unique(groups, return_inverse=True)[1].reshape(-1)


def calibration_of(positive: Flags, probability: Floats, plan: Plan) -> Calibration | None:
    """Calibration on rows with both outcomes; None where either is too rare to tell."""
    events = int(positive.sum())
    if min(events, len(positive) - events) < FEWEST:
        return None
    error = calibration_error(positive, probability)
    line = _line(positive, probability)
    bins = tuple(
        ReliabilityBin(
            _short(each.predicted),
            _short(each.observed),
            each.n,
            (_short(each.lower), _short(each.upper)),
        )
        for each in reliability(positive, probability)
    )
    return Calibration(
        n=len(positive),
        positives=events,
        intercept=None if line is None else line.intercept,
        intercept_interval=None if line is None else line.intercept_interval(),
        slope=None if line is None else line.slope,
        slope_interval=None if line is None else line.slope_interval(),
        error=error.root,
        error_interval=_error_interval(positive, probability, plan),
        plug_in=error.plug_in,
        expected=error.expected,
        bins=bins,
    )


def _are_probabilities(scores: Floats) -> bool:
    """Numbers within 0 and 1 that are not all labels."""
    inside = bool(scores.size) and bool(np.all((scores >= 0) & (scores <= 1)))
    return inside and not bool(np.all((scores == 0) | (scores == 1)))


def _error_interval(positive: Flags, probability: Floats, plan: Plan) -> tuple[float, float] | None:
    try:
        return error_interval(positive, probability, plan)
    except TooFewGroupsError:
        return None


def _line(positive: Flags, probability: Floats) -> Line | None:
    try:
        return calibration_line(positive, probability)
    except NotEstimableError:
        return None


def _costs(
    positive: Flags, scores: Floats, prices: Prices, threshold: float, weights: Floats | None
) -> CostCurve | None:
    if not len(scores) or (weights is not None and not weights.any()):
        return None
    decided = scores >= threshold
    each = prices[0] * (decided & ~positive) + prices[1] * (positive & ~decided)
    points = cost_curve(positive, scores, *prices, weights, points=_POINTS)
    return CostCurve(
        threshold,
        float(np.average(each, weights=weights)),
        tuple((_short(point.threshold), _short(point.cost)) for point in points),
    )


def _check(curves: Curves) -> Check:
    """Whether the candidate's probabilities can be taken at their word."""
    found = curves.candidate
    if found is None:
        raise ValueError("there is no calibration to look at")
    error = f"error {found.error:.3g}" if found.error > 0 else "no error beyond chance"
    usual = f"plug-in {found.plug_in:.3g}, of which chance makes {found.expected:.3g}"
    told = f"{error} ({usual}) on {found.n} held-out rows"
    if found.slope is None or found.slope_interval is None:
        return Check("calibration", "unknown", f"the slope is not estimable; {told}")
    low, high = found.slope_interval
    slope = f"slope {found.slope:.3g} (95 %: {low:.3g} to {high:.3g})"
    off = not low <= 1 <= high
    why = ""
    if off:
        why = ": probabilities are too extreme" if high < 1 else ": probabilities are too timid"
    state: CheckState = "warn" if off or _is_large(found) else "pass"
    return Check("calibration", state, f"{slope}{why}; {told}")


def _is_large(found: Calibration) -> bool:
    """Whether the error is large, and larger than chance makes it."""
    return found.error > _LARGE and found.error_interval is not None and found.error_interval[0] > 0


def _short(value: float) -> float:
    """The value as far as a drawing shows it."""
    return float(f"{value:.{_DIGITS}g}")
