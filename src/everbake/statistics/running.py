"""Means that may be looked at after every observation: asymptotic confidence sequences.

Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2024), "Time-uniform central limit theory and
asymptotic confidence sequences", Theorem 2.2 and the one-sided form of its appendix.
"""

import math
from dataclasses import dataclass

TIGHTEST = 5_000  # observations at which the bounds are tightest


@dataclass(frozen=True)
class Moments:
    """Count, mean and sum of squared deviations, updated one by one (Welford 1962).

    Attributes:
        n: observations.
        mean: of them.
        m2: sum of squared deviations from the mean.
    """

    n: int = 0
    mean: float = 0.0
    m2: float = 0.0

    def add(self, value: float) -> "Moments":
        """With one more observation."""
        n = self.n + 1
        delta = value - self.mean
        mean = self.mean + delta / n
        return Moments(n, mean, self.m2 + delta * (value - mean))

    def merge(self, other: "Moments") -> "Moments":
        """Both together (Chan, Golub and LeVeque 1983)."""
        n = self.n + other.n
        if n == 0:
            return self
        delta = other.mean - self.mean
        mean = self.mean + delta * other.n / n
        return Moments(n, mean, self.m2 + other.m2 + delta * delta * self.n * other.n / n)

    @property
    def variance(self) -> float:
        """Of one observation; 0 below two."""
        return self.m2 / (self.n - 1) if self.n > 1 else 0.0


NOTHING = Moments()


@dataclass(frozen=True)
class Gap:
    """How much larger the challenger's mean is.

    Attributes:
        difference: of the means.
        error: its standard error.
        t: observations behind it.
    """

    difference: float
    error: float
    t: int

    def interval(self, alpha: float) -> tuple[float, float]:
        """The differences that no look so far excludes, at 1 - alpha."""
        half = self.error * two_sided(self.t, alpha)
        return self.difference - half, self.difference + half

    def above(self, alpha: float) -> float:
        """The lower bound at 1 - alpha."""
        return self.difference - self.error * one_sided(self.t, alpha)

    def below(self, alpha: float) -> float:
        """The upper bound at 1 - alpha."""
        return self.difference + self.error * one_sided(self.t, alpha)


def paired(differences: Moments) -> Gap:
    """The mean of paired differences, challenger minus champion."""
    error = math.sqrt(differences.variance / differences.n) if differences.n else math.inf
    return Gap(differences.mean, error, differences.n)


def unpaired(champion: Moments, challenger: Moments) -> Gap:
    """The difference of the means of two arms.

    Both arms get the larger of the two variances: with separate ones, a small skewed arm looks
    better than it is.
    """
    n_a, n_b = champion.n, challenger.n
    difference = challenger.mean - champion.mean
    if n_a == 0 or n_b == 0:
        return Gap(difference, math.inf, n_a + n_b)
    spread = max(champion.variance, challenger.variance)
    return Gap(difference, math.sqrt(spread * (1 / n_a + 1 / n_b)), n_a + n_b)


def two_sided(t: int, alpha: float, tightest: int = TIGHTEST) -> float:
    """c2: half the width of the two-sided sequence, in standard errors, after t observations.

    >>> round(two_sided(1000, 0.05), 4)
    3.3639
    """
    scaled = t * _rho2(alpha, tightest)
    return math.sqrt(2 * (1 + 1 / scaled) * math.log(math.sqrt(scaled + 1) / alpha))


def one_sided(t: int, alpha: float, tightest: int = TIGHTEST) -> float:
    """c1: the distance of the one-sided bound, in standard errors, after t observations.

    >>> round(one_sided(1000, 0.05), 4)
    3.1524
    """
    scaled = t * _rho2(2 * alpha, tightest)
    return math.sqrt(2 * (1 + 1 / scaled) * math.log(1 + math.sqrt(scaled + 1) / (2 * alpha)))


def _rho2(alpha: float, tightest: int) -> float:
    odds = 2 * math.log(1 / alpha)
    return (odds + math.log(1 + odds)) / tightest
