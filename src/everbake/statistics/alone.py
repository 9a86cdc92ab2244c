"""How much of a label one column tells by itself, measured on rows that it was not read off.

The values of a column are put into cells: each value its own where there are few, cells of equally
many rows where a number has many. The rows are cut in two halves, and what the label does in a
cell of one half foretells the rows of that cell in the other. So a column whose values hardly
repeat foretells nothing, however well it would fit.

For classes, what is foretold is the rate of each class, and `explained` is the share of the
label's entropy that is gone (McFadden 1974, in: Frontiers in Econometrics, p. 105, with held-out
rates). For numbers it is the mean rank, and `explained` is R2 over the ranks: no outlier and no
change of scale matters.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from everbake.statistics.auroc import midranks

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Flags = NDArray[np.bool_]

MOST_CELLS = 1024  # of categories; those that come less often share one
_FINEST = 64  # cells of a number
_PRIOR = 1.0  # rows with the overall rate that each cell is given beside its own
_LEAST = 1e-9  # the smallest rate, of which a logarithm is taken


@dataclass(frozen=True)
class Label:
    """What is to be foretold.

    Attributes:
        values: the class of each row from 0, or its rank, scaled to [-0.5, 0.5].
        classes: how many classes there are; 0 for ranks.
    """

    values: NDArray[Any]
    classes: int

    @property
    def rarer(self) -> int:
        """Rows that do not belong to the most common class; half of all where there are ranks."""
        if not self.classes:
            return len(self.values) // 2
        return len(self.values) - int(np.bincount(self.values).max(initial=0))

    def part(self, rows: NDArray[Any]) -> "Label":
        """The label of some of the rows."""
        return Label(self.values[rows], self.classes)


@dataclass(frozen=True)
class Cells:
    """The values of a column, put into cells.

    Attributes:
        codes: the cell of each row; 0 where the value is missing.
        single: for each cell, whether it holds one value only (or only missing ones).
    """

    codes: Codes
    single: Flags

    def part(self, rows: NDArray[Any]) -> "Cells":
        """The cells of some of the rows."""
        return Cells(self.codes[rows], self.single)


def ranked(values: Floats) -> Label:
    """A label of numbers, none of them missing."""
    ranks = midranks(values)
    return Label((ranks - 0.5) / max(len(values), 1) - 0.5, 0)


def binned(values: Floats, label: Label) -> Cells:
    """The cells of numbers; NaN is missing.

    As many as the root of the rows of the rarer outcome: then a cell of either half expects half
    that root of them. A value that fills a cell alone keeps it for itself.
    """
    missing = np.isnan(values)
    known, inverse, counts = np.unique(values[~missing], return_inverse=True, return_counts=True)
    most = int(np.clip(np.sqrt(label.rarer), 4, _FINEST))
    codes = np.zeros(len(values), np.int64)
    if len(known) <= most:
        codes[~missing] = inverse + 1
        return Cells(codes, np.ones(len(known) + 1, np.bool_))
    total = int(counts.sum())
    heavy = counts * most >= total
    cell = (np.cumsum(counts) - counts) * most // total
    cell[heavy] = most + np.arange(int(heavy.sum()))
    used, cell = np.unique(cell, return_inverse=True)
    codes[~missing] = cell[inverse] + 1
    return Cells(codes, np.concatenate([[True], used >= most]))


def grouped(codes: Codes) -> Cells:
    """The cells of categories, numbered from 0; -1 is missing."""
    counts = np.bincount(codes + 1)
    if len(counts) <= MOST_CELLS:
        return Cells(codes + 1, np.ones(len(counts), np.bool_))
    order = np.argsort(-counts[1:], kind="stable")
    cell = np.full(len(counts), MOST_CELLS - 1)
    cell[order[: MOST_CELLS - 2] + 1] = np.arange(1, MOST_CELLS - 1)
    cell[0] = 0
    return Cells(cell[codes + 1], np.arange(MOST_CELLS) < MOST_CELLS - 1)


def foretold(cells: Cells, label: Label, half: Flags) -> Floats:
    """For each row, what the other half says: the rate of each class, or the mean rank.

    Returns:
        An array of as many columns as there are classes, of one column for ranks.
    """
    columns = max(label.classes, 1)
    out = np.empty((len(cells.codes), columns))
    for side in (half, ~half):
        seen = cells.codes[~side]
        sums = sums_of(seen, label.part(~side), len(cells.single))
        counts = np.bincount(seen, minlength=len(cells.single))
        usual = sums.sum(axis=0) / max(len(seen), 1)
        rates = (sums + _PRIOR * usual) / (counts + _PRIOR)[:, None]
        out[side] = rates[cells.codes[side]]
    return out


def sums_of(codes: Codes, label: Label, count: int) -> Floats:
    """Rows of each class in each of `count` cells; or the sum of the ranks, in one column."""
    if not label.classes:
        return np.asarray(np.bincount(codes, label.values, count)[:, None], np.float64)
    both = np.bincount(codes * label.classes + label.values, minlength=count * label.classes)
    return np.asarray(both.reshape(count, label.classes), np.float64)


def explained(told: Floats, label: Label) -> float:
    """The share of the label that is explained: 1 all of it, 0 (or less) nothing."""
    usual = label.values.mean() if not label.classes else _shares(label)
    whole = float(np.mean(row_losses(np.broadcast_to(usual, told.shape), label)))
    return 1 - float(np.mean(row_losses(told, label))) / whole if whole else 0.0


def row_losses(told: Floats, label: Label) -> Floats:
    """What was foretold of each row amiss: its log loss in nats, or its squared error in ranks."""
    if not label.classes:
        return np.asarray((label.values - told[:, 0]) ** 2)
    rates = told[np.arange(len(told)), label.values]
    return np.asarray(-np.log(np.maximum(rates, _LEAST)))


def _shares(label: Label) -> Floats:
    return np.bincount(label.values, minlength=label.classes) / max(len(label.values), 1)
