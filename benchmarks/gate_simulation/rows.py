"""Sets of rows, drawn many at a time, and the rules of the gate on their intervals.

The intervals are the product's own (`everbake.statistics`). Of normal rows only mean, standard
deviation and skewness are drawn, which are independent of each other (Basu 1955): that is exact,
and makes 200,000 sets of 10,000 rows a matter of a second.
"""

from dataclasses import dataclass, replace
from functools import cache
from math import sqrt
from typing import Any, NamedTuple

import numpy as np

from everbake.statistics.mean import Shape, wider_bounds
from everbake.statistics.quantiles import normal, student

TOLERANCE, EQUAL_WITHIN = 0.05, 0.01  # shares of the champion's gap, which is 1 here
KAPPA = 0.2  # standard deviation of row differences by the gap, where nothing else is said
CHUNK = 2_000_000  # rows at a time
_POOL, _LONG = 20_000, 5000  # from so many rows on the skewness is as good as normal


@dataclass(frozen=True)
class Size:
    """How much to draw: `factor` times the usual, and whether peers (bootstraps) are run, too."""

    factor: float = 1.0
    peers: bool = True

    def runs(self, usual):
        """Replications instead of the usual number, at least 200."""
        return max(200, int(usual * self.factor))


@cache
def _skewnesses(n):
    """The skewness of many sets of `n` normal rows."""
    rng = np.random.default_rng(n)
    if n >= _LONG:
        return sqrt(6 / n) * rng.normal(size=_POOL)
    return shapes(lambda runs: rng.normal(size=(runs, n)), n, _POOL).skew


def normal_shapes(rng, n, size, sd=1.0, mean=0.0):
    """What the intervals need of sets of `n` normal rows; `mean` may differ from set to set."""
    centre = mean + sd / sqrt(n) * rng.normal(size=size)
    spread = sd * np.sqrt(rng.chisquare(n - 1, size) / (n - 1))
    return Shape(n, centre, spread, rng.choice(_skewnesses(n), size))


def shapes(draw, n, runs):
    """Of `runs` sets of `n` rows; `draw(k)` gives k of them, a line each."""
    parts = [Shape.of(rows) for rows in chunks(draw, n, runs)]
    columns = (np.concatenate([getattr(p, name) for p in parts]) for name in ("mean", "sd", "skew"))
    return Shape(n, *columns)


def chunks(draw, n, runs):
    """`runs` sets in parts of a bounded number of rows."""
    most = max(1, CHUNK // n)
    for start in range(0, runs, most):
        yield draw(min(most, runs - start))


def near_equal(rng, freedom, own, *size, worse=0.0):
    """Differences of squared errors of two models with Student's errors that they nearly share.

    Each has a normal error beside the common one, `own` its standard deviation; the mean loss of
    the candidate is larger by the share `worse`.
    """
    common = rng.standard_t(freedom, size)
    champion, candidate = (common + own * rng.normal(size=size) for _ in range(2))
    return champion**2 - (1 + worse) * candidate**2


def moved(shape, by):
    """The same rows, each set better by `by`."""
    return replace(shape, mean=shape.mean + by)


class Seen(NamedTuple):
    """Differences with their intervals: a number each, or arrays of many sets of rows."""

    difference: Any
    lower: Any
    upper: Any

    def moved(self, by):
        """The same, all better by `by`."""
        return Seen(self.difference + by, self.lower + by, self.upper + by)


def seen(shape, level=0.05):
    """By the product's interval."""
    return Seen(shape.mean, *wider_bounds(shape, level))


def by_student(shape, level=0.05):
    """By Student's interval alone, as most reference figures of normal rows have it."""
    half = student(1 - level / 2, shape.n - 1) * shape.sd / sqrt(shape.n)
    return Seen(shape.mean, shape.mean - half, shape.mean + half)


def by_known_sd(shape, level=0.05):
    """By the interval of normal rows whose standard deviation is known: `KAPPA`."""
    half = normal(1 - level / 2) * KAPPA / sqrt(shape.n)
    return Seen(shape.mean, shape.mean - half, shape.mean + half)


def refresh(found, tolerance=TOLERANCE, equal_within=EQUAL_WITHIN):
    """Whether the refresh rule promotes."""
    return (found.lower >= -tolerance) & ~worse(found, equal_within)


def worse(found, equal_within=EQUAL_WITHIN):
    """Whether the refresh rule rejects."""
    return found.upper < -equal_within


def always(_look):
    """The level of a rule that does not count its looks."""
    return 0.05
