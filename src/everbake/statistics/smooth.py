"""Smooth functions of means: their influence values turn them into means of rows.

`D + phi_i` is then a row difference like any other, and `everbake.statistics.mean` applies. With
weights the influence is that on the weighted metric, and `weighted_rows` comes after.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def root_differences(champion: Floats, candidate: Floats, weights: Floats | None = None) -> Floats:
    """Row differences for the root of a mean loss (RMSE); both means must be above 0."""
    root0 = np.sqrt(np.average(champion, weights=weights))
    root1 = np.sqrt(np.average(candidate, weights=weights))
    influence0 = (champion - root0**2) / (2 * root0)
    influence1 = (candidate - root1**2) / (2 * root1)
    rows: Floats = root0 - root1 + influence0 - influence1
    return rows


def explained_differences(
    truth: Floats, champion: Floats, candidate: Floats, weights: Floats | None = None
) -> Floats:
    """Row differences for R2; `champion` and `candidate` are squared losses, `truth` varies."""
    centred = (truth - np.average(truth, weights=weights)) ** 2
    variance = np.average(centred, weights=weights)
    loss = champion - candidate
    difference = np.average(loss, weights=weights) / variance
    rows: Floats = difference + loss / variance - difference * centred / variance
    return rows
