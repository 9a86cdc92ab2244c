"""The job that judges a candidate by answers that were computed before."""

import hashlib
from dataclasses import replace
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from everbake.core.decision import Check, Decision
from everbake.core.gate import Given, Rules, Thresholds, judge_rows, jump_check, rail, with_curves
from everbake.core.metrics import metric_name
from everbake.core.recipe import Recipe
from everbake.core.work import JudgeOrder
from everbake.host.calling import recipe_of
from everbake.host.protocol import JobContext
from everbake.host.rows import frame, read_table
from everbake.statistics.power import rows_for
from everbake.statistics.thresholds import elkan_threshold

if TYPE_CHECKING:
    import pandas as pd

FEWEST = 30  # held-out rows, below which intervals rest on too little


def judge_candidate(order: JudgeOrder, context: JobContext) -> dict[str, object]:
    """The decision as scripts see it."""
    recipe = recipe_of(context.recipe, order.model)
    rules, given = rules_of(recipe), _given(order, recipe)
    decision = with_enough(judge_rows(given, rules))
    wanted = recipe.threshold
    prices = None if wanted is None else (wanted.false_positive, wanted.false_negative)
    checks = _checks(order, decision, rules)
    return with_curves(decision, given, prices).with_checks(checks).to_dict()


def _checks(order: JudgeOrder, decision: Decision, rules: Rules) -> tuple[Check, ...]:
    """What was looked at before, and whether the verdict's gain is too good to be true."""
    jump = None if order.earlier is None else jump_check(decision, rules, order.earlier)
    return order.checks if jump is None else (*order.checks, jump)


def _thresholds(order: JudgeOrder, recipe: Recipe) -> Thresholds:
    """From which score each model decides; one without a threshold is taken to be calibrated."""
    wanted = recipe.threshold
    if wanted is None:
        return order.thresholds
    usual = elkan_threshold(wanted.false_positive, wanted.false_negative)
    champion, candidate, best = (usual if one is None else one for one in order.thresholds)
    return champion, candidate, best


def _given(order: JudgeOrder, recipe: Recipe) -> Given:
    rows = _rows(order)
    # Without a row that the champion has not seen, it has no answers; but it is there.
    unseen = np.empty(0) if order.has_champion else None
    data = recipe.data

    def column(name: str | None) -> object | None:
        return None if name is None else rows[name].to_numpy()

    return Given(
        y=np.load(order.truth),
        champion=np.load(order.champion) if order.champion is not None else unseen,
        candidate=np.load(order.candidate),
        rows=rows,
        weights=column(data.weight),
        groups=column(data.group),
        order=column(data.time),
        segments={name: column(name) for name in recipe.gate.columns},
        rows_digest=hashlib.sha256(np.load(order.judge).tobytes()).hexdigest(),
        more_rows=order.more_rows,
        thresholds=_thresholds(order, recipe),
    )


def with_enough(decision: Decision, rows_each: float = 1.0) -> Decision:
    """The decision with the number of rows that would have been enough, for the next split.

    Args:
        decision: what was decided.
        rows_each: rows of the table for each of the units that were judged.
    """
    evidence = decision.evidence
    if evidence is None or not evidence.sd or decision.champion is None:
        return decision
    enough = rows_for(evidence.sd, evidence.tolerance, evidence.level)
    if enough is None:
        return decision
    rows = ceil(max(FEWEST, enough) * rows_each)
    return replace(decision, evidence=replace(evidence, rows_enough=rows))


def _rows(order: JudgeOrder) -> "pd.DataFrame":
    table = read_table(order.files, order.rows)
    return frame(table.take(pa.array(np.load(order.judge))))


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
