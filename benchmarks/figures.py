"""Simulated figures beside the specified ones: each with its Monte-Carlo error and a verdict."""

from math import sqrt

import numpy as np


def line(name, value, error, wanted, good):
    """One figure beside the specified one."""
    verdict = "ok" if good else "NOT MET"
    print(f"{name:<66} {value:>9} ± {error:<7} {wanted:<22} {verdict}")


def share_line(name, hits, wanted, good):
    """A share of replications with its 95 % Monte-Carlo error."""
    p, n = float(np.mean(hits)), len(hits)
    error = 1.96 * sqrt(max(p * (1 - p), 0.25 / n) / n)
    line(f"{name} (R {n:,})", f"{p:.4f}", f"{error:.4f}", wanted, good(p))


def at_most(limit):
    """A condition on a share."""
    return lambda p: p <= limit


def at_least(limit):
    """A condition on a share."""
    return lambda p: p >= limit


def median_line(name, stops, wanted, tolerance):
    """A median with half of the 95 % interval of its order statistics."""
    n, ordered = len(stops), np.sort(stops)
    half = 0.98 * sqrt(n)
    low, high = ordered[int(n / 2 - half)], ordered[int(n / 2 + half)]
    middle = float(np.median(stops))
    told = f"{middle:,.0f}/{np.quantile(stops, 0.9):,.0f}"
    good = abs(middle / wanted - 1) <= tolerance
    line(
        f"{name} (R {n:,})", told, f"{(high - low) / 2:,.0f}", f"{wanted:,} ± {tolerance:.0%}", good
    )
