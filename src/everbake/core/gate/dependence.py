"""Which rows depend on each other, and the partitions of the rows whose parts do not."""

from collections.abc import Mapping

import numpy as np

from everbake.core.gate.duel import Duel
from everbake.core.gate.heldout import HeldOut, Indices, numbered
from everbake.statistics.clusters import autocorrelated, time_blocks
from everbake.statistics.mean import FEW_DIFFERENCES

Partitions = Mapping[str, Indices]

_ALIKE = (
    "rows that follow each other resemble each other; if they are in order of time, name the times "
    "(order= of judge, time= of Table): the interval may be too short."
)
GROUPS, BLOCKS, WEIGHTS = "groups", "blocks", "weights"


def partitions(held: HeldOut) -> Partitions:
    """Ways to part the rows such that rows of different parts do not depend on each other.

    `groups`: what the rows belong to, where a group has more than one row; `blocks`: ten stretches
    of time, where rows are ordered in time; `weights`: each row by itself, where few rows have most
    of the weight, so that they count as what they are worth. Each assumes something else, so where
    there are several, all are asked.
    """
    found: dict[str, Indices] = {}
    if held.groups is not None:
        codes = numbered(held.groups)
        if held.n and int(codes.max()) + 1 < held.n:
            found[GROUPS] = codes
    blocks = None if held.order is None else time_blocks(held.n)
    if blocks is not None and held.order is not None:
        codes = np.empty(held.n, dtype=np.intp)
        codes[np.argsort(held.order, kind="stable")] = blocks
        found[BLOCKS] = codes
    if held.weights is not None and held.worth < FEW_DIFFERENCES:
        found[WEIGHTS] = np.arange(held.n)
    return found


def dependence_notes(duel: Duel) -> tuple[str, ...]:
    """What a reader should know of rows that may depend on each other."""
    held, losses = duel.held, duel.losses
    if held.order is not None:
        if time_blocks(held.n) is not None:
            return ()
        return ("too few rows for blocks of time: they were judged as if independent.",)
    if held.groups is not None or losses is None or held.n < FEW_DIFFERENCES:
        return ()
    if not autocorrelated(losses.differences):
        return ()
    return (_ALIKE,)
