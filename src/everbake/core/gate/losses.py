"""The losses of single rows, for metrics that are means of such or smooth functions of means."""

from dataclasses import dataclass, replace
from math import isclose, sqrt

import numpy as np

from everbake.core.gate.findings import Rounding
from everbake.core.gate.heldout import Array, Floats, Indices
from everbake.core.gate.scoring import is_numeric
from everbake.core.metrics import Metric, classes

_SAME_LOSS = 1e-9
_AGREE = 1e-6


@dataclass(frozen=True)
class Losses:
    """The loss of each row under both models; rounding counts as 0.

    Attributes:
        champion: the champion's.
        candidate: the candidate's.
        differences: the improvement of each row; what is lost in rounding is 0.
        largest_error: the largest error of either model, in units of the outcome.
        means: both means before rounding was taken out.
    """

    champion: Floats
    candidate: Floats
    differences: Floats
    largest_error: float
    means: tuple[float, float]

    def take(self, index: Indices) -> "Losses":
        """Those of the rows `index`."""
        return replace(
            self,
            champion=self.champion[index],
            candidate=self.candidate[index],
            differences=self.differences[index],
        )


@dataclass(frozen=True)
class Pair:
    """Outcomes, the two models' answers as the metric sees them, and the rows' weights."""

    y: Array
    before: Array
    after: Array
    weights: Floats | None


def row_losses(metric: Metric, pair: Pair, step: Rounding) -> Losses | None:
    """The losses under both models, or None where the metric or the answers have none."""
    if metric.row_loss is None or not (metric.cut is not None or _fits(metric, pair)):
        return None
    with np.errstate(all="ignore"):  # the metric itself tells what it cannot take
        both = [_a_row(metric.row_loss(pair.y, answers)) for answers in (pair.before, pair.after)]
    if not all(np.all(np.isfinite(loss)) for loss in both):
        return None
    means = average(both[0], pair.weights), average(both[1], pair.weights)
    largest = float("nan")
    if metric.scale != "none":
        squared = metric.scale == "squared"
        largest = float(max(np.max(both[0]), np.max(both[1])))
        largest = sqrt(largest) if squared else largest
        limit = step.step**2 if squared else step.step
        both = [np.where(loss <= limit, 0.0, loss) for loss in both]
    d = both[0] - both[1]
    d[np.abs(d) <= _SAME_LOSS * max(float(np.mean(both[0])), float(np.mean(both[1])))] = 0.0
    return Losses(both[0], both[1], d, largest, means)


def average(values: Floats, weights: Floats | None) -> float:
    """The mean, weighted where there are weights."""
    if weights is None:
        return float(np.mean(values))
    return float(np.sum(weights * values) / np.sum(weights))


def agree(metric: Metric, pair: Pair, losses: Losses, values: tuple[float, float]) -> bool:
    """Whether the user's function is the metric that its name promises."""
    implied = [value_of(metric, pair.y, mean, pair.weights) for mean in losses.means]
    tiny = max(1e-12, *(abs(value) for value in values)) * _AGREE
    return all(
        isclose(a, b, rel_tol=_AGREE, abs_tol=tiny) for a, b in zip(implied, values, strict=True)
    )


def value_of(metric: Metric, y: Array, mean: float, weights: Floats | None) -> float:
    """The metric's value where the mean of the row losses is `mean`."""
    if metric.kind == "root":
        return sqrt(mean)
    if metric.kind == "explained":
        truth = y.astype(np.float64)
        variance = average((truth - average(truth, weights)) ** 2, weights)
        return 1 - mean / variance if variance else float("nan")
    return 1 - mean if metric.better == "higher" else mean


def right_or_wrong(losses: Losses) -> bool:
    """Whether every loss is 0 or 1."""
    return all(bool(np.all((a == 0) | (a == 1))) for a in (losses.champion, losses.candidate))


def _a_row(losses: Array) -> Floats:
    """One loss a row: the average over several outputs."""
    wide: Floats = losses if losses.ndim == 1 else losses.mean(axis=tuple(range(1, losses.ndim)))
    return wide


def _fits(metric: Metric, pair: Pair) -> bool:
    numeric = is_numeric(pair.before) and is_numeric(pair.after)
    if (metric.kind != "share" and not numeric) or (metric.kind == "explained" and pair.y.ndim > 1):
        return False
    if metric.scale != "none" and not (metric.probabilities or is_numeric(pair.y)):
        return False
    if pair.before.shape == pair.after.shape == pair.y.shape:
        return True
    if metric.name != "log_loss" or pair.y.ndim > 1:
        return False
    return {pair.before.shape[-1], pair.after.shape[-1]} == {classes(pair.y)}
