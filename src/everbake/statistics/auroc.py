"""The area under the ROC curve of two models on the same rows: DeLong's interval in O(n log n).

Sun and Xu 2014, IEEE Signal Processing Letters 21:1389, algorithm 2, with Student's t of the
smaller class in place of the normal quantile. It knows neither weights nor groups: with these,
`weighted_area` goes through the bootstrap.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from everbake.statistics.interval import Interval
from everbake.statistics.quantiles import student

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_SEPARATED = 20  # rows of each class, from which a perfect separation is believed


@dataclass(frozen=True)
class Areas:
    """Both areas and the variance of their difference."""

    champion: float
    candidate: float
    variance: float


def delong(positive: Flags, champion: Floats, candidate: Floats) -> Areas:
    """Both areas under the curve and the variance of candidate - champion.

    `positive` needs at least two rows of each class.
    """
    area0, up0, down0 = _placements(positive, champion)
    area1, up1, down1 = _placements(positive, candidate)
    m, k = len(up0), len(down0)
    variance = float(np.var(up1 - up0, ddof=1)) / m + float(np.var(down1 - down0, ddof=1)) / k
    return Areas(area0, area1, variance)


def auroc_interval(
    positive: Flags, champion: Floats, candidate: Floats, level: float = 0.05
) -> Interval:
    """DeLong's interval of the difference of two areas under the curve."""
    smaller = min(int(np.sum(positive)), int(np.sum(~positive)))
    return area_interval(delong(positive, champion, candidate), smaller, len(positive), level)


def area_interval(areas: Areas, smaller: int, n: int, level: float = 0.05) -> Interval:
    """The interval of the difference of two areas on `n` rows, `smaller` of the smaller class.

    Where the areas differ and nothing varies (one of them separates the classes), small classes
    leave the whole range of a difference open.
    """
    error = sqrt(areas.variance)
    half = student(1 - level / 2, smaller - 1) * error
    difference = areas.candidate - areas.champion
    if error == 0 and difference != 0 and smaller < _SEPARATED:
        return Interval(difference, -1.0, 1.0, "delong", 1.0, gain_barred=True)
    sd = error * sqrt(n)
    return Interval(difference, difference - half, difference + half, "delong", sd)


def weighted_area(
    positive: Flags, scores: Floats
) -> Callable[[NDArray[np.uint8] | Floats], Floats]:
    """The area as a function of row weights, a line each; NaN where a class has no weight.

    For each positive the weight of the negatives below it, and half of the tied ones.
    """
    up, down = np.flatnonzero(positive), np.flatnonzero(~positive)
    down = down[np.argsort(scores[down], kind="stable")]
    below = np.searchsorted(scores[down], scores[up], side="left")
    not_above = np.searchsorted(scores[down], scores[up], side="right")

    def value(weights: NDArray[np.uint8] | Floats) -> Floats:
        gained = np.take(weights, up, axis=1).astype(np.float64)
        kind = np.int32 if weights.dtype == np.uint8 else np.float64  # counts add up exactly
        passed = np.zeros((len(weights), len(down) + 1), dtype=kind)
        np.cumsum(np.take(weights, down, axis=1), axis=1, out=passed[:, 1:])
        whole = gained.sum(axis=1) * passed[:, -1]
        placed = np.take(passed, below, axis=1) + np.take(passed, not_above, axis=1)
        area = np.einsum("ij,ij->i", gained, placed) / 2
        shares: Floats = np.divide(area, whole, out=np.full_like(area, np.nan), where=whole > 0)
        return shares

    return value


def midranks(values: Floats) -> Floats:
    """Ranks from 1, ties share the middle of their ranks."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    middle = last - (counts - 1) / 2
    ranks: Floats = middle[inverse]
    return ranks


def _placements(positive: Flags, scores: Floats) -> tuple[float, Floats, Floats]:
    """The area, and each positive's and each negative's share of it."""
    up, down = scores[positive], scores[~positive]
    m, k = len(up), len(down)
    pooled = midranks(scores)
    area = float(np.sum(pooled[positive])) / (m * k) - (m + 1) / (2 * k)
    above = (pooled[positive] - midranks(up)) / k
    below = 1 - (pooled[~positive] - midranks(down)) / m
    return area, above, below
