"""Lists for requests, each of which names a user and how many items it wants."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from everbake.core.bundle import LONGEST_LIST
from everbake.core.ranking import Item
from everbake.core.recipe import Recipe
from everbake.core.spec import LISTED
from everbake.errors import DataError
from everbake.host.ranking.lists import recommended


def lists_for(recipe: Recipe, model: object, rows: Sequence[Mapping[str, Any]]) -> list[list[Item]]:
    """A list for each row, which has a `user` and may have a `k`.

    Rows that want lists of another length are asked for apart: what one gets does not depend on
    who else asks.

    Raises:
        DataError: a row wants no list, or one that is too long.
        UserCodeError: `recommend` gives no lists.
    """
    by_length: dict[int, list[int]] = {}
    for place, row in enumerate(rows):
        by_length.setdefault(_length(row.get("k"), place), []).append(place)
    found: list[list[Item]] = [[] for _ in rows]
    for k, places in by_length.items():
        users = _users([rows[place]["user"] for place in places])
        for place, items in zip(places, recommended(recipe, model, users, k), strict=True):
            found[place] = items
    return found


def _length(k: int | None, place: int) -> int:
    if k is not None and not 1 <= k <= LONGEST_LIST:
        raise DataError(
            "EB580",
            f"k is {k}, not a whole number from 1 to {LONGEST_LIST}",
            where=f"row {place + 1} of those asked together, column k",
            mend="mend the row, then repeat the command",
        )
    return LISTED if k is None else k


def _users(users: Sequence[Item]) -> "np.ndarray[Any, Any]":
    """Users as training has them: numbers, or texts as objects."""
    return np.array(users, dtype=object if isinstance(users[0], str) else None)
