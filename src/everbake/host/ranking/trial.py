"""The job behind `everbake check` of a ranking recipe: try it on a sample, change nothing."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from everbake.core.decision import Check
from everbake.core.describing import describe
from everbake.core.gate import judge_rows
from everbake.core.ranking import Item
from everbake.core.recipe import Recipe
from everbake.core.work import CheckOrder, CheckReport
from everbake.errors import RecipeError
from everbake.host.artifacts import load, save
from everbake.host.calling import recipe_of, train
from everbake.host.candidates import taught
from everbake.host.checking import refusal, sampled, tried
from everbake.host.protocol import JobContext
from everbake.host.ranking.judging import given_of, list_rules
from everbake.host.ranking.lists import check_lists, decoded
from everbake.host.ranking.period import Period
from everbake.host.ranking.training import Asked, check_events, ranked_of
from everbake.host.rows import read_table, rows_form
from everbake.host.splitting import split
from everbake.host.training import known_rows

if TYPE_CHECKING:
    from collections.abc import Callable


def check_ranking(order: CheckOrder, context: JobContext) -> CheckReport:
    """Train twice on a sample of events, recommend, score."""
    recipe = recipe_of(context.recipe, order.model)
    declared = Check("recipe", "pass", f"{order.model} imports and is well formed")
    if not order.files:
        detail = "no data yet: train, recommend and the metric were not tried"
        return CheckReport((declared, Check("data", "unknown", detail)))
    table = read_table(order.files, order.rows)
    try:
        check_events(recipe, table)
    except RecipeError as error:
        return CheckReport((declared, Check("data", "fail", str(error))))
    table = table.filter(pa.array(known_rows(recipe, table)))
    sample, held = sampled(table, split(table, describe(recipe, rows_form(recipe.train)), None))
    places = np.flatnonzero(held.judge)
    period = Period(sample, ranked_of(recipe).events, places, held.train)
    return CheckReport((declared, *_Trial(recipe, context, period).run()))


@dataclass
class _Trial:
    """The steps of a trial; the first that fails ends it."""

    recipe: Recipe
    context: JobContext
    period: Period
    model: object = None
    lists: list[list[Item]] = field(default_factory=list)

    def run(self) -> list[Check]:
        """One check a step, up to the first that fails."""
        steps: list[tuple[str, Callable[[], str]]] = [
            ("train", self._train),
            ("save", self._save),
            ("recommend", self._recommend),
            ("repeatable", self._repeatable),
            ("score", self._score),
            *([("update", self._update)] if self.recipe.update else []),
        ]
        done: list[Check] = []
        for name, step in steps:
            done.append(tried(name, step))
            if done[-1].state == "fail":
                break
        return done

    @property
    def _asked(self) -> Asked:
        return Asked(ranked_of(self.recipe), self.period.judge)

    def _trained(self) -> object:
        rows = self.period.events.filter(pa.array(self.period.trained))
        return train(self.recipe, rows, self.context.seed, self.context.log)

    def _train(self) -> str:
        self.model = self._trained()
        return f"{type(self.model).__name__} on {int(self.period.trained.sum())} events"

    def _save(self) -> str:
        form, data = save(self.model)
        self.model = load(form, data)
        return f"{len(data):,} bytes of {form}"

    def _recommend(self) -> str:
        self.lists = self._asked.lists(self.recipe, self.model, self.period.events)
        check_lists(self.lists)
        return f"{len(self.lists)} lists of up to {self._asked.ranked.k} items"

    def _repeatable(self) -> str:
        again = self._asked.lists(self.recipe, self._trained(), self.period.events)
        if again == self.lists:
            return "training twice gave the same lists"
        return "warning: training twice gave different lists; pass `seed` on to the model"

    def _update(self) -> str:
        rows = self.period.events.filter(pa.array(self.period.trained))
        models = taught(self.recipe, rows, self.context)
        before, after = (
            self._asked.lists(self.recipe, model, self.period.events) for model in models
        )
        check_lists(after)
        half = rows.num_rows // 2
        if before == after:
            return f"warning: {rows.num_rows - half} more events changed no list"
        return f"{type(models[1]).__name__} of {half} events, updated by {rows.num_rows - half}"

    def _score(self) -> str:
        codes = self._asked.numbered(self.lists, self.period.events)
        given = given_of(self.period, self.recipe, decoded(codes, self.period.items), None)
        if not len(given.candidate):  # type: ignore[arg-type]
            return "warning: no event is held out: nothing to score on"
        rules = list_rules(self.recipe, self.period.audience, given)
        decision = judge_rows(given, rules)
        refused = refusal(decision, "recommend to every user")
        if refused is not None:
            return refused
        return f"{rules.name} = {decision.candidate:.6g} on {decision.n} users"
