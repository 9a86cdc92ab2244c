"""The job that makes a candidate of a ranking recipe: train, save, load again, recommend."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from everbake.core.dataset import Column
from everbake.core.decision import Check
from everbake.core.ranking import Item
from everbake.core.recipe import Recipe
from everbake.core.spec import LISTED, Ranked
from everbake.core.work import TrainOrder, TrainReport
from everbake.errors import RecipeError
from everbake.host.calling import recipe_of
from everbake.host.candidates import candidate_of
from everbake.host.leakage import time_order
from everbake.host.protocol import JobContext
from everbake.host.ranking.lists import Codes, check_lists, coded, items_of, recommended
from everbake.host.ranking.period import Places, plain, users_of
from everbake.host.rows import read_table
from everbake.host.splitting import Held, pack_rows
from everbake.host.training import (
    ANSWERS,
    JUDGE,
    TRAINED,
    check_columns,
    column_type,
    held_rows,
    known_rows,
    save_array,
)
from everbake.host.updating import Lesson, lesson_of, told

_TRIED = 100  # users to recommend to where nobody is judged: is it a model at all?


def train_ranking(order: TrainOrder, context: JobContext) -> TrainReport:
    """Learn from what the split leaves, and leave model and lists in `context.work`.

    Raises:
        UserCodeError: what the recipe's functions gave cannot be used.
        RecipeError: the recipe does not fit the data.
    """
    recipe = recipe_of(context.recipe, order.model)
    ranked = ranked_of(recipe)
    table = read_table(order.files, order.rows)
    check_events(recipe, table)
    held = held_rows(order, recipe, table)
    lesson = lesson_of(order, held)
    rows = table.filter(pa.array(lesson.new))
    candidate = candidate_of(recipe, order.base, rows, context)
    places = np.flatnonzero(held.judge)
    (context.work / TRAINED).write_bytes(pack_rows(lesson.learned))
    save_array(context.work / JUDGE, places)
    known = np.flatnonzero(lesson.learned)[:_TRIED]
    some = places if len(places) else known
    asked = Asked(ranked, some)
    lists = asked.lists(recipe, candidate.model, table)
    check_lists(lists)
    answers = asked.numbered(lists, table)
    save_array(context.work / ANSWERS, answers if len(places) else np.empty(0))
    user = table.column(ranked.events.user)
    return TrainReport(
        rows=int(lesson.learned.sum()),
        held_out=len(places),
        runtime="native",
        why="native: recommendations are lists",
        form=candidate.form,
        columns=(Column("user", column_type(user.type)), Column("k", "int64")),
        needed=("user",),
        checks=(*told(recipe, order, lesson), *_checks(recipe, table, held, lesson)),
        seconds=candidate.seconds,
        example={"user": user[int(known[0])].as_py(), "k": LISTED},
        new_rows=rows.num_rows if order.base else 0,
    )


def ranked_of(recipe: Recipe) -> Ranked:
    """What makes this a ranking recipe.

    Raises:
        RecipeError: it is none.
    """
    if recipe.ranked is None:
        raise RecipeError(
            "EB231",
            f"{recipe.name} was no ranking recipe when this version was made",
            mend="give the ranking recipe a name of its own",
        )
    return recipe.ranked


def check_events(recipe: Recipe, table: pa.Table) -> None:
    """Raise RecipeError if a column is missing, or of a type that cannot name users or items."""
    check_columns(recipe, table)
    events = ranked_of(recipe).events
    for role, name in (("user", events.user), ("item", events.item)):
        kind = column_type(table.column(name).type)
        if kind not in {"string", "int64", "float64"}:
            raise RecipeError(
                "EB204",
                f'Events({role}="{name}") holds {kind}s',
                why="they come in requests and answers, as texts or numbers",
                mend="name the column with the identifiers",
            )


@dataclass(frozen=True)
class Asked:
    """Whose lists are wanted, and how long.

    Attributes:
        ranked: what the columns of the table are, and the items of a list.
        places: the events whose users are asked for.
    """

    ranked: Ranked
    places: Places

    def lists(self, recipe: Recipe, model: object, table: pa.Table) -> list[list[Item]]:
        """A list for each of the users, in order."""
        users = users_of(table, self.ranked.events.user, self.places)
        return recommended(recipe, model, plain(users), self.ranked.k)

    def numbered(self, lists: list[list[Item]], table: pa.Table) -> Codes:
        """The same as item numbers."""
        return coded(lists, items_of(table, self.ranked.events.item), self.ranked.k)


def _checks(recipe: Recipe, table: pa.Table, held: Held, lesson: Lesson) -> tuple[Check, ...]:
    """That no held-out event was trained on, and what was left out."""
    checks = []
    if held.judge.any():
        both = int((lesson.learned & held.judge).sum())
        detail = f"{both} held-out events were trained on"
        checks.append(Check("leakage", "fail" if both else "pass", detail))
        checks.append(time_order(table.column(str(recipe.data.time)), held, lesson, recipe.data))
    if held.seen:
        detail = f"{held.seen} held-out events judge nobody: the champion was trained on them"
        checks.append(Check("fresh_rows", "pass" if held.judge.any() else "warn", detail))
    nameless = table.num_rows - int(known_rows(recipe, table).sum())
    if nameless:
        detail = f"{nameless} events without a user or an item were left out"
        checks.append(Check("outcomes", "warn", detail))
    return tuple(checks)
