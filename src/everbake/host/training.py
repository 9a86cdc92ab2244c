"""The job that makes a candidate: train or update, save, load again, score, compile."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa

from everbake.core.bundle import Threshold
from everbake.core.dataset import HIDDEN, Column, ColumnType
from everbake.core.describing import describe
from everbake.core.ranking import COLD_START
from everbake.core.recipe import Recipe
from everbake.core.work import Told, TrainOrder, TrainReport
from everbake.errors import RecipeError, UserCodeError
from everbake.host.alone import Survey, survey, told_alone
from everbake.host.calling import featured, predict, recipe_of, with_features
from everbake.host.candidates import candidate_of
from everbake.host.compile import Built, build_runtime
from everbake.host.inputs import needed_columns
from everbake.host.leakage import column_checks, split_checks
from everbake.host.protocol import JobContext
from everbake.host.rows import example_of, frame, read_table, rows_form
from everbake.host.skew import check_skew
from everbake.host.splitting import Held, Mask, pack_rows, rows_in, split_known, unpack_rows
from everbake.host.thresholds import check_scores, choose_threshold, threshold_checks
from everbake.host.updating import lesson_of, told

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

Array: TypeAlias = np.ndarray[Any, Any]

RUNTIME = "runtime.bin"
TRAINED = "trained.bin"
JUDGE = "judge.npy"
TRUTH = "truth.npy"
ANSWERS = "answers.npy"
_SAMPLE = 2_000  # rows to compile on when nothing is held out


def train_candidate(order: TrainOrder, context: JobContext) -> TrainReport:
    """Learn from what the split leaves, and leave model, runtime and answers in `context.work`.

    Raises:
        UserCodeError: what the recipe's functions gave cannot be used.
        RecipeError: the recipe does not fit the data.
    """
    recipe, table = recipe_of(context.recipe, order.model), read_table(order.files, order.rows)
    check_columns(recipe, table)
    held = held_rows(order, recipe, table)
    lesson = lesson_of(order, held)
    rows = table.filter(pa.array(lesson.new))
    check_skew(recipe, rows)
    threshold = _threshold(order, recipe, rows, context)
    candidate = candidate_of(recipe, order.base, rows, context)
    judged = table.filter(pa.array(held.judge))
    _leave_rows(context.work, lesson.learned, held.judge, truth_of(judged, recipe))
    some = table.take(pa.array(np.flatnonzero(lesson.learned)[:_SAMPLE]))
    sample = judged if judged.num_rows else some
    given = with_features(recipe, sample)
    answers = predict(recipe, candidate.model, given)
    check_scores(answers, threshold)
    save_array(context.work / ANSWERS, answers if judged.num_rows else np.empty(0))
    built = _compile(recipe, candidate.model, given, answers, threshold, context)
    inputs = sample.drop_columns([recipe.data.label, *HIDDEN])
    needed = _needed(recipe, candidate.model, inputs)
    found = None if order.refit else survey(table, recipe.data)
    taken_from = "" if order.base is None else order.base.name
    checks = told(recipe, order, lesson) + split_checks(table, held, lesson, recipe)
    checks += column_checks(found, recipe, needed) + threshold_checks(threshold, taken_from)
    return TrainReport(
        rows=int(lesson.learned.sum()),
        held_out=judged.num_rows,
        runtime=built.kind,
        why=built.why,
        form=candidate.form,
        columns=_columns(inputs),
        needed=needed,
        checks=checks,
        seconds=candidate.seconds,
        example=example_of(some.select(inputs.column_names)),
        native_above=built.native_above,
        new_rows=rows.num_rows if order.base else 0,
        told=_told(table, recipe, found, order),
        threshold=threshold,
    )


def _threshold(
    order: TrainOrder, recipe: Recipe, rows: pa.Table, context: JobContext
) -> Threshold | None:
    """Chosen anew, unless the candidate is made of a model that has one."""
    if order.base is not None or order.refit:
        return order.threshold
    return choose_threshold(recipe, rows, truth_of(rows, recipe), context)


def check_columns(recipe: Recipe, table: pa.Table) -> None:
    """Raise RecipeError if the recipe names a column that the table does not have."""
    split = recipe.split
    made = () if recipe.events is None else (COLD_START,)
    segments = [name for name in recipe.gate.columns if name not in made]
    others = (recipe.data.weight, *segments, getattr(split, "stratify", None))
    for name in (*recipe.data.special.names, *others):
        if name is not None and name not in table.column_names:
            raise RecipeError(
                "EB212",
                f'the table has no column "{name}"',
                where=f"recipe {recipe.name}",
                why=f"it has {', '.join(n for n in table.column_names if n not in HIDDEN)}",
                mend="mend the name in the recipe",
            )


def known_rows(recipe: Recipe, table: pa.Table) -> Mask:
    """True for each row that has a label; an event must have a user, too."""
    needed = (
        [recipe.data.label] if recipe.events is None else [recipe.data.label, recipe.events.user]
    )
    return np.asarray(np.all([table.column(n).is_valid().to_numpy() for n in needed], axis=0))


def held_rows(order: TrainOrder, recipe: Recipe, table: pa.Table) -> Held:
    """The split, of rows that have a label; with `refit`, everything is trained on."""
    labelled = known_rows(recipe, table)
    if order.refit:
        return Held(labelled, np.zeros(table.num_rows, np.bool_), 0)
    paths = [path for path in (order.champion_rows, order.best_rows) if path is not None]
    champion = rows_in(paths, table.num_rows) if paths else None
    spec = describe(recipe, rows_form(recipe.train))
    held = split_known(table, labelled, spec, champion, order.most_held_out)
    if not held.train.any() and order.base is None:
        raise UserCodeError(
            "EB316",
            "no row is left to train on",
            why=f"{table.num_rows} rows, of which {int(labelled.sum())} have a label",
            mend="ingest more rows, or hold fewer out with split=",
        )
    return held


def _leave_rows(work: Path, learned: Mask, judge: Mask, truth: Array) -> None:
    (work / TRAINED).write_bytes(pack_rows(learned))
    save_array(work / JUDGE, np.flatnonzero(judge))
    save_array(work / TRUTH, truth)


def truth_of(rows: pa.Table, recipe: Recipe) -> Array:
    """The labels of some rows."""
    labels = np.asarray(frame(rows)[recipe.data.label])
    return labels.astype(str) if labels.dtype == object else labels


def save_array(path: Path, values: Array) -> None:
    """Keep an array without pickling; what is neither number nor text becomes NaN."""
    if values.dtype == object:
        values = np.full(values.shape, np.nan)
    with path.open("wb") as handle:
        np.save(handle, values, allow_pickle=False)


def _compile(
    recipe: Recipe,
    model: object,
    given: "pd.DataFrame",
    answers: Array,
    threshold: Threshold | None,
    context: JobContext,
) -> Built:
    """Build the runtime; a model whose answers cannot be judged is not worth one."""
    if answers.shape[:1] != (len(given),):
        return Built("native", None, f"native: {answers.shape} answers for {len(given)} rows")
    cut = None if threshold is None else threshold.value
    built = build_runtime(model, recipe.predict, recipe.features, given, context.seed, cut)
    if built.data is not None:
        (context.work / RUNTIME).write_bytes(built.data)
    return built


def _columns(inputs: pa.Table) -> tuple[Column, ...]:
    return tuple(Column(field.name, column_type(field.type)) for field in inputs.schema)


def _needed(recipe: Recipe, model: object, inputs: pa.Table) -> tuple[str, ...]:
    def answers(rows: "pd.DataFrame") -> object:
        return predict(recipe, model, featured(recipe, rows))

    return needed_columns(answers, frame(inputs))


def _told(
    table: pa.Table, recipe: Recipe, survey: Survey | None, order: TrainOrder
) -> tuple[Told, ...]:
    """What each column tells alone: on all rows, on those that the champion knew, and since."""
    if survey is None:
        return ()
    shares: list[Mapping[str, float]] = [{}, {}]
    if order.champion_rows is not None:
        count = len(unpack_rows(Path(order.champion_rows).read_bytes()))
        parts = (table.slice(0, count), table.slice(count))
        shares = [told_alone(part, recipe.data) or {} for part in parts]
    before, since = shares
    return tuple(
        Told(name, share, before.get(name), since.get(name)) for name, share in survey.told.items()
    )


def column_type(kind: pa.DataType) -> ColumnType:
    """The contract's name of a stored type."""
    if pa.types.is_boolean(kind):
        return "bool"
    if pa.types.is_integer(kind):
        return "int64"
    if pa.types.is_floating(kind):
        return "float64"
    return "timestamp" if pa.types.is_timestamp(kind) else "string"
