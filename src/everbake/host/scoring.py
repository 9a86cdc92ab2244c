"""The job that scores rows with a saved model: the champion's answers, by the champion's code."""

import numpy as np
import pyarrow as pa

from everbake.core.work import ScoreOrder
from everbake.errors import RecipeError
from everbake.host.artifacts import load_saved
from everbake.host.calling import predict, recipe_of, with_features
from everbake.host.protocol import JobContext
from everbake.host.rows import read_table
from everbake.host.training import ANSWERS, save_array


def score(order: ScoreOrder, context: JobContext) -> dict[str, int]:
    """Leave the model's answers for some rows in `context.work`; report how many there are."""
    recipe = recipe_of(context.recipe, order.model)
    if recipe.events is not None:
        raise RecipeError(
            "EB231",
            f"{recipe.name} was a ranking recipe when this version was made",
            mend="give the recipe that predicts a name of its own",
        )
    positions = np.load(order.judge)
    rows = read_table(order.files, order.rows).take(pa.array(positions))
    answers = predict(recipe, load_saved(order.saved), with_features(recipe, rows))
    save_array(context.work / ANSWERS, answers)
    return {"rows": len(positions)}
