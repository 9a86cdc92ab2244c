"""Segments: subgroups of the held-out rows that the candidate may not hurt.

"This segment is hurt" is one of K claims, so their probabilities are corrected (Holm 1979). "No
segment is worse" is one claim that every segment must carry (an intersection-union test, Berger
1982, Technometrics 24:295), so nothing is corrected there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite

import numpy as np

from everbake.core.decision import Segment, SegmentState
from everbake.core.gate import wording
from everbake.core.gate.dividing import Division, cross, divide
from everbake.core.gate.duel import Duel
from everbake.core.gate.estimates import estimate
from everbake.core.gate.findings import Margins
from everbake.core.gate.heldout import HeldOut, Indices
from everbake.core.gate.losses import value_of
from everbake.core.gate.outcomes import Outcome, margins_of
from everbake.core.gate.rules import Rules
from everbake.core.gate.ties import RAREST
from everbake.core.gate.verdicts import Ruling
from everbake.core.metrics import Metric
from everbake.errors import UserCodeError
from everbake.statistics.bootstrap import UndefinedError
from everbake.statistics.clusters import TooFewGroupsError
from everbake.statistics.interval import Interval
from everbake.statistics.mean import FEW_DIFFERENCES
from everbake.statistics.multiplicity import holm

HURT = 0.05
_FEWEST_DIFFERENCES = 6
_MOST_JUDGED = 1000  # levels of a column, the largest first
_MOST_DRAWN = 100  # where the metric needs resamples
_MOST_LISTED = 200  # segments in a record, the most doubtful first
_LONE = 10  # levels of a column that are too small are listed by name up to so many
_SMALL = 0.0001  # a probability below it is told as such
_SHORT = 2**16
_RESAMPLES = 500  # of a segment: its standard error to within 3 %
_FEWEST_RESAMPLES, _RESAMPLES_IN_ALL = 200, 10_000  # of many segments of a column


@dataclass(frozen=True)
class Judged:
    """One segment that there was enough of: figures only, for its rows may be many."""

    name: str
    n: int
    metric: Metric
    values: tuple[float, float]
    interval: Interval
    margins: Margins
    p: float

    @property
    def amounts(self) -> wording.Amounts:
        """The words for differences within the segment."""
        return wording.Amounts(self.metric.better, self.metric.best, self.margins.gap)


Reading = Judged | Segment


def judged_segments(
    held: HeldOut, outcome: Outcome, rules: Rules
) -> tuple[tuple[Segment, ...], Ruling | None]:
    """Every segment, and what they say together; None where nothing speaks against the candidate.

    Where no interval was made of all rows, none is made of some.
    """
    pair = outcome.duel
    if pair is None or not rules.segments:
        return (), None
    readings = [each for declared in rules.segments for each in _read(declared, held, pair, rules)]
    judged = [each for each in readings if isinstance(each, Judged)]
    p = holm([each.p for each in judged]).tolist() if judged else []
    told = [_told(each, adjusted, rules) for each, adjusted in zip(judged, p, strict=True)]
    ruling = _ruling(told, judged)
    told.sort(key=lambda each: (each.state == "ok", each.p))
    unknown = [each for each in readings if isinstance(each, Segment)]
    return (*_listed(told), *unknown), ruling


def _read(
    declared: str | tuple[str, str], held: HeldOut, pair: Duel, rules: Rules
) -> Iterator[Reading]:
    names = (declared,) if isinstance(declared, str) else declared
    missing = [name for name in names if name not in held.segments]
    if missing:
        text = f"not judged: the rows have no column {missing[0]}."
        yield _unknown(", ".join(names), held.n, text)
        return
    divisions = [divide(name, held.segments[name]) for name in names]
    division = divisions[0] if len(divisions) == 1 else cross(divisions[0], divisions[1])
    yield from _levels(division, pair, rules)


def _levels(division: Division, pair: Duel, rules: Rules) -> Iterator[Reading]:
    """The levels that are large enough, then those that are not."""
    codes, count = division.codes, division.count
    sizes = np.bincount(codes, minlength=count)
    differing = np.bincount(codes, weights=pair.differing, minlength=count)
    enough = (sizes >= FEW_DIFFERENCES) & (differing >= _FEWEST_DIFFERENCES)
    large = np.flatnonzero(enough)
    quick = pair.losses is not None or pair.metric.kind == "ranking"
    most = _MOST_JUDGED if quick else _MOST_DRAWN
    ranked = large[np.argsort(-sizes[large], kind="stable")]
    short = codes.astype(np.uint16) if count <= _SHORT else codes  # sorted in one pass
    order, ends = np.argsort(short, kind="stable"), np.cumsum(sizes)
    resamples = max(_FEWEST_RESAMPLES, _RESAMPLES_IN_ALL // max(min(len(large), most), 1))
    for code in np.sort(ranked[:most]):
        index = order[ends[code] - sizes[code] : ends[code]]
        yield _judge(division.label(int(code)), pair, index, rules, min(resamples, _RESAMPLES))
    beyond = ranked[most:]
    if len(beyond):
        text = f"not judged: only the {most:,} largest are."
        name = f"{division.name}: {len(beyond):,} further values"
        yield _unknown(name, int(np.sum(sizes[beyond])), text)
    yield from _too_small(division, sizes, np.flatnonzero(~enough & (sizes > 0)))


def _too_small(division: Division, sizes: Indices, left: Indices) -> Iterator[Segment]:
    if len(left) <= _LONE:
        for code in left:
            n, alike = int(sizes[code]), " that tell the models apart"
            text = f"not judged: too few rows{alike if n >= FEW_DIFFERENCES else ''}."
            yield _unknown(division.label(int(code)), n, text)
        return
    text = f"not judged: too few rows in each of {len(left):,} values."
    yield _unknown(f"{division.name}: {len(left):,} values", int(np.sum(sizes[left])), text)


def _judge(name: str, pair: Duel, index: Indices, rules: Rules, most: int) -> Reading:
    part = pair.take(index)
    few = _too_few(part)
    if few is not None:
        return _unknown(name, len(index), f"not judged: too few {few}.")
    try:
        part = _with_values(part)
        shown = estimate(part, most)
        interval, p = shown.interval(part.held.level), shown.hurt()
    except TooFewGroupsError:
        return _unknown(name, len(index), "not judged: too few independent groups.")
    except (UndefinedError, UserCodeError):
        return _unknown(name, len(index), f"not judged: {rules.name} has no value there.")
    figures = (*(part.values or (inf,)), interval.difference, interval.lower, interval.upper)
    if part.values is None or not all(map(isfinite, figures)):
        return _unknown(name, len(index), f"not judged: {rules.name} has no value there.")
    allowed = margins_of(part, part.values[0], rules)
    return Judged(name, len(index), part.metric, part.values, interval, allowed, p)


def _too_few(part: Duel) -> str | None:
    """Of what a segment of 20 rows has too few all the same, or None."""
    if part.held.worth < FEW_DIFFERENCES:
        return "rows of enough weight"
    rare = part.rarest is not None and part.rarest < RAREST
    return "rows of one outcome" if rare else None


def _with_values(part: Duel) -> Duel:
    """The segment's duel with its values; on the losses where their mean has no root or scale."""
    losses, metric = part.losses, part.metric
    if losses is None or metric.kind not in {"root", "explained"}:
        return part.revalued()
    rootless = metric.kind == "root" and not (np.any(losses.champion) and np.any(losses.candidate))
    flat = not isfinite(value_of(metric, part.held.y, 1.0, part.held.weights))
    if rootless or flat:
        loss = replace(metric, name="mean_squared_error", kind="mean", better="lower", best=0.0)
        part = replace(part, metric=loss)
    return part.revalued()


