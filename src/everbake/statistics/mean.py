"""Intervals of the mean of paired row differences.

Student's t is too short on the side of a skewed tail, Hall's transformation (Hall 1992, JRSS B
54:221) corrects that and is too short on symmetric heavy tails. The wider of the two on each side
keeps its promise on both. It is deterministic and takes one pass over the rows.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from everbake.statistics.interval import Interval
from everbake.statistics.quantiles import student, student_below

Floats = NDArray[np.float64]
Pair = tuple[float, float]

FEW_DIFFERENCES = 20
_CONSTANT = 1e-9
_STRAIGHT = 1e-8  # below this bend the cube root loses its digits


def t_interval(d: Floats, level: float = 0.05) -> Pair:
    """Student's t interval of the mean of `d`; `level` is the total error of both sides."""
    n = len(d)
    half = student(1 - level / 2, n - 1) * _sd(d) / sqrt(n)
    mean = float(np.mean(d))
    return mean - half, mean + half


def hall_interval(d: Floats, level: float = 0.05) -> Pair:
    """Hall's skewness-corrected interval of the mean of `d`."""
    lower, upper = _hall_bounds(Shape.of(d), level)
    return float(lower), float(upper)


def wider_interval(d: Floats, level: float = 0.05) -> Pair:
    """On each side the wider of `t_interval` and `hall_interval`."""
    lower, upper = wider_bounds(Shape.of(d), level)
    return float(lower), float(upper)


@dataclass(frozen=True)
class Shape:
    """What the intervals need to know of one set of `n` rows, or of many sets at once.

    Attributes:
        n: rows of a set.
        mean: their mean, an array of any shape.
        sd: their standard deviation (n - 1), likewise.
        skew: their population skewness, likewise.
    """

    n: int
    mean: Floats
    sd: Floats
    skew: Floats

    @classmethod
    def of(cls, d: Floats) -> "Shape":
        """Of the rows along the last axis of `d`."""
        mean, sd = np.mean(d, axis=-1), np.std(d, axis=-1, ddof=1)
        return cls(d.shape[-1], np.asarray(mean), np.asarray(sd), _skewness(d))


def wider_bounds(shape: Shape, level: float = 0.05) -> tuple[Floats, Floats]:
    """`wider_interval` of each set of rows: lower bounds and upper bounds."""
    half = student(1 - level / 2, shape.n - 1) * shape.sd / sqrt(shape.n)
    lower, upper = _hall_bounds(shape, level)
    return np.minimum(lower, shape.mean - half), np.maximum(upper, shape.mean + half)


def weighted_rows(d: Floats, weights: Floats) -> Floats:
    """Rows whose plain mean is the weighted mean of `d`, and whose spread is that of that mean.

    `D + w_i (d_i - D) / mean(w)` with `D = sum(w d) / sum(w)`, the linearised weighted mean: every
    function for plain rows applies to them unchanged. Rows without weight are to be left out
    before; a row that differs in `d` is no longer to be told by its value here.

    Args:
        d: row differences, or influence values added to their weighted mean.
        weights: at least 0, with a sum above 0.
    """
    mean = float(np.sum(weights * d) / np.sum(weights))
    rows: Floats = mean + weights * (d - mean) / np.mean(weights)
    return rows


def padded(d: Floats) -> Floats:
    """`d` with two pseudo rows +M and -M, M = max|d|, for when few rows differ.

    It carries the "+1" of Bonett and Price (2012) from proportions to any loss.
    """
    largest = float(np.max(np.abs(d)))
    return np.append(d, [largest, -largest])


