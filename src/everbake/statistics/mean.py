"""Intervals of the mean of paired row differences.

Student's t is too short on the side of a skewed tail, Hall's transformation (Hall 1992, JRSS B
54:221) corrects that and is too short on symmetric heavy tails. The wider of the two on each side
keeps its promise on both. It is deterministic and takes one pass over the rows.
"""

from math import cbrt, sqrt

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
    n = len(d)
    mean, sd, skew = float(np.mean(d)), _sd(d), skewness(d)
    q = student(1 - level / 2, n - 1) / sqrt(n)
    return mean - sd * _hall(q, skew, n), mean - sd * _hall(-q, skew, n)


def wider_interval(d: Floats, level: float = 0.05) -> Pair:
    """On each side the wider of `t_interval` and `hall_interval`."""
    t, hall = t_interval(d, level), hall_interval(d, level)
    return min(t[0], hall[0]), max(t[1], hall[1])


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


def hurt_probabilities(d: Floats) -> Pair:
    """One-sided p values (Student, Hall) of "the mean of `d` is at least 0"."""
    n, skew = len(d), skewness(d)
    w = float(np.mean(d)) / _sd(d)
    bent = w + skew * w**2 / 3 + skew**2 * w**3 / 27 + skew / (6 * n)
    return student_below(sqrt(n) * w, n - 1), student_below(sqrt(n) * bent, n - 1)


def skewness(d: Floats) -> float:
    """Population skewness m3 / m2^1.5; 0 where all values are equal."""
    centred = d - np.mean(d)
    scale = float(np.max(np.abs(centred))) if len(d) else 0.0
    if scale == 0.0:
        return 0.0
    centred = centred / scale  # so that tiny values do not underflow when cubed
    squares = centred * centred
    return float(np.mean(squares * centred)) / sqrt(float(np.mean(squares))) ** 3


def _sd(d: Floats) -> float:
    return float(np.std(d, ddof=1))


def _hall(y: float, skew: float, n: int) -> float:
    bend = skew / 3
    shifted = y - skew / (6 * n)
    if abs(bend) < _STRAIGHT:
        return shifted
    return (cbrt(1 + 3 * bend * shifted) - 1) / bend
