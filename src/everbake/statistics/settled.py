"""Whether one value of a column settles the label: with it, only one class ever comes.

A column may tell little on the whole and still give the outcome away: who is alive today did not
die last year, and of those who are not, nothing is known. So each value that stands alone in its
cell is looked at, and besides that a value is missing, that there is one, and that it is not the
usual one.
"""

from dataclasses import dataclass

import numpy as np

from everbake.statistics.alone import Cells, Floats, Label, sums_of
from everbake.statistics.proportions import wilson_bounds

# With the value, other classes must be this many times rarer than without looking. Causes hardly
# ever do that: smoking makes lung cancer some twenty times as frequent.
RARER = 50.0
_SURE = 0.05  # error of the one-sided bound that has to show it
# What the value tells at least, of all there is to tell: below, no figure of a model moves much.
FEWEST = 0.1


@dataclass(frozen=True)
class Settled:
    """A value that leaves one class.

    Attributes:
        cell: the value's cell; 0 stands for a missing one.
        without: the rows that do not have the value are meant.
        label: the class that is left.
        rows: how many rows that are.
        exceptions: those of another class.
        explained: share of the label's entropy that this alone explains.
    """

    cell: int
    without: bool
    label: int
    rows: int
    exceptions: int
    explained: float


def settled(cells: Cells, label: Label) -> Settled | None:
    """The value that settles the label and explains the most of it; None if none does."""
    if not label.classes:
        return None
    counts = sums_of(cells.codes, label, len(cells.single))
    whole = counts.sum(axis=0)
    usual = int(np.argmax(counts.sum(axis=1) * cells.single))
    sides = [(int(cell), False) for cell in np.flatnonzero(cells.single)]
    sides += [(cell, True) for cell in dict.fromkeys((0, usual))]
    found = [_of(cell, without, counts, whole) for cell, without in sides]
    return max((each for each in found if each), key=lambda each: each.explained, default=None)


def _of(cell: int, without: bool, counts: Floats, whole: Floats) -> Settled | None:  # noqa: FBT001 - part of the value
    inside = whole - counts[cell] if without else counts[cell]
    rows, left = float(inside.sum()), int(np.argmax(inside))
    exceptions = rows - float(inside[left])
    n = float(whole.sum())
    elsewhere = n - float(whole[left])  # rows of the other classes
    if not 0 < rows < n or not elsewhere or exceptions * RARER > rows * elsewhere / n:
        return None
    share = _told(inside, whole)
    if share < FEWEST or wilson_bounds(exceptions, int(rows), _SURE)[1] * RARER > elsewhere / n:
        return None
    return Settled(cell, without, left, int(rows), int(exceptions), share)


def _told(inside: Floats, whole: Floats) -> float:
    """Share of the entropy that goes with knowing on which side a row is."""
    outside = whole - inside
    n = whole.sum()
    left = (inside.sum() * _entropy(inside) + outside.sum() * _entropy(outside)) / n
    return float(1 - left / _entropy(whole))


def _entropy(counts: Floats) -> float:
    """Of classes of these sizes, in nats."""
    shares = counts[counts > 0] / max(counts.sum(), 1)
    return -float(np.sum(shares * np.log(shares)))
