"""The gate: two models' answers on the same held-out rows in, a decision with its reason out.

The order of the cases is fixed: answers that are none, unknown outcomes, no champion, guardrails,
ties, too few rows, the interval beside the champion, the best model so far, segments. The worst of
all that was looked at is the verdict.
"""

from dataclasses import replace

import numpy as np

from everbake.core.decision import Decision
from everbake.core.gate import wording
from everbake.core.gate.answers import Fault, effective, fault_of, seen_by
from everbake.core.gate.comparing import compare
from everbake.core.gate.concluding import Parts, conclude
from everbake.core.gate.duel import NEW, score, scorer_of, undefined, untold_by
from everbake.core.gate.given import Given
from everbake.core.gate.heldout import Array, HeldOut, held_out
from everbake.core.gate.lists import by_user, read_lists
from everbake.core.gate.outcomes import Outcome
from everbake.core.gate.rails import readings
from everbake.core.gate.rules import Rules
from everbake.core.gate.scoring import present
from everbake.core.gate.segments import judged_segments
from everbake.core.gate.verdicts import TIES, Ruling
from everbake.errors import UserCodeError


def judge_rows(given: Given, rules: Rules) -> Decision:
    """Judge a candidate on held-out rows.

    Args:
        given: the answers of both models, and what is known of the rows.
        rules: the metric and the rule.

    Raises:
        UserCodeError: the metric raised, or has no finite value for the candidate.
        UsageError: weights, groups, order or segments do not fit the rows, or the rows have
            weights and the metric takes none.
    """
    with np.errstate(all="ignore"):  # figures beyond the range are told as what they are
        return by_user(_judged(read_lists(given, rules), rules), rules)


def _judged(given: Given, rules: Rules) -> Decision:
    held = held_out(given, rules.seed)
    fault = fault_of(held.candidate, held.y, rules, held.thresholds[1])
    if fault is not None:
        return conclude(held, rules, Parts(Outcome(_bad_output(held, fault), rules.name)))
    known = held.where(present(held.y), "{} rows without a known outcome were left out.")
    held = known.counting()
    if given.champion is None:
        return _guarded(held, rules, _first(held, rules))
    return _against(held, given, rules)


def _guarded(held: HeldOut, rules: Rules, outcome: Outcome) -> Decision:
    """The decision without a comparison: the candidate's value and the guardrails."""
    rails = readings(held, rules, tied=False)
    return conclude(held, rules, Parts(outcome, rails=rails))


def _bad_output(held: HeldOut, fault: Fault) -> Ruling:
    where = f"; first: row {int(np.argmin(fault.usable)) + 1}" if fault.usable.any() else ""
    rows = wording.row_count(held.n)
    text = f"the new model gives no valid answer on {fault.count} of {rows} ({fault.why}{where})"
    return Ruling("rejected", "bad_output", text)


def _first(held: HeldOut, rules: Rules, broken: Ruling | None = None) -> Outcome:
    """Nothing to compare with: the candidate's value alone."""
    if held.n == 0:
        text = "there is no earlier model to compare with and no held-out row to measure it on"
        ruling = broken or Ruling("promoted", "first", text)
        return Outcome(ruling, rules.name, notes=held.notes)
    value, told = _alone(held, rules)
    text = f"there is no earlier model to compare with; {told}"
    ruling = broken or Ruling("promoted", "first", text)
    return Outcome(ruling, rules.name, candidate=value, notes=held.notes)


def _alone(held: HeldOut, rules: Rules) -> tuple[float | None, str]:
    """The candidate's value, or None, and a sentence about it."""
    metric = effective(rules)
    reason = undefined(metric, held.y)
    if reason is not None:
        return None, reason
    scorer = scorer_of(held, rules)
    answers = seen_by(metric, held.candidate, held.y, held.thresholds[1])
    try:
        value = scorer.finite(score(metric, scorer, answers, NEW), NEW)
    except UserCodeError as error:
        reason = untold_by(error, rules.name, held.y, answers)
        if reason is None:
            raise
        return None, reason
    if metric.row_loss is None:
        scorer.steady(value, answers, NEW)
    rows = wording.row_count(held.n)
    return value, f"its {rules.name} on {rows} is {wording.figure(value)}"


