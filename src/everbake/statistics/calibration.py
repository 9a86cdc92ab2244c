"""Whether probabilities mean what they say: calibration line, calibration error, reliability curve.

The line is Cox's (1958, Biometrika 45:562): `logit P(y = 1) = intercept + slope logit(p)`, perfect
at (0, 1). The error is that of equally filled bins, with the part that chance alone puts there
taken off (Broecker 2012; Kumar, Liang and Ma 2019).
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import copysign, pi, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from everbake.statistics.bootstrap import Plan, Weights, weighted_interval
from everbake.statistics.proportions import wilson_bounds
from everbake.statistics.quantiles import normal

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Pair = tuple[float, float]

BINS = 15
_EDGE = 1e-6
_STEPS = 25
_STEEPEST = 50.0
_CONVERGED = 1e-10
_FAR = 700.0  # beyond it exp overflows


class NotEstimableError(Exception):
    """The data name no calibration line: they are separated, or the probabilities never vary."""


@dataclass(frozen=True)
class Line:
    """Intercept and slope of calibration with their standard errors."""

    intercept: float
    slope: float
    intercept_error: float
    slope_error: float

    def intercept_interval(self, level: float = 0.05) -> Pair:
        """Wald's interval of the intercept; `level` is the total error of both sides."""
        half = normal(1 - level / 2) * self.intercept_error
        return self.intercept - half, self.intercept + half

    def slope_interval(self, level: float = 0.05) -> Pair:
        """Wald's interval of the slope."""
        half = normal(1 - level / 2) * self.slope_error
        return self.slope - half, self.slope + half


@dataclass(frozen=True)
class Miscalibration:
    """The expected calibration error, told three ways.

    Attributes:
        square: the mean squared gap of the bins without what chance puts there; may be below 0.
        root: its root, with its sign.
        plug_in: the mean absolute gap of the bins, the usual figure.
        expected: what the usual figure is on average for perfectly calibrated probabilities.
    """

    square: float
    root: float
    plug_in: float
    expected: float


@dataclass(frozen=True)
class Bin:
    """One point of the reliability curve.

    Attributes:
        predicted: the mean probability.
        observed: the share of positives.
        n: rows.
        lower, upper: Wilson's 95 % interval of that share.
    """

    predicted: float
    observed: float
    n: int
    lower: float
    upper: float


def calibration_line(positive: Flags, probability: Floats) -> Line:
    """Intercept and slope by Newton's method; probabilities are clipped to [1e-6, 1 - 1e-6].

    Raises:
        NotEstimableError: no convergence in 25 steps, or a slope beyond 50.
    """
    clipped = np.clip(probability, _EDGE, 1 - _EDGE)
    logit = np.log(clipped / (1 - clipped))
    design = np.stack([np.ones_like(logit), logit], axis=1)
    beta = np.array([0.0, 1.0])
    for _ in range(_STEPS):
        fitted = 1 / (1 + np.exp(-np.clip(design @ beta, -_FAR, _FAR)))
        information = (design * (fitted * (1 - fitted))[:, None]).T @ design
        step = _solved(information, design.T @ (positive - fitted))
        beta = beta + step
        if not abs(beta[1]) <= _STEEPEST:
            break
        if np.max(np.abs(step)) < _CONVERGED:
            errors = np.sqrt(np.diag(np.linalg.inv(information)))
            return Line(float(beta[0]), float(beta[1]), float(errors[0]), float(errors[1]))
    raise NotEstimableError


def calibration_error(positive: Flags, probability: Floats, bins: int = BINS) -> Miscalibration:
    """The calibration error over equally filled bins; rows of one probability stay together."""
    sums = _binned(positive, probability, bins)
    share, predicted, observed = sums.n / len(positive), sums.predicted, sums.observed
    chance = observed * (1 - observed) / np.maximum(sums.n - 1, 1)
    square = float(np.sum(share * ((predicted - observed) ** 2 - chance)))
    plug_in = float(np.sum(share * np.abs(predicted - observed)))
    expected = float(np.sum(share * sqrt(2 / pi) * np.sqrt(sums.variance) / sums.n))
    return Miscalibration(square, _root(square), plug_in, expected)


def error_interval(
    positive: Flags, probability: Floats, plan: Plan, level: float = 0.05, bins: int = BINS
) -> Pair:
    """The interval of `Miscalibration.root`: `square +- t * SE`, and the roots with their signs.

    The standard error is that of the resamples, which keep the bins of all rows.

    Args:
        positive: the outcomes.
        probability: of each.
        plan: how rows are drawn.
        level: the total error of both sides.
        bins: how many.

    Raises:
        TooFewGroupsError: the groups are worth fewer than 5 of equal size.
    """
    square = calibration_error(positive, probability, bins).square
    found = weighted_interval(_squares(positive, probability, bins), square, plan, level)
    return _root(found.lower), _root(found.upper)


def _squares(positive: Flags, probability: Floats, bins: int) -> Callable[[Weights], Floats]:
    """The debiased square by the weights of the rows, a resample a line."""
    number = _numbers(probability, bins)
    order = np.argsort(number, kind="stable")
    starts = np.flatnonzero(np.diff(number[order], prepend=-1))
    p, y = probability[order], positive[order].astype(np.float64)

    def square(weights: Weights) -> Floats:
        taken: NDArray[Any] = np.take(weights, order, axis=1)
        n = np.add.reduceat(taken, starts, axis=1, dtype=np.float64)
        filled = np.maximum(n, 1)
        predicted = np.add.reduceat(taken * p, starts, axis=1) / filled
        observed = np.add.reduceat(taken * y, starts, axis=1) / filled
        chance = observed * (1 - observed) / np.maximum(n - 1, 1)
        total = np.sum(n, axis=1)
        return np.asarray(np.sum(n * ((predicted - observed) ** 2 - chance), axis=1) / total)

    return square


def _root(square: float) -> float:
    return copysign(sqrt(abs(square)), square)


def reliability(positive: Flags, probability: Floats, bins: int = BINS) -> tuple[Bin, ...]:
    """The reliability curve over equally filled bins, from low to high probabilities."""
    sums = _binned(positive, probability, bins)
    return tuple(
        Bin(float(p), float(o), int(n), *wilson_bounds(float(o * n), int(n), 0.025))
        for p, o, n in zip(sums.predicted, sums.observed, sums.n, strict=True)
    )


@dataclass(frozen=True)
class _Bins:
    """Rows, mean probability, share of positives and sum of p(1 - p) of each filled bin."""

    n: Floats
    predicted: Floats
    observed: Floats
    variance: Floats


def _binned(positive: Flags, probability: Floats, bins: int) -> _Bins:
    number = _numbers(probability, bins)
    columns = (np.ones(len(number)), probability, positive, probability * (1 - probability))
    sums = np.stack([np.bincount(number, weights=values) for values in columns])
    filled = sums[:, sums[0] > 0]
    return _Bins(filled[0], filled[1] / filled[0], filled[2] / filled[0], filled[3])


def _numbers(probability: Floats, bins: int) -> NDArray[np.intp]:
    """The bin of each row, from 0; of one probability all rows are in one."""
    n = len(probability)
    first = np.searchsorted(np.sort(probability), probability)  # how many rows lie below
    return first * max(1, min(bins, n // 2)) // n


def _solved(information: Floats, score: Floats) -> Floats:
    try:
        return np.asarray(np.linalg.solve(information, score), dtype=np.float64)
    except np.linalg.LinAlgError as error:
        raise NotEstimableError from error
