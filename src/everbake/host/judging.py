"""The job that judges a candidate by answers that were computed before."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from everbake.core.decision import Check, Decision
from everbake.core.gate import Given, Rules, judge_rows, rail
from everbake.core.gate.looks import level_of
from everbake.core.metrics import metric_name
from everbake.core.recipe import Recipe
from everbake.core.work import JudgeOrder, JudgeReport
from everbake.host.calling import recipe_of
from everbake.host.looks import Looked, looked_at
from everbake.host.protocol import JobContext
from everbake.host.rows import frame, read_table
from everbake.host.splitting import digest_of, pack_rows
from everbake.statistics.power import rows_for

if TYPE_CHECKING:
    import pandas as pd

FEWEST = 30  # held-out rows, below which intervals rest on too little
JUDGED = "judged.bin"
MANY_LOOKS = 5  # decisions by the same rows, from which on newer rows are asked for


def judge_candidate(order: JudgeOrder, context: JobContext) -> JudgeReport:
    """The decision, and its place in the ledger of looks; leaves the set of rows that judged."""
    recipe = recipe_of(context.recipe, order.model)
    table = read_table(order.files, order.rows)
    positions = np.load(order.judge)
    judge = np.zeros(table.num_rows, np.bool_)
    judge[positions] = True
    (context.work / JUDGED).write_bytes(pack_rows(judge))
    judged = table.take(pa.array(positions))
    looked = looked_at(judge, order)
    digest = digest_of(judged)
    given = replace(_given(order, recipe, frame(judged)), rows_digest=digest, look=looked.number)
    decision = judge_rows(given, rules_of(recipe))
    checks = (*order.checks, *_many(looked))
    return JudgeReport(
        decision=_with_enough(decision).with_checks(checks).to_dict(),
        look=looked.number,
        level=level_of(looked.number),
        rows=len(positions),
        digest=digest,
        surpasses=decision.surpasses,
        best_broken=decision.best_broken,
    )


def _many(looked: Looked) -> tuple[Check, ...]:
    if looked.shared < MANY_LOOKS - 1:
        return ()
    detail = f"these rows have decided {looked.shared + 1} times; bring newer rows"
    return (Check("looks", "warn", detail),)


def _given(order: JudgeOrder, recipe: Recipe, rows: "pd.DataFrame") -> Given:
    # Without a row that the champion has not seen, it has no answers; but it is there.
    unseen = np.empty(0) if order.has_champion else None
    data = recipe.data
    truth = np.load(order.truth)

    def column(name: str | None) -> object | None:
        return None if name is None else rows[name].to_numpy()

    return Given(
        y=truth,
        champion=np.load(order.champion) if order.champion is not None else unseen,
        candidate=_answers(order.candidate, len(truth)),
        rows=rows,
        weights=column(data.weight),
        groups=column(data.group),
        order=column(data.time),
        segments={name: column(name) for name in recipe.gate.columns},
        more_rows=order.more_rows,
        best=None if order.best is None else np.load(order.best),
        best_name=order.best_name,
    )


def _answers(path: str | None, count: int) -> np.ndarray[Any, Any]:
    """The candidate's answers; none that can be used, if it does not answer."""
    answers: np.ndarray[Any, Any] = np.full(count, np.nan) if path is None else np.load(path)
    return answers


def _with_enough(decision: Decision) -> Decision:
    """The decision with the number of rows that are enough for the next one, for its split."""
    evidence = decision.evidence
    if evidence is None or not evidence.sd or decision.champion is None:
        return decision
    enough = rows_for(evidence.sd, evidence.tolerance, level_of(evidence.look + 1))
    if enough is None:
        return decision
    return replace(decision, evidence=replace(evidence, rows_enough=max(FEWEST, enough)))


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
