"""The rules: from figures to a verdict with its code and its sentence."""

from dataclasses import dataclass
from math import isfinite

from everbake.core.decision import Decision, Evidence, Verdict
from everbake.core.gate import wording
from everbake.core.gate.comparing import LEVEL
from everbake.core.gate.findings import Findings, HeldOut
from everbake.core.gate.rules import Rules
from everbake.statistics.mean import FEW_DIFFERENCES
from everbake.statistics.power import rows_for

_FEW_PAIRS = 5  # right against wrong: fewer pairs than that cannot win McNemar's test


@dataclass(frozen=True)
class Ruling:
    """A verdict before it is written down."""

    verdict: Verdict
    code: str
    text: str


def decide(found: Findings, held: HeldOut, rules: Rules) -> Decision:
    """Apply the rule of the recipe to what was found."""
    needed = rows_needed(found, rules)
    ruling = (
        _challenge(found, rules, needed) if rules.rule == "challenge" else _refresh(found, needed)
    )
    ruling = _settled(ruling, found.interval.difference, rules)
    interval = found.interval
    evidence = Evidence(
        method=interval.method,
        level=LEVEL,
        tolerance=found.tolerance,
        equal_within=found.equal_within,
        differing=found.differing,
        rows_needed=needed if ruling.verdict == "inconclusive" else 0,
        rows_digest=held.digest,
        seed=held.seed,
        notes=found.notes,
        gap=found.gap,
        sd=interval.sd if isfinite(interval.sd) else None,
    )
    return Decision(
        ruling.verdict,
        ruling.code,
        wording.because(ruling.text),
        found.metric.name,
        found.candidate,
        found.champion,
        interval.difference,
        (interval.lower, interval.upper),
        found.n,
        evidence=evidence,
    )


def undecidable(held: HeldOut, rules: Rules, ruling: Ruling, **figures: float | None) -> Decision:
    """A decision that no interval led to: a tie, a first version, too few rows, bad answers.

    Args:
        held: the rows.
        rules: the recipe's rule; its option for inconclusive cases is applied.
        ruling: the verdict.
        figures: `champion` and `candidate` (values), `difference`, where they exist.
    """
    difference = figures.get("difference")
    tie = ruling.code in TIES
    ruling = _settled(ruling, difference, rules)
    evidence = Evidence(
        method="none",
        level=LEVEL,
        tolerance=0.0,
        equal_within=0.0,
        differing=0,
        rows_needed=0 if ruling.verdict != "inconclusive" else None,
        rows_digest=held.digest,
        seed=held.seed,
        notes=held.notes,
    )
    return Decision(
        ruling.verdict,
        ruling.code,
        wording.because(ruling.text),
        rules.name,
        figures.get("candidate"),
        figures.get("champion"),
        difference,
        (0.0, 0.0) if tie else None,
        held.n,
        evidence=evidence,
    )


TIES = frozenset({"same_predictions", "both_exact", "same_loss"})


def rows_needed(found: Findings, rules: Rules) -> int | None:
    """Further rows for a verdict: at least 1, and enough to have 20; None: no honest number."""
    interval = found.interval
    delta = interval.difference if rules.rule == "challenge" else found.tolerance
    total = rows_for(interval.sd, delta, LEVEL)
    return None if total is None else max(1, total - found.n, FEW_DIFFERENCES - found.n)


def _refresh(found: Findings, needed: int | None) -> Ruling:
    interval = found.interval
    if interval.upper < -found.equal_within:
        return _worse(found)
    if interval.lower < -found.tolerance:
        return _open(found, needed, challenge=False)
    if interval.method == "constant":
        return Ruling("promoted", "constant_difference", wording.constant(found))
    gained = interval.lower > 0 and not interval.gain_barred
    code = "better" if gained else "not_worse"
    return Ruling("promoted", code, wording.promoted(found, gained=gained))


def _challenge(found: Findings, rules: Rules, needed: int | None) -> Ruling:
    interval = found.interval
    if interval.upper < 0:
        return _worse(found)
    if interval.upper <= rules.min_gain:
        return Ruling("rejected", "no_gain", wording.no_gain(found, rules.min_gain))
    if interval.lower <= 0 or interval.gain_barred:
        return _open(found, needed, challenge=True)
    if interval.method == "constant":
        return Ruling("promoted", "constant_difference", wording.constant(found))
    return Ruling("promoted", "better", wording.promoted(found, gained=True))


def _worse(found: Findings) -> Ruling:
    if found.gap == 0:
        return Ruling("rejected", "champion_exact", _beside_exact(found))
    if found.interval.method == "constant":
        return Ruling("rejected", "constant_difference", wording.constant(found))
    return Ruling("rejected", "worse", wording.worse(found))


def _open(found: Findings, needed: int | None, *, challenge: bool) -> Ruling:
    text = wording.undecided(found, challenge=challenge, needed=needed)
    if found.gap == 0:
        return Ruling("inconclusive", "champion_exact", f"{_beside_exact(found)}. {wording.STAYS}")
    code = "undecided"
    if found.n < FEW_DIFFERENCES:
        code = "few_rows"
    elif found.differing <= (_FEW_PAIRS if found.metric.kind == "share" else FEW_DIFFERENCES - 1):
        code = "few_differences"
    if code != "undecided":
        text = f"{wording.few(found)}: {text}"
    return Ruling("inconclusive", code, text)


def _beside_exact(found: Findings) -> str:
    told = f"{found.metric.name} {wording.figure(found.candidate)}"
    if found.largest_error is not None:
        told = f"off by up to {wording.figure(found.largest_error)}"
    return f"the model in use is right on {wording.rows(found.n)}; the new one is {told}"


def _settled(ruling: Ruling, difference: float | None, rules: Rules) -> Ruling:
    """Apply the recipe's choice for cases in which the data cannot tell."""
    if ruling.verdict != "inconclusive" or rules.if_inconclusive == "keep":
        return ruling
    text = ruling.text.removesuffix(f" {wording.STAYS}").removesuffix(".")
    if rules.if_inconclusive == "reject":
        return Ruling("rejected", ruling.code, f"{text}; the gate rejects what is not decided")
    if rules.if_inconclusive == "promote":
        return Ruling("promoted", ruling.code, f"{text}; the gate promotes what is not decided")
    if rules.rule == "refresh" and difference is not None and difference >= 0:
        return Ruling("promoted", "lean", f"{text}; not shown, but it points upwards")
    return ruling
