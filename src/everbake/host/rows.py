"""The table's rows as the user's code gets them."""

import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from everbake.core.dataset import HASH, ROW
from everbake.errors import RecipeError

if TYPE_CHECKING:
    import pandas as pd

Mask: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]

FORMS = {
    "pandas.DataFrame": "pandas",
    "pyarrow.Table": "arrow",
    "Iterator[pyarrow.RecordBatch]": "batches",
}
ARROW = {
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "string": pa.string(),
    "timestamp": pa.timestamp("us"),
}
_BATCH_ROWS = 65_536
_LOOKED_AT = 1_000  # rows, in search of one without gaps


def read_table(files: Sequence[str], rows: int | None = None) -> pa.Table:
    """All rows of some files in order of arrival, hidden columns included.

    Args:
        files: Parquet files of one table.
        rows: only the first so many rows of the table, if not all.
    """
    parts = [pq.ParquetFile(path).read() for path in files]
    table = pa.concat_tables(parts, promote_options="default")
    order = np.argsort(table.column(ROW).to_numpy(), kind="stable")
    if not np.array_equal(order, np.arange(len(order))):
        table = table.take(pa.array(order))
    return table if rows is None else table.slice(0, rows)


def user_columns(table: pa.Table) -> pa.Table:
    """The table without its hidden columns, times without a zone (they are UTC)."""
    kept = table.drop_columns([name for name in (ROW, HASH) if name in table.column_names])
    fields = [
        pa.field(field.name, pa.timestamp("us")) if pa.types.is_timestamp(field.type) else field
        for field in kept.schema
    ]
    return kept.cast(pa.schema(fields))


def frame(table: pa.Table) -> "pd.DataFrame":
    """The user's columns as a data frame."""
    rows: pd.DataFrame = user_columns(table).to_pandas()
    return rows


def example_of(table: pa.Table) -> dict[str, object]:
    """The first row without a missing value, or the first one, as a request would hold it."""
    rows = [
        {name: _sent(value) for name, value in row.items()}
        for row in user_columns(table.slice(0, _LOOKED_AT)).to_pylist()
    ]
    return next((row for row in rows if None not in row.values()), rows[0])


def _sent(value: object) -> object:
    """A value as JSON can hold it."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return value.isoformat()
    return value if value is None or isinstance(value, int | bool) else str(value)


def as_form(table: pa.Table, form: str) -> "pd.DataFrame | pa.Table | Iterator[pa.RecordBatch]":
    """Rows in the form that the annotation of `train(rows)` asks for."""
    if form == "arrow":
        return user_columns(table)
    if form == "batches":
        return iter(user_columns(table).to_batches(max_chunksize=_BATCH_ROWS))
    return frame(table)


def rows_form(function: Callable[..., object], position: int = 0) -> str:
    """Which form the annotation of a function's rows asks for.

    Args:
        function: `train` or `update`.
        position: of the rows among its parameters.

    Raises:
        RecipeError: the annotation names something that rows cannot be.
    """
    wanted = list(inspect.signature(function).parameters.values())[position].annotation
    if wanted is inspect.Parameter.empty:
        return "pandas"
    text = wanted if isinstance(wanted, str) else _written(wanted)
    for ending, form in (("DataFrame", "pandas"), ("RecordBatch]", "batches"), ("Table", "arrow")):
        if text.endswith(ending):
            return form
    raise RecipeError(
        "EB206",
        f"{getattr(function, '__name__', 'a function')} wants its rows as {text}",
        mend=f"annotate rows with one of {', '.join(FORMS)}",
    )


def _written(annotation: object) -> str:
    return annotation.__qualname__ if isinstance(annotation, type) else str(annotation)
