"""Paired proportions: two models that are right or wrong on the same rows."""

from collections.abc import Callable
from math import copysign, inf, sqrt

from everbake.statistics.interval import Interval
from everbake.statistics.quantiles import binomial_at_least, normal

_PRECISION = 1e-10


def tango_interval(b: int, c: int, n: int, level: float = 0.05) -> tuple[float, float]:
    """Tango's score interval of the difference of two paired proportions.

    Tango 1998, Statistics in Medicine 17:891. It stays honest where few pairs differ and Student's
    interval does not.

    Args:
        b: rows that only the candidate gets right.
        c: rows that only the champion gets right.
        n: all rows.
        level: the total error of both sides.
    """
    z = normal(1 - level / 2)

    def score(difference: float) -> float:
        big_a = 2 * n
        big_b = -b - c + (2 * n - b + c) * difference
        big_c = -c * difference * (1 - difference)
        q = (sqrt(max(big_b * big_b - 4 * big_a * big_c, 0.0)) - big_b) / (2 * big_a)
        spread = n * (2 * q + difference * (1 - difference))
        gap = b - c - n * difference
        if spread <= 0:  # only at the ends of the range and at 0, where nothing varies
            return copysign(inf, gap) if gap else 0.0
        return gap / sqrt(spread)

    return _solve(lambda x: score(x) - z), _solve(lambda x: score(x) + z)


def _solve(falling: Callable[[float], float]) -> float:
    low, high = -1.0, 1.0
    while high - low > _PRECISION:
        middle = (low + high) / 2
        if falling(middle) > 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def mcnemar_one_sided(b: int, c: int) -> float:
    """Exact McNemar test of "the candidate is not better": P(Bin(b + c, 1/2) >= b)."""
    return binomial_at_least(b, b + c)


def mcnemar_two_sided(b: int, c: int) -> float:
    """Exact two-sided McNemar test."""
    return min(1.0, 2 * binomial_at_least(max(b, c), b + c))


def share_interval(b: int, c: int, n: int, level: float = 0.05) -> Interval:
    """Tango's interval; a gain may be claimed only where McNemar's exact test agrees."""
    lower, upper = tango_interval(b, c, n, level)
    difference = (b - c) / n
    variance = (b + c) / n - difference**2
    sd = sqrt(max(variance, 0.0) * n / max(n - 1, 1))
    barred = mcnemar_one_sided(b, c) > level / 2
    return Interval(difference, lower, upper, "tango", sd, gain_barred=barred)


def wilson_bounds(successes: float, n: int, level: float = 0.05) -> tuple[float, float]:
    """Wilson's one-sided lower and upper bounds of a proportion, each with error `level`."""
    z = normal(1 - level)
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return centre - half, centre + half
