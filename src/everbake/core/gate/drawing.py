"""Values whose error is found by drawing the rows again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import isclose, sqrt
from typing import Protocol
from warnings import catch_warnings, simplefilter

import numpy as np
from typing_extensions import override

from everbake.core.gate.arranging import arranged, by_place
from everbake.core.gate.dependence import partitions
from everbake.core.gate.heldout import Array, Flags, Floats, HeldOut, Indices
from everbake.core.gate.scoring import Scorer, is_numeric
from everbake.core.metrics import Metric, usual
from everbake.statistics.bootstrap import (
    RESAMPLES,
    Plan,
    resampled_error,
    resamples_for,
    weighted_error,
)
from everbake.statistics.interval import Interval
from everbake.statistics.quantiles import student, student_below
from everbake.statistics.weighted import WEIGHTED

_AGREE = 1e-6
_SAME = 1e-9
_COUNTS_DRAWN = 400_000_000  # by all resamples of a metric that takes counts


class Estimate(Protocol):
    """A difference of which intervals can be made at any level."""

    def interval(self, level: float) -> Interval:
        """The two-sided interval; `level` is the error of both sides."""
        ...

    def hurt(self) -> float:
        """One-sided p of "the difference is at least 0"."""
        ...


@dataclass(frozen=True)
class Drawn(Estimate):
    """A value of which only the error is known that drawing the rows again shows.

    Attributes:
        value: of the rows as they are.
        errors: standard error and degrees of freedom of it, for each partition.
        n: rows.
        resamples: how often they were drawn.
        method: as the record names it.
    """

    value: float
    errors: tuple[tuple[float, float], ...]
    n: int
    resamples: int
    method: str = "bootstrap"

    def settled(self, size: float) -> "Drawn":
        """The same, or nothing where value and error are rounding beside figures of `size`."""
        tiny = _SAME * size
        if abs(self.value) > tiny or any(error > tiny for error, _ in self.errors):
            return self
        return replace(self, value=0.0, errors=tuple((0.0, freedom) for _, freedom in self.errors))

    @override
    def interval(self, level: float) -> Interval:
        half = max(student(1 - level / 2, freedom) * error for error, freedom in self.errors)
        sd = max(error for error, _ in self.errors) * sqrt(self.n)
        low, high = self.value - half, self.value + half
        return Interval(self.value, low, high, self.method, sd, resamples=self.resamples)

    @override
    def hurt(self) -> float:
        return max(below(self.value, error, freedom) for error, freedom in self.errors)


@dataclass(frozen=True)
class Drawing:
    """What is drawn again: rows with what each model answered, for one metric.

    Attributes:
        metric: what is known of it.
        scorer: the metric on these rows.
        answers: of each model, with +1 or -1: their values are summed up with that sign.
        positive: True for each row of the positive class, where there are two.
        held: the rows.
        most: resamples at most.
    """

    metric: Metric
    scorer: Scorer
    answers: Sequence[tuple[float, Array]]
    positive: Flags | None
    held: HeldOut
    most: int = RESAMPLES

    def estimate(self, value: float) -> Drawn:
        """`value` with the errors that drawing shows.

        Raises:
            UndefinedError: the metric has no value on too many resamples.
            TooFewGroupsError: too few parts to draw from.
        """
        parts = partitions(self.held)
        method = "+".join(["bootstrap", *parts])
        fast = self._of_weights(value)
        n = self.held.n
        count = resamples_for(n)
        if fast is not None:
            count = max(count, min(RESAMPLES, _COUNTS_DRAWN // n))
        count = min(self.most, count)
        plans = [self._plan(codes, count) for codes in parts.values() or (None,)]
        freedoms = [plan.freedom for plan in plans]  # too few groups are told before drawing
        errors = [self._error(fast, plan) for plan in plans]
        return Drawn(value, tuple(zip(errors, freedoms, strict=True)), n, count, method)

    def arranged(self) -> "Drawing":
        """The same, whatever the order in which the rows were given."""
        index = arranged(self.held, tuple(answers for _, answers in self.answers))
        known = replace(self.held, segments={}, champion=None, best=None, rows=None).take(index)
        groups = None if known.groups is None else by_place(known.groups)
        return replace(
            self,
            scorer=self.scorer.at(index),
            answers=tuple((sign, answers[index]) for sign, answers in self.answers),
            positive=None if self.positive is None else self.positive[index],
            held=replace(known, groups=groups),
        )

    def _plan(self, groups: Indices | None, count: int) -> Plan:
        codes = None if self.positive is None else self.positive.astype(np.intp)
        if codes is not None and codes.min() == codes.max():
            codes = None
        return Plan(self.held.n, codes, self.held.seed, count, groups, self.held.weights)

    def _error(self, fast: Callable[[Array], Floats] | None, plan: Plan) -> float:
        if fast is not None:
            return weighted_error(fast, plan)

        def value(index: Indices) -> float:
            return sum(sign * self.scorer.on(index, answers) for sign, answers in self.answers)

        with catch_warnings():
            simplefilter("ignore")  # a resample without a class is no news to anybody
            return resampled_error(value, plan)

    def _of_weights(self, value: float) -> Callable[[Array], Floats] | None:
        """The value under row weights, where the metric is what its name promises."""
        prepare = WEIGHTED.get(self.metric.name)
        if prepare is None or self.positive is None or not all(map(self._flat, self.answers)):
            return None
        ready = [(sign, prepare(self.positive, self._figures(a))) for sign, a in self.answers]

        def of_weights(weights: Array) -> Floats:
            total: Floats = sum(
                (sign * one(weights) for sign, one in ready), np.zeros(len(weights))
            )
            return total

        weights = self.held.weights
        plain = np.ones((1, self.held.n)) if weights is None else weights[np.newaxis]
        return of_weights if isclose(float(of_weights(plain)[0]), value, abs_tol=_AGREE) else None

    def _flat(self, signed: tuple[float, Array]) -> bool:
        answers = signed[1]
        return answers.ndim == 1 and (self.metric.wants == "labels" or is_numeric(answers))

    def _figures(self, answers: Array) -> Floats:
        """Scores, or for labels 1 where they are of the positive class."""
        if self.metric.wants == "labels" and not usual(self.held.y):
            answers = answers == np.unique(self.held.y)[-1]
        figures: Floats = answers.astype(np.float64)
        return figures


def below(difference: float, error: float, freedom: float) -> float:
    """P(a value of that error lies below `difference` where nothing differs)."""
    if error == 0:
        return 0.0 if difference < 0 else 1.0
    return float(student_below(difference / error, freedom))
