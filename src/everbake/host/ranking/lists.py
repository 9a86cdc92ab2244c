"""Calls `recommend`, and reads what it gives: a list of items for each user, best first.

On disk a list is a line of item numbers in a matrix, `NOTHING` where it ends early; the numbers
are places in the sorted items of all events, which every job finds again.
"""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from everbake.core.ranking import Item
from everbake.core.recipe import Recipe
from everbake.errors import UserCodeError
from everbake.statistics.ranking import NOTHING

Array: TypeAlias = np.ndarray[Any, Any]
Codes: TypeAlias = np.ndarray[Any, np.dtype[np.int32]]

_MEND = "return one list of items for each user, best first: [[item, item, ...], ...]"
_WIDEST = 2  # dimensions of an array of lists


def recommended(recipe: Recipe, model: object, users: Array, k: int) -> list[list[Item]]:
    """The first `k` items that the recipe's `recommend` lists for each user.

    Raises:
        UserCodeError: they are no lists of items, one for each user.
    """
    given: Any = recipe.predict(model, users, k)
    lists = _framed(recipe, given, users) if hasattr(given, "columns") else _listed(given)
    if len(lists) != len(users):
        raise UserCodeError(
            "EB331", f"recommend gave {len(lists)} lists for {len(users)} users", mend=_MEND
        )
    cut = [items[:k] for items in lists]
    try:
        items = {*chain.from_iterable(cut)}
    except TypeError as error:
        raise _unread("lists of lists") from error
    if any(item is None or item != item for item in items):  # noqa: PLR0124 - NaN
        raise UserCodeError("EB331", "recommend gave a missing value as an item", mend=_MEND)
    return cut


def _listed(given: object) -> list[list[Item]]:
    if isinstance(given, np.ndarray) and given.dtype != object and given.ndim == _WIDEST:
        rows: list[list[Item]] = given.tolist()
        return rows
    if isinstance(given, str | bytes | dict) or not isinstance(given, Iterable):
        raise _unread(given)
    return [_items(each) for each in given]


def _items(given: object) -> list[Item]:
    if hasattr(given, "tolist"):
        given = given.tolist()
    if isinstance(given, str | bytes | dict | set | frozenset) or not isinstance(given, Iterable):
        raise _unread(given)
    return [item.item() if isinstance(item, np.generic) else item for item in given]


def _framed(recipe: Recipe, given: Any, users: Array) -> list[list[Item]]:  # noqa: ANN401 - a frame
    """The lists of a data frame with a line for each user and item, best first."""
    events = recipe.events
    known = [("user", "item")] if events is None else [(events.user, events.item), ("user", "item")]
    names = next((pair for pair in known if set(pair) <= set(given.columns)), None)
    if names is None:
        raise _unread(f"a frame with the columns {', '.join(map(str, given.columns))}")
    lists: dict[Item, list[Item]] = {user: [] for user in users.tolist()}
    pairs = zip(*(given[name].tolist() for name in names), strict=True)
    for user, item in pairs:
        if user not in lists:
            raise UserCodeError(
                "EB331", f"recommend gave a list for {user!r}, who was not asked for", mend=_MEND
            )
        lists[user].append(item)
    return [lists[user] for user in users.tolist()]


def _unread(given: object) -> UserCodeError:
    shown = given if isinstance(given, str) else type(given).__name__
    return UserCodeError("EB331", f"recommend gave {str(shown)[:100]}", mend=_MEND)


def items_of(events: pa.Table, item: str) -> pa.Array:
    """Every item of the events once, sorted."""
    found = pc.unique(events.column(item)).drop_null()
    return found.take(pc.array_sort_indices(found))


def check_lists(lists: Sequence[Sequence[Item]]) -> None:
    """Raise UserCodeError where a list names an item twice."""
    for user, listed in enumerate(lists):
        if len(set(listed)) < len(listed):
            raise UserCodeError(
                "EB332",
                "recommend named an item twice in one list",
                where=f"user {user + 1} of {len(lists)}",
                mend="drop the second mention",
            )


def coded(lists: Sequence[Sequence[Item]], items: pa.Array, k: int) -> Codes:
    """Lists as item numbers; an item without an event is numbered `len(items)`.

    Raises:
        UserCodeError: the lists hold items of another type than the events'.
    """
    _check_types(lists, items)
    numbers = {item: number for number, item in enumerate(items.to_pylist())}
    codes = np.full((len(lists), k), NOTHING, np.int32)
    for line, listed in zip(codes, lists, strict=True):
        line[: len(listed)] = [numbers.get(item, len(numbers)) for item in listed]
    return codes


def _check_types(lists: Sequence[Sequence[Item]], items: pa.Array) -> None:
    if pa.types.is_integer(items.type) or pa.types.is_floating(items.type):
        fitting: tuple[type, ...] = (int, float)
    else:
        fitting = (str,) if pa.types.is_string(items.type) else (object,)
    strange = [t for t in set(map(type, chain.from_iterable(lists))) if not issubclass(t, fitting)]
    if strange:
        raise UserCodeError(
            "EB331",
            f"recommend gave items of the type {strange[0].__name__}",
            why=f"the items of the events are of the type {items.type}",
            mend=_MEND,
        )


def decoded(codes: Codes, items: pa.Array) -> Array:
    """The lists behind item numbers, as tuples; None stands for an item without an event."""
    names = [*items.to_pylist(), None]
    lists = np.empty(len(codes), dtype=object)
    lists[:] = [tuple(names[code] for code in line if code != NOTHING) for line in codes.tolist()]
    return lists