def _told(each: Judged, adjusted: float, rules: Rules) -> Segment:
    """The segment as it is recorded."""
    interval, say = each.interval, each.amounts
    state: SegmentState = "ok"
    if adjusted <= HURT and interval.difference < 0:
        state = "hurt"
    elif rules.all_must_pass and interval.lower < -each.margins.tolerance:
        state = "open"
    ends = f"{say.told(interval.lower)} and {say.told(interval.upper)}"
    before, after = each.values
    return Segment(
        name=each.name,
        n=each.n,
        candidate=after,
        champion=before,
        difference=interval.difference,
        interval=(interval.lower, interval.upper),
        p=adjusted,
        state=state,
        detail=f"{say.told(interval.difference)}, between {ends}.",
    )


def _ruling(told: Sequence[Segment], judged: Sequence[Judged]) -> Ruling | None:
    """What the segments say: one is hurt, or (where all must pass) one is open."""
    pairs = list(zip(told, judged, strict=True))
    hurt = [pair for pair in pairs if pair[0].state == "hurt"]
    if hurt:
        segment, each = min(hurt, key=lambda pair: (pair[0].p, pair[0].difference))
        known = f"{_chance(segment.p or 0.0)} after correction for {_segments(len(told))}"
        text = f"{_gets(segment, each)} ({known}){_others(len(hurt) - 1, 'hurt')}"
        return Ruling("rejected", "segment_hurt", text, segment.difference)
    open_ = [pair for pair in pairs if pair[0].state == "open"]
    if not open_:
        return None
    segment, each = min(open_, key=lambda pair: pair[0].difference or 0.0)
    lost = f"a loss of more than {each.amounts.size(each.margins.tolerance)} cannot be ruled out"
    where = f"in segment {segment.name} ({wording.row_count(segment.n)}) {lost}"
    text = f"all segments must pass, and {where}{_others(len(open_) - 1, 'open')}"
    return Ruling("inconclusive", "segment_open", f"{text}. {wording.STAYS}", segment.difference)


def _gets(segment: Segment, each: Judged) -> str:
    size = each.amounts.size(each.interval.difference)
    return f"segment {segment.name} gets worse by {size} on {segment.n} rows"


def _chance(p: float) -> str:
    return f"p = {p:.2g}" if p >= _SMALL else f"p < {_SMALL}"


def _segments(count: int) -> str:
    return "1 segment" if count == 1 else f"{count} segments"


def _others(count: int, what: str) -> str:
    return f"; {_segments(count)} more {'is' if count == 1 else 'are'} {what}" if count else ""


def _listed(told: Sequence[Segment]) -> Iterator[Segment]:
    """All of them up to a bound, then one entry for the rest, which are the least doubtful."""
    yield from told[:_MOST_LISTED]
    rest = told[_MOST_LISTED:]
    if rest:
        worst = "none of them is hurt" if all(r.state == "ok" for r in rest) else "see the verdict"
        text = f"judged and not listed: {worst}."
        name = f"{len(rest):,} further segments"
        n = sum(each.n for each in rest)
        state: SegmentState = "ok" if worst.startswith("none") else "hurt"
        yield Segment(name, n, None, None, None, None, None, state, text)


def _unknown(name: str, n: int, detail: str) -> Segment:
    return Segment(name, n, None, None, None, None, None, "unknown", detail)
