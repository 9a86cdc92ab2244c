"""What is counted during a rollout: small, mergeable, the same in whatever order it came.

Which unit an event belongs to is not known here. A user who is always served by the same model
counts once, with the first event only: the caller remembers who was counted, and passes on no
more. The same holds for retries (part of their first request), requests that have not finished
(counted once they finish, or as a failure when they time out), health checks (never counted) and
labels younger than the plan's maturity (not passed on yet, in either arm). An answer that is not
a finite number is an error of its model; its loss and its difference are left out.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from itertools import zip_longest
from math import isfinite

from everbake.statistics.running import Moments, moments
from everbake.statistics.sketch import Sketch, sketch

MOST_SEGMENTS = 50
MOST_CLASSES = 20
OTHER = "(other)"
_APART = 0.1  # of the champion's sd: scores further apart count as different

Directions = tuple[tuple[str, str, int], ...]


@dataclass(frozen=True)
class Served:
    """A request that finished: its stage, its arm, and what became of it.

    `moved`: its user was counted for the other arm before, from which a growing share took it.
    """

    stage: int
    canary: bool
    error: bool = False
    over_budget: bool = False
    moved: bool = False


@dataclass(frozen=True)
class Matured:
    """A request whose label has matured: its stage, its arm and its (clipped) loss."""

    stage: int
    canary: bool
    loss: float


@dataclass(frozen=True)
class Pair:
    """A request that both models answered.

    Attributes:
        champion: the champion's decision; None for scores.
        canary: the shadow's.
        difference: the shadow's score minus the champion's; None for decisions without a score.
        segments: names of those that the request belongs to.
        champion_failed: the champion gave an error.
        canary_failed: the shadow gave an error. A failure has no difference and no direction.
    """

    champion: str | None = None
    canary: str | None = None
    difference: float | None = None
    segments: tuple[str, ...] = ()
    champion_failed: bool = False
    canary_failed: bool = False

    def differs(self, score_sd: float | None) -> bool:
        """Whether the two answers are different ones."""
        if self.champion is not None or self.difference is None:
            return self.champion != self.canary
        return not abs(self.difference) <= _APART * (score_sd or 0.0)  # so is one that is NaN

    @property
    def gap(self) -> float | None:
        """The difference of the scores, if both of them are finite."""
        known = self.difference is not None and isfinite(self.difference)
        return self.difference if known else None


@dataclass(frozen=True)
class Arm:
    """One model in one stage: units seen, events among them, losses of matured labels.

    `wrong` counts losses above 0, the events of a loss of 0 or 1; `moved` the units that an
    earlier stage has assigned to the other model.
    """

    units: int = 0
    errors: int = 0
    over_budget: int = 0
    wrong: int = 0
    losses: Moments = field(default_factory=Moments)
    moved: int = 0

    def merge(self, other: "Arm") -> "Arm":
        """The counts of both."""
        return Arm(
            self.units + other.units,
            self.errors + other.errors,
            self.over_budget + other.over_budget,
            self.wrong + other.wrong,
            self.losses.merge(other.losses),
            self.moved + other.moved,
        )


@dataclass(frozen=True)
class StageTally:
    """Both arms of one stage."""

    canary: Arm = Arm()
    champion: Arm = Arm()

    def merge(self, other: "StageTally") -> "StageTally":
        """The counts of both."""
        return StageTally(self.canary.merge(other.canary), self.champion.merge(other.champion))


@dataclass(frozen=True)
class Discordant:
    """Pairs on which only one of two models did badly."""

    canary: int = 0
    champion: int = 0

    def merge(self, other: "Discordant") -> "Discordant":
        """The counts of both."""
        return Discordant(self.canary + other.canary, self.champion + other.champion)


@dataclass(frozen=True)
class Shadow:
    """Requests that both models answered.

    Attributes:
        pairs: all of them.
        answered: those on which neither failed.
        failed: errors of one model alone.
        differing: answered pairs with different answers.
        directions: champion's class, shadow's class, count; of the most frequent classes.
        differences: of the scores.
        spread: the same, for quantiles.
        segments: differences of the scores by segment.
        losses: differences of the losses of matured labels.
        wrong: labels on which one model alone has the higher loss.
    """

    pairs: int = 0
    answered: int = 0
    failed: Discordant = Discordant()
    differing: int = 0
    directions: Directions = ()
    differences: Moments = field(default_factory=Moments)
    spread: Sketch = field(default_factory=Sketch)
    segments: tuple[tuple[str, Moments], ...] = ()
    losses: Moments = field(default_factory=Moments)
    wrong: Discordant = Discordant()

    def merge(self, other: "Shadow") -> "Shadow":
        """The counts of both."""
        return Shadow(
            self.pairs + other.pairs,
            self.answered + other.answered,
            self.failed.merge(other.failed),
            self.differing + other.differing,
            _directions([*self.directions, *other.directions]),
            self.differences.merge(other.differences),
            self.spread.merge(other.spread),
            _segments([*self.segments, *other.segments]),
            self.losses.merge(other.losses),
            self.wrong.merge(other.wrong),
        )


@dataclass(frozen=True)
class Tally:
    """All that was counted: of a canary by stage, of a shadow as a whole."""

    stages: tuple[StageTally, ...] = ()
    shadow: Shadow = field(default_factory=Shadow)

    def merge(self, other: "Tally") -> "Tally":
        """The counts of both."""
        both = zip_longest(self.stages, other.stages, fillvalue=StageTally())
        return Tally(tuple(a.merge(b) for a, b in both), self.shadow.merge(other.shadow))


def tally_requests(rows: Iterable[Served]) -> Tally:
    """Count finished requests of a canary."""
    counts: Counter[tuple[int, bool, str]] = Counter()
    for row in rows:
        arm = row.stage, row.canary
        counts[*arm, "units"] += 1
        counts[*arm, "errors"] += row.error
        counts[*arm, "over_budget"] += row.over_budget
        counts[*arm, "moved"] += row.moved
    arms: dict[tuple[int, bool], Arm] = {}
    for stage, canary in {(stage, canary) for stage, canary, _ in counts}:
        arm = stage, canary
        seen = [counts[*arm, name] for name in ("units", "errors", "over_budget")]
        arms[arm] = Arm(seen[0], seen[1], seen[2], moved=counts[*arm, "moved"])
    return _of_arms(arms)


def tally_events(rows: Iterable[Served]) -> Tally:
    """Count the first failure and the first slow answer of units that were counted before."""
    seen = tally_requests(rows)
    stages = (
        StageTally(replace(stage.canary, units=0), replace(stage.champion, units=0))
        for stage in seen.stages
    )
    return Tally(tuple(stages))


def tally_losses(rows: Iterable[Matured]) -> Tally:
    """Count matured labels of a canary; their requests were counted when they finished."""
    losses: dict[tuple[int, bool], list[float]] = {}
    for row in rows:
        if isfinite(row.loss):
            losses.setdefault((row.stage, row.canary), []).append(row.loss)
    return _of_arms(
        {
            arm: Arm(wrong=sum(loss > 0 for loss in kept), losses=moments(kept))
            for arm, kept in losses.items()
        }
    )


def tally_pairs(rows: Iterable[Pair], score_sd: float | None = None) -> Tally:
    """Count requests that champion and shadow answered; `score_sd` as in the plan."""
    pairs = list(rows)
    whole = [row for row in pairs if not (row.champion_failed or row.canary_failed)]
    gaps = [row.gap for row in whole if row.gap is not None]
    decided = Counter((row.champion or "", row.canary or "") for row in whole if _decided(row))
    by_segment: dict[str, list[float]] = {}
    for row in whole:
        if row.gap is not None:
            for name in row.segments:
                by_segment.setdefault(name, []).append(row.gap)
    shadow = Shadow(
        pairs=len(pairs),
        answered=len(whole),
        failed=Discordant(
            sum(row.canary_failed and not row.champion_failed for row in pairs),
            sum(row.champion_failed and not row.canary_failed for row in pairs),
        ),
        differing=sum(row.differs(score_sd) for row in whole),
        directions=_directions([(old, new, n) for (old, new), n in decided.items()]),
        differences=moments(gaps),
        spread=sketch(gaps),
        segments=_segments([(name, moments(kept)) for name, kept in by_segment.items()]),
    )
    return Tally(shadow=shadow)


def tally_paired_losses(rows: Iterable[tuple[float, float]]) -> Tally:
    """Count matured labels of a shadow: the champion's and the shadow's (clipped) loss."""
    gaps = [canary - champion for champion, canary in rows]
    gaps = [gap for gap in gaps if isfinite(gap)]
    wrong = Discordant(sum(gap > 0 for gap in gaps), sum(gap < 0 for gap in gaps))
    return Tally(shadow=Shadow(losses=moments(gaps), wrong=wrong))


def _decided(row: Pair) -> bool:
    return row.champion is not None or row.canary is not None


def _of_arms(arms: Mapping[tuple[int, bool], Arm]) -> Tally:
    last = max((stage for stage, _ in arms), default=-1)
    stages = (
        StageTally(arms.get((stage, True), Arm()), arms.get((stage, False), Arm()))
        for stage in range(last + 1)
    )
    return Tally(tuple(stages))


def _directions(counted: list[tuple[str, str, int]]) -> Directions:
    """Sum by pair of classes; those beyond the most frequent ones become one class."""
    sizes: Counter[str] = Counter()
    for old, new, n in counted:
        sizes.update({old: n})
        sizes.update({new: n})
    ordered = sorted(sizes, key=lambda name: (name == OTHER, -sizes[name], name))
    kept = set(ordered[:MOST_CLASSES])
    total: Counter[tuple[str, str]] = Counter()
    for old, new, n in counted:
        total[old if old in kept else OTHER, new if new in kept else OTHER] += n
    return tuple(sorted((old, new, n) for (old, new), n in total.items()))


def _segments(counted: list[tuple[str, Moments]]) -> tuple[tuple[str, Moments], ...]:
    """Merge by name; the largest ones are kept."""
    grouped: dict[str, list[Moments]] = {}
    for name, part in counted:
        grouped.setdefault(name, []).append(part)
    merged = {name: reduce(Moments.merge, parts) for name, parts in grouped.items()}
    largest = sorted(merged, key=lambda name: (-merged[name].n, name))[:MOST_SEGMENTS]
    return tuple((name, merged[name]) for name in sorted(largest))
