"""Predictions for many rows at once, as the columns of the output."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from everbake.core.recipe import Recipe
from everbake.core.work import BatchOrder
from everbake.errors import DataError, UserCodeError
from everbake.host.artifacts import load_saved
from everbake.host.calling import Answers, featured, predict
from everbake.host.ranking.answers import lists_for
from everbake.host.rows import ARROW, frame
from everbake.runtimes.columns import RowRefusedError
from everbake.runtimes.kinds import Runtime, load

Answerer: TypeAlias = Callable[[pa.Table], Answers | pa.Array]

_COLUMNS = 2  # dimensions of an array with several predictions a row
_KINDS = {"f": pa.float64(), "i": pa.int64(), "u": pa.int64(), "b": pa.bool_(), "U": pa.string()}


def answerer(order: BatchOrder, recipe: Recipe) -> Answerer:
    """What answers a table of inputs: the compiled runtime, or the version's own code."""
    if order.compiled is not None:
        runtime = load(order.runtime, Path(order.compiled).read_bytes())
        return lambda rows: runtime.answer_columns(_columns(runtime, rows))
    model = load_saved(order.saved)
    if recipe.events is not None:
        return _lister(order, recipe, model)
    return lambda rows: predict(recipe, model, featured(recipe, frame(rows)))


def _lister(order: BatchOrder, recipe: Recipe, model: object) -> Answerer:
    contract = order.asked.contract
    rule = contract.rule(contract.special.label)
    kind = pa.list_(ARROW[(rule and rule.type) or "string"])
    return lambda rows: pa.array(lists_for(recipe, model, rows.to_pylist()), kind)


def _columns(runtime: Runtime, rows: pa.Table) -> dict[str, object]:
    looked_up = set(runtime.categorical)
    return {
        name: rows.column(name).to_pylist() if name in looked_up else rows.column(name).to_numpy()
        for name in runtime.columns
    }


def answered(answer: Answerer, rows: pa.Table, source: str, start: int) -> dict[str, pa.Array]:
    """The columns of predictions for rows that begin behind row `start` of a file.

    Raises:
        DataError: the model refuses a row.
        UserCodeError: there is not one finite number or text a row.
    """
    try:
        answers = answer(rows)
    except RowRefusedError as refused:
        raise DataError(
            "EB130",
            f"the model refuses a row: {refused}",
            where=f"{source}, row {start + refused.row + 1}, column {refused.column}",
            mend="mend the row",
        ) from refused
    if isinstance(answers, pa.Array):
        return {"prediction": answers}
    if answers.ndim not in (1, _COLUMNS) or len(answers) != rows.num_rows:
        what = f"predict gave an array of shape {answers.shape} for {rows.num_rows} rows"
        raise _unusable(what, source)
    if answers.ndim == 1 or answers.shape[1] == 1:
        return {"prediction": _column(answers.reshape(-1), source, start)}
    columns = answers.T
    return {f"prediction_{i}": _column(each, source, start) for i, each in enumerate(columns)}


def with_decision(columns: dict[str, pa.Array], threshold: float | None) -> dict[str, pa.Array]:
    """The columns of predictions, and what the version decides by them, if it decides."""
    if threshold is None or "prediction" not in columns:
        return columns
    scores = columns["prediction"].cast(pa.float64())
    return columns | {"decision": pc.greater_equal(scores, pa.scalar(threshold))}


def _column(answers: Answers, source: str, start: int) -> pa.Array:
    kind = _KINDS.get(answers.dtype.kind)
    if kind is None:
        raise _unusable(f"predict gave {answers.dtype}, neither numbers nor texts", source)
    values = pa.array(np.ascontiguousarray(answers)).cast(kind)
    if answers.dtype.kind == "f" and not pc.all(pc.is_finite(values)).as_py():
        row = int(np.argmin(np.isfinite(answers)))
        raise _unusable(f"the prediction is {answers[row]}", f"{source}, row {start + row + 1}")
    return values


def _unusable(what: str, where: str) -> UserCodeError:
    return UserCodeError(
        "EB583",
        what,
        where=where,
        mend="let predict give one finite number or text (or a row of them) for each row",
    )
