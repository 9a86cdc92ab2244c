"""Smooth functions of means: their influence values turn them into means of rows.

`D + phi_i` is then a row difference like any other, and `everbake.statistics.mean` applies.
"""

from math import sqrt

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def root_differences(champion: Floats, candidate: Floats) -> Floats:
    """Row differences for the root of a mean loss (RMSE); both means must be above 0."""
    root0, root1 = sqrt(float(np.mean(champion))), sqrt(float(np.mean(candidate)))
    influence0 = (champion - root0**2) / (2 * root0)
    influence1 = (candidate - root1**2) / (2 * root1)
    return root0 - root1 + influence0 - influence1


def explained_differences(truth: Floats, champion: Floats, candidate: Floats) -> Floats:
    """Row differences for R2; `champion` and `candidate` are squared losses, `truth` varies."""
    centred = (truth - np.mean(truth)) ** 2
    variance = float(np.mean(centred))
    loss = champion - candidate
    difference = float(np.mean(loss)) / variance
    return difference + loss / variance - difference * centred / variance
