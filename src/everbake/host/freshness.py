"""The job that finds the rows by which a pending candidate can be judged again."""

import numpy as np
import pyarrow as pa

from everbake.core.decision import Check
from everbake.core.describing import describe
from everbake.core.recipe import Recipe
from everbake.core.work import FreshOrder, FreshReport
from everbake.host.calling import recipe_of
from everbake.host.leakage import split_checks
from everbake.host.protocol import JobContext
from everbake.host.rows import read_table, rows_form
from everbake.host.splitting import Held, Learned, fresh, rows_in
from everbake.host.training import JUDGE, TRUTH, known_rows, save_array, truth_of
from everbake.host.updating import Lesson


def fresh_rows(order: FreshOrder, context: JobContext) -> FreshReport:
    """Leave the rows and their labels in `context.work`, as the training of a candidate does."""
    recipe = recipe_of(context.recipe, order.model)
    table = read_table(order.files, order.rows)
    labelled = known_rows(recipe, table)
    sets = ([order.candidate], order.others, [order.judged] if order.judged else [])
    learned = Learned(*(rows_in(paths, table.num_rows)[labelled] for paths in sets))
    judge = np.zeros(table.num_rows, np.bool_)
    spec = describe(recipe, rows_form(recipe.train))
    judge[labelled] = fresh(table.filter(pa.array(labelled)), spec, learned)
    save_array(context.work / JUDGE, np.flatnonzero(judge))
    save_array(context.work / TRUTH, truth_of(table.filter(pa.array(judge)), recipe))
    trained = rows_in([order.candidate], table.num_rows)
    return FreshReport(int(judge.sum()), _checks(recipe, table, Held(trained, judge, seen=0)))


def _checks(recipe: Recipe, table: pa.Table, held: Held) -> tuple[Check, ...]:
    if recipe.events is not None:  # events are alike, and no sign of a leak
        return ()
    nothing = np.zeros(table.num_rows, np.bool_)
    return split_checks(table, held, Lesson(nothing, held.train), recipe)
