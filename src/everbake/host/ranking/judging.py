"""The job that judges a candidate of a ranking recipe by lists that were made before."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from everbake.core.gate import Given, Rules, judge_rows
from everbake.core.ranking import COLD_START, Audience, bound
from everbake.core.recipe import Recipe
from everbake.core.work import JudgeOrder
from everbake.host.calling import recipe_of
from everbake.host.judging import rules_of, with_enough
from everbake.host.protocol import JobContext
from everbake.host.ranking.lists import decoded
from everbake.host.ranking.period import Array, Period
from everbake.host.ranking.training import ranked_of
from everbake.host.rows import read_table
from everbake.host.splitting import unpack_rows


def judge_ranking(order: JudgeOrder, context: JobContext) -> dict[str, object]:
    """The decision as scripts see it; its rows are users."""
    recipe = recipe_of(context.recipe, order.model)
    period = _period(order, recipe)
    given = _given(order, period, recipe)
    decision = judge_rows(given, list_rules(recipe, period.audience, given))
    per_user = len(period.judge) / max(1, len(period.users))
    return with_enough(decision, per_user).with_checks(order.checks).to_dict()


def _period(order: JudgeOrder, recipe: Recipe) -> Period:
    table = read_table(order.files, order.rows)
    known = unpack_rows(Path(order.trained).read_bytes())
    trained = np.zeros(table.num_rows, np.bool_)
    trained[: len(known)] = known
    return Period(table, ranked_of(recipe).events, np.load(order.judge), trained)


def _given(order: JudgeOrder, period: Period, recipe: Recipe) -> Given:
    # Without an event that the champion has not seen, it has no lists; but it is there.
    before = np.empty(0, dtype=object) if order.has_champion else None
    if order.champion is not None:
        before = _lists(order.champion, period)
    given = given_of(period, recipe, _lists(order.candidate, period), before)
    digest = hashlib.sha256(period.judge.tobytes()).hexdigest()
    return replace(given, rows_digest=digest, more_rows=order.more_rows)


def _lists(path: str, period: Period) -> Array:
    codes = np.load(path)
    return decoded(codes, period.items) if len(codes) else np.empty(0, dtype=object)


def given_of(period: Period, recipe: Recipe, candidate: Array, champion: Array | None) -> Given:
    """What the gate judges by: the users of the period who wanted something that counts."""
    wanted, audience = period.wanted(), period.audience
    segments = period.segments(recipe.gate.columns)
    counts = np.flatnonzero([wish is not None for wish in wanted])
    return Given(
        y=wanted[counts],
        champion=champion[counts] if champion is not None and len(champion) else champion,
        candidate=candidate[counts],
        rows=audience.take(counts),
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
