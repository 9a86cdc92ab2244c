"""Figures and verdicts in words. A sentence begins with "Because" and holds the case's figures."""

from math import floor, isfinite, log10

from everbake.core.gate.findings import Findings
from everbake.statistics.mean import FEW_DIFFERENCES

STAYS = "The model in use stays."
_MOST_DIGITS = 12
_TENTHS = 10.0
_WHOLE = 100.0


def because(text: str) -> str:
    """`text` as a sentence that begins with "Because"."""
    return f"Because {text}" if text.endswith(".") else f"Because {text}."


def figure(value: float) -> str:
    """A figure with four digits."""
    return f"{value:.4g}"


def figures(first: float, second: float) -> tuple[str, str]:
    """Two figures with as many digits as it takes to tell them apart."""
    for digits in range(4, 12):
        pair = f"{first:.{digits}g}", f"{second:.{digits}g}"
        if pair[0] != pair[1]:
            return pair
    return figure(first), figure(second)


def rough(value: float) -> str:
    """A figure with one or two digits, as for an error of rounding."""
    return f"{value:.1g}"


def rows(n: int) -> str:
    """As in "the one held-out row" and "all 12 held-out rows"."""
    return "the one held-out row" if n == 1 else f"all {n} held-out rows"


def row_count(n: int) -> str:
    """As in "1 held-out row" and "12 held-out rows"."""
    return "1 held-out row" if n == 1 else f"{n} held-out rows"


def more(count: int) -> str:
    """As in "1 more row" and "3 more rows"."""
    return "1 more row" if count == 1 else f"{count} more rows"


def sure(level: float) -> str:
    """As in "95 % sure": never more than the interval of that error is."""
    for digits in range(3, _MOST_DIGITS):
        told = f"{_WHOLE * (1 - level):.{digits}g}"
        if told != "100":
            return f"{told} % sure"
    return "sure"


class Amounts:
    """Words for improvements: percent of a loss, else units of the metric.

    A percentage of a score such as accuracy says little near its best value, so scores are told in
    their own units.
    """

    def __init__(self, better: str, best: float, gap: float) -> None:
        self.percent = better == "lower" and gap > 0 and (best == 0 or not isfinite(best))
        self.gap = gap

    def size(self, amount: float) -> str:
        """The amount without its direction."""
        return f"{_percent(100 * abs(amount) / self.gap)} %" if self.percent else _unit(abs(amount))

    def told(self, amount: float) -> str:
        """The amount with its direction, "3.2 % better"."""
        if amount == 0:
            return "equal"
        return f"{self.size(amount)} {'better' if amount > 0 else 'worse'}"


def amounts(found: Findings) -> Amounts:
    """The words for the amounts of `found`."""
    return Amounts(found.metric.better, found.metric.best, found.margins.gap)


def both_values(found: Findings) -> str:
    """As in "on 400 held-out rows the new model's log_loss is 0.31 against 0.32"."""
    new, old = figures(found.candidate, found.champion)
    rows_text = row_count(found.n)
    return f"on {rows_text} the new model's {found.metric.name} is {new} against {old}"


def promoted(found: Findings, *, gained: bool) -> str:
    """A promotion: what was gained, or which loss is ruled out."""
    say, interval = amounts(found), found.interval
    told = say.told(interval.difference)
    if gained:
        least = f"at least {say.size(interval.lower)} ({sure(found.level)})"
        return f"{both_values(found)}: {told}, {least}"
    ruled = f"a loss of more than {say.size(found.margins.tolerance)} is ruled out"
    return f"{both_values(found)}: {told} ({between(found)}); {ruled}"


def between(found: Findings) -> str:
    """Both ends of the interval, and how sure they are."""
    say, interval = amounts(found), found.interval
    ends = f"between {say.told(interval.lower)} and {say.told(interval.upper)}"
    return f"{sure(found.level)}: {ends}"


def worse(found: Findings) -> str:
    """A rejection because the candidate is worse."""
    say, interval = amounts(found), found.interval
    told, least = say.told(interval.difference), say.size(interval.upper)
    return f"{both_values(found)}: {told} ({sure(found.level)}: at least {least})"


def no_gain(found: Findings, min_gain: float) -> str:
    """A challenge that cannot gain enough."""
    say = amounts(found)
    wanted = f"a gain of more than {say.size(min_gain)}" if min_gain else "a gain"
    told = say.told(found.interval.difference)
    return f"{both_values(found)}: {told} ({between(found)}); {wanted} is ruled out"


def constant(found: Findings) -> str:
    """The same difference on every row."""
    told = amounts(found).told(found.interval.difference)
    return f"{both_values(found)}: on every row the new model is {told}"


def undecided(found: Findings, *, challenge: bool, needed: int | None) -> str:
    """An inconclusive comparison, and how many rows would settle it."""
    say, interval = amounts(found), found.interval
    told = say.told(interval.difference)
    ends = f"{say.told(interval.lower)} and {say.told(interval.upper)}"
    lost = f"a loss of more than {say.size(found.margins.tolerance)} cannot be ruled out"
    open_ = "a gain is not shown" if challenge else lost
    text = f"{both_values(found)}: {told}, but anything between {ends} is possible, so {open_}"
    return f"{text}; {_needs(found, needed, challenge=challenge)}. {STAYS}"


def worth(n: int, equal: float) -> str:
    """What `n` rows of unequal weight come to."""
    return f"the {row_count(n)} are worth only {equal:.2g} of equal weight"


def few(found: Findings) -> str:
    """The clause that tells how little there is to go by."""
    if found.worth < min(found.n, FEW_DIFFERENCES):
        return worth(found.n, found.worth)
    rows_text = "row tells" if found.differing == 1 else "rows tell"
    return f"only {found.differing} of {found.n} {rows_text} the two models apart"


def _needs(found: Findings, needed: int | None, *, challenge: bool) -> str:
    if needed is None:
        if challenge:
            return "the data so far do not point to a gain"
        return "no number of rows can be named that would settle it"
    if needed > _WHOLE * found.n:
        far = "that would take far more rows than there are"
        softer = "log loss or " if found.metric.kind in {"share", "ranking", "classes"} else ""
        return f"{far}; consider {softer}a wider tolerance"
    verb = "is" if needed == 1 else "are"
    return f"about {_two_digits(needed, 'row')} {verb} needed"


def _two_digits(count: int, noun: str) -> str:
    step = 10 ** max(0, floor(log10(count)) - 1)
    rounded = -(-count // step) * step
    return f"{rounded} more {noun}" if rounded == 1 else f"{rounded} more {noun}s"


def _unit(value: float) -> str:
    return f"{value:.2g}" if value < _WHOLE else f"{value:.0f}"


def _percent(value: float) -> str:
    if value >= _WHOLE:
        return f"{value:.0f}"
    return f"{value:.1f}".removesuffix(".0") if value >= _TENTHS else f"{value:.2g}"
