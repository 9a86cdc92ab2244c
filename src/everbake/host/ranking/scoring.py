"""The job that asks a saved model for lists: the champion's, by the champion's code."""

import numpy as np

from everbake.core.spec import Ranked
from everbake.core.work import ScoreOrder
from everbake.host.artifacts import load_saved
from everbake.host.calling import recipe_of
from everbake.host.protocol import JobContext
from everbake.host.ranking.training import Asked, ranked_of
from everbake.host.rows import read_table
from everbake.host.training import ANSWERS, save_array


def score_ranking(order: ScoreOrder, ranked: Ranked, context: JobContext) -> dict[str, int]:
    """Leave the model's lists for the users of some events; report how many events there are.

    What the columns of the table are says the candidate's recipe: item numbers mean the same then.
    """
    recipe = recipe_of(context.recipe, order.model)
    ranked_of(recipe)
    table = read_table(order.files, order.rows)
    asked = Asked(ranked, np.load(order.judge))
    lists = asked.lists(recipe, load_saved(order.saved), table)
    save_array(context.work / ANSWERS, asked.numbered(lists, table))
    return {"rows": len(asked.places)}
