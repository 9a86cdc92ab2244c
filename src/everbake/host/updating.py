"""What a model that learns on has learned from, and what is new to it."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from everbake.core.decision import Check
from everbake.core.recipe import Recipe
from everbake.core.work import TrainOrder
from everbake.host.splitting import Held, Mask, unpack_rows


def known_rows(path: str | None, count: int) -> Mask:
    """Which of so many rows a model has learned from, by the file of its rows."""
    known = np.zeros(count, np.bool_)
    if path is not None:
        learned = unpack_rows(Path(path).read_bytes())
        known[: len(learned)] = learned[:count]
    return known


def only_new(held: Held, base: Mask) -> Held:
    """The split where the rows to learn from are those that the base does not know."""
    return replace(held, train=held.train & ~base)


def told(recipe: Recipe, order: TrainOrder, held: Held, base: Mask) -> tuple[Check, ...]:
    """How the candidate came to know its rows, where the recipe lets models learn on."""
    if recipe.update is None:
        return ()
    new = int(held.train.sum())
    if order.base is None:
        why = f", because {order.because}" if order.because else ""
        return (Check("learning", "pass", f"trained on all {new:,} rows{why}"),)
    every = int((held.train | base).sum())
    if not new:
        detail = f"no row is new to {order.base.name}: the candidate is the same model"
        return (Check("learning", "warn", detail),)
    detail = f"updated from {order.base.name} with {new:,} new rows; it knows {every:,}"
    return (Check("learning", "pass", detail),)
