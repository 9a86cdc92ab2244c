"""The comparison of the candidate with one other model on the same rows."""

from dataclasses import replace
from math import isfinite

import numpy as np

from everbake.core.gate import ties, wording
from everbake.core.gate.dependence import dependence_notes
from everbake.core.gate.drawing import Estimate
from everbake.core.gate.duel import (
    NEW,
    TWO_CLASS,
    ChampionError,
    Duel,
    facing,
    log_loss_duel,
    scored,
    untold_by,
)
from everbake.core.gate.estimates import estimate
from everbake.core.gate.findings import Findings, Margins
from everbake.core.gate.heldout import Array, HeldOut
from everbake.core.gate.looks import level_of
from everbake.core.gate.outcomes import (
    Outcome,
    even,
    few_groups,
    margins_of,
    too_large,
    undecided,
    unmeasured,
)
from everbake.core.gate.rules import Rules
from everbake.core.gate.scoring import is_composite
from everbake.core.gate.verdicts import Ruling, decide, rows_needed
from everbake.errors import UserCodeError
from everbake.statistics.bootstrap import UndefinedError
from everbake.statistics.clusters import TooFewGroupsError
from everbake.statistics.interval import Interval
from everbake.statistics.mean import FEW_DIFFERENCES

_FEW_PAIRS = 5  # right against wrong: fewer pairs than that cannot win McNemar's test
_BEYOND_DOUBT = 0.0010019  # both sides beyond z = 3.29
_SAME = 1e-9
_A_FEW_RESAMPLES = 200  # enough to see whether anything moves


def compare(held: HeldOut, rules: Rules) -> Outcome:
    """Compare the candidate with `held.champion`.

    Raises:
        UserCodeError: the metric raised, or has no finite value for the candidate.
        UsageError: the rows have weights, and the metric takes none.
    """
    pair = facing(held, rules)
    try:
        pair = scored(pair)
    except ChampionError as error:
        text = f"the model in use cannot be scored ({error}); the new one answers all"
        return Outcome(Ruling("promoted", "champion_broken", text), rules.name)
    except UserCodeError as error:
        reason = untold_by(error, rules.name, held.y, pair.after)
        if reason is None:
            raise
        same = ties.same_answers(pair, rules)
        if same is not None:
            return even(pair, rules, same)
        return unmeasured(pair, rules, undecided("one_class", reason, pair))
    return _paired(pair, rules)


def _paired(pair: Duel, rules: Rules) -> Outcome:
    settled = _settled(pair, rules)
    if settled is not None:
        return settled
    untold = ties.untold(pair)
    if untold is None:
        return _measured(pair, rules)
    other = log_loss_duel(pair) if pair.metric.kind in TWO_CLASS else None
    if other is None:
        return unmeasured(pair, rules, untold)
    return _by_log_loss(other, rules, untold)


def _settled(pair: Duel, rules: Rules) -> Outcome | None:
    """What needs no interval."""
    values = pair.values
    if values is not None and not isfinite(values[0]):
        text = f"{rules.name} has no finite value for the model in use"
        told = f"for the new one it is {wording.figure(values[1])}"
        ruling = Ruling("promoted", "champion_broken", f"{text}; {told}")
        return Outcome(ruling, rules.name, candidate=values[1])
    tie = ties.tie(pair, rules)
    if tie is not None:
        return even(pair, rules, tie)
    if not isfinite(pair.difference):
        return too_large(pair, rules)
    return even(pair, rules, ties.same_loss(pair, rules)) if _unmoved(pair) else None


def _unmoved(pair: Duel) -> bool:
    """Whether rows that are too few for an interval agree that nothing differs.

    Where there are enough of them, the interval itself tells.
    """
    few = pair.held.worth < ties.FEWEST or (pair.rarest or ties.RAREST) < ties.RAREST
    if not few or pair.losses is not None or pair.values is None:
        return False
    if abs(pair.difference) > _SAME * max(map(abs, pair.values)):
        return False
    try:
        interval = estimate(pair, _A_FEW_RESAMPLES).interval(pair.held.level)
    except (UndefinedError, TooFewGroupsError):
        return False
    return interval.difference == 0 and interval.sd == 0


