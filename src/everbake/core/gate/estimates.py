"""How the interval of a difference is made: picks the method that metric and rows allow."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isclose, sqrt

import numpy as np
from typing_extensions import override

from everbake.core.gate.dependence import Partitions, partitions
from everbake.core.gate.drawing import Drawing, Estimate, below
from everbake.core.gate.duel import Duel
from everbake.core.gate.heldout import Floats
from everbake.core.gate.losses import Losses
from everbake.statistics.auroc import Areas, area_interval, delong
from everbake.statistics.bootstrap import (
    RESAMPLES,
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
from everbake.statistics.smooth import explained_differences, root_differences

_AGREE = 1e-6
_ANY_LEVEL = 0.05  # where only the difference and its error are wanted


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
        found = [
            grouped_interval(self.rows, codes, level, weights=self.weights)
            for codes in self.parts.values()
        ]
        if not found or plain.method == "constant":
            return plain
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
class Ranked(Estimate):
    """Two areas under the ROC curve on `n` independent rows, of which the smaller class has few."""

    areas: Areas
    smaller: int
    n: int

    @override
    def interval(self, level: float) -> Interval:
        return area_interval(self.areas, self.smaller, self.n, level)

    @override
    def hurt(self) -> float:
        found = self.interval(_ANY_LEVEL)
        if found.gain_barred:  # small classes that one of the models separates
            return 1.0
        return below(found.difference, sqrt(self.areas.variance), self.smaller - 1)


def estimate(duel: Duel, most: int = RESAMPLES) -> Estimate:
    """The difference of a scored duel as something that intervals can be made of.

    Raises:
        UndefinedError: a resampled metric has no value on too many resamples.
        TooFewGroupsError: the rows are worth too few groups.
    """
    if duel.losses is not None:
        return of_rows(duel, duel.losses)
    ranked = _ranked(duel)
    if ranked is not None:
        return ranked
    sign = 1.0 if duel.metric.better == "higher" else -1.0
    answers = ((sign, duel.after), (-sign, duel.before))
    drawing = Drawing(duel.metric, duel.scorer, answers, duel.positive, duel.held, most)
    drawn = drawing.arranged().estimate(duel.difference)
    return drawn.settled(max(map(abs, duel.values or (0.0,))))


def of_rows(duel: Duel, losses: Losses) -> RowMean | Shares:
    """The difference as a mean of rows."""
    held, kind, d = duel.held, duel.metric.kind, losses.differences
    weights, parts = held.weights, partitions(held)
    if kind == "share" and weights is None and not parts:
        return Shares(int(np.sum(d > 0)), int(np.sum(d < 0)), len(d))
    differing = int(np.count_nonzero(d))
    if held.worth < FEW_DIFFERENCES:
        differing = min(differing, int(held.worth))
    if kind == "root":
        d = root_differences(losses.champion, losses.candidate, weights)
    elif kind == "explained":
        truth = held.y.astype(np.float64)
        d = explained_differences(truth, losses.champion, losses.candidate, weights)
    return RowMean(d if weights is None else weighted_rows(d, weights), differing, parts, weights)


def _ranked(duel: Duel) -> Ranked | None:
    """DeLong's areas, where they apply and are what the metric gave."""
    held, smaller = duel.held, duel.rarest or 0
    plain = held.weights is None and not partitions(held) and smaller > 1
    flat = duel.before.ndim == duel.after.ndim == 1
    if duel.metric.kind != "ranking" or not (plain and flat) or duel.positive is None:
        return None
    scores = duel.before.astype(np.float64), duel.after.astype(np.float64)
    areas = delong(duel.positive, *scores)
    # a user's own function of that name may be something else
    agreed = isclose(areas.candidate - areas.champion, duel.difference, abs_tol=_AGREE)
    return Ranked(areas, smaller, held.n) if agreed else None


def _widest(method: str, found: Sequence[Interval]) -> Interval:
    """What all of them leave open."""
    return replace(
        found[0],
        lower=min(one.lower for one in found),
        upper=max(one.upper for one in found),
        sd=max(one.sd for one in found),
        method=method,
    )
