"""The rules: from figures to a verdict with its code and its sentence."""

from dataclasses import dataclass
from math import ceil, isfinite

from everbake.core.decision import Verdict
from everbake.core.gate import wording
from everbake.core.gate.findings import Findings
from everbake.core.gate.rules import Rules
from everbake.statistics.mean import FEW_DIFFERENCES
from everbake.statistics.power import rows_for

TIES = frozenset({"same_predictions", "both_exact", "same_loss"})


@dataclass(frozen=True)
class Ruling:
    """What one part of a judgement says, before it is written down.

    Attributes:
        verdict: of this part alone.
        code: the machine-readable reason.
        text: the reason in words, without "Because".
        difference: what was observed; > 0: the candidate is better.
    """

    verdict: Verdict
    code: str
    text: str
    difference: float | None = None


def decide(found: Findings, rules: Rules, needed: int | None) -> Ruling:
    """Apply the rule of the recipe to what was found."""
    if rules.rule == "challenge":
        return _challenge(found, rules, needed)
    return _refresh(found, needed)


def rows_needed(found: Findings, rules: Rules) -> int | None:
    """Further rows for a verdict; None: no honest number.

    At least 1, and enough to have 20, of which as many tell the models apart as a claim needs.
    """
    interval, k = found.interval, max(found.differing, 1)
    delta = interval.difference if rules.rule == "challenge" else found.margins.tolerance
    total = rows_for(interval.sd, delta, found.next_level)
    if total is None:
        return None
    telling = ceil((found.few + 1) * found.n / k) if k <= found.few else 0
    return max(1, max(total, telling, FEW_DIFFERENCES) - found.n)


def _refresh(found: Findings, needed: int | None) -> Ruling:
    interval = found.interval
    if interval.upper < -found.margins.equal_within:
        return _worse(found)
    if interval.lower < -found.margins.tolerance:
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
    if _exact(found):
        return Ruling("rejected", "champion_exact", _beside_exact(found))
    if found.interval.method == "constant":
        return Ruling("rejected", "constant_difference", wording.constant(found))
    return Ruling("rejected", "worse", wording.worse(found))


def _open(found: Findings, needed: int | None, *, challenge: bool) -> Ruling:
    text = wording.undecided(found, challenge=challenge, needed=needed)
    if _exact(found):
        return Ruling("inconclusive", "champion_exact", f"{_beside_exact(found)}. {wording.STAYS}")
    code = "undecided"
    if found.worth < FEW_DIFFERENCES:
        code = "few_rows"
    elif found.differing <= found.few:
        code = "few_differences"
    if code != "undecided":
        text = f"{wording.few(found)}: {text}"
    return Ruling("inconclusive", code, text)


def _exact(found: Findings) -> bool:
    """Whether the champion has the best value that there is."""
    return found.margins.gap == 0 and isfinite(found.metric.best)


def _beside_exact(found: Findings) -> str:
    told = f"{found.metric.name} {wording.figure(found.candidate)}"
    if found.largest_error is not None:
        told = f"off by up to {wording.figure(found.largest_error)}"
    return f"the model in use is right on {wording.rows(found.n)}; the new one is {told}"
