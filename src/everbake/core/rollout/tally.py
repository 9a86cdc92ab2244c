"""What was seen during one part of a rollout: counts that are added to, and never reset.

Whether a caller with a key was counted before is not known here: with `unit="key"` the unit is
the caller, and whoever counts passes each one's first event only.
"""

from dataclasses import dataclass, field

from everbake.statistics.running import NOTHING, Moments

MOST_CLASSES = 20
MOST_SEGMENTS = 50
_SAMPLE = 1_000


@dataclass
class Arm:
    """One arm in one stage.

    Attributes:
        n: units.
        errors: units with a failure.
        slow: units over the budget.
        judged: units whose label is final.
        wrong: of these, answered wrongly (where the loss is 0 or 1).
    """

    n: int = 0
    errors: int = 0
    slow: int = 0
    judged: int = 0
    wrong: int = 0


@dataclass
class Traffic:
    """Both arms in one stage; a shadow has the pairs in both."""

    champion: Arm = field(default_factory=Arm)
    challenger: Arm = field(default_factory=Arm)


@dataclass
class Pairs:
    """The same requests answered by both.

    Attributes:
        n: how many.
        differing: with another decision, or another score by more than a tenth of the spread.
        table: by the champion's and the challenger's class, how many.
        scores: moments of the difference of the scores, challenger minus champion.
        sample: some of these differences, evenly over time.
        every: how many differences one of the sample stands for.
        losses: moments of the difference of the losses.
        only_challenger: pairs that only the challenger got wrong.
        only_champion: pairs that only the champion got wrong.
        segments: moments of the difference of the scores, by segment.
    """

    n: int = 0
    differing: int = 0
    table: dict[str, dict[str, int]] = field(default_factory=dict)
    scores: Moments = NOTHING
    sample: list[float] = field(default_factory=list)
    every: int = 1
    losses: Moments = NOTHING
    only_challenger: int = 0
    only_champion: int = 0
    segments: dict[str, Moments] = field(default_factory=dict)

    def decided(self, champion: str, challenger: str) -> None:
        """Two decisions about the same request."""
        self.n += 1
        self.differing += champion != challenger
        row = self.table.setdefault(champion if self._fits(champion) else "other", {})
        name = challenger if len(row) < MOST_CLASSES or challenger in row else "other"
        row[name] = row.get(name, 0) + 1

    def scored(self, difference: float, tolerance: float, segments: tuple[str, ...] = ()) -> None:
        """Two scores of the same request."""
        self.n += 1
        self.differing += abs(difference) > tolerance
        if self.scores.n % self.every == 0:
            self.sample.append(difference)
            if len(self.sample) >= 2 * _SAMPLE:
                self.sample, self.every = self.sample[::2], 2 * self.every
        self.scores = self.scores.add(difference)
        for segment in segments:
            if segment in self.segments or len(self.segments) < MOST_SEGMENTS:
                self.segments[segment] = self.segments.get(segment, Moments()).add(difference)

    def _fits(self, name: str) -> bool:
        return name in self.table or len(self.table) < MOST_CLASSES


@dataclass
class Tally:
    """All that one part of a rollout has seen.

    Attributes:
        stages: the traffic of each stage.
        champion: moments of the champion's losses.
        challenger: moments of the challenger's losses.
        pairs: of a shadow.
        waiting: labels that have come and are not final yet.
        passed: rules that were passed once: a pass is kept.
    """

    stages: list[Traffic] = field(default_factory=list)
    champion: Moments = NOTHING
    challenger: Moments = NOTHING
    pairs: Pairs = field(default_factory=Pairs)
    waiting: int = 0
    passed: tuple[str, ...] = ()

    def stage(self, number: int) -> Traffic:
        """The traffic of a stage, begun if need be."""
        while len(self.stages) <= number:
            self.stages.append(Traffic())
        return self.stages[number]

    @property
    def requests(self) -> int:
        """Units of both arms."""
        return sum(t.champion.n + t.challenger.n for t in self.stages)

    @property
    def challenger_requests(self) -> int:
        """Units of the challenger."""
        return sum(t.challenger.n for t in self.stages)
