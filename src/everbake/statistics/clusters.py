"""Rows that depend on each other: of one user, one document, or neighbours in time.

The groups take the place of the rows: residuals are summed within a group, and only whole groups
are held to be independent. Neighbours in time are put into few long blocks (Ibragimov and Mueller
2010, Journal of Business and Economic Statistics 28:453), which needs no model of the dependence.
"""

from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from everbake.statistics.interval import Interval
from everbake.statistics.quantiles import student, student_below

Floats = NDArray[np.float64]
Codes = NDArray[Any]

FEWEST_GROUPS = 5
BLOCKS = 10
_SHORTEST = 2  # rows of a block


class TooFewGroupsError(Exception):
    """Fewer than 5 effective groups: nothing can be said of the spread between groups.

    Attributes:
        effective: the effective number of groups.
    """

    def __init__(self, effective: float) -> None:
        super().__init__(f"{effective:.3g} effective groups, {FEWEST_GROUPS} are needed")
        self.effective = effective


def effective_groups(codes: Codes, weights: Floats | None = None) -> float:
    """How many groups of equal size are worth as much: `n^2 / sum(n_g^2)`.

    Args:
        codes: the group of each row, values of any kind that can be sorted.
        weights: of the rows; a group then counts by its weight.

    >>> effective_groups(np.array(["a", "a", "b", "b"]))
    2.0
    """
    sizes = np.bincount(np.unique(codes, return_inverse=True)[1].reshape(-1), weights)
    return float(np.sum(sizes) ** 2 / np.sum(sizes * sizes))


def grouped_interval(
    d: Floats, codes: Codes, level: float = 0.05, *, weights: Floats | None = None
) -> Interval:
    """The interval of the mean of `d` where only the groups are independent.

    `se = sqrt(G/(G-1) sum(e_g^2)) / n` with the residuals `e_g` summed by group; Student's t with
    the effective number of groups less one.

    Args:
        d: row differences, weighted rows, or influence values added to their mean.
        codes: the group of each row.
        level: the total error of both sides.
        weights: of the rows, if `d` are weighted rows: a group counts by its weight.

    Raises:
        TooFewGroupsError: the groups are worth fewer than 5 of equal size.
    """
    found = _spread(d, codes, weights)
    half = student(1 - level / 2, found.freedom) * found.error
    sd = found.error * sqrt(len(d))
    return Interval(found.mean, found.mean - half, found.mean + half, "groups", sd)


def grouped_hurt(d: Floats, codes: Codes, *, weights: Floats | None = None) -> float:
    """One-sided p of "the mean of `d` is at least 0" where only the groups are independent.

    Raises:
        TooFewGroupsError: the groups are worth fewer than 5 of equal size.
    """
    found = _spread(d, codes, weights)
    if found.error == 0.0:
        return 0.0 if found.mean < 0 else 1.0
    return float(student_below(found.mean / found.error, found.freedom))


def time_blocks(n: int, shortest: int = 1) -> NDArray[np.intp] | None:
    """The block of each of `n` rows in order of time: 10 contiguous ones, equal to within a row.

    Args:
        n: rows.
        shortest: rows that a block must have at least, such as the horizon of a forecast.

    Returns:
        Codes 0 to 9, or None where the rows do not suffice for blocks of at least two rows.
    """
    if n // BLOCKS < max(_SHORTEST, shortest):
        return None
    return np.arange(n) * BLOCKS // n


def autocorrelated(d: Floats) -> bool:
    """Whether neighbours in `d` are more alike (or unlike) than independent rows would be.

    The correlation of `d` with itself one row later is beyond two of its standard errors,
    `2 / sqrt(n)`.
    """
    centred = d - np.mean(d)
    total = float(np.sum(centred * centred))  # a product of the two would start BLAS's threads
    if total == 0.0:
        return False
    return abs(float(np.sum(centred[1:] * centred[:-1])) / total) > 2 / sqrt(len(d))


@dataclass(frozen=True)
class _Spread:
    """Mean, its standard error and the degrees of freedom of that."""

    mean: float
    error: float
    freedom: float


def _spread(d: Floats, codes: Codes, weights: Floats | None) -> _Spread:
    effective = effective_groups(codes, weights)
    if effective < FEWEST_GROUPS:
        raise TooFewGroupsError(effective)
    mean = float(np.mean(d))
    numbers = np.unique(codes, return_inverse=True)[1].reshape(-1)
    sums = np.bincount(numbers, weights=d - mean)
    groups = len(sums)
    error = sqrt(groups / (groups - 1) * float(np.dot(sums, sums))) / len(d)
    return _Spread(mean, error, effective - 1)
