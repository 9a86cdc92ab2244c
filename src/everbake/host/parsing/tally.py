"""Counts what a batch holds, column by column, and where its offending values stand."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from everbake.core.contract import Contract, hard_range
from everbake.core.dataset import (
    MAX_CATEGORIES,
    SHOWN,
    ColumnSummary,
    ColumnType,
    Offence,
    OffenceCode,
    Sighting,
)
from everbake.host.parsing.cast import Mask
from everbake.host.parsing.raw import Raw


@dataclass(frozen=True)
class Watch:
    """What to look for in one column."""

    name: str
    type: ColumnType
    low: float | None = None
    high: float | None = None
    allowed: frozenset[str] | None = None


@dataclass(frozen=True)
class Place:
    """Where a batch stands: its file and how to number its rows."""

    source: str
    start: int
    number: Callable[[int], int]


def watches(contract: Contract) -> tuple[Watch, ...]:
    """What the contract wants looked for, column by column."""
    watched = []
    for rule in contract.columns:
        low, high = hard_range(contract, rule)
        pinned = "categories" in rule.pinned and rule.categories is not None
        allowed = frozenset(rule.categories or ()) if pinned else None
        watched.append(Watch(rule.name, rule.type or "string", low, high, allowed))
    return tuple(watched)


def fresh(watch: Watch) -> ColumnSummary:
    """The summary of no rows."""
    categories = () if watch.type == "string" else None
    return ColumnSummary(watch.name, watch.type, categories=categories)


def tally(
    watch: Watch, raw: Raw, values: pa.Array, wrong: Mask | None, place: Place
) -> ColumnSummary:
    """The summary of one column of a batch: `values` are `raw` as the column's type."""
    offences: list[Offence] = []

    def note(code: OffenceCode, mask: pa.Array | Mask) -> None:
        offence = _offence(code, mask, raw, place)
        if offence.count:
            offences.append(offence)

    if values.null_count:
        missing = values.is_null().to_numpy(zero_copy_only=False)
        note("null", missing if wrong is None else missing & ~wrong)
    if wrong is not None:
        note("type", wrong)
    low, high = _numbers(watch, values, note)
    return ColumnSummary(
        watch.name,
        watch.type,
        rows=len(values),
        nulls=values.null_count,
        min=low,
        max=high,
        categories=_categories(watch, values, note),
        offences=tuple(offences),
    )


def _offence(code: OffenceCode, mask: pa.Array | Mask, raw: Raw, place: Place) -> Offence:
    where = np.flatnonzero(np.asarray(mask))
    first = tuple(
        Sighting(place.number(place.start + int(i)), place.source, _shown(raw.values[int(i)]))
        for i in where[:SHOWN]
    )
    return Offence(code, len(where), first)


def _shown(value: pa.Scalar) -> str:
    try:
        text = str(value.as_py())
    except (ValueError, OverflowError):  # no Python value: a date after year 9999, broken text
        text = f"a {value.type} out of bounds"
    return text if len(text) <= 80 else text[:77] + "..."  # noqa: PLR2004


def _numbers(
    watch: Watch, values: pa.Array, note: Callable[[OffenceCode, pa.Array | Mask], None]
) -> tuple[float | None, float | None]:
    """The smallest and the largest finite number; notes infinite and far ones."""
    if watch.type not in ("int64", "float64"):
        return None, None
    low, high = _extremes(values)
    if low is not None and high is not None and not np.isfinite([low, high]).all():
        infinite = pc.is_inf(values)
        note("infinite", pc.if_else(infinite.is_valid(), infinite, pa.scalar(value=False)))
        low, high = _extremes(values.filter(pc.invert(infinite)))
    if low is None or high is None:
        return None, None
    below = watch.low is not None and low < watch.low
    above = watch.high is not None and high > watch.high
    if below or above:
        note("range", _outside(watch, values))
    return low, high


def _extremes(values: pa.Array) -> tuple[float | None, float | None]:
    both = pc.min_max(values).as_py()
    low, high = both["min"], both["max"]
    return (None, None) if low is None else (float(low), float(high))


def newest_of(times: pa.Array) -> list[float]:
    """The latest of some times, in seconds since 1970; empty if they are none, but numbers."""
    if not pa.types.is_timestamp(times.type):
        return []
    _, high = _extremes(times.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()))
    return [] if high is None else [high / 1e6]


def _outside(watch: Watch, values: pa.Array) -> Mask:
    numbers = np.asarray(values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))
    low = -np.inf if watch.low is None else watch.low
    high = np.inf if watch.high is None else watch.high
    outside: Mask = ((numbers < low) | (numbers > high)) & ~np.isinf(numbers)
    return outside


def _categories(
    watch: Watch, values: pa.Array, note: Callable[[OffenceCode, pa.Array | Mask], None]
) -> tuple[str, ...] | None:
    if watch.type != "string":
        return None
    if watch.allowed is not None:
        known = pc.is_in(values, value_set=pa.array(sorted(watch.allowed), pa.string()))
        note("category", pc.and_(values.is_valid(), pc.invert(known)))
    distinct = pc.drop_null(pc.unique(values))
    return tuple(sorted(distinct.to_pylist())) if len(distinct) <= MAX_CATEGORIES else None
