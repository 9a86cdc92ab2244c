"""Metrics of ranked lists: what users wanted on one side, what they were recommended on the other.

The unit is a user. What a user wanted is a mapping of items to gains above 0, or any collection of
items, each of which counts 1; a recommendation is a sequence of items, best first. A user who
wanted nothing says nothing about a list, and is left out.

NDCG, recall and MAP are means over users, so the gate compares two models by the differences of
the users' values, as it does by rows for any other mean: users are what is drawn at random, and
the interval of that mean is what resampling users would estimate, without its noise.
"""

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from everbake.core.metrics import Metric
from everbake.errors import UsageError
from everbake.statistics import ranking

Array = NDArray[Any]
Floats = NDArray[np.float64]
Item = Hashable
Values = Callable[[ranking.Numbers, ranking.Wanted, int], Floats]
RankingMetric = Callable[..., float]  # (y_true, y_pred[, rows]), of users

COLD_START = "cold_start"
_BIND = "everbake_bind"  # the attribute in which a metric says what it is for some users


@dataclass(frozen=True)
class Audience:
    """The users that are judged, for metrics with a third parameter `rows`.

    Attributes:
        users: who they are.
        cold: True for each user without an event among those that the candidate was trained on.
        catalogue: every item that the candidate was trained on, with its number of events.
    """

    users: Array
    cold: NDArray[np.bool_]
    catalogue: Mapping[Item, int] = field(default_factory=dict)

    def take(self, index: NDArray[np.intp]) -> "Audience":
        """These users only; the catalogue stays."""
        return Audience(self.users[index], self.cold[index], self.catalogue)


def ndcg(k: int) -> RankingMetric:
    """Mean normalised discounted cumulative gain of the first `k` items.

    A gain at rank r counts gain / log2(1 + r), divided by what the best order of the wanted items
    would have (Jaervelin and Kekaelaeinen 2002, ACM TOIS 20:422).

    >>> ndcg(2)([["tea", "milk"]], [["tea", "milk"]])
    1.0
    """
    return _by_user("ndcg", k, ranking.ndcg)


def recall_at(k: int) -> RankingMetric:
    """Mean share of a user's wanted items that the first `k` items name.

    >>> recall_at(1)([["tea", "milk"]], [["tea", "milk"]])
    0.5
    """
    return _by_user("recall", k, ranking.recall)


def mean_average_precision(k: int) -> RankingMetric:
    """Mean over users of the average precision of the first `k` items.

    Precision at each wanted item is summed, and divided by how many could be named: `k`, or the
    number of wanted items if that is smaller.

    >>> mean_average_precision(2)([["tea"]], [["milk", "tea"]])
    0.5
    """
    return _by_user("map", k, ranking.average_precision)


def coverage(k: int, catalogue: Collection[Item] | None = None) -> RankingMetric:
    """Share of the catalogue that the first `k` items of any list name.

    It is that of these very lists: more users would name more, so no bound is made of it.

    Args:
        k: items of a list.
        catalogue: all items; by default those that the candidate was trained on.

    >>> coverage(1, ["tea", "milk"])([["tea"], ["tea"]], [["tea"], ["tea"]])
    0.5
    """
    name = f"coverage@{_positive(k)}"

    def metric(y_true: object, y_pred: object, rows: object = None) -> float:  # noqa: ARG001
        items = _catalogue(name, "catalogue", catalogue, rows)
        codes = {item: code for code, item in enumerate(dict.fromkeys(items))}
        size = len(codes)
        named = ranking.matrix(_first(y_pred, k), codes)
        return ranking.coverage(np.where(named < size, named, ranking.NOTHING), size)

    return _told(metric, Metric(name, "higher", 1.0, "whole", unit=True, cut=k))


def popularity(k: int, events: Mapping[Item, float] | None = None) -> RankingMetric:
    """Mean popularity of what is recommended: the share of all events that its items have.

    It is the mean over users of the mean over the first `k` items, 0 for an empty list.

    Args:
        k: items of a list.
        events: of each item; by default those that the candidate was trained on.

    >>> popularity(1, {"tea": 3, "milk": 1})([["tea"], ["tea"]], [["tea"], ["milk"]])
    0.5
    """
    name = f"popularity@{_positive(k)}"

    def of_users(y_pred: object, counts: Mapping[Item, float]) -> Floats:
        codes = {item: code for code, item in enumerate(counts)}
        named = ranking.matrix(_first(y_pred, k), codes)
        shares = np.zeros(len(codes))
        shares[: len(counts)] = list(counts.values())
        return np.nan_to_num(ranking.mean_popularity(named, shares / shares.sum()), nan=0.0)

    def metric(
        y_true: object,  # noqa: ARG001
        y_pred: object,
        rows: object = None,
        *,
        sample_weight: object | None = None,
    ) -> float:
        counts = _catalogue(name, "events", events, rows)
        return _mean(of_users(y_pred, counts), sample_weight)

    if events is None:
        unbound = _told(metric, Metric(name, "lower", 0.0, unit=True, cut=k))
        setattr(unbound, _BIND, lambda audience: popularity(k, audience.catalogue))
        return unbound

    def loss(y_true: Array, y_pred: Array) -> Array:  # noqa: ARG001
        return of_users(y_pred, events)

    return _told(metric, Metric(name, "lower", 0.0, "mean", loss, unit=True, cut=k))


