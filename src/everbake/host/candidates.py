"""Candidates: models that were trained or updated, and have been through their saved form."""

import time
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from everbake.core.recipe import Recipe
from everbake.core.work import Base
from everbake.errors import UserCodeError
from everbake.host.artifacts import load, save, saved_bytes
from everbake.host.calling import train, update
from everbake.host.protocol import JobContext

MODEL = "model.bin"


@dataclass(frozen=True)
class Candidate:
    """A model as it was loaded from its saved form: what serves is what was judged.

    Attributes:
        model: the model.
        form: format of its file.
        seconds: of the user's `train` or `update`.
    """

    model: object
    form: str
    seconds: float


def candidate_of(
    recipe: Recipe, base: Base | None, rows: pa.Table, context: JobContext
) -> Candidate:
    """A model that has learned from rows; its file is left in `context.work`.

    Args:
        recipe: the recipe.
        base: the saved model that is taught the rows; None: one is trained from scratch.
        rows: the rows.
        context: of the job.

    Raises:
        HealthError: the file of the saved model is not what it was.
        UserCodeError: it cannot be loaded any more.
    """
    if base is not None:
        return _updated(recipe, base, rows, context)
    started = time.perf_counter()
    model = train(recipe, rows, context.seed, context.log)
    return _kept(model, time.perf_counter() - started, context)


def _updated(recipe: Recipe, base: Base, rows: pa.Table, context: JobContext) -> Candidate:
    """A saved model that was taught rows which are new to it; without any, it stays as it is."""
    data, form = saved_bytes(base.saved), base.saved.form
    model = _loaded(base, data)
    if not rows.num_rows:
        (context.work / MODEL).write_bytes(data)
        return Candidate(model, form, 0.0)
    started = time.perf_counter()
    model = update(recipe, model, rows, context.seed, context.log)
    return _kept(model, time.perf_counter() - started, context)


def _loaded(base: Base, data: bytes) -> object:
    try:
        return load(base.saved.form, data)
    except Exception as error:
        raise UserCodeError(
            "EB319",
            f"{base.name} cannot be loaded to be updated",
            where=str(Path(base.saved.path)),
            why=f"{type(error).__name__}: {error}",
            mend="everbake retrain NAME --full",
        ) from error


def _kept(model: object, seconds: float, context: JobContext) -> Candidate:
    form, data = save(model)
    (context.work / MODEL).write_bytes(data)
    return Candidate(load(form, data), form, seconds)


def taught(recipe: Recipe, rows: pa.Table, context: JobContext) -> tuple[object, object]:
    """A trial of `update`: a model of the first half of some rows, before and after the second."""
    half = rows.num_rows // 2
    form, data = save(train(recipe, rows.slice(0, half), context.seed, context.log))
    model = update(recipe, load(form, data), rows.slice(half), context.seed, context.log)
    return load(form, data), load(*save(model))
