"""How the interval of a difference is made: picks the method that metric and rows allow."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import isclose, sqrt
from typing import Protocol
from warnings import catch_warnings, simplefilter

import numpy as np
from typing_extensions import override

from everbake.core.gate.dependence import Partitions, partitions
from everbake.core.gate.duel import Duel
from everbake.core.gate.heldout import Array, Flags, Floats, HeldOut, Indices
from everbake.core.gate.losses import Losses
from everbake.core.gate.scoring import Scorer, is_numeric
from everbake.core.metrics import Metric
from everbake.statistics.auroc import auroc_interval
from everbake.statistics.bootstrap import (
    RESAMPLES,
    Plan,
    resampled_error,
    resamples_for,
    weighted_error,
)
from everbake.statistics.clusters import grouped_hurt, grouped_interval
from everbake.statistics.interval import Interval
from everbake.statistics.mean import (
    FEW_DIFFERENCES,
    hurt_probability,
    mean_interval,
    weighted_rows,
)
from everbake.statistics.proportions import mcnemar_one_sided, share_interval
from everbake.statistics.quantiles import student, student_below
from everbake.statistics.smooth import explained_differences, root_differences
from everbake.statistics.weighted import WEIGHTED

_AGREE = 1e-6
_ANY_LEVEL = 0.05  # where only the difference and its error are wanted
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
class RowMean(Estimate):
    """The mean of row differences, weighted and grouped as the rows are.

    Attributes:
        rows: row differences (or influence values on their mean), times the weights.
        differing: rows that tell the two models apart.
        parts: partitions whose parts are independent; none: the rows are.
        weights: of the rows.
    """

    rows: Floats
    differing: int
    parts: Partitions
    weights: Floats | None

    @override
    def interval(self, level: float) -> Interval:
        plain = mean_interval(self.rows, level, differing=self.differing)
        if not self.parts or plain.method == "constant":
            return plain
        found = [
            grouped_interval(self.rows, codes, level, weights=self.weights)
            for codes in self.parts.values()
        ]
        spread = _widest("+".join(self.parts), found)
        return _widest(spread.method, [spread, plain]).barred() if self._few else spread

    @override
    def hurt(self) -> float:
        p = [grouped_hurt(self.rows, codes, weights=self.weights) for codes in self.parts.values()]
        if self._few or not p:
            p.append(hurt_probability(self.rows, differing=self.differing))
        return max(p)

    @property
    def _few(self) -> bool:
        return min(self.differing, len(self.rows)) < FEW_DIFFERENCES


@dataclass(frozen=True)
class Shares(Estimate):
    """Two models that are right or wrong on `n` independent rows: won and lost by the candidate."""

    won: int
    lost: int
    n: int

    @override
    def interval(self, level: float) -> Interval:
        return share_interval(self.won, self.lost, self.n, level)

    @override
    def hurt(self) -> float:
        return mcnemar_one_sided(self.lost, self.won)


@dataclass(frozen=True)
class Areas(Estimate):
    """Two areas under the ROC curve on independent rows."""

    positive: Flags
    champion: Floats
    candidate: Floats

    @override
    def interval(self, level: float) -> Interval:
        return auroc_interval(self.positive, self.champion, self.candidate, level)

    @override
    def hurt(self) -> float:
        found = self.interval(_ANY_LEVEL)
        if found.gain_barred:  # small classes that one of the models separates
            return 1.0
        count = int(np.sum(self.positive))
        smaller = min(count, len(self.positive) - count)
        return _below(found.difference, found.sd / sqrt(len(self.positive)), smaller - 1)


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

    @override
    def interval(self, level: float) -> Interval:
        half = max(student(1 - level / 2, freedom) * error for error, freedom in self.errors)
        sd = max(error for error, _ in self.errors) * sqrt(self.n)
        low, high = self.value - half, self.value + half
        return Interval(self.value, low, high, self.method, sd, resamples=self.resamples)

    @override
    def hurt(self) -> float:
        return max(_below(self.value, error, freedom) for error, freedom in self.errors)


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
        flat = all(a.ndim == 1 and is_numeric(a) for _, a in self.answers)
        if prepare is None or self.positive is None or not flat:
            return None
        ready = [
            (sign, prepare(self.positive, answers.astype(np.float64)))
            for sign, answers in self.answers
        ]

        def of_weights(weights: Array) -> Floats:
            total: Floats = sum(
                (sign * one(weights) for sign, one in ready), np.zeros(len(weights))
            )
            return total

        weights = self.held.weights
        plain = np.ones((1, self.held.n)) if weights is None else weights[np.newaxis]
        return of_weights if isclose(float(of_weights(plain)[0]), value, abs_tol=_AGREE) else None


def estimate(duel: Duel, most: int = RESAMPLES) -> Estimate:
    """The difference of a scored duel as something that intervals can be made of.

    Raises:
        UndefinedError: a resampled metric has no value on too many resamples.
        TooFewGroupsError: the rows are worth too few groups.
    """
    if duel.losses is not None:
        return of_rows(duel, duel.losses)
    areas = _areas(duel)
    if areas is not None:
        return areas
    sign = 1.0 if duel.metric.better == "higher" else -1.0
    answers = ((sign, duel.after), (-sign, duel.before))
    drawing = Drawing(duel.metric, duel.scorer, answers, duel.positive, duel.held, most)
    return drawing.estimate(duel.difference)


def of_rows(duel: Duel, losses: Losses) -> RowMean | Shares:
    """The difference as a mean of rows."""
    held, kind, d = duel.held, duel.metric.kind, losses.differences
    weights, parts = held.weights, partitions(held)
    if kind == "share" and weights is None and not parts:
        return Shares(int(np.sum(d > 0)), int(np.sum(d < 0)), len(d))
    differing = int(np.count_nonzero(d))
    if kind == "root":
        d = root_differences(losses.champion, losses.candidate, weights)
    elif kind == "explained":
        truth = held.y.astype(np.float64)
        d = explained_differences(truth, losses.champion, losses.candidate, weights)
    return RowMean(d if weights is None else weighted_rows(d, weights), differing, parts, weights)


def _areas(duel: Duel) -> Areas | None:
    """DeLong's areas, where they apply and are what the metric gave."""
    held = duel.held
    plain = held.weights is None and not partitions(held) and duel.positive is not None
    flat = duel.before.ndim == duel.after.ndim == 1
    if duel.metric.kind != "ranking" or not (plain and flat) or duel.positive is None:
        return None
    scores = duel.before.astype(np.float64), duel.after.astype(np.float64)
    areas = Areas(duel.positive, *scores)
    # a user's own function of that name may be something else
    agreed = isclose(areas.interval(_ANY_LEVEL).difference, duel.difference, abs_tol=_AGREE)
    return areas if agreed else None


def _below(difference: float, error: float, freedom: float) -> float:
    if error == 0:
        return 0.0 if difference < 0 else 1.0
    return float(student_below(difference / error, freedom))


def _widest(method: str, found: Sequence[Interval]) -> Interval:
    """What all of them leave open."""
    return replace(
        found[0],
        lower=min(one.lower for one in found),
        upper=max(one.upper for one in found),
        sd=max(one.sd for one in found),
        method=method,
    )