def bound(metric: Callable[..., float], audience: Audience) -> Callable[..., float]:
    """The metric, which needs to be told no more about these users if that makes it a mean."""
    bind: Callable[[Audience], RankingMetric] | None = getattr(metric, _BIND, None)
    return metric if bind is None or not audience.catalogue else bind(audience)


def wanted(values: object) -> Array:
    """What each user wanted, as an array of dicts of gains; None where that is nothing.

    Raises:
        UsageError: something is neither a mapping nor a collection of items.
    """
    return _objects(values, _gains)


def listed(values: object) -> Array:
    """What each user is recommended, as an array of tuples; None where there is no list.

    Raises:
        UsageError: something is no sequence of items.
    """
    return _objects(values, _list)


def _by_user(name: str, k: int, values: Values) -> RankingMetric:
    full = f"{name}@{_positive(k)}"

    def of_users(y_true: object, y_pred: object) -> Floats:
        wishes = [each or {} for each in wanted(y_true)]
        lists = _first(y_pred, k)
        if len(wishes) != len(lists):
            raise UsageError(
                "EB050",
                f"there are {len(lists)} lists for {len(wishes)} users",
                mend="pass one list for each user",
            )
        entries, (numbers,) = ranking.numbered(wishes, lists)
        return values(numbers, entries, k)

    def metric(
        y_true: object,
        y_pred: object,
        rows: object = None,  # noqa: ARG001
        *,
        sample_weight: object | None = None,
    ) -> float:
        return _mean(of_users(y_true, y_pred), sample_weight)

    def loss(y_true: Array, y_pred: Array) -> Array:
        return 1 - of_users(y_true, y_pred)

    return _told(metric, Metric(full, "higher", 1.0, "mean", loss, unit=True, cut=k))


def _first(values: object, k: int) -> list[tuple[Item, ...]]:
    """The first `k` items of each list."""
    return [(each or ())[:k] for each in listed(values)]


def _told(metric: RankingMetric, known: Metric) -> RankingMetric:
    """The function, which says itself what is known of it."""
    told: Any = metric
    told.__name__ = told.__qualname__ = known.name
    told.everbake_metric = known
    return metric


def _positive(k: int) -> int:
    if k < 1:
        raise UsageError("EB052", f"k is {k}", mend="k is the number of items of a list, from 1")
    return k


def _mean(values: Floats, weights: object | None) -> float:
    """The mean over users who have a value and count; NaN where none does."""
    count = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=np.float64)
    known = ~np.isnan(values) & (count > 0)
    return float(np.average(values[known], weights=count[known])) if known.any() else float("nan")


def _catalogue(name: str, parameter: str, given: Any, rows: object) -> Any:  # noqa: ANN401
    """What the caller gave, or else what the audience knows.

    Raises:
        UsageError: there is neither, or it is empty.
    """
    found = rows.catalogue if given is None and isinstance(rows, Audience) else given
    if not found:
        raise UsageError(
            "EB050", f"{name} needs {parameter}", mend=f"{name.replace('@', '(')}, {parameter}=...)"
        )
    return found


def _objects(values: object, read: Callable[[object, int], object]) -> Array:
    """One object for each user. What was read before is not read again."""
    if isinstance(values, np.ndarray) and values.dtype == object and values.ndim == 1:
        if all(value is None or type(value) in {dict, tuple} for value in values):
            return values
    elif isinstance(values, Mapping | str) or not isinstance(values, Iterable):
        raise _unread(values, None, "a list with an entry for each user")
    found = [read(value, user) for user, value in enumerate(values)]
    made = np.empty(len(found), dtype=object)
    made[:] = found
    return made


def _gains(value: object, user: int) -> dict[Item, float] | None:
    if value is None:
        return None
    if isinstance(value, Mapping):
        return {item: float(gain) for item, gain in value.items() if gain > 0} or None
    return dict.fromkeys(_items(value, user), 1.0) or None


def _list(value: object, user: int) -> tuple[Item, ...] | None:
    if value is None:
        return None
    if isinstance(value, set | frozenset | Mapping):
        raise _unread(value, user, "a list of items, best first")
    return tuple(_items(value, user))


def _items(value: object, user: int) -> Iterable[Item]:
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise _unread(value, user, "a collection of items")
    if isinstance(value, np.ndarray):
        plain: list[Item] = value.tolist()
        return plain
    return value


def _unread(value: object, user: int | None, needed: str) -> UsageError:
    whose = "" if user is None else f" for user {user + 1}"
    shown = repr(value)[:50]
    return UsageError("EB050", f"{shown}{whose} is not {needed}", mend="[[item, item, ...], ...]")
