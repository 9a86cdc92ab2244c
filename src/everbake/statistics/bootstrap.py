"""Paired bootstrap of any metric: rows are drawn again, the same rows for both models.

The resamples give the standard error, Student's t the quantile: on small classes that keeps its
promise better than percentiles do. Randomness is a seed that the caller derives from the rows.

A metric that takes weights sees a resample as a count for each row, which is fast; any other
callable sees row numbers.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import isfinite, sqrt

import numpy as np
from numpy.typing import NDArray

from everbake.statistics.clusters import FEWEST_GROUPS, TooFewGroupsError, effective_groups
from everbake.statistics.draws import (
    Counts,
    Indices,
    drawn,
    generator_of,
    poisson_counts,
    rows_of_groups,
)
from everbake.statistics.interval import Interval
from everbake.statistics.quantiles import student

Floats = NDArray[np.float64]
Weights = Counts | Floats

RESAMPLES = 2000
STRATIFY_BELOW = 50
_FEWEST_RESAMPLES = 200
_ROWS_DRAWN = 20_000_000  # by all resamples of a callable together
_MOST_UNDEFINED = 0.05
_BLOCK = 400_000  # weights at a time: with all that is made of them far below 64 MB


class UndefinedError(Exception):
    """The metric has no value on more than 5 % of the resamples."""


def resamples_for(n: int) -> int:
    """How many resamples a callable that takes no weights gets on `n` rows.

    2000 up to 10,000 rows; beyond, as many as draw 20 million rows in all; at least 200 (from
    100,000 rows on), which know the standard error to within 5 %.

    >>> [resamples_for(n) for n in (100, 10_000, 50_000, 1_000_000)]
    [2000, 2000, 400, 200]
    """
    return min(RESAMPLES, max(_FEWEST_RESAMPLES, _ROWS_DRAWN // max(n, 1)))


@dataclass(frozen=True)
class Plan:
    """How to draw.

    Attributes:
        n: rows.
        codes: numbers the class of each row from 0, or None where there are none.
        seed: of all draws.
        resamples: how many; a callable without weights gets at most `resamples_for(n)`.
        groups: numbers the group of each row from 0, where rows of a group depend on each other.
            Whole groups are drawn then, whatever their classes.
        weights: sample weights; the counts of a resample multiply them.
    """

    n: int
    codes: Indices | None
    seed: int
    resamples: int = RESAMPLES
    groups: Indices | None = None
    weights: Floats | None = None

    @property
    def smallest(self) -> int:
        """Rows of the smallest class, or all rows."""
        return self.n if self.codes is None else int(np.min(np.bincount(self.codes)))

    @property
    def units(self) -> int:
        """How many units are drawn: groups, or rows."""
        return self.n if self.groups is None else int(self.groups.max()) + 1

    @property
    def freedom(self) -> float:
        """Degrees of freedom of the standard error, at least 1.

        Raises:
            TooFewGroupsError: the groups are worth fewer than 5 of equal size.
        """
        if self.groups is None:
            return max(self.smallest - 1, 1)
        effective = effective_groups(self.groups, self.weights)
        if effective < FEWEST_GROUPS:
            raise TooFewGroupsError(effective)
        return effective - 1

    @property
    def few(self) -> bool:
        """Whether there are so few units that as many of each stratum are drawn as it has."""
        return min(self.smallest, self.units) < STRATIFY_BELOW

    def strata(self) -> list[Indices]:
        """The units that are drawn within themselves."""
        if self.codes is None or self.groups is not None or not self.few:
            return [np.arange(self.units)]
        return [np.flatnonzero(self.codes == code) for code in range(int(self.codes.max()) + 1)]


def resampled_error(difference: Callable[[Indices], float], plan: Plan) -> float:
    """The standard error of `difference(row numbers)` over the resamples.

    Raises:
        UndefinedError: more than 5 % of the resamples give no finite value.
    """
    return _error([difference(index) for index in _rows(plan)], plan)


def weighted_error(difference: Callable[[Weights], Floats], plan: Plan) -> float:
    """As `resampled_error`, for a `difference` that takes the rows' weights, a resample a line.

    The weights are small whole numbers, how often the row was drawn, or these times the rows'
    sample weights.
    """
    values: list[float] = []
    for counts in _counts(plan):
        weights = counts if plan.weights is None else counts * plan.weights
        values.extend(difference(weights).tolist())
    return _error(values, plan)


def bootstrap_interval(
    difference: Callable[[Indices], float], observed: float, plan: Plan, level: float = 0.05
) -> Interval:
    """The interval `observed +- t * SE` with the standard error of the resamples.

    Raises:
        UndefinedError: more than 5 % of the resamples give no finite value.
        TooFewGroupsError: the groups are worth fewer than 5 of equal size.
    """
    half = student(1 - level / 2, plan.freedom)
    error = resampled_error(difference, plan)
    return _around(observed, error, half, plan, _callable_resamples(plan))


def weighted_interval(
    difference: Callable[[Weights], Floats], observed: float, plan: Plan, level: float = 0.05
) -> Interval:
    """The same interval, for a `difference` that takes the rows' weights, a resample a line."""
    half = student(1 - level / 2, plan.freedom)
    error = weighted_error(difference, plan)
    return _around(observed, error, half, plan, plan.resamples)


def _error(values: list[float], plan: Plan) -> float:
    finite = [value for value in values if isfinite(value)]
    if len(values) - len(finite) > _MOST_UNDEFINED * len(values):
        raise UndefinedError
    error = float(np.std(finite, ddof=1))
    # drawing G groups again gives the variance between them over G, not over G - 1
    return error if plan.groups is None else error * sqrt(plan.units / (plan.units - 1))


def _around(observed: float, error: float, quantile: float, plan: Plan, resamples: int) -> Interval:
    half, sd = quantile * error, error * sqrt(plan.n)
    lower, upper = observed - half, observed + half
    return Interval(observed, lower, upper, "bootstrap", sd, resamples=resamples)


def _callable_resamples(plan: Plan) -> int:
    return min(plan.resamples, resamples_for(plan.n))


def _rows(plan: Plan) -> Iterator[Indices]:
    """Row numbers, one resample after the other."""
    generator, strata = generator_of(plan.seed), plan.strata()
    for _ in range(_callable_resamples(plan)):
        units = drawn(generator, strata)
        yield units if plan.groups is None else rows_of_groups(plan.groups, units)


def _counts(plan: Plan) -> Iterator[Counts]:
    """How often each row was drawn, a resample a line, as many lines at a time as memory bears."""
    generator, strata = generator_of(plan.seed), plan.strata()
    lines = max(1, _BLOCK // plan.n)
    for start in range(0, plan.resamples, lines):
        shape = min(lines, plan.resamples - start), plan.units
        if plan.few:
            draws = [drawn(generator, strata) for _ in range(shape[0])]
            lists = [np.bincount(units, minlength=plan.units) for units in draws]
            counts = np.stack(lists).astype(np.uint8)
        else:
            counts = poisson_counts(generator, shape[0] * shape[1]).reshape(shape)
        if plan.groups is not None:
            counts = np.take(counts, plan.groups, axis=1)
        yield counts
