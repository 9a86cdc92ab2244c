"""Metrics of ranked lists, one value a user, in flat arrays.

The values of the users are rows for `everbake.statistics.mean`: the metric is their mean, and
users are what is drawn at random, so the interval of that mean takes the place of resampling
users. A list is a line of item numbers, best first, `NOTHING` where it ends early; an item that a
list names twice counts once. A user who wanted nothing has no value (NaN).
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]

NOTHING = -1


@dataclass(frozen=True)
class Wanted:
    """What users turned out to want, an entry for each pair of user and item.

    Attributes:
        users: how many there are; with those that wanted nothing.
        user: the user of each entry, from 0.
        item: its item, a number from 0; no pair occurs twice.
        gain: how much it was wanted, above 0.
    """

    users: int
    user: Numbers
    item: Numbers
    gain: Floats


def numbered(
    wanted: Sequence[Mapping[Hashable, float]], *ranked: Sequence[Sequence[Hashable]]
) -> tuple[Wanted, tuple[Numbers, ...]]:
    """Flat arrays of what each user wanted, with its gain, and of ranked lists for these users.

    >>> wanted, (lists,) = numbered([{"tea": 1.0}, {}], [["milk", "tea"], ["tea"]])
    >>> lists.tolist(), wanted.item.tolist()
    ([[1, 0], [0, -1]], [0])
    """
    codes: dict[Hashable, int] = {}
    entries = [
        (user, codes.setdefault(item, len(codes)), gain)
        for user, items in enumerate(wanted)
        for item, gain in items.items()
        if gain > 0
    ]
    columns = np.array(entries, dtype=np.float64).reshape(-1, 3).T
    user, item = columns[0].astype(np.int64), columns[1].astype(np.int64)
    lists = tuple(matrix(lists, codes) for lists in ranked)
    return Wanted(len(wanted), user, item, columns[2]), lists


def ndcg(lists: Numbers, wanted: Wanted, k: int) -> Floats:
    """Normalised discounted cumulative gain of the first `k` (Jaervelin and Kekaelaeinen 2002).

    A gain at rank r counts `gain / log2(1 + r)`; 1 is the best possible order of all wanted items.
    """
    gains = _gains(lists[:, :k], wanted)
    discount = 1 / np.log2(np.arange(2, k + 2))
    order = np.lexsort((-wanted.gain, wanted.user))
    user, gain = wanted.user[order], wanted.gain[order]
    sizes = np.bincount(user, minlength=wanted.users)
    rank = np.arange(len(user)) - (np.cumsum(sizes) - sizes)[user]
    top = rank < k
    ideal = np.bincount(user[top], gain[top] * discount[rank[top]], minlength=wanted.users)
    return _share(gains @ discount[: gains.shape[1]], ideal)


def recall(lists: Numbers, wanted: Wanted, k: int) -> Floats:
    """The share of the wanted items that the first `k` name."""
    hits = np.count_nonzero(_gains(lists[:, :k], wanted), axis=1)
    return _share(hits, _sizes(wanted))


def average_precision(lists: Numbers, wanted: Wanted, k: int) -> Floats:
    """Average precision of the first `k`; the metric MAP at k is its mean.

    Precision at each wanted item, summed and divided by how many of them could be named:
    `min(k, wanted items)`.
    """
    hits = _gains(lists[:, :k], wanted) > 0
    precision = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    return _share(np.sum(precision * hits, axis=1), np.minimum(_sizes(wanted), k))


def coverage(lists: Numbers, items: int) -> float:
    """The share of the catalogue of `items` that any list names."""
    named = np.unique(lists)
    return float(np.count_nonzero(named != NOTHING)) / items


def mean_popularity(lists: Numbers, popularity: Floats) -> Floats:
    """The mean popularity of the items of each list, by item number; NaN for an empty list."""
    there = lists != NOTHING
    sums = np.sum(np.where(there, popularity[np.where(there, lists, 0)], 0.0), axis=1)
    return _share(sums, np.count_nonzero(there, axis=1))


def _gains(lists: Numbers, wanted: Wanted) -> Floats:
    """The gain of each place of each list; 0 where the item was not wanted or stood before."""
    if not len(wanted.user):
        return np.zeros(lists.shape)
    most = max(int(lists.max(initial=0)), int(wanted.item.max())) + 1
    keys = wanted.user * most + wanted.item
    order = np.argsort(keys)
    keys, gain = keys[order], wanted.gain[order]
    sought = np.arange(len(lists))[:, None] * most + lists
    place = np.minimum(np.searchsorted(keys, sought), len(keys) - 1)
    found = (keys[place] == sought) & (lists != NOTHING) & ~_repeated(lists)
    return np.where(found, gain[place], 0.0)


def _repeated(lists: Numbers) -> NDArray[np.bool_]:
    """True where a list has named the item before."""
    order = np.argsort(lists, axis=1, kind="stable")
    ranked = np.take_along_axis(lists, order, axis=1)
    again = np.zeros(lists.shape, dtype=bool)
    again[:, 1:] = ranked[:, 1:] == ranked[:, :-1]
    repeated = np.empty_like(again)
    np.put_along_axis(repeated, order, again, axis=1)
    return repeated


def _sizes(wanted: Wanted) -> Floats:
    """How many items each user wanted."""
    return np.bincount(wanted.user, minlength=wanted.users).astype(np.float64)


def matrix(ranked: Sequence[Sequence[Hashable]], codes: dict[Hashable, int]) -> Numbers:
    """A line of item numbers for each list; items that are new get the next number in `codes`."""
    longest = max(map(len, ranked), default=0)
    lines = np.full((len(ranked), longest), NOTHING, dtype=np.int64)
    for line, items in zip(lines, ranked, strict=True):
        line[: len(items)] = [codes.setdefault(item, len(codes)) for item in items]
    return lines


def _share(part: NDArray[Any], whole: NDArray[Any]) -> Floats:
    shares: Floats = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
    return shares
