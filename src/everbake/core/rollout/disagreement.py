"""How a shadow differs from the champion: not whether it is better, which only labels say."""

import math

from everbake.core.decision import Check
from everbake.core.rollout.plan import Plan
from everbake.core.rollout.tally import Pairs
from everbake.statistics.running import Moments, paired
from everbake.statistics.sequential import rate_interval

_LEVEL = 0.05
_LEAST = 200  # requests of a segment
_SHOWN = 5


def disagreement(plan: Plan, pairs: Pairs) -> tuple[Check, ...]:
    """How often and where the two differ.

    Segments are ranked by the lower bound of their difference, never by the difference itself: in
    a small segment that is mostly chance.
    """
    if pairs.n == 0:
        return ()
    low, high = rate_interval(pairs.differing, pairs.n, _LEVEL)
    share = f"{pairs.differing / pairs.n:.2%} [{low:.2%}, {high:.2%}]"
    known = pairs.losses.n > 0
    end = "" if known else "; labels are needed to say which is right"
    checks = [Check("disagreement", "unknown", f"differs on {share} of {pairs.n} requests{end}")]
    if pairs.table:
        checks.append(Check("directions", "unknown", _directions(pairs)))
    if pairs.scores.n:
        checks.append(Check("scores", "unknown", _scores(pairs)))
    ranked = segments(plan, pairs)
    if ranked:
        told = "; ".join(
            f"{name}: {shift:+.3g} (at least {floor:.3g})" for name, shift, floor in ranked
        )
        checks.append(Check("segments", "unknown", f"shift in standard deviations, {told}"))
    return tuple(checks)


def segments(plan: Plan, pairs: Pairs) -> list[tuple[str, float, float]]:
    """Name, shift and the lower bound of its size, of the segments that differ most surely."""
    spread = plan.spread or math.sqrt(pairs.scores.variance)
    large = {name: found for name, found in pairs.segments.items() if found.n >= _LEAST}
    if not large or not spread > 0:
        return []
    ranked = [
        (name, found.mean / spread, _floor(found, _LEVEL / len(large)) / spread)
        for name, found in large.items()
    ]
    return sorted(ranked, key=lambda each: -each[2])[:_SHOWN]


def _floor(differences: Moments, alpha: float) -> float:
    """The smallest size of the mean difference that no look so far excludes."""
    low, high = paired(differences).interval(alpha)
    return 0.0 if low <= 0 <= high else min(abs(low), abs(high))


def _directions(pairs: Pairs) -> str:
    moves = [
        (count, before, after)
        for before, row in pairs.table.items()
        for after, count in row.items()
        if before != after
    ]
    told = [f"{before} -> {after}: {count}" for count, before, after in sorted(moves, reverse=True)]
    return "; ".join(told[: 2 * _SHOWN]) or "no decision differs"


def _scores(pairs: Pairs) -> str:
    ordered = sorted(pairs.sample)
    at = [ordered[min(len(ordered) - 1, int(q * len(ordered)))] for q in (0.05, 0.5, 0.95)]
    return (
        f"difference {pairs.scores.mean:+.4g} in the mean; 5 %, 50 % and 95 % quantiles "
        f"{at[0]:+.4g}, {at[1]:+.4g}, {at[2]:+.4g}"
    )
