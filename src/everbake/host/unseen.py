"""The job that finds the rows which none of some versions has learned from."""

import numpy as np
import pyarrow as pa

from everbake.core.describing import describe
from everbake.core.work import UnseenOrder, UnseenReport
from everbake.host.calling import recipe_of
from everbake.host.protocol import JobContext
from everbake.host.rows import read_table, rows_form
from everbake.host.splitting import pack_rows, rows_in, unseen
from everbake.host.training import (
    JUDGE,
    TRAINED,
    TRUTH,
    check_columns,
    known_rows,
    save_array,
    truth_of,
)


def find_unseen(order: UnseenOrder, context: JobContext) -> UnseenReport:
    """Leave the rows' positions and labels in `context.work`, and which rows were learned from.

    Raises:
        RecipeError: the recipe names a column that the table does not have.
    """
    recipe = recipe_of(context.recipe, order.model)
    table = read_table(order.files, order.rows)
    check_columns(recipe, table)
    learned, known = rows_in(order.trained, table.num_rows), known_rows(recipe, table)
    spec = describe(recipe, rows_form(recipe.train))
    fresh = np.zeros(table.num_rows, np.bool_)
    fresh[known] = unseen(table.filter(pa.array(known)), spec, learned[known])
    (context.work / TRAINED).write_bytes(pack_rows(learned))
    save_array(context.work / JUDGE, np.flatnonzero(fresh))
    if recipe.events is None:
        save_array(context.work / TRUTH, truth_of(table.filter(pa.array(fresh)), recipe))
    return UnseenReport(int(fresh.sum()))
