"""From which score a version decides "positive": chosen on predictions for rows it has not seen.

The recipe's own `train` runs once for each fold of the training rows and predicts the rows that
were left out. Held-out rows are not read here: what they judge is frozen by then.
"""

from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from everbake.core.bundle import Threshold
from everbake.core.decision import Check
from everbake.core.describing import describe
from everbake.core.metrics import positives
from everbake.core.recipe import Recipe
from everbake.core.spec import CostThreshold
from everbake.errors import RecipeError, UserCodeError
from everbake.host.calling import predict, train, with_features
from everbake.host.folds import Folds, Plan, folds_of
from everbake.host.protocol import JobContext
from everbake.host.rows import rows_form
from everbake.host.splitting import Mask
from everbake.statistics.thresholds import cost_threshold, elkan_threshold

Array: TypeAlias = np.ndarray[Any, Any]
Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]

FEWEST = 10  # rows of either outcome, below which the cheapest threshold is chance
_OUTCOMES = 2
_LABELS = 2  # so few different scores are labels


def choose_threshold(
    recipe: Recipe, rows: pa.Table, truth: Array, context: JobContext
) -> Threshold | None:
    """The threshold of a recipe's next version; None for a recipe that wants scores alone.

    Args:
        recipe: the recipe.
        rows: the training rows with their hidden columns.
        truth: their outcomes.
        context: of the job.

    Raises:
        RecipeError: the outcomes are not of two kinds.
        UserCodeError: `predict` does not give one finite number a row.
    """
    wanted = recipe.threshold
    if wanted is None:
        return None
    positive = _two_outcomes(recipe, truth)
    rare = int(min(positive.sum(), (~positive).sum()))
    plan: Plan = "rows" if recipe.data.group is None else "groups"
    if not wanted.folds:
        return _ideal(wanted, plan, context.seed, "")
    if rare < FEWEST:
        note = f"only {rare} training rows have the rarer outcome; {FEWEST} are needed to choose"
        return _ideal(wanted, plan, context.seed, f"{note} a threshold")
    spec = describe(recipe, rows_form(recipe.train))
    folds = folds_of(rows, spec, positive, min(wanted.folds, rare), context.seed)
    scores = _out_of_fold(recipe, rows, folds, context)
    known = ~np.isnan(scores)
    if min(positive[known].sum(), (~positive)[known].sum()) < FEWEST:
        note = f"too few rows could be left out: {int(positive[known].sum())} positives among"
        return _ideal(wanted, folds.plan, context.seed, f"{note} {int(known.sum())} rows")
    weights = _weights(recipe, rows)
    kept = None if weights is None else weights[known]
    return _cheapest(wanted, folds, positive[known], scores[known], kept, context.seed)


def _two_outcomes(recipe: Recipe, truth: Array) -> Mask:
    found = np.unique(truth)
    if len(found) > _OUTCOMES:
        raise RecipeError(
            "EB221",
            "a threshold needs a label of two outcomes",
            where=f'recipe {recipe.name}, column "{recipe.data.label}"',
            why=f"it holds {len(found)} different values, such as {', '.join(map(str, found[:3]))}",
            mend="drop threshold=, or learn a label such as 0 and 1",
        )
    return np.asarray(positives(truth))


def check_scores(answers: Array, chosen: Threshold | None) -> None:
    """See that answers can be held against a threshold; whether each is finite is judged later.

    Raises:
        UserCodeError: they are not one number a row, or no probabilities where these are needed.
    """
    if chosen is None:
        return
    _check_form(answers)
    if chosen.method == "ideal" and np.any((answers < 0) | (answers > 1)):
        odd = answers[(answers < 0) | (answers > 1)][0]
        raise UserCodeError(
            "EB321",
            "without predictions for rows left out of training, a threshold needs probabilities",
            where="predict",
            why=f"predict gave {odd:g}{'; ' * bool(chosen.note)}{chosen.note}",
            mend="return model.predict_proba(rows)[:, 1], or train on more rows with folds=5",
        )


def _check_form(answers: Array) -> None:
    if answers.ndim == 1 and answers.dtype.kind in "fiub":
        return
    kind = f"an array of shape {answers.shape}" if answers.ndim != 1 else f"{answers.dtype} values"
    raise UserCodeError(
        "EB321",
        "a threshold needs one score a row",
        where="predict",
        why=f"predict gave {kind}",
        mend="return model.predict_proba(rows)[:, 1]",
    )


