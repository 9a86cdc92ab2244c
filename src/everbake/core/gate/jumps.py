"""Whether a gain is too good to be true, and the column that would explain it.

Learning from more rows shrinks what can still be learned in proportion to 1/n at best, and never
what is chance. So a candidate that has not even twice the champion's rows cannot halve the
distance to the best value by learning alone; nor can a change of the world explain it where no
model has ever come that close. What is left is another recipe, or a column that gives the answer
away. So the columns are named that the champion did without, or that tell another share of the
label by themselves than when it was trained; a person must look.
"""

from math import inf, isfinite

from everbake.core.decision import Check, Decision
from everbake.core.gate.answers import effective
from everbake.core.gate.rules import Rules
from everbake.core.gate.wording import figure
from everbake.core.work import Precedent

_LEFT = 0.5  # share of the distance to the best value that learning cannot undercut
_CHANGED = 0.1  # share of the label by which what a column tells must have changed to be named
_NAMED = 3  # columns at most


def jump_check(decision: Decision, rules: Rules, precedent: Precedent) -> Check | None:
    """A `warn` that names the suspect columns; None where there is no jump."""
    if precedent.doubled or decision.metric != rules.name or decision.interval is None:
        return None
    now = _distance(decision.candidate, rules)
    before = min(_distance(value, rules) for value in (decision.champion, precedent.value))
    if not isfinite(before) or now > _LEFT * before or decision.interval[0] <= 0:
        return None
    suspects = _suspects(precedent)
    if suspects is None:
        return None
    names, why = suspects
    detail = (
        f"{decision.metric} jumps from {figure(decision.champion or 0.0)} to "
        f"{figure(decision.candidate or 0.0)}, further than more rows can explain: {why}"
    )
    return Check("jump", "warn", detail, names)


def _distance(value: float | None, rules: Rules) -> float:
    """From the best value; infinite where that is not known."""
    if value is None:
        return inf
    best = effective(rules).best
    if not isfinite(best):  # of a stranger, only that a loss of 0 is the best is likely
        best = 0.0 if rules.better == "lower" else inf
    gap = value - best if rules.better == "lower" else best - value
    return gap if isfinite(gap) and gap >= 0 else inf


def _suspects(precedent: Precedent) -> tuple[tuple[str, ...], str] | None:
    """The columns to look at, and why these; None where the recipe alone can be the reason."""
    new = [each for each in precedent.told if each.column in precedent.new]
    if new or precedent.new:
        listed = [f"{each.column} (tells {_percent(each.share)} alone)" for each in new[:_NAMED]]
        names = tuple(each.column for each in new[:_NAMED]) or precedent.new[:_NAMED]
        return names, f"new to the model: {', '.join(listed or names)}"
    changed = sorted(precedent.told, key=lambda each: -each.change)[:_NAMED]
    changed = [each for each in changed if each.change >= _CHANGED]
    if changed:
        listed = [
            f"{each.column} ({_percent(each.before)} before, {_percent(each.since)} since)"
            for each in changed
        ]
        why = f"other shares are told alone than before: {', '.join(listed)}"
        return tuple(each.column for each in changed), why
    if precedent.edited:
        return None
    names = tuple(each.column for each in precedent.told[:1])
    strongest = f"; {names[0]} tells the most alone" if names else ""
    return names, f"no column is new or tells another share than before{strongest}"


def _percent(share: float | None) -> str:
    return f"{max(0.0, 100 * (share or 0.0)):.0f} %"
