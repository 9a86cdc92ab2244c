"""The values that a judgement consists of. They know nothing of how it was reached."""

from dataclasses import asdict, dataclass, replace
from typing import Literal

from typing_extensions import override

Verdict = Literal["promoted", "rejected", "inconclusive"]
CheckState = Literal["pass", "fail", "warn", "unknown"]
SegmentState = Literal["ok", "hurt", "open", "unknown"]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at beside the metric, and what came of it.

    Attributes:
        name: of the kind of check.
        state: `warn` is a suspicion, `fail` a fact.
        detail: one sentence for a person.
        columns: the columns that it is about, the most telling first.
    """

    name: str
    state: CheckState
    detail: str
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Segment:
    """One subgroup of the held-out rows, and whether the candidate hurts it.

    Attributes:
        name: as in `sex = f`.
        n: its rows.
        candidate: the candidate's value on them, None where there is none.
        champion: the champion's.
        difference: > 0: the candidate is better there.
        interval: two-sided interval of `difference`.
        p: one-sided probability of such a loss in a segment that is not hurt, corrected for the
            number of segments; None where it was not judged.
        state: `ok`, `hurt`, `open` (not shown to be no worse, where all must pass), or `unknown`:
            too few rows to judge.
        detail: one sentence.
    """

    name: str
    n: int
    candidate: float | None
    champion: float | None
    difference: float | None
    interval: tuple[float, float] | None
    p: float | None
    state: SegmentState
    detail: str


@dataclass(frozen=True)
class Versus:
    """The candidate beside another model than the champion: the best one so far.

    Attributes:
        name: of that model, as in `version 3`.
        value: its value on the same rows.
        difference: > 0: the candidate is better.
        interval: two-sided interval of `difference`.
    """

    name: str
    value: float | None
    difference: float | None
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Evidence:
    """What a verdict rests on, beyond the figures that everybody reads (see `Decision`).

    Attributes:
        method: how the interval was made: `t-hall`, `tango`, `delong`, `bootstrap`, `none`, ...
        level: `a` of the two-sided 1 - a interval.
        tolerance: m, the loss that had to be ruled out, in units of the metric.
        equal_within: w, what counts as equal, in units of the metric.
        differing: k, the number of rows on which the two losses differ.
        rows_needed: further rows needed for a verdict, or None where no number is honest.
        rows_enough: rows that would have been enough for this comparison, if known.
        look: the how-manieth decision by these rows this is, from 1.
        resamples: how often rows were drawn again; 0: not at all.
        rows_digest: digest of the held-out rows.
        seed: the seed of every resampling, derived from the rows.
        notes: sentences worth a reader's time that did not decide.
        gap: the scale of tolerance: the champion's distance from the best value.
        sd: standard deviation of the row differences (or SE * sqrt(n)), None if unknown.
        unit: what is called a row: a `user`, where lists are judged.
        groups: how many groups (patients, users) the rows belong to, where they have any.
        period: the first and the last moment of the rows, where they have a time.
    """

    method: str
    level: float
    tolerance: float
    equal_within: float
    differing: int
    rows_needed: int | None
    rows_digest: str
    seed: int
    notes: tuple[str, ...] = ()
    gap: float | None = None
    sd: float | None = None
    rows_enough: int | None = None
    look: int = 1
    resamples: int = 0
    unit: str = "row"
    groups: int | None = None
    period: tuple[str, str] | None = None


@dataclass(frozen=True)
class ReliabilityBin:
    """Held-out rows of similar probability: what was predicted, and what happened.

    Attributes:
        predicted: the mean probability.
        observed: the share of positive outcomes.
        n: rows.
        interval: 95 % interval of that share.
    """

    predicted: float
    observed: float
    n: int
    interval: tuple[float, float]


@dataclass(frozen=True)
class Calibration:
    """Whether the probabilities of one model mean what they say; see `statistics.calibration`.

    Attributes:
        n: held-out rows.
        positives: of them.
        intercept: of the line of calibration, 0 where all is well; None where there is no line.
        intercept_interval: 95 %.
        slope: of the line, 1 where all is well, below it where probabilities are too extreme.
        slope_interval: 95 %.
        error: root of the mean squared gap of the bins without what chance puts there; below 0
            where chance alone explains more than there is.
        error_interval: 95 %, by resampling; None where groups are too few.
        plug_in: the expected calibration error as it is usually computed.
        expected: what that is on average where all is well.
        bins: the reliability curve.
    """

    n: int
    positives: int
    intercept: float | None
    intercept_interval: tuple[float, float] | None
    slope: float | None
    slope_interval: tuple[float, float] | None
    error: float
    error_interval: tuple[float, float] | None
    plug_in: float
    expected: float
    bins: tuple[ReliabilityBin, ...]


@dataclass(frozen=True)
class CostCurve:
    """What one model's decisions cost on the held-out rows, by threshold.

    Attributes:
        threshold: that is frozen with the model.
        cost: of a row at it, in the mean.
        points: thresholds, each with the mean cost of a row.
    """

    threshold: float
    cost: float
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Curves:
    """Curves of both models on the same rows, for who wants to see more than the verdict.

    Attributes:
        candidate: its calibration, where it gives probabilities of two outcomes.
        champion: the same.
        candidate_cost: its cost curve, where it decides.
        champion_cost: the same.
        prices: what a false positive and a false negative cost in these curves.
    """

    candidate: Calibration | None = None
    champion: Calibration | None = None
    candidate_cost: CostCurve | None = None
    champion_cost: CostCurve | None = None
    prices: tuple[float, float] | None = None


@dataclass(frozen=True)
class Decision:
    """A verdict with its evidence; immutable.

    Attributes:
        verdict: promoted, rejected or inconclusive.
        code: the machine-readable reason, such as `same_predictions`.
        because: one sentence that begins with "Because".
        metric: name of the metric.
        candidate: the candidate's value on the held-out rows (None when it has none).
        champion: the champion's value on the same rows (None without a champion).
        difference: the improvement; > 0 always means that the candidate is better.
        interval: two-sided interval of `difference`.
        n: held-out rows compared.
        checks: guardrails, leakage, skew: what else was looked at.
        evidence: how the interval was made.
        segments: the subgroups that were looked at.
        best: the comparison with the best model so far, where that is not the champion.
        decided_by: the recipe's choice, such as `if_inconclusive="lean"`, where that decided and
            not the data.
        surpasses: whether the candidate is better than the best model so far (than the champion,
            where that is the best or the best has no valid answers) by more than `equal_within`
            beyond any doubt (z = 3.29), so that it becomes the best one if it is promoted.
        best_broken: whether the best model so far gave no valid answers on these rows.
        curves: calibration and costs, where there are any.
    """

    verdict: Verdict
    code: str
    because: str
    metric: str
    candidate: float | None
    champion: float | None
    difference: float | None
    interval: tuple[float, float] | None
    n: int
    checks: tuple[Check, ...] = ()
    evidence: Evidence | None = None
    segments: tuple[Segment, ...] = ()
    best: Versus | None = None
    decided_by: str = ""
    surpasses: bool = False
    best_broken: bool = False
    curves: Curves | None = None

    @override
    def __repr__(self) -> str:
        return f"<Decision {self.verdict} ({self.code}): {self.because}>"

    @override
    def __str__(self) -> str:
        """All of it for a person, 80 columns wide: as `everbake why` prints it."""
        from everbake.core.drawing import as_lines

        return "\n".join(as_lines(self.to_dict()))

    def _repr_html_(self) -> str:
        """What a notebook shows: HTML with an SVG, without scripts or requests."""
        from everbake.core.drawing import as_html

        return as_html(self.to_dict())

    def with_checks(self, checks: tuple[Check, ...]) -> "Decision":
        """The same decision with further checks on record."""
        return replace(self, checks=self.checks + checks)

    def to_dict(self) -> dict[str, object]:
        """The JSON form that scripts rely on (without version numbers, which a run adds)."""
        return {
            "verdict": self.verdict,
            "code": self.code,
            "because": self.because,
            "metric": {
                "name": self.metric,
                "candidate": self.candidate,
                "champion": self.champion,
                "difference": self.difference,
                "interval": list(self.interval) if self.interval else None,
                "n": self.n,
            },
            "checks": [asdict(check) for check in self.checks],
            "evidence": asdict(self.evidence) if self.evidence else None,
            "segments": [asdict(segment) for segment in self.segments],
            "best": asdict(self.best) if self.best else None,
            "decided_by": self.decided_by,
            "surpasses": self.surpasses,
            "best_broken": self.best_broken,
            "curves": asdict(self.curves) if self.curves else None,
        }
