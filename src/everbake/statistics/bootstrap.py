"""Paired bootstrap of any metric: rows are drawn again, the same rows for both models.

The resamples give the standard error, Student's t the quantile: on small classes that keeps its
promise better than percentiles do. Randomness is a seed that the caller derives from the rows.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from math import isfinite, sqrt

import numpy as np
from numpy.typing import NDArray

from everbake.statistics.interval import Interval
from everbake.statistics.quantiles import student

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

RESAMPLES = 2000
STRATIFY_BELOW = 50
_MOST_UNDEFINED = 0.05
_BLOCK = 2_000_000  # counts at a time: 16 MB a matrix


class UndefinedError(Exception):
    """The metric has no value on more than 5 % of the resamples."""


@dataclass(frozen=True)
class Plan:
    """How to draw: `codes` numbers the class of each row, or is None where there are none."""

    n: int
    codes: Indices | None
    seed: int
    resamples: int = RESAMPLES

    @property
    def smallest(self) -> int:
        """Rows of the smallest class, or all rows."""
        return self.n if self.codes is None else int(np.min(np.bincount(self.codes)))

    def strata(self) -> list[Indices]:
        """The groups of rows that are drawn within themselves."""
        if self.codes is None or self.smallest >= STRATIFY_BELOW:
            return [np.arange(self.n)]
        return [np.flatnonzero(self.codes == code) for code in range(int(self.codes.max()) + 1)]


def resampled_error(difference: Callable[[Indices], float], plan: Plan) -> float:
    """The standard error of `difference(row numbers)` over the resamples.

    Raises:
        UndefinedError: more than 5 % of the resamples give no finite value.
    """
    return _error([difference(index) for index in _draws(plan)])


def weighted_error(difference: Callable[[Floats], Floats], plan: Plan) -> float:
    """As `resampled_error`, for a `difference` that takes the rows' counts, a resample a line."""
    block = max(1, _BLOCK // plan.n)
    draws, values = _draws(plan), []
    while lines := [np.bincount(index, minlength=plan.n) for index in islice(draws, block)]:
        values.extend(difference(np.stack(lines).astype(np.float64)).tolist())
    return _error(values)


def bootstrap_interval(
    difference: Callable[[Indices], float], observed: float, plan: Plan, level: float = 0.05
) -> Interval:
    """The interval `observed +- t * SE` with the standard error of the resamples."""
    return _around(observed, resampled_error(difference, plan), plan, level)


def weighted_interval(
    difference: Callable[[Floats], Floats], observed: float, plan: Plan, level: float = 0.05
) -> Interval:
    """The same interval, for a `difference` that takes the rows' counts, a resample a line."""
    return _around(observed, weighted_error(difference, plan), plan, level)


def _error(values: list[float]) -> float:
    finite = [value for value in values if isfinite(value)]
    if len(values) - len(finite) > _MOST_UNDEFINED * len(values):
        raise UndefinedError
    return float(np.std(finite, ddof=1))


def _around(observed: float, error: float, plan: Plan, level: float) -> Interval:
    half = student(1 - level / 2, max(plan.smallest - 1, 1)) * error
    return Interval(observed, observed - half, observed + half, "bootstrap", error * sqrt(plan.n))


def _draws(plan: Plan) -> Iterator[Indices]:
    generator = np.random.Generator(np.random.PCG64(plan.seed))
    strata = plan.strata()
    for _ in range(plan.resamples):
        drawn = [rows[generator.integers(0, len(rows), len(rows))] for rows in strata]
        yield drawn[0] if len(drawn) == 1 else np.concatenate(drawn)
