"""What a comparison says, where it ends without an interval as well as where it has one."""

from dataclasses import dataclass, replace

import numpy as np

from everbake.core.gate import wording
from everbake.core.gate.duel import Duel
from everbake.core.gate.findings import NO_MARGINS, Margins, margins
from everbake.core.gate.rules import Rules
from everbake.core.gate.verdicts import Ruling
from everbake.statistics.clusters import FEWEST_GROUPS, TooFewGroupsError
from everbake.statistics.interval import Interval


@dataclass(frozen=True)
class Outcome:
    """What a comparison says, and the figures of which it says it.

    Attributes:
        ruling: verdict, code and sentence.
        metric: the name of the metric that decided.
        candidate: the candidate's value, None where there is none.
        champion: the other model's value.
        interval: of the difference; None where none was made.
        margins: what counts as a loss.
        differing: rows that tell the two models apart.
        needed: further rows for a verdict; None: no honest number.
        surpasses: whether the candidate is better by more than w beyond any doubt.
        notes: sentences that did not decide.
        duel: the scored models, where an interval was made.
    """

    ruling: Ruling
    metric: str
    candidate: float | None = None
    champion: float | None = None
    interval: Interval | None = None
    margins: Margins = NO_MARGINS
    differing: int = 0
    needed: int | None = None
    surpasses: bool = False
    notes: tuple[str, ...] = ()
    duel: Duel | None = None


def even(pair: Duel, rules: Rules, ruling: Ruling) -> Outcome:
    """Nothing tells the two models apart."""
    held = pair.held
    before, after = pair.values or (None, None)
    return Outcome(
        replace(ruling, difference=0.0),
        pair.metric.name,
        candidate=after,
        champion=before,
        interval=Interval(0.0, 0.0, 0.0, "none", 0.0),
        margins=NO_MARGINS if before is None else margins_of(pair, before, rules),
        needed=None if ruling.verdict == "inconclusive" else 0,
        notes=held.notes,
    )


def unmeasured(pair: Duel, rules: Rules, ruling: Ruling) -> Outcome:
    """There is no interval."""
    before, after = pair.values or (None, None)
    return Outcome(
        ruling,
        rules.name,
        candidate=after,
        champion=before,
        margins=NO_MARGINS if before is None else margins_of(pair, before, rules),
        differing=int(np.count_nonzero(pair.differing)),
        notes=pair.held.notes,
    )


def too_large(pair: Duel, rules: Rules) -> Outcome:
    """The figures are finite, and what is made of them is not."""
    text = f"the figures on {wording.rows(pair.held.n)} are too large for an interval"
    return unmeasured(pair, rules, Ruling("inconclusive", "not_finite", f"{text}. {wording.STAYS}"))


def undecided(code: str, text: str, pair: Duel) -> Ruling:
    """The ruling where the rows cannot tell, for a reason of their own."""
    difference = None if pair.values is None else pair.difference
    return Ruling("inconclusive", code, f"{text}. {wording.STAYS}", difference)


def few_groups(pair: Duel, rules: Rules, error: TooFewGroupsError) -> Outcome:
    """The rows are worth too few groups."""
    worth = f"{error.effective:.2g}"
    groups = "group" if worth == "1" else "groups of equal size"
    told = f"the {wording.row_count(pair.held.n)} are worth only {worth} independent {groups}"
    text = f"{told}; at least {FEWEST_GROUPS} are needed to judge"
    return unmeasured(pair, rules, undecided("few_groups", text, pair))


def margins_of(pair: Duel, before: float, rules: Rules) -> Margins:
    """What counts as a loss beside a champion of the value `before`."""
    losses = pair.losses
    exact = losses is not None and not np.any(losses.champion)
    return margins(pair.metric, pair.metric.best if exact else before, rules)
