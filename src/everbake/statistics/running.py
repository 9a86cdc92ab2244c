"""Running means that may be looked at at any time, and what they are kept in.

The bounds are those of the asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy
and Ramdas (2024), theorem 2.2 and its one-sided form: they hold at all sizes from a start on, for
any losses with a variance. The moments are Welford's (1962), merged as by Chan, Golub and LeVeque
(1979).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from math import log, sqrt

TIGHTEST = 5000  # the size at which the bounds are tightest
START = 100  # observations (of each arm) before which nothing is claimed
_TWO = 2


@dataclass(frozen=True)
class Moments:
    """Count, mean and sum of squared deviations of some values."""

    n: int = 0
    mean: float = 0.0
    m2: float = 0.0

    def add(self, value: float) -> "Moments":
        """With one more value."""
        step = value - self.mean
        mean = self.mean + step / (self.n + 1)
        return Moments(self.n + 1, mean, self.m2 + step * (value - mean))

    def merge(self, other: "Moments") -> "Moments":
        """Of the values of both."""
        n = self.n + other.n
        if not self.n or not other.n:
            return self if self.n else other
        step = other.mean - self.mean
        m2 = self.m2 + other.m2 + step * step * self.n * other.n / n
        return Moments(n, self.mean + step * other.n / n, m2)

    @property
    def variance(self) -> float:
        """The sample variance, 0 below two values."""
        return self.m2 / (self.n - 1) if self.n > 1 else 0.0


def moments(values: Iterable[float]) -> Moments:
    """The moments of all values."""
    return reduce(Moments.add, values, Moments())


@dataclass(frozen=True)
class Estimate:
    """A difference, canary minus champion, its standard error, and the observations behind it."""

    difference: float
    error: float
    n: int

    def lower(self, alpha: float) -> float:
        """The one-sided lower bound."""
        return self.difference - self.error * one_sided(self.n, alpha)

    def upper(self, alpha: float) -> float:
        """The one-sided upper bound."""
        return self.difference + self.error * one_sided(self.n, alpha)

    def interval(self, alpha: float) -> tuple[float, float]:
        """The two-sided confidence sequence."""
        half = self.error * two_sided(self.n, alpha)
        return self.difference - half, self.difference + half


def two_sided(n: int, alpha: float) -> float:
    """c2: how many standard errors lie between an estimate and either bound."""
    scaled = n * _rho_squared(alpha)
    return sqrt(2 * (1 + 1 / scaled) * log(sqrt(scaled + 1) / alpha))


def one_sided(n: int, alpha: float) -> float:
    """c1: how many standard errors lie between an estimate and its one bound."""
    scaled = n * _rho_squared(2 * alpha)
    return sqrt(2 * (1 + 1 / scaled) * log(1 + sqrt(scaled + 1) / (2 * alpha)))


def _rho_squared(alpha: float) -> float:
    wide = 2 * log(1 / alpha)
    return (wide + log(1 + wide)) / TIGHTEST


def paired(differences: Moments) -> Estimate | None:
    """The mean of differences of the same rows; None while too few, or all the same."""
    if differences.n < START or differences.variance <= 0:
        return None
    error = sqrt(differences.variance / differences.n)
    return Estimate(differences.mean, error, differences.n)


def unpaired(stages: Sequence[tuple[Moments, Moments]]) -> Estimate | None:
    """The difference of two arms, (canary, champion) of each stage; None while nothing holds.

    The variance is the larger one of the two arms': with skewed losses and a small canary the
    plain form (Welch) lets the canary look better than it is. Stages are compared within
    themselves and weighted by 1/(1/n_canary + 1/n_champion), so a level that moves while the
    traffic shifts is not taken for a difference; of one stage this is the plain difference.
    """
    used = [(b, a) for b, a in stages if b.n and a.n]
    sizes = [sum(stage[arm].n for stage in used) for arm in range(_TWO)]
    if not used or min(sizes) < START:
        return None
    variance = max(_within([stage[arm] for stage in used]) for arm in range(_TWO))
    if variance <= 0:
        return None
    weights = [1 / (1 / b.n + 1 / a.n) for b, a in used]
    total = sum(weights)
    pairs = zip(weights, used, strict=True)
    difference = sum(w * (b.mean - a.mean) for w, (b, a) in pairs) / total
    return Estimate(difference, sqrt(variance / total), sum(sizes))


def _within(stages: Sequence[Moments]) -> float:
    """The variance of one arm within its stages."""
    freedom = sum(stage.n - 1 for stage in stages)
    return sum(stage.m2 for stage in stages) / freedom if freedom else 0.0
