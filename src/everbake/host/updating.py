"""What a model that learns on has learned from, and what is new to it."""

from dataclasses import dataclass

from everbake.core.decision import Check
from everbake.core.recipe import Recipe
from everbake.core.work import TrainOrder
from everbake.host.splitting import Held, Mask, rows_in


@dataclass(frozen=True)
class Lesson:
    """What a candidate learns from.

    Attributes:
        new: rows to train on; with a base, those that it does not know.
        learned: rows that the candidate has learned from then, its base's among them.
    """

    new: Mask
    learned: Mask


def lesson_of(order: TrainOrder, held: Held) -> Lesson:
    """What is to be learned of the rows that a split does not hold out."""
    if order.base is None:
        return Lesson(held.train, held.train)
    known = rows_in([order.base.rows], len(held.train))
    new = held.train & ~known
    return Lesson(new, new | known)


def told(recipe: Recipe, order: TrainOrder, lesson: Lesson) -> tuple[Check, ...]:
    """How the candidate came to know its rows, where the recipe lets models learn on."""
    if recipe.update is None:
        return ()
    new = int(lesson.new.sum())
    if order.base is None:
        why = f", because {order.because}" if order.because else ""
        return (Check("learning", "pass", f"trained on all {new:,} rows{why}"),)
    if not new:
        detail = f"no row is new to {order.base.name}: the candidate is the same model"
        return (Check("learning", "warn", detail),)
    detail = (
        f"updated from {order.base.name} with {new:,} new rows; it knows {lesson.learned.sum():,}"
    )
    return (Check("learning", "pass", detail),)
