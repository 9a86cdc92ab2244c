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


def rounding(y: Array, champion: Array, candidate: Array) -> Rounding:
    """The step below which differences between answers are rounding."""
    numbers = [a for a in (y, champion, candidate) if is_numeric(a) and a.size]
    size = max((float(np.max(np.abs(a.astype(np.float64)))) for a in numbers), default=0.0)
    single = any(a.dtype in {np.dtype(np.float32), np.dtype(np.float16)} for a in numbers[-2:])
    return Rounding(size, (_ROUNDING_SINGLE if single else _ROUNDING) * size)


def answer_differences(champion: Array, candidate: Array) -> Floats:
    """How far apart the two answers of each row are; 1 for labels that differ."""
    if champion.shape != candidate.shape:
        return np.ones(len(candidate))
    if is_numeric(champion) and is_numeric(candidate):
        apart = np.abs(candidate.astype(np.float64) - champion.astype(np.float64))
    else:
        apart = np.asarray(candidate != champion).astype(np.float64)
    return apart if apart.ndim == 1 else np.asarray(apart.max(axis=1))


def margins(metric: Metric, champion: float, rules: Rules) -> Margins:
    """The margins beside a champion of that value."""
    gap = abs(metric.best - champion) if isfinite(metric.best) else abs(champion)
    gap = 0.0 if gap <= _NOTHING * abs(champion) else gap
    tolerance, equal = rules.tolerance * gap, rules.equal_within * gap
    if metric.unit and rules.tolerance > 0:
        tolerance = max(tolerance, _UNIT_FLOOR)
        equal = max(equal, _UNIT_FLOOR * rules.equal_within / rules.tolerance)
    return Margins(gap, tolerance, equal)
