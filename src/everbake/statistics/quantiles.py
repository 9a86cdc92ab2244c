"""The few special functions that the intervals need.

SciPy's special functions are loaded at the first call: a judgement that ends in a tie needs none.
"""

from functools import cache
from importlib import import_module
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@cache
def _special() -> ModuleType:
    return import_module("scipy.special")


def student(probability: float, freedom: float) -> float:
    """The quantile of Student's t with `freedom` degrees of freedom."""
    return float(_special().stdtrit(freedom, probability))


def student_below(value: Floats | float, freedom: float) -> Floats:
    """P(T <= value) for Student's t."""
    return np.asarray(_special().stdtr(freedom, value), dtype=np.float64)


def student_power(shift: float, freedom: float, critical: float) -> float:
    """P(T > critical) for the noncentral t with noncentrality `shift`."""
    return 1.0 - float(_special().nctdtr(freedom, shift, critical))


def normal(probability: float) -> float:
    """The quantile of the standard normal distribution."""
    return float(_special().ndtri(probability))


def binomial_at_least(successes: int, trials: int) -> float:
    """P(Bin(trials, 1/2) >= successes)."""
    if successes <= 0:
        return 1.0
    return float(_special().bdtrc(successes - 1, trials, 0.5))
