"""The end of a judgement: the worst of its parts, the recipe's choice, and the record of it all."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np

from everbake.core.decision import Check, Decision, Evidence, Segment, Versus
from everbake.core.gate import wording
from everbake.core.gate.heldout import HeldOut
from everbake.core.gate.outcomes import Outcome
from everbake.core.gate.rails import Reading
from everbake.core.gate.rules import Rules
from everbake.core.gate.verdicts import Ruling

_MANY_LOOKS = 5


@dataclass(frozen=True)
class Parts:
    """Everything that was looked at.

    Attributes:
        outcome: beside the model in use, or the candidate alone.
        rails: the guardrails.
        best: the comparison with the best model so far, if there is another one.
        best_name: what to call that one.
        segments: the segments.
        hurt: the ruling on them.
        surpasses: whether the candidate beats the best model so far beyond any doubt.
        best_broken: whether that one has no valid answers on these rows.
        notes: further sentences that did not decide.
    """

    outcome: Outcome
    rails: tuple[Reading, ...] = ()
    best: Outcome | None = None
    best_name: str = ""
    segments: tuple[Segment, ...] = ()
    hurt: Ruling | None = None
    surpasses: bool = False
    best_broken: bool = False
    notes: tuple[str, ...] = ()


def conclude(held: HeldOut, rules: Rules, parts: Parts) -> Decision:
    """The decision: rejected before inconclusive before promoted, then the recipe's choice."""
    ruling, needed, decided_by = _settled(parts, rules)
    outcome, interval = parts.outcome, parts.outcome.interval
    return Decision(
        ruling.verdict,
        ruling.code,
        wording.because(ruling.text),
        outcome.metric,
        outcome.candidate,
        outcome.champion,
        outcome.ruling.difference,
        None if interval is None else (interval.lower, interval.upper),
        held.n,
        checks=tuple(Check(each.name, each.state, f"{each.text}.") for each in parts.rails),
        evidence=_evidence(held, parts, needed),
        segments=parts.segments,
        best=_versus(parts),
        decided_by=decided_by,
        surpasses=parts.surpasses,
        best_broken=parts.best_broken,
    )


def _evidence(held: HeldOut, parts: Parts, needed: int | None) -> Evidence:
    outcome, interval = parts.outcome, parts.outcome.interval
    looked = f"these rows have decided {held.look} times; bring newer rows."
    warned = (looked,) if held.look >= _MANY_LOOKS else ()
    sd = interval.sd if interval is not None and interval.method != "none" else None
    return Evidence(
        method="none" if interval is None else interval.method,
        level=held.level,
        tolerance=outcome.margins.tolerance,
        equal_within=outcome.margins.equal_within,
        differing=outcome.differing,
        rows_needed=needed,
        rows_digest=held.digest,
        seed=held.seed,
        notes=(*outcome.notes, *parts.notes, *warned),
        gap=outcome.margins.gap if outcome.champion is not None else None,
        sd=sd if sd is not None and isfinite(sd) else None,
        look=held.look,
        resamples=0 if interval is None else interval.resamples,
        groups=None if held.groups is None else len(np.unique(held.groups)),
    )


def _versus(parts: Parts) -> Versus | None:
    best = parts.best
    if best is None:
        return None
    ends = None if best.interval is None else (best.interval.lower, best.interval.upper)
    return Versus(parts.best_name, best.champion, best.ruling.difference, ends)


def _settled(parts: Parts, rules: Rules) -> tuple[Ruling, int | None, str]:
    """The worst part, the rows it needs, and what decided if the data could not tell."""
    outcome, best = parts.outcome, parts.best
    beside = (outcome.ruling, best.ruling if best else None, parts.hurt)
    compared = [each for each in beside if each is not None]
    failed, unsure = _rails(parts.rails, stays=outcome.champion is not None or best is not None)
    rejected = next((each for each in failed + compared if each.verdict == "rejected"), None)
    if rejected is not None:
        return rejected, 0, ""
    open_ = [each for each in compared if each.verdict == "inconclusive"]
    if not open_ and not unsure:
        return outcome.ruling, 0, ""
    told = [*unsure, *open_][0]  # in the order in which they were looked at
    chosen = _chosen(told, open_, rules, guarded=bool(unsure))
    if chosen is not None:
        return chosen, 0, f'if_inconclusive="{rules.if_inconclusive}"'
    return told, _needed(told, outcome, best), ""


def _needed(told: Ruling, outcome: Outcome, best: Outcome | None) -> int | None:
    """Further rows for a verdict of the part that told."""
    if told is outcome.ruling:
        return outcome.needed
    return best.needed if best is not None and told is best.ruling else None


def _chosen(told: Ruling, open_: Sequence[Ruling], rules: Rules, *, guarded: bool) -> Ruling | None:
    """What the recipe wants where the data cannot tell; it never lifts a guardrail."""
    text = told.text.removesuffix(f" {wording.STAYS}").removesuffix(".")
    choice = rules.if_inconclusive
    if choice == "reject":
        return Ruling("rejected", told.code, f"{text}; the gate rejects what is not decided")
    if guarded:
        return None
    if choice == "promote":
        return Ruling("promoted", told.code, f"{text}; the gate promotes what is not decided")
    upwards = all(each.difference is not None and each.difference >= 0 for each in open_)
    if choice == "lean" and rules.rule == "refresh" and upwards:
        return Ruling("promoted", "lean", f"{text}; not shown, but it points upwards")
    return None


def _rails(rails: Sequence[Reading], *, stays: bool) -> tuple[list[Ruling], list[Ruling]]:
    """The guardrails that fail, and those that could not be checked."""
    failed = [Ruling("rejected", "guardrail", each.text) for each in rails if each.state == "fail"]
    tail = f". {wording.STAYS}" if stays else ""
    unsure = [
        Ruling("inconclusive", "guardrail_unknown", f"{each.text}{tail}")
        for each in rails
        if each.state == "unknown"
    ]
    return failed, unsure
