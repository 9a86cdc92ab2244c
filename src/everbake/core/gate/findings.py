"""What was found on the held-out rows, before any rule looks at it."""

from dataclasses import dataclass
from math import isfinite

import numpy as np

from everbake.core.gate.heldout import Array, Floats
from everbake.core.gate.rules import Rules
from everbake.core.gate.scoring import is_numeric
from everbake.core.metrics import Metric
from everbake.statistics.interval import Interval

_ROUNDING = 1e-9
_ROUNDING_SINGLE = 1e-5  # where a model answers in 32 bits
_UNIT_FLOOR = 0.001  # the smallest tolerance of a metric within [0, 1]
_NOTHING = 1e-12
_LARGEST = float(np.finfo(np.float64).max)
_DOUBLE = 8  # bytes


@dataclass(frozen=True)
class Rounding:
    """How far two figures may be apart and still count as one.

    Attributes:
        size: the largest figure among outcomes and answers.
        step: differences up to it are rounding.
    """

    size: float
    step: float


@dataclass(frozen=True)
class Margins:
    """What counts as a loss, in units of the metric.

    Attributes:
        gap: the champion's distance from the best value.
        tolerance: m, the loss that must be ruled out.
        equal_within: w, what counts as equal.
    """

    gap: float = 0.0
    tolerance: float = 0.0
    equal_within: float = 0.0


NO_MARGINS = Margins()


@dataclass(frozen=True)
class Findings:
    """A comparison in figures.

    Attributes:
        metric: what is known of the metric that was compared.
        n: rows.
        worth: rows of equal weight that would be worth as much.
        champion: the champion's value.
        candidate: the candidate's value.
        interval: of the improvement.
        level: the two-sided error of the interval.
        next_level: that of the next look at these rows.
        differing: rows that tell the two models apart.
        few: the differing rows at which no gain is claimed yet.
        margins: what counts as a loss.
        largest_error: the candidate's, in units of the outcome, where rows have errors.
        surpasses: whether the candidate is better by more than w beyond any doubt.
        notes: sentences that did not decide.
    """

    metric: Metric
    n: int
    worth: float
    champion: float
    candidate: float
    interval: Interval
    level: float
    next_level: float
    differing: int
    few: int
    margins: Margins
    largest_error: float | None = None
    surpasses: bool = False
    notes: tuple[str, ...] = ()


def rounding(metric: Metric, y: Array, champion: Array, candidate: Array) -> Rounding:
    """The step below which differences between answers are rounding.

    Outcomes tell the size of figures only where answers are figures of the same kind: labels such
    as 2024 say nothing of how exact a probability is.
    """
    answers = [a for a in (champion, candidate) if is_numeric(a) and a.size]
    labels = metric.probabilities or metric.kind in {"ranking", "classes"}
    numbers = answers if labels or not is_numeric(y) else [y, *answers]
    size = max(
        (float(np.max(np.abs(a.astype(np.float64)))) for a in numbers if a.size), default=0.0
    )
    single = any(a.dtype.kind == "f" and a.dtype.itemsize < _DOUBLE for a in answers)
    return Rounding(size, (_ROUNDING_SINGLE if single else _ROUNDING) * size)


def answer_differences(metric: Metric, champion: Array, candidate: Array) -> Floats:
    """How far apart the two answers of each row are; infinitely far for labels that differ."""
    if champion.shape != candidate.shape:
        return np.full(len(candidate), np.inf)
    figures = metric.kind != "share" and metric.wants == "scores"
    if figures and is_numeric(champion) and is_numeric(candidate):
        apart = np.abs(candidate.astype(np.float64) - champion.astype(np.float64))
    else:
        apart = np.where(candidate != champion, np.inf, 0.0)
    return apart if apart.ndim == 1 else np.asarray(apart.max(axis=tuple(range(1, apart.ndim))))


def margins(metric: Metric, champion: float, rules: Rules) -> Margins:
    """The margins beside a champion of that value."""
    gap = abs(metric.best - champion) if isfinite(metric.best) else abs(champion)
    gap = 0.0 if gap <= _NOTHING * abs(champion) else gap
    tolerance = min(rules.tolerance * gap, _LARGEST)
    equal = min(rules.equal_within * gap, _LARGEST)
    if metric.unit and rules.tolerance > 0:
        tolerance = max(tolerance, _UNIT_FLOOR)
        equal = max(equal, _UNIT_FLOOR * rules.equal_within / rules.tolerance)
    return Margins(gap, tolerance, equal)
