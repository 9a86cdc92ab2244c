"""Whether `features` gives the same for one row as for all: what serving sees is one row."""

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from everbake.core.recipe import Recipe
from everbake.errors import UserCodeError
from everbake.host.calling import featured
from everbake.host.rows import frame

if TYPE_CHECKING:
    import pandas as pd

SAMPLE = 20


def check_skew(recipe: Recipe, table: pa.Table) -> None:
    """Compare features(all rows) with features(each row alone) on a sample.

    Raises:
        UserCodeError: they differ; serving would see other features than training.
    """
    if recipe.features is None or not table.num_rows:
        return
    rows = frame(table.drop_columns([recipe.data.label]))
    together = featured(recipe, rows.copy())
    step = max(1, len(rows) // SAMPLE)
    for position in range(0, len(rows), step):
        alone = featured(recipe, rows.iloc[[position]].copy())
        column = _differing(together.iloc[[position]], alone)
        if column is not None:
            raise UserCodeError(
                "EB315",
                f'feature "{column}" of a row depends on the other rows',
                where=f"features of {recipe.name}, row {position + 1}",
                why="in serving, a row comes alone, and its features would differ",
                mend="compute it from the row itself, or move it into the model (a fitted step)",
            )


def _differing(together: "pd.DataFrame", alone: "pd.DataFrame") -> str | None:
    """The first column that differs, None if all are the same."""
    if list(together.columns) != list(alone.columns):
        missing = set(together.columns) ^ set(alone.columns)
        return min(map(str, missing)) if missing else str(alone.columns[0])
    for name in together.columns:
        one, other = together[name].to_numpy()[0], alone[name].to_numpy()[0]
        if not _same(one, other):
            return str(name)
    return None


def _same(one: object, other: object) -> bool:
    if isinstance(one, float | np.floating) and isinstance(other, float | np.floating):
        return bool(np.isclose(one, other, rtol=1e-9, atol=1e-12, equal_nan=True))
    return bool(one == other) or (one is None and other is None) or (one != one and other != other)  # noqa: PLR0124
