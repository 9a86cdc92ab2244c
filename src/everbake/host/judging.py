"""The job that judges a candidate by answers that were computed before."""

from dataclasses import replace
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from everbake.core.decision import Check, Decision
from everbake.core.gate import Given, Rules, Thresholds, judge_rows, jump_check, rail, with_curves
from everbake.core.gate.dividing import divide
from everbake.core.gate.looks import level_of
from everbake.core.gate.scoring import as_answers
from everbake.core.metrics import metric_name
from everbake.core.recipe import Recipe
from everbake.core.spec import Table
from everbake.core.work import JudgeOrder, JudgeReport
from everbake.host.calling import recipe_of
from everbake.host.looks import Look, look_at
from everbake.host.protocol import JobContext
from everbake.host.rows import frame, read_table
from everbake.statistics.power import rows_for
from everbake.statistics.thresholds import elkan_threshold

if TYPE_CHECKING:
    import pandas as pd

FEWEST = 30  # held-out rows, below which intervals rest on too little


def judge_candidate(order: JudgeOrder, context: JobContext) -> JudgeReport:
    """The decision, and its place in the ledger of looks."""
    recipe = recipe_of(context.recipe, order.model)
    table = read_table(order.files, order.rows)
    look = look_at(table, order, context)
    rows = frame(table.take(pa.array(np.load(order.judge))))
    given = _given(order, recipe, rows, look)
    rules = rules_of(recipe)
    decision = with_enough(judge_rows(given, rules), rules.rule)
    wanted = recipe.threshold
    prices = None if wanted is None else (wanted.false_positive, wanted.false_negative)
    told = told_of(with_curves(decision, given, prices), period_of(recipe.data, rows))
    return look.report(told.with_checks(_checks(order, given, decision, rules)))


def _checks(order: JudgeOrder, given: Given, decision: Decision, rules: Rules) -> tuple[Check, ...]:
    """What was looked at before; a threshold that lacks; a gain that is too good to be true."""
    jump = None if order.precedent is None else jump_check(decision, rules, order.precedent)
    return (*order.checks, *_undecided(order, given), *(() if jump is None else (jump,)))


def _undecided(order: JudgeOrder, given: Given) -> tuple[Check, ...]:
    """That the champion has no threshold of its own, and which is taken in its place."""
    taken, frozen = given.thresholds[0], order.thresholds[0]
    if order.champion is None or taken is None or frozen is not None:
        return ()
    detail = (
        f"the model in use has no threshold: it is taken to decide from {taken:.4g} on, "
        "the cheapest of calibrated probabilities"
    )
    return (Check("champion_threshold", "warn", detail),)


def _thresholds(order: JudgeOrder, recipe: Recipe) -> Thresholds:
    """From which score each model decides; one without a threshold is taken to be calibrated."""
    wanted = recipe.threshold
    if wanted is None:
        return order.thresholds
    usual = elkan_threshold(wanted.false_positive, wanted.false_negative)
    champion, candidate, best = (usual if one is None else one for one in order.thresholds)
    return champion, candidate, best


def _given(order: JudgeOrder, recipe: Recipe, rows: "pd.DataFrame", look: Look) -> Given:
    # Without a row that the champion has not seen, it has no answers; but it is there.
    unseen = np.empty(0) if order.has_champion else None
    data, truth = recipe.data, np.load(order.truth)

    def column(name: str | None) -> object | None:
        return None if name is None else rows[name].to_numpy()

    return Given(
        y=truth,
        champion=np.load(order.champion) if order.champion is not None else unseen,
        # A candidate that does not answer these rows has no answer that can be used.
        candidate=np.full(len(truth), np.nan)
        if order.candidate is None
        else np.load(order.candidate),
        rows=rows,
        weights=column(data.weight),
        groups=column(data.group),
        order=column(data.time),
        segments={name: _shown(name, rows[name], data.private) for name in recipe.gate.columns},
        rows_digest=look.digest,
        look=look.number,
        more_rows=order.more_rows,
        thresholds=_thresholds(order, recipe),
        best=None if order.best is None else np.load(order.best),
        best_name=order.best_name,
    )


def _shown(name: str, values: "pd.Series[Any]", private: tuple[str, ...]) -> object:
    """A column as segments are named by it: private values are numbered, in their order."""
    if name not in private:
        return values.to_numpy()
    division = divide(name, as_answers(values))
    return np.array([f"(private {code + 1})" for code in range(division.count)])[division.codes]


def with_enough(decision: Decision, rule: str, rows_each: float = 1.0) -> Decision:
    """The decision with the number of rows that are enough for the next look, for its split.

    None are enough for a challenge: nobody knows how small the next gain is.

    Args:
        decision: what was decided.
        rule: by which it was decided.
        rows_each: rows of the table for each of the units that were judged.
    """
    evidence = decision.evidence
    if evidence is None or not evidence.sd or decision.champion is None or rule != "refresh":
        return decision
    enough = rows_for(evidence.sd, evidence.tolerance, level_of(evidence.look + 1))
    if enough is None:
        return decision
    rows = ceil(max(FEWEST, enough) * rows_each)
    return replace(decision, evidence=replace(evidence, rows_enough=rows))


def told_of(decision: Decision, period: tuple[str, str] | None, unit: str = "row") -> Decision:
    """The decision that says from when its rows are, and what they are called."""
    evidence = decision.evidence
    if evidence is None:
        return decision
    return replace(decision, evidence=replace(evidence, period=period, unit=unit))


def period_of(data: Table, rows: "pd.DataFrame") -> tuple[str, str] | None:
    """The first and the last moment of some rows; None where that is private or not known."""
    if data.time is None or data.time in data.private:
        return None
    known = rows[data.time].dropna()
    return None if known.empty else (_moment(known.min()), _moment(known.max()))


def _moment(value: object) -> str:
    """A time or number as text; a midnight is a day."""
    return str(value).removesuffix(" 00:00:00")


def rules_of(recipe: Recipe) -> Rules:
    """The gate as the judge wants it."""
    gate = recipe.gate
    return Rules(
        name=metric_name(gate.metric),
        metric=gate.metric,
        better=gate.direction,
        rule=gate.rule,
        tolerance=gate.tolerance,
        equal_within=gate.equal,
        min_gain=gate.min_gain,
        if_inconclusive=gate.if_inconclusive,
        guardrails=tuple(rail(guardrail) for guardrail in gate.guardrails),
        segments=gate.segments,
        all_must_pass=gate.all_must_pass,
        confidence=gate.confidence,
    )