def mean_interval(d: Floats, level: float = 0.05, *, differing: int | None = None) -> Interval:
    """The interval of the mean of the row differences `d`, safe for few rows and few differences.

    Where fewer than 20 rows differ, the interval is united with that of the padded rows, and no
    gain may be claimed: a rare disaster that was not seen yet is invisible to any interval.

    Args:
        d: row differences, or influence values added to their mean.
        level: the total error of both sides.
        differing: rows on which the two losses differ, where `d` does not tell.
    """
    n, mean = len(d), float(np.mean(d))
    sd = _sd(d) if n > 1 else 0.0
    count = int(np.count_nonzero(d)) if differing is None else differing
    few = min(count, n) < FEW_DIFFERENCES
    if not few and sd <= _CONSTANT * abs(mean):
        return Interval(mean, mean, mean, "constant", sd)
    if not few:
        lower, upper = wider_interval(d, level)
        return Interval(mean, lower, upper, "t-hall", sd)
    lower, upper = wider_interval(padded(d), level)
    if n > 1:
        plain = wider_interval(d, level)
        lower, upper = min(lower, plain[0]), max(upper, plain[1])
    return Interval(mean, lower, upper, "t-hall+2", sd, gain_barred=True)


def upper_bound(values: Floats, level: float = 0.05) -> float:
    """One-sided upper bound of the mean of `values`, error `level`."""
    return wider_interval(values, 2 * level)[1]


def lower_bound(values: Floats, level: float = 0.05) -> float:
    """One-sided lower bound of the mean of `values`, error `level`."""
    return wider_interval(values, 2 * level)[0]


def hurt_probability(d: Floats, *, differing: int | None = None) -> float:
    """One-sided p of "the mean of `d` is at least 0": small where the rows show a loss.

    The larger of Student's and Hall's; where fewer than 20 rows differ, also of the padded rows.

    Args:
        d: row differences, or influence values added to their mean.
        differing: rows on which the two losses differ, where `d` does not tell.
    """
    count = int(np.count_nonzero(d)) if differing is None else differing
    largest = _hurt(d) if len(d) > 1 else 0.0
    return max(largest, _hurt(padded(d))) if min(count, len(d)) < FEW_DIFFERENCES else largest


def hurt_probabilities(shape: Shape) -> tuple[Floats, Floats]:
    """One-sided p of "the mean is at least 0" of each set of rows, by Student's t and by Hall."""
    still = shape.sd == 0
    w = np.divide(shape.mean, shape.sd, out=np.zeros_like(shape.mean), where=~still)
    skew, n = shape.skew, shape.n
    bent = w + skew * w**2 / 3 + skew**2 * w**3 / 27 + skew / (6 * n)
    certain = np.where(shape.mean < 0, 0.0, 1.0)
    plain, hall = (student_below(sqrt(n) * value, n - 1) for value in (w, bent))
    return np.where(still, certain, plain), np.where(still, certain, hall)


def skewness(d: Floats) -> float:
    """Population skewness m3 / m2^1.5; 0 where all values are equal."""
    return float(_skewness(d))


def _skewness(d: Floats) -> Floats:
    """Along the last axis."""
    centred = d - np.mean(d, axis=-1, keepdims=True)
    scale = np.max(np.abs(centred), axis=-1, keepdims=True)
    # scaled, so that tiny values do not underflow when cubed
    centred = np.divide(centred, scale, out=np.zeros_like(centred), where=scale > 0)
    squares = centred * centred
    spread = np.mean(squares, axis=-1) ** 1.5
    third = np.mean(squares * centred, axis=-1)
    ratio: Floats = np.divide(third, spread, out=np.zeros_like(third), where=spread > 0)
    return ratio


def _sd(d: Floats) -> float:
    return float(np.std(d, ddof=1))


def _hurt(d: Floats) -> float:
    return float(np.max(hurt_probabilities(Shape.of(d))))


def _hall_bounds(shape: Shape, level: float) -> tuple[Floats, Floats]:
    q = student(1 - level / 2, shape.n - 1) / sqrt(shape.n)
    lower = shape.mean - shape.sd * _hall(q, shape)
    upper = shape.mean - shape.sd * _hall(-q, shape)
    return lower, upper


def _hall(y: float, shape: Shape) -> Floats:
    bend = shape.skew / 3
    straight = y - shape.skew / (6 * shape.n)
    bent = np.abs(bend) >= _STRAIGHT
    root = np.cbrt(1 + 3 * bend * straight) - 1
    bounds: Floats = np.where(bent, root / np.where(bent, bend, 1.0), straight)
    return bounds
