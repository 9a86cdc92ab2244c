"""What a bootstrap draws: counts of units, or the units themselves. The same on every machine."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.intp]
Counts = NDArray[np.uint8]

# How many of 65,536 equally likely numbers stand for a count of 0, 1, 2, ...: Poisson(1) to 16
# bits, with a mean of exactly 1 and a variance of 0.99997.
_SHARES = (24109, 24110, 12054, 4019, 1004, 201, 34, 4, 1)
_POISSON: Counts = np.repeat(np.arange(len(_SHARES)), _SHARES).astype(np.uint8)
_A_WORD = 4  # 16-bit numbers of one 64-bit draw


def generator_of(seed: int) -> np.random.Generator:
    """PCG64 started from `seed`."""
    return np.random.Generator(np.random.PCG64(seed))


def poisson_counts(generator: np.random.Generator, units: int) -> Counts:
    """A count for each of `units`, independent, from Poisson(1); about 1 ns each."""
    words = generator.bit_generator.random_raw(-(-units // _A_WORD))
    numbers = words.astype("<u8", copy=False).view("<u2")[:units]
    return np.take(_POISSON, numbers)


def drawn(generator: np.random.Generator, strata: Sequence[Indices]) -> Indices:
    """As many units of each stratum as it has, drawn with replacement."""
    parts = [rows[generator.integers(0, len(rows), len(rows))] for rows in strata]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def rows_of_groups(groups: Indices, chosen: Indices) -> Indices:
    """The rows of the `chosen` groups, one group after the other, as often as they are chosen.

    >>> rows_of_groups(np.array([0, 1, 0, 1, 1]), np.array([1, 0, 1])).tolist()
    [1, 3, 4, 0, 2, 1, 3, 4]
    """
    order = np.argsort(groups, kind="stable")
    sizes = np.bincount(groups)
    starts = np.cumsum(sizes) - sizes
    taken = sizes[chosen]
    shift = np.repeat(starts[chosen] - (np.cumsum(taken) - taken), taken)
    return order[shift + np.arange(len(shift))]
