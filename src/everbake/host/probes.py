"""Rows to ask a user's function with: distinct, extreme and missing cells, in their own types."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import NDArray

_HUGE = 1e12
_EDGES = 200  # edges of a column that are tried
_NEAR = 20  # near misses of known categories that are tried


def is_number(column: pd.Series) -> bool:
    """Whether the column holds numpy numbers (bool is none)."""
    return isinstance(column.dtype, np.dtype) and column.dtype.kind in "iuf"


def is_text(column: pd.Series) -> bool:
    """Whether the column holds text, as the first value that is not missing says."""
    if isinstance(column.dtype, np.dtype) and column.dtype.kind != "O":
        return False
    present = column.dropna()
    return len(present) > 0 and isinstance(present.iloc[0], str) and not _fixed(column)


def _fixed(column: pd.Series) -> bool:
    """Whether the column's type allows only the values that it lists."""
    return hasattr(column.dtype, "categories")


def unused_text(column: pd.Series) -> str:
    """A text that is not in the column."""
    return "~" + max((str(value) for value in column.dropna().unique()), key=len, default="")


def distinct(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with every number and text changed so that no two cells are equal.

    The texts have blanks around them, and letters of both cases: whoever tidies them changes them.
    """
    made = rows.copy()
    count = len(rows)
    for place, name in enumerate(rows.columns):
        column = rows[name]
        order = np.arange(1, count + 1) + place * count
        if is_number(column):
            made[name] = _spread(column.dtype, order)
        elif is_text(column):
            made[name] = _texts(
                column, [f" {v}~{i} É a" for v, i in zip(column, order, strict=True)]
            )
    return made


def _spread(dtype: object, order: "NDArray[np.int_]") -> "NDArray[Any]":
    kind = cast("np.dtype[np.int64]", dtype)  # of any size; the stubs want one
    if kind.kind == "f":
        return (order * 1.37 + 1 / (order + 2.0)).astype(kind)
    top = np.iinfo(kind).max  # beyond float32's whole numbers, where the type has room for it
    return (order + min(2**40, top // 2)).astype(kind)


def _texts(column: pd.Series, values: list[str]) -> pd.Series:
    return pd.Series(values, index=column.index, dtype=column.dtype)


def extremes(
    rows: pd.DataFrame,
    random: np.random.Generator,
    categorical: Collection[str] = (),
    huge: float = _HUGE,
) -> pd.DataFrame:
    """Rows whose numbers are one of: shuffled and moved, a million times, ends, zero, huge.

    Text, and what is `categorical`, is shuffled within its column.
    """
    made = rows.copy()
    part = np.arange(len(rows)) % 10
    for name in rows.columns:
        column = rows[name]
        if not is_number(column) or name in categorical:
            made[name] = column.to_numpy()[random.permutation(len(column))]
            made[name] = made[name].astype(column.dtype)
            continue
        made[name] = _pushed(column, part, random, huge)
    return made


def _pushed(
    column: pd.Series, part: "NDArray[np.int_]", random: np.random.Generator, huge: float
) -> "NDArray[Any]":
    values = column.to_numpy(dtype=np.float64)
    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if len(finite) else (0.0, 1.0)
    sign = random.choice([-1.0, 1.0], len(values))
    noise = random.normal(0.0, (high - low) / 4 or 1.0, len(values))
    moved = np.where(np.isfinite(values), values, low)[random.permutation(len(values))] + noise
    choices = [
        moved * sign * 1e6,
        np.where(sign > 0, low, high),
        np.zeros(len(values)),
        sign * huge * random.random(len(values)),
    ]
    pushed = np.select([part == 6 + i for i in range(4)], choices, moved)
    kind = cast("np.dtype[np.int64]", column.dtype)
    if kind.kind == "f":
        floats: NDArray[Any] = pushed.astype(kind)
        return floats
    room = np.iinfo(kind)
    edge = float(min(room.max, 2**52))
    whole: NDArray[Any] = np.clip(np.rint(pushed), max(float(room.min), -edge), edge).astype(kind)
    return whole


def beside(
    rows: pd.DataFrame, edges: "Mapping[str, NDArray[np.float64]]", random: np.random.Generator
) -> pd.DataFrame:
    """The rows with a third of their cells moved to an edge, or next to one, in both precisions."""
    made = rows.copy()
    for name, values in edges.items():
        if not is_number(made[name]):
            continue
        cells = made[name].to_numpy(dtype=np.float64).copy()
        near = _neighbours(random.choice(values, _EDGES))
        moved = random.random(len(cells)) < 1 / 3
        cells[moved] = random.choice(near, int(moved.sum()))
        made[name] = cells
    return made


def _neighbours(values: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """The values, and the numbers next to them, as float64 and as float32."""
    single = values.astype(np.float32)
    ends = (np.float32(-np.inf), np.float32(np.inf))
    near = [single, *(np.nextafter(single, end) for end in ends)]
    return np.concatenate(
        [
            values,
            *(np.nextafter(values, end) for end in (-np.inf, np.inf)),
            *(each.astype(np.float64) for each in near),
        ]
    )


def with_gaps(rows: pd.DataFrame, gaps: Sequence[tuple[str, object]]) -> pd.DataFrame:
    """One row for each gap: that column of it holds that (None, NaN, an unseen category).

    Columns with a gap get the nearest type that can hold it, as a request with a null would.
    """
    made = rows.iloc[np.arange(len(gaps)) % len(rows)].reset_index(drop=True)
    for name, _ in gaps:
        kind = made[name].dtype
        if isinstance(kind, np.dtype) and kind.kind in "iub":
            made[name] = made[name].astype("object" if kind.kind == "b" else "float64")
    for row, (name, gap) in enumerate(gaps):
        made.loc[row, name] = gap  # type: ignore[call-overload]
    return made


def gaps_of(column: pd.Series) -> list[object]:
    """What can be missing from the column: None is told from NaN only among Python objects."""
    objects = isinstance(column.dtype, np.dtype) and column.dtype.kind == "O"
    return [None, np.nan] if objects else [np.nan]


def unseen_of(column: pd.Series) -> list[object]:
    """Values that are not in the column, where its type has some: near misses among them."""
    if is_text(column):
        known = {str(value) for value in column.dropna().unique()}
        near = {text for value in known for text in (value.swapcase(), f" {value} ")} - known
        return [unused_text(column), *sorted(near)[:_NEAR]]
    if is_number(column) and column.notna().any():
        return [float(column.max()) + 1.0]
    return []
