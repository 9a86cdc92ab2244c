"""The job that judges a candidate of a ranking recipe by lists that were made before."""

from dataclasses import replace

import numpy as np
import pyarrow as pa

from everbake.core.gate import Given, Rules, judge_rows
from everbake.core.ranking import COLD_START, Audience, bound
from everbake.core.recipe import Recipe
from everbake.core.work import JudgeOrder, JudgeReport
from everbake.host.calling import recipe_of
from everbake.host.judging import period_of, rules_of, told_of, with_enough
from everbake.host.looks import Look, look_at
from everbake.host.protocol import JobContext
from everbake.host.ranking.lists import decoded
from everbake.host.ranking.period import Array, Period
from everbake.host.ranking.training import ranked_of
from everbake.host.rows import frame, read_table
from everbake.host.splitting import rows_in


def judge_ranking(order: JudgeOrder, context: JobContext) -> JudgeReport:
    """The decision, whose rows are users, and its place in the ledger of looks at events."""
    recipe = recipe_of(context.recipe, order.model)
    period = _period(order, recipe)
    look = look_at(period.events, order, context)
    given = _given(order, period, recipe, look)
    decision = judge_rows(given, list_rules(recipe, period.audience, given))
    per_user = len(period.judge) / max(1, len(period.users))
    times = period.events.select([str(recipe.data.time)]).take(pa.array(period.judge))
    told = told_of(
        with_enough(decision, recipe.gate.rule, per_user),
        period_of(recipe.data, frame(times)),
        "user",
    )
    return look.report(told.with_checks(order.checks))


def _period(order: JudgeOrder, recipe: Recipe) -> Period:
    table = read_table(order.files, order.rows)
    trained = rows_in([order.trained], table.num_rows)
    return Period(table, ranked_of(recipe).events, np.load(order.judge), trained)


def _given(order: JudgeOrder, period: Period, recipe: Recipe, look: Look) -> Given:
    # Without an event that the champion has not seen, it has no lists; but it is there.
    before = np.empty(0, dtype=object) if order.has_champion else None
    if order.champion is not None:
        before = _lists(order.champion, period)
    # A candidate that does not answer these events has no list that can be used.
    lists = np.full(len(period.users), None, dtype=object)
    if order.candidate is not None:
        lists = _lists(order.candidate, period)
    best = None if order.best is None else _lists(order.best, period)
    given = replace(given_of(period, recipe, lists, before, best), best_name=order.best_name)
    return replace(given, rows_digest=look.digest, look=look.number, more_rows=order.more_rows)


def _lists(path: str, period: Period) -> Array:
    codes = np.load(path)
    return decoded(codes, period.items) if len(codes) else np.empty(0, dtype=object)


def given_of(
    period: Period,
    recipe: Recipe,
    candidate: Array,
    champion: Array | None,
    best: Array | None = None,
) -> Given:
    """What the gate judges by: the users of the period who wanted something that counts."""
    wanted, audience = period.wanted(), period.audience
    segments = period.segments(recipe.gate.columns)
    counts = np.flatnonzero([wish is not None for wish in wanted])
    return Given(
        y=wanted[counts],
        champion=champion[counts] if champion is not None and len(champion) else champion,
        candidate=candidate[counts],
        best=None if best is None else best[counts],
        rows=audience.take(counts),
        groups=audience.users[counts],  # a row each: who follows whom means nothing
        segments={name: values[counts] for name, values in segments.items()},
    )


def list_rules(recipe: Recipe, audience: Audience, given: Given) -> Rules:
    """The gate as the judge wants it; users without an event before are a segment of their own."""
    rules = rules_of(recipe)
    segments = rules.segments
    if COLD_START in given.segments and COLD_START not in recipe.gate.columns:
        segments = (*segments, COLD_START)
    return replace(
        rules,
        metric=bound(rules.metric, audience),
        guardrails=tuple(
            replace(rail, metric=bound(rail.metric, audience)) for rail in rules.guardrails
        ),
        segments=segments,
    )
