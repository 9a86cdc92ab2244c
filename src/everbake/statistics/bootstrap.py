"""Paired bootstrap of any metric: rows are drawn again, the same rows for both models.

The resamples give the standard error, Student's t the quantile: on small classes that keeps its
promise better than percentiles do. Randomness is a seed that the caller derives from the rows.
"""

from collections.abc import Callable
from dataclasses import dataclass
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
    generator = np.random.Generator(np.random.PCG64(plan.seed))
    strata = plan.strata()
    values = [difference(_draw(generator, strata)) for _ in range(plan.resamples)]
    finite = [value for value in values if isfinite(value)]
    if len(values) - len(finite) > _MOST_UNDEFINED * len(values):
        raise UndefinedError
    return float(np.std(finite, ddof=1))


def bootstrap_interval(
    difference: Callable[[Indices], float], observed: float, plan: Plan, level: float = 0.05
) -> Interval:
    """The interval `observed +- t * SE` with the standard error of the resamples."""
    error = resampled_error(difference, plan)
    half = student(1 - level / 2, max(plan.smallest - 1, 1)) * error
    return Interval(observed, observed - half, observed + half, "bootstrap", error * sqrt(plan.n))


def _draw(generator: np.random.Generator, strata: list[Indices]) -> Indices:
    drawn = [rows[generator.integers(0, len(rows), len(rows))] for rows in strata]
    return drawn[0] if len(drawn) == 1 else np.concatenate(drawn)
