"""Many claims at once."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def holm(p: Sequence[float] | Floats) -> Floats:
    """The p values after Holm's correction (Holm 1979), in the order given.

    Claims whose corrected p is at most `a` are all true with a probability of at least 1 - a,
    however they depend on each other.

    >>> holm([0.02, 0.01, 0.5, 0.04]).tolist()
    [0.06, 0.04, 0.5, 0.08]
    """
    plain = np.asarray(p, dtype=np.float64)
    order = np.argsort(plain, kind="stable")
    stepped = plain[order] * np.arange(len(plain), 0, -1)
    adjusted = np.empty_like(plain)
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return adjusted
