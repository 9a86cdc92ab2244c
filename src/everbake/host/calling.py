"""Calls the functions of a recipe, and says what is wrong with what they give back."""

import inspect
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa

from everbake.core.recipe import Recipe
from everbake.errors import RecipeError, UserCodeError
from everbake.host.rows import as_form, frame, rows_form

if TYPE_CHECKING:
    import pandas as pd

Answers: TypeAlias = np.ndarray[Any, Any]


def recipes_of(module: ModuleType) -> list[Recipe]:
    """The recipes that a module declares, in order of their names.

    Raises:
        RecipeError: there is none, or two have one name.
    """
    found = {id(value): value for value in vars(module).values() if isinstance(value, Recipe)}
    recipes = sorted(found.values(), key=lambda recipe: recipe.name)
    names = [recipe.name for recipe in recipes]
    if not recipes:
        raise RecipeError(
            "EB209", "there is no Recipe in it", mend="recipe = Recipe(name=..., data=..., ...)"
        )
    if len(set(names)) < len(names):
        raise RecipeError("EB210", f"two recipes have one name: {names}", mend="rename one")
    return recipes


def recipe_of(module: ModuleType, name: str) -> Recipe:
    """The recipe of one model."""
    return next(recipe for recipe in recipes_of(module) if recipe.name == name)


def with_features(recipe: Recipe, table: pa.Table) -> "pd.DataFrame":
    """All columns but the label, after the recipe's `features`, if it has one.

    Raises:
        UserCodeError: `features` does not give one row for each row.
    """
    label = recipe.data.label
    given = table.drop_columns([label]) if label in table.column_names else table
    rows = frame(given)
    return featured(recipe, rows)


def featured(recipe: Recipe, rows: "pd.DataFrame") -> "pd.DataFrame":
    """What `features` makes of rows."""
    if recipe.features is None:
        return rows
    made: Any = recipe.features(rows)
    if not hasattr(made, "columns") or len(made) != len(rows):
        length = len(made) if hasattr(made, "__len__") else "no"
        raise UserCodeError(
            "EB313",
            f"features made {length} rows of {len(rows)}",
            mend="return a data frame with one row for each row, in the same order",
        )
    framed: pd.DataFrame = made
    return framed


def train(recipe: Recipe, table: pa.Table, seed: int, log: Callable[[str], None]) -> object:
    """What the recipe's `train` returns for these rows."""
    rows = _learnable(recipe, table, rows_form(recipe.train))
    model = recipe.train(rows, **_offered(recipe, recipe.train, seed, log))
    if model is None:
        raise UserCodeError("EB314", "train returned nothing", mend="return the model")
    return model


def update(
    recipe: Recipe, model: object, table: pa.Table, seed: int, log: Callable[[str], None]
) -> object:
    """What the recipe's `update` makes of a model and rows that are new to it.

    The model may be changed in place: nobody else holds it.
    """
    function = recipe.update
    if function is None:
        raise RecipeError("EB203", "there is no update", mend="def update(model, new_rows): ...")
    rows = _learnable(recipe, table, rows_form(function, position=1))
    updated: object = function(model, rows, **_offered(recipe, function, seed, log))
    if updated is None:
        raise UserCodeError(
            "EB314",
            "update returned nothing",
            mend="return the model, also one that was changed in place",
        )
    return updated


def _learnable(recipe: Recipe, table: pa.Table, form: str) -> object:
    """Rows with their label, after `features`, in the form that a function asks for."""
    if recipe.features is None:
        return as_form(table, form)
    if form != "pandas":
        raise RecipeError(
            "EB211", "features work on data frames", mend="def train(rows: pandas.DataFrame)"
        )
    made = with_features(recipe, table).copy()
    made[recipe.data.label] = frame(table)[recipe.data.label].to_numpy()
    return made


def _offered(
    recipe: Recipe, function: Callable[..., object], seed: int, log: Callable[[str], None]
) -> dict[str, object]:
    """What a function asks for by name."""
    offered = {"params": dict(recipe.params), "seed": seed, "log": log}
    wanted = inspect.signature(function).parameters
    takes_all = any(p.kind is p.VAR_KEYWORD for p in wanted.values())
    return {name: value for name, value in offered.items() if takes_all or name in wanted}


def predict(recipe: Recipe, model: object, rows: "pd.DataFrame") -> Answers:
    """What the recipe's `predict` returns, as an array (of whatever length: that is judged)."""
    given = recipe.predict(model, rows)
    answers = np.asarray(given)
    if answers.dtype == object and answers.ndim == 1 and all(isinstance(a, str) for a in answers):
        return answers.astype(str)
    if answers.dtype == object:
        try:
            return answers.astype(np.float64)
        except (TypeError, ValueError):
            return answers
    return answers
