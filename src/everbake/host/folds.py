"""Which training rows are left out together, to be predicted by a model that has not seen them.

It follows the split: where newer rows judge, each model is older than what it predicts; else rows
are dealt, those of one group (or of one content) together.
"""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import pyarrow as pa

from everbake.core.spec import RecipeSpec
from everbake.host.splitting import Hashes, Mask, column_hashes, own_hashes, times_of

Plan = Literal["rows", "groups", "time"]
Times: TypeAlias = np.ndarray[Any, Any]

_LEARNED = 0.5  # in time, the oldest half is always learned from


@dataclass(frozen=True)
class Fold:
    """Rows that one model is trained on, and rows that it predicts; no row is in both."""

    train: Mask
    predict: Mask


@dataclass(frozen=True)
class Folds:
    """How the rows were dealt, and to which folds."""

    plan: Plan
    folds: tuple[Fold, ...]


def folds_of(table: pa.Table, spec: RecipeSpec, positive: Mask, count: int, seed: int) -> Folds:
    """Deal the rows.

    Args:
        table: the training rows with their hidden columns.
        spec: the recipe.
        positive: the outcome of each row.
        count: folds; some may be left out because one class is missing from what they learn from.
        seed: of the dealing.
    """
    groups = None if spec.table.group is None else column_hashes(table, spec.table.group)
    if spec.split.kind == "time":
        folds = _forward(times_of(table, spec), groups, count)
        plan: Plan = "time"
    else:
        plan = "rows" if groups is None else "groups"
        folds = _dealt(own_hashes(table) if groups is None else groups, positive, count, seed)
    return Folds(plan, tuple(f for f in folds if f.predict.any() and _teaches(positive[f.train])))


def _teaches(positive: Mask) -> bool:
    return bool(positive.any() and not positive.all())


def _forward(times: Times, groups: Hashes | None, count: int) -> list[Fold]:
    """The newer half in `count` blocks, each predicted by a model of all that is older than it.

    Rows of one time stay together; rows of a group that is predicted are not learned from.
    """
    ordered = np.sort(times)
    start = round(len(times) * _LEARNED)
    begins = np.unique(ordered[start + (len(times) - start) * np.arange(count) // count])
    ends = np.append(begins[1:], np.inf)
    folds = []
    for begin, end in zip(begins, ends, strict=True):
        predict = (times >= begin) & (times < end) if end < np.inf else times >= begin
        train = times < begin
        if groups is not None:
            train &= ~np.isin(groups, groups[predict])
        folds.append(Fold(train, predict))
    return folds


def _dealt(units: Hashes, positive: Mask, count: int, seed: int) -> list[Fold]:
    """Whole units in `count` parts, of as many rows each as can be, also of those with a positive.

    A unit is a group, or all rows of one content: a copy of a row that is left out teaches it.
    """
    _, unit = np.unique(units, return_inverse=True)
    sizes = np.bincount(unit)
    mixed = np.bincount(unit, weights=positive) > 0
    random = np.random.Generator(np.random.PCG64(seed))
    parts = np.zeros(len(sizes), np.intp)
    for stratum in (mixed, ~mixed):
        shuffled = random.permutation(np.flatnonzero(stratum))
        if shuffled.size:
            middles = np.cumsum(sizes[shuffled]) - sizes[shuffled] / 2
            parts[shuffled] = (middles * count / sizes[shuffled].sum()).astype(np.intp)
    dealt = parts[unit]
    return [Fold(dealt != number, dealt == number) for number in range(count)]
