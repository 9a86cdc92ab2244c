"""Curves of both models on the held-out rows: they decide nothing, and say where to look.

Calibration is told of models that give probabilities of two outcomes, costs of those that decide.
Weights count in the costs, as they do in the metric; a reliability curve is about rows.
"""

from dataclasses import replace
from math import sqrt

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
from everbake.core.gate.scoring import Array, Flags, as_answers, is_numeric, present
from everbake.core.metrics import positives
from everbake.statistics.calibration import (
    Line,
    NotEstimableError,
    calibration_error,
    calibration_line,
    reliability,
)
from everbake.statistics.thresholds import cost_curve

Prices = tuple[float, float]

FEWEST = 10  # rows of either outcome, below which calibration cannot be told
_LARGE = 0.05  # calibration error that is worth a warning
_SURE = 2.33  # standard deviations of chance that it must exceed for that
_POINTS = 100
_DIGITS = 6  # of what is only drawn
_OUTCOMES = 2


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
    truth = as_answers(given.y)
    known = present(truth)
    if truth.ndim != 1 or not known.any() or len(np.unique(truth[known])) > _OUTCOMES:
        return None
    positive = np.zeros(len(truth), np.bool_)
    positive[known] = positives(truth[known])
    weights = None if given.weights is None else as_answers(given.weights).astype(np.float64)
    calibrations: list[Calibration | None] = []
    costs: list[CostCurve | None] = []
    for answers, threshold in (
        (given.candidate, given.thresholds[1]),
        (given.champion, given.thresholds[0]),
    ):
        scores = None if answers is None else as_answers(answers)
        if scores is None or scores.shape != truth.shape or not is_numeric(scores):
            calibrations.append(None)
            costs.append(None)
            continue
        usable = known & present(scores)
        kept, outcome = scores[usable].astype(np.float64), positive[usable]
        calibrations.append(calibration_of(outcome, kept) if _are_probabilities(kept) else None)
        counts = None if weights is None else weights[usable]
        costs.append(_costs(outcome, kept, prices, threshold, counts))
    if not any([*calibrations, *costs]):
        return None
    told = prices if any(costs) else None
    return Curves(calibrations[0], calibrations[1], costs[0], costs[1], told)


def calibration_of(positive: Flags, probability: Array) -> Calibration | None:
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
        plug_in=error.plug_in,
        expected=error.expected,
        bins=bins,
    )


def _are_probabilities(scores: Array) -> bool:
    """Numbers within 0 and 1 that are not all labels."""
    inside = bool(scores.size) and bool(np.all((scores >= 0) & (scores <= 1)))
    return inside and not bool(np.all((scores == 0) | (scores == 1)))


def _line(positive: Flags, probability: Array) -> Line | None:
    try:
        return calibration_line(positive, probability)
    except NotEstimableError:
        return None


def _costs(
    positive: Flags,
    scores: Array,
    prices: Prices | None,
    threshold: float | None,
    weights: Array | None,
) -> CostCurve | None:
    if prices is None or threshold is None or not len(scores):
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
    """Whether the error is large, and larger than chance makes it.

    Of calibrated probabilities the debiased square has mean 0, and about this variance: each bin's
    squared gap is that of a mean, so v chi-squared with one degree of freedom.
    """
    chance = sum(
        (one.n / found.n) ** 2 * 2 * (one.predicted * (1 - one.predicted) / one.n) ** 2
        for one in found.bins
    )
    return found.error > _LARGE and found.error**2 > _SURE * sqrt(chance)


def _short(value: float) -> float:
    """The value as far as a drawing shows it."""
    return float(f"{value:.{_DIGITS}g}")
