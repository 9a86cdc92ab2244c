"""An order of the rows that does not depend on the one in which they were given.

What is drawn at random is drawn by number, so the same rows in another order would give other
resamples, and a verdict on the edge could tip. Rows that are alike in all that is known of them
may stand in for each other.
"""

import numpy as np

from everbake.core.gate.heldout import Array, HeldOut, Indices


def arranged(held: HeldOut, answers: tuple[Array, ...]) -> Indices:
    """The numbers of the rows, ordered by outcome, answers, weight, time and group."""
    keys = [held.y, *answers, held.weights, held.order, held.groups]
    columns = [column for key in keys if key is not None for column in _columns(key)]
    return np.lexsort(columns[::-1])


def by_place(groups: Indices) -> Indices:
    """Groups numbered in the order in which their first rows come.

    >>> by_place(np.array([7, 3, 7, 5])).tolist()
    [0, 1, 0, 2]
    """
    _, first, numbers = np.unique(groups, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[numbers.reshape(-1)]


def _columns(key: Array) -> list[Array]:
    """What can be sorted: each column of a matrix, objects as text."""
    if key.dtype.kind == "O":
        key = np.array([repr(value) for value in key.flat]).reshape(key.shape)
    return list(key.reshape(len(key), -1).T)