def _by_log_loss(pair: Duel, rules: Rules, untold: Ruling) -> Outcome:
    """Decide by log loss and say why."""
    # a gain wanted in units of the other metric says nothing here
    rules = replace(rules, name="log_loss", better="lower", min_gain=0.0)
    outcome = _measured(pair, rules)
    why = untold.text.removesuffix(f" {wording.STAYS}").removesuffix(".")
    text = f"{why}, so log loss decides: {outcome.ruling.text}"
    return replace(outcome, ruling=replace(outcome.ruling, text=text))


def _measured(pair: Duel, rules: Rules) -> Outcome:
    few = ties.too_few(pair)
    if few is not None:
        return unmeasured(pair, rules, few)
    pair = _without_root_of_zero(pair)
    try:
        shown = estimate(pair)
        interval = shown.interval(pair.held.level)
    except UndefinedError:
        text = f"{rules.name} has no value on too many resamples of {wording.rows(pair.held.n)}"
        return unmeasured(pair, rules, undecided("undefined_resamples", text, pair))
    except TooFewGroupsError as error:
        return few_groups(pair, rules, error)
    if interval.difference == 0 and interval.sd == 0:
        return even(pair, rules, ties.same_loss(pair, rules))
    return _ruled(pair, shown, interval, rules)


def _ruled(pair: Duel, shown: Estimate, interval: Interval, rules: Rules) -> Outcome:
    """What the interval says."""
    if not all(map(isfinite, (interval.difference, interval.lower, interval.upper))):
        return too_large(pair, rules)
    found = _found(pair, rules, shown, interval)
    needed = rows_needed(found, rules)
    ruling = replace(decide(found, rules, needed), difference=interval.difference)
    return Outcome(
        ruling,
        found.metric.name,
        candidate=found.candidate,
        champion=found.champion,
        interval=found.interval,
        margins=found.margins,
        differing=found.differing,
        needed=needed if ruling.verdict == "inconclusive" else 0,
        surpasses=found.surpasses,
        notes=found.notes,
        duel=pair,
    )


def _found(pair: Duel, rules: Rules, shown: Estimate, interval: Interval) -> Findings:
    if pair.values is None:
        raise ValueError("a duel without values has no interval")
    held, (before, after) = pair.held, pair.values
    k = int(np.count_nonzero(pair.differing))
    few = few_differences(interval)
    if held.worth < FEW_DIFFERENCES or k <= few:
        interval = interval.barred()
    allowed = margins_of(pair, before, rules)
    losses = pair.losses
    rows_have_errors = losses is not None and pair.metric.scale != "none"
    return Findings(
        metric=pair.metric,
        n=held.n,
        worth=held.worth,
        champion=before,
        candidate=after,
        interval=interval,
        level=held.level,
        next_level=level_of(held.look + 1),
        differing=k,
        few=few,
        margins=allowed,
        largest_error=losses.largest_error if losses and rows_have_errors else None,
        surpasses=_surpasses(shown, interval, allowed),
        notes=(*_notes(pair), *dependence_notes(pair)),
    )


def few_differences(interval: Interval) -> int:
    """The number of differing rows at which no gain is claimed yet."""
    return _FEW_PAIRS if interval.method == "tango" else FEW_DIFFERENCES - 1


def _surpasses(shown: Estimate, interval: Interval, allowed: Margins) -> bool:
    if interval.gain_barred or interval.lower <= allowed.equal_within:
        return False
    sure = shown.interval(_BEYOND_DOUBT)
    return not sure.gain_barred and sure.lower > allowed.equal_within


def _without_root_of_zero(pair: Duel) -> Duel:
    """Decide on the squares where the root of one of both means is 0."""
    losses = pair.losses
    if pair.metric.kind != "root" or losses is None:
        return pair
    if np.any(losses.champion) and np.any(losses.candidate):
        return pair
    name = pair.metric.name.removeprefix("root_")
    return replace(pair, metric=replace(pair.metric, name=name, kind="mean")).revalued()


def _notes(pair: Duel) -> tuple[str, ...]:
    notes = pair.held.notes
    after, before = pair.after, pair.before
    if _constant(after) and not _constant(before):
        notes += (f"{NEW} gives the same answer on every row.",)
    if pair.metric.name == "log_loss":
        certain = [int(np.sum((p == 0) | (p == 1))) for p in (before, after)]
        if any(certain):
            counts = f"{certain[0]} of the model in use, {certain[1]} of the new one"
            notes += (f"probabilities of exactly 0 or 1 were clipped: {counts}.",)
    return notes


def _constant(answers: Array) -> bool:
    if is_composite(answers):
        return all(answer == answers[0] for answer in answers)
    return bool(np.all(answers == answers[0]))