def _against(held: HeldOut, given: Given, rules: Rules) -> Decision:
    """The comparison with the model in use, and with the best one so far."""
    if held.n == 0:
        weight = "" if given.weights is None else " and a weight"
        text = f"no held-out row with a known outcome{weight} is left, so nothing can be compared"
        ruling = Ruling("inconclusive", "no_rows", f"{text}. {wording.STAYS}")
        return _guarded(held, rules, Outcome(ruling, rules.name, notes=held.notes))
    answered = held  # guardrails are about the candidate, on all rows that it answers
    held, outcome = _beside_champion(held, rules)
    rails = readings(answered, rules, tied=outcome.ruling.code in TIES)
    segments, hurt = judged_segments(held, outcome, rules)
    parts = Parts(outcome, rails, segments=segments, hurt=hurt, surpasses=outcome.surpasses)
    if given.best is not None:
        parts = _with_best(parts, held, given.best_name, rules)
    return conclude(held, rules, parts)


def _beside_champion(held: HeldOut, rules: Rules) -> tuple[HeldOut, Outcome]:
    """The comparison with the model in use, and the rows that it rests on."""
    fault = _fault(held.champion, 0, held, rules)
    if fault is not None and not fault.usable.any():
        held = replace(held, champion=None)
        return held, _first(held, rules, _broken(held, fault))
    if fault is not None:
        held = _without(held, fault, "the model in use")
    outcome = compare(held, rules)
    if outcome.ruling.code == "champion_broken":
        held = replace(held, champion=None)
        return held, _first(held, rules, outcome.ruling)
    return held, outcome


def _fault(answers: Array | None, which: int, held: HeldOut, rules: Rules) -> Fault | None:
    """What is wrong with another model's answers; without any, all of them."""
    if answers is None:
        return Fault(np.zeros(held.n, dtype=np.bool_), "not one answer a row")
    return fault_of(answers, held.y, rules, held.thresholds[which])


def _without(held: HeldOut, fault: Fault, whose: str) -> HeldOut:
    """The rows on which the other model gives a valid answer, and a note on the rest."""
    rows = wording.row_count(held.n)
    left = f"{whose} gives no valid answer on {fault.count} of {rows}; they were left out."
    return held.where(fault.usable, left)


def _broken(held: HeldOut, fault: Fault) -> Ruling:
    rows = wording.row_count(held.n)
    text = f"the model in use gives no valid answer on {fault.count} of {rows}"
    return Ruling("promoted", "champion_broken", f"{text}; the new one answers all")


def _with_best(parts: Parts, held: HeldOut, name: str, rules: Rules) -> Parts:
    """The same with the comparison with the best model so far, which takes the pin's place."""
    best = _beside_best(held, name, rules)
    if best is None:
        gone = f"the best model so far ({name}) gives no valid answers on these rows"
        note = f"{gone}; it was not compared with."
        return replace(parts, best_broken=True, notes=(*parts.notes, note))
    return replace(parts, best=best, best_name=name, surpasses=best.surpasses)


def _beside_best(held: HeldOut, name: str, rules: Rules) -> Outcome | None:
    """The comparison with the best model so far; None where that has no valid answers."""
    fault = _fault(held.best, 2, held, rules)
    if fault is not None and not fault.usable.any():
        return None
    if fault is not None:
        held = _without(held, fault, f"the best model so far ({name})")
    thresholds = held.thresholds[2], held.thresholds[1], None
    other = replace(held, champion=held.best, thresholds=thresholds)
    outcome = compare(other, replace(rules, rule="refresh"))
    ruling = outcome.ruling
    if ruling.code == "champion_broken":
        return None
    code = {"rejected": "worse_than_best", "inconclusive": "best_undecided"}.get(ruling.verdict)
    text = ruling.text.replace("the model in use", "that one")
    text = f"compared with the best model so far ({name}), {text}"
    return replace(outcome, ruling=replace(ruling, code=code or ruling.code, text=text))
