"""The score from which a row is called positive, by what the two kinds of mistakes cost."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_POINTS = 200
_SAME = 1e-12  # of the largest cost: differences that are rounding only


class CostPoint(NamedTuple):
    """The mean cost of a row if scores from `threshold` on are called positive."""

    threshold: float
    cost: float


def elkan_threshold(false_positive: float, false_negative: float) -> float:
    """The cheapest threshold of calibrated probabilities (Elkan 2001).

    >>> elkan_threshold(1.0, 4.0)
    0.2
    """
    return false_positive / (false_positive + false_negative)


def cost_threshold(
    positive: Flags,
    scores: Floats,
    false_positive: float,
    false_negative: float,
    weights: Floats | None = None,
) -> float:
    """The threshold with the smallest cost on these rows, in O(n log n).

    Scores of at least the threshold are called positive. To choose from are all scores, a value
    above all of them, and Elkan's threshold; among equally cheap ones the one nearest Elkan's is
    taken. The scores must come from models that were not trained on their rows.

    Args:
        positive: the outcomes.
        scores: finite.
        false_positive: what calling a negative positive costs; a correct answer costs nothing.
        false_negative: what missing a positive costs.
        weights: of the rows.
    """
    thresholds, total = _mean_costs(positive, scores, (false_positive, false_negative), weights)
    target = elkan_threshold(false_positive, false_negative)
    at_target = total[min(int(np.searchsorted(thresholds, target)), len(total) - 1)]
    bar = float(np.min(total)) + _SAME * float(np.max(total))
    if at_target <= bar:
        return target
    cheapest = thresholds[total <= bar]
    return float(cheapest[np.argmin(np.abs(cheapest - target))])


def cost_curve(
    positive: Flags,
    scores: Floats,
    false_positive: float,
    false_negative: float,
    weights: Floats | None = None,
    *,
    points: int = _POINTS,
) -> tuple[CostPoint, ...]:
    """The mean cost by threshold, from low to high, at most so many points with the cheapest one.

    Half of them lie where the cost moves: between two of these it moves by no more than its way in
    all, divided by `points / 2 - 3`, and by one row. The other half are even among the scores.
    """
    thresholds, total = _mean_costs(positive, scores, (false_positive, false_negative), weights)
    last, half = len(thresholds) - 1, points // 2 - 2
    way = np.append(0.0, np.cumsum(np.abs(np.diff(total))))
    moved = np.searchsorted(way, np.linspace(0.0, way[-1], half))
    even = np.linspace(0, last, half).round().astype(np.intp)
    ends = np.array([0, np.argmin(total), last])
    kept = np.unique(np.concatenate([np.minimum(moved, last), even, ends]))
    pairs = zip(thresholds[kept].tolist(), total[kept].tolist(), strict=True)
    return tuple(CostPoint(threshold, cost) for threshold, cost in pairs)


def _mean_costs(
    positive: Flags, scores: Floats, costs: tuple[float, float], weights: Floats | None
) -> tuple[Floats, Floats]:
    """Each distinct score, then a value above all, and the mean cost with it as the threshold."""
    weights = np.ones(len(scores)) if weights is None else weights
    distinct, number = np.unique(scores, return_inverse=True)
    number = number.reshape(-1)
    up = np.bincount(number, weights=weights * positive)
    down = np.bincount(number, weights=weights * ~positive)
    missed = np.append(0.0, np.cumsum(up))
    alarms = np.append(np.cumsum(down[::-1])[::-1], 0.0)
    total = costs[0] * alarms + costs[1] * missed
    above = np.nextafter(distinct[-1], np.inf)
    return np.append(distinct, above), total / np.sum(weights)
