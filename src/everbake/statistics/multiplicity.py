"""Many claims at once."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def holm(p: Sequence[float] | Floats) -> Floats:
    """The p values after Holm's correction (Holm 1979), in the order given.

    Claims whose corrected p is at most `a` are all true with a probability of at least 1 - a,
    however they depend on each other. Of an array, those along the last axis belong together.

    >>> holm([0.02, 0.01, 0.5, 0.04]).tolist()
    [0.06, 0.04, 0.5, 0.08]
    """
    plain = np.asarray(p, dtype=np.float64)
    order = np.argsort(plain, axis=-1, kind="stable")
    stepped = np.take_along_axis(plain, order, axis=-1) * np.arange(plain.shape[-1], 0, -1)
    stepped = np.minimum(np.maximum.accumulate(stepped, axis=-1), 1.0)
    adjusted = np.empty_like(plain)
    np.put_along_axis(adjusted, order, stepped, axis=-1)
    return adjusted
