"""Lists for requests, each of which names a user and how many items it wants."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from everbake.core.ranking import LISTED, Item
from everbake.core.recipe import Recipe
from everbake.host.ranking.lists import recommended


def lists_for(recipe: Recipe, model: object, rows: Sequence[Mapping[str, Any]]) -> list[list[Item]]:
    """A list for each row, which has a `user` and may have a `k`.

    Rows that want lists of another length are asked for apart: what one gets does not depend on
    who else asks.
    """
    by_length: dict[int, list[int]] = {}
    for place, row in enumerate(rows):
        by_length.setdefault(row.get("k") or LISTED, []).append(place)
    found: list[list[Item]] = [[] for _ in rows]
    for k, places in by_length.items():
        users = users_array([rows[place]["user"] for place in places])
        for place, items in zip(places, recommended(recipe, model, users, k), strict=True):
            found[place] = items
    return found


def users_array(users: Sequence[Item]) -> "np.ndarray[Any, Any]":
    """Users as training has them: numbers, or texts as objects."""
    return np.array(users, dtype=object if isinstance(users[0], str) else None)
