"""The held-out period: whose lists are judged, and what these users turned out to want."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from everbake.core.ranking import COLD_START, Audience
from everbake.core.spec import Events
from everbake.host.ranking.lists import items_of
from everbake.host.rows import user_columns
from everbake.host.splitting import Mask

Array: TypeAlias = np.ndarray[Any, Any]
Places: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]


def users_of(events: pa.Table, user: str, places: Places) -> pa.Array:
    """The users of some events, each once and sorted."""
    found = pc.unique(events.column(user).take(pa.array(places))).drop_null()
    return found.take(pc.array_sort_indices(found))


def plain(users: pa.Array) -> Array:
    """Users as the recipe's functions get them: an array of numbers, or of texts."""
    return np.asarray(users.to_numpy(zero_copy_only=False))


@dataclass(frozen=True)
class Period:
    """A table of events and the part of it that judges.

    Attributes:
        events: all events in order of arrival.
        columns: what their columns are.
        judge: places of the held-out events.
        trained: the events that the candidate was trained on.
    """

    events: pa.Table
    columns: Events
    judge: Places
    trained: Mask

    @cached_property
    def users(self) -> pa.Array:
        """The users with a held-out event, sorted."""
        return users_of(self.events, self.columns.user, self.judge)

    @cached_property
    def items(self) -> pa.Array:
        """Every item of all events, sorted."""
        return items_of(self.events, self.columns.item)

    def wanted(self) -> Array:
        """What each user wanted, as a dict of gains; None where nothing is left that counts.

        Without `Events(repeats=True)` nothing counts that the user had in the training events.
        """
        users, items, gains = self._pairs(self.judge)
        keys, places = np.unique(users * len(self.items) + items, return_inverse=True)
        sums = np.bincount(places, gains, minlength=len(keys))
        counts = sums > 0
        if not self.columns.repeats:
            counts &= ~np.isin(keys, self._had())
        keys, sums = keys[counts], sums[counts]
        names = self.items.to_pylist()
        owner, item = (part.tolist() for part in np.divmod(keys, max(1, len(names))))
        wishes: list[dict[object, float] | None] = [None] * len(self.users)
        for user, number, gain in zip(owner, item, sums.tolist(), strict=True):
            own = wishes[user]
            if own is None:
                own = wishes[user] = {}
            own[names[number]] = gain
        made = np.empty(len(wishes), dtype=object)
        made[:] = wishes
        return made

    def _pairs(self, places: Places) -> tuple[Places, Places, Array]:
        """The numbers of user and item of some events, and how much each counts."""
        some = self.events.take(pa.array(places))
        users = _numbers(some.column(self.columns.user), self.users)
        items = _numbers(some.column(self.columns.item), self.items)
        weight = self.columns.weight
        gains = np.ones(len(places))
        if weight is not None:
            gains = np.nan_to_num(some.column(weight).cast(pa.float64()).to_numpy(), nan=0.0)
        elif len(places):
            gains = _first_of_each(users * len(self.items) + items)
        return users, items, gains

    def _had(self) -> Places:
        """The pairs of user and item in the training events of these users."""
        known = pc.is_in(self.events.column(self.columns.user), value_set=self.users)
        places = np.flatnonzero(self.trained & known.to_numpy())
        users, items, _ = self._pairs(places)
        return np.unique(users * len(self.items) + items)

    @cached_property
    def audience(self) -> Audience:
        """The users for metrics that want more than lists."""
        before = self.events.filter(pa.array(self.trained))
        seen = pc.unique(before.column(self.columns.user))
        counted = pc.value_counts(before.column(self.columns.item).combine_chunks())
        names, counts = (counted.field(part).to_pylist() for part in ("values", "counts"))
        cold = ~pc.is_in(self.users, value_set=seen).to_numpy(zero_copy_only=False)
        return Audience(plain(self.users), cold, dict(zip(names, counts, strict=True)))

    def segments(self, names: tuple[str, ...]) -> dict[str, Array]:
        """For each column, what stands there for each user first.

        The column `cold_start`, "yes" or "no", is there without being named once it tells users
        apart.
        """
        cold = self.audience.cold
        found = {name: self._first_of(name) for name in names if name != COLD_START}
        if COLD_START in names or (cold.any() and not cold.all()):
            found[COLD_START] = np.where(cold, "yes", "no")
        return found

    def _first_of(self, name: str) -> Array:
        known = pc.and_(
            pc.is_in(self.events.column(self.columns.user), value_set=self.users),
            self.events.column(name).is_valid(),
        )
        rows = user_columns(self.events.filter(known).select([self.columns.user, name]))
        users = _numbers(rows.column(self.columns.user), self.users)
        owner, first = np.unique(users, return_index=True)
        values = np.asarray(rows.column(name).to_pandas())
        made = np.full(len(self.users), np.nan if values.dtype.kind in "iuf" else None)
        made[owner] = values[first]
        return made


def _numbers(values: pa.ChunkedArray, among: pa.Array) -> Places:
    found = pc.index_in(values, value_set=among)
    return np.asarray(found.to_numpy(), dtype=np.int64)


def _first_of_each(keys: Places) -> Array:
    """1 for the first mention of each key, 0 for the others: without weights a wish counts once."""
    gains = np.zeros(len(keys))
    gains[np.unique(keys, return_index=True)[1]] = 1.0
    return gains