def _out_of_fold(recipe: Recipe, rows: pa.Table, folds: Folds, context: JobContext) -> Floats:
    """A score for each row that some fold predicts, NaN for the others."""
    scores = np.full(rows.num_rows, np.nan)
    for number, fold in enumerate(folds.folds, 1):
        context.log(f"threshold: fold {number} of {len(folds.folds)}")
        model = train(recipe, rows.filter(pa.array(fold.train)), context.seed, context.log)
        given = with_features(recipe, rows.filter(pa.array(fold.predict)))
        answers = predict(recipe, model, given)
        _check_form(answers)
        if len(answers) != len(given) or not np.isfinite(answers).all():
            bad = int(np.sum(~np.isfinite(answers)))
            raise UserCodeError(
                "EB321",
                "a threshold needs one finite score a row",
                where="predict, on rows that were left out of training",
                why=f"predict gave {len(answers)} answers, {bad} of them not finite, "
                f"for {len(given)} rows",
                mend="let predict answer every row with a finite number",
            )
        scores[fold.predict] = answers
    return scores


def _weights(recipe: Recipe, rows: pa.Table) -> Floats | None:
    """How much each row counts; what is no weight counts nothing."""
    if recipe.data.weight is None:
        return None
    column = rows.column(recipe.data.weight).to_numpy().astype(np.float64)
    weights = np.where(np.isfinite(column) & (column > 0), column, 0.0)
    return weights if weights.any() else None


def _cheapest(
    wanted: CostThreshold,
    folds: Folds,
    positive: Mask,
    scores: Floats,
    weights: Floats | None,
    seed: int,
) -> Threshold:
    prices = (wanted.false_positive, wanted.false_negative)
    value = cost_threshold(positive, scores, *prices, weights)
    ideal = elkan_threshold(*prices)
    different = len(np.unique(scores))
    few = f"predict gives only {different} different scores: are they labels?"
    return Threshold(
        value=value,
        false_positive=wanted.false_positive,
        false_negative=wanted.false_negative,
        ideal=ideal,
        method="out-of-fold",
        folds=len(folds.folds),
        plan=folds.plan,
        rows=len(scores),
        positives=int(positive.sum()),
        cost=_cost(positive, scores >= value, prices, weights),
        cost_at_ideal=_cost(positive, scores >= ideal, prices, weights),
        seed=seed,
        note=few if different <= _LABELS else "",
    )


def _cost(
    positive: Mask, decided: Mask, prices: tuple[float, float], weights: Floats | None
) -> float:
    """What a row costs in the mean."""
    costs = prices[0] * (decided & ~positive) + prices[1] * (positive & ~decided)
    return float(np.average(costs, weights=weights))


def _ideal(wanted: CostThreshold, plan: Plan, seed: int, note: str) -> Threshold:
    """The threshold of calibrated probabilities, where no other can be chosen."""
    ideal = elkan_threshold(wanted.false_positive, wanted.false_negative)
    return Threshold(
        value=ideal,
        false_positive=wanted.false_positive,
        false_negative=wanted.false_negative,
        ideal=ideal,
        method="ideal",
        folds=0,
        plan=plan,
        rows=0,
        positives=0,
        cost=None,
        cost_at_ideal=None,
        seed=seed,
        note=note,
    )


def threshold_checks(chosen: Threshold | None, kept_from: str = "") -> tuple[Check, ...]:
    """The row of the decision that tells of a threshold, and of whom it was taken over."""
    if chosen is None:
        return ()
    told = f"decides from {chosen.value:.6g} on{f', as {kept_from} does' if kept_from else ''}"
    prices = f"mistakes cost {chosen.false_positive:g} and {chosen.false_negative:g}"
    if chosen.cost is None or chosen.cost_at_ideal is None:
        detail = f"{told}, the cheapest of calibrated probabilities ({prices})"
    else:
        detail = (
            f"{told} ({prices}): {chosen.cost:.4g} a row on {chosen.rows} rows left out of"
            f" {chosen.folds} trainings, {chosen.cost_at_ideal:.4g} at {chosen.ideal:.4g}"
        )
    note = f"; {chosen.note}" if chosen.note else ""
    return (Check("threshold", "warn" if chosen.note else "pass", detail + note),)
