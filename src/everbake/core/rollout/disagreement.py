"""How a shadow's answers differ from the champion's. Different is not worse: labels tell that."""

from dataclasses import dataclass

from everbake.core.decision import Check
from everbake.core.rollout.findings import bounds, count, percent, share_bounds
from everbake.core.rollout.plan import Plan
from everbake.core.rollout.tally import MOST_SEGMENTS, Shadow
from everbake.statistics.running import Moments, two_sided
from everbake.statistics.sequential import rate_interval

LEVEL = 0.05
_LEAST_ROWS = 200
_SHOWN = 5
_QUANTILES = (0.05, 0.5, 0.95)


@dataclass(frozen=True)
class SegmentShift:
    """The mean difference of the scores in one segment, in sd of the champion's scores.

    `at_least` is the lower bound of its size, 0 where the interval covers 0.
    """

    name: str
    n: int
    shift: float
    interval: tuple[float, float]
    at_least: float


def disagreement(plan: Plan, shadow: Shadow) -> tuple[Check, ...]:
    """The rows of the report."""
    rows = [_share(shadow)]
    if shadow.directions:
        rows.append(Check("directions", "unknown", _directions(shadow)))
    if shadow.differences.n:
        rows.append(Check("scores", "unknown", _scores(plan, shadow)))
    ranked = segment_shifts(plan, shadow)
    if ranked:
        rows.append(_segments(ranked))
    return tuple(rows)


def segment_shifts(plan: Plan, shadow: Shadow) -> tuple[SegmentShift, ...]:
    """Segments of enough requests, ranked by the lower bound of the size of their shift.

    Never by the shift itself: among many segments the largest observed one is as a rule a small
    segment's noise. All intervals hold at once, each at alpha over the number of segments.
    """
    scale = plan.score_sd or 1.0
    alpha = LEVEL / (len(plan.segments) or MOST_SEGMENTS)
    shifts = [
        _shift(name, kept, scale, alpha)
        for name, kept in shadow.segments
        if kept.n >= _LEAST_ROWS and (name in plan.segments or not plan.segments)
    ]
    return tuple(sorted(shifts, key=lambda s: (-s.at_least, -s.n, s.name)))


def _shift(name: str, kept: Moments, scale: float, alpha: float) -> SegmentShift:
    half = two_sided(kept.n, alpha) * (kept.variance / kept.n) ** 0.5
    low, high = (kept.mean - half) / scale, (kept.mean + half) / scale
    return SegmentShift(name, kept.n, kept.mean / scale, (low, high), max(low, -high, 0.0))


def _share(shadow: Shadow) -> Check:
    n, k = shadow.answered, shadow.differing
    rate = percent(k / n) if n else "an unknown share"
    interval = share_bounds(rate_interval(k, n, LEVEL))
    detail = f"differs on {rate} {interval} of {count(n)} requests"
    return Check("disagreement", "unknown", f"{detail}; labels needed to say which is right")


def _directions(shadow: Shadow) -> str:
    moved = [row for row in shadow.directions if row[0] != row[1]]
    moved.sort(key=lambda row: (-row[2], row))
    told = [f"{old} to {new}: {count(n)}" for old, new, n in moved[:_SHOWN]]
    more = len(moved) - len(told)
    if more > 0:
        told.append(f"{more} further directions")
    return "; ".join(told) if told else "all decisions are the same"


def _scores(plan: Plan, shadow: Shadow) -> str:
    quantiles = [shadow.spread.quantile(q) or 0.0 for q in _QUANTILES]
    low, middle, high = (f"{value:.3g}" for value in quantiles)
    mean = shadow.differences.mean
    told = f"canary minus champion: mean {mean:.3g}, 5/50/95 % quantiles {low} / {middle} / {high}"
    if plan.score_sd is None:
        return told
    return f"{told}; the champion's scores have a standard deviation of {plan.score_sd:.3g}"


def _segments(ranked: tuple[SegmentShift, ...]) -> Check:
    certain = [shift for shift in ranked if shift.at_least > 0]
    if not certain:
        return Check("segments", "pass", f"no shift is certain in any of {len(ranked)} segments")
    told = [
        f"{shift.name}: {shift.shift:.3g} sd {bounds(shift.interval)} on {count(shift.n)} requests"
        for shift in certain[:_SHOWN]
    ]
    return Check("segments", "warn", "; ".join(told))
