"""How sure one model's value is: one-sided bounds, for guardrails."""

from dataclasses import dataclass
from math import isclose, sqrt

import numpy as np

from everbake.core.gate.dependence import partitions
from everbake.core.gate.drawing import Drawing
from everbake.core.gate.estimates import RowMean
from everbake.core.gate.heldout import Array, Flags, Floats, HeldOut
from everbake.core.gate.losses import average, value_of
from everbake.core.gate.scoring import Scorer, is_composite, is_numeric
from everbake.core.metrics import Metric, positives
from everbake.statistics.bootstrap import RESAMPLES, UndefinedError
from everbake.statistics.clusters import TooFewGroupsError
from everbake.statistics.mean import weighted_rows
from everbake.statistics.proportions import wilson_bounds
from everbake.statistics.weighted import WEIGHTED

_BINARY = 2
_AGREE = 1e-6
_SHOWN_RESAMPLES = 200  # for a bound that does not decide
_SHOWN_ROWS = 20_000  # beyond, a bound that does not decide is not worth its time


@dataclass(frozen=True)
class Bounds:
    """The lower and the upper bound of a value, each with the error `level`."""

    lower: float
    upper: float
    level: float

    def ordered(self, kind: str) -> tuple[float, float]:
        """The bound that must keep a limit of that kind, and the other one."""
        pair = self.lower, self.upper
        return pair if kind == "at_least" else pair[::-1]


@dataclass(frozen=True)
class Measured:
    """One model's value on the held-out rows.

    Attributes:
        metric: what is known of it.
        scorer: the metric on these rows.
        answers: as the metric sees them.
        held: the rows; with weights only where the metric takes them.
        value: the metric's.
    """

    metric: Metric
    scorer: Scorer
    answers: Array
    held: HeldOut
    value: float

    def bounds(self, level: float) -> Bounds | None:
        """The one-sided bounds, None where they cannot be told."""
        if self.metric.kind == "whole":
            return Bounds(self.value, self.value, level)
        return self._bounds(level, RESAMPLES)

    def rough_bounds(self, level: float) -> Bounds | None:
        """Bounds to be shown, for which little time is spent."""
        if self.metric.kind == "whole":
            return None
        quick = self._losses() is not None or self.metric.name in WEIGHTED
        if not quick and self.held.n > _SHOWN_ROWS:
            return None
        return self._bounds(level, _SHOWN_RESAMPLES)

    def _bounds(self, level: float, most: int) -> Bounds | None:
        losses = self._losses()
        try:
            if losses is not None:
                return self._of_losses(losses, level)
            found = self._drawing(most).arranged().estimate(self.value).interval(2 * level)
        except (TooFewGroupsError, UndefinedError):
            return None
        return Bounds(found.lower, found.upper, level)

    def _of_losses(self, losses: Floats, level: float) -> Bounds:
        held, metric, parts = self.held, self.metric, partitions(self.held)
        rows = losses if held.weights is None else weighted_rows(losses, held.weights)
        found = RowMean(rows, held.n, parts, held.weights).interval(2 * level)
        lower, upper = found.lower, found.upper
        if metric.kind == "share":
            wilson = self._wilson(losses, level)
            plain = held.weights is None and not parts
            lower, upper = wilson if plain else (min(lower, wilson[0]), max(upper, wilson[1]))
        if metric.kind == "root":
            lower, upper = sqrt(max(lower, 0.0)), sqrt(max(upper, 0.0))
        if metric.better == "higher":
            lower, upper = 1 - upper, 1 - lower
        return Bounds(lower, upper, level)

    def _wilson(self, losses: Floats, level: float) -> tuple[float, float]:
        """Bounds of the share of losses; weighted rows are worth as many as Kish counts."""
        w = self.held.weights
        n = self.held.n if w is None else max(1, round(float(np.sum(w) ** 2 / np.dot(w, w))))
        return wilson_bounds(average(losses, w) * n, n, level)

    def _drawing(self, most: int) -> Drawing:
        answers = ((1.0, self.answers),)
        return Drawing(self.metric, self.scorer, answers, self._classes(), self.held, most)

    def _classes(self) -> Flags | None:
        y = self.held.y
        if y.ndim > 1 or is_composite(y) or len(np.unique(y)) != _BINARY:
            return None
        return np.asarray(positives(y), dtype=np.bool_)

    def _losses(self) -> Floats | None:
        """The loss of each row, where the metric is a mean of them or the root of one."""
        metric, y, answers = self.metric, self.held.y, self.answers
        if metric.row_loss is None or metric.kind not in {"mean", "share", "root"}:
            return None
        if answers.shape != y.shape or y.ndim > 1:
            return None
        numeric = metric.scale == "none" or metric.probabilities or is_numeric(y)
        free = metric.kind == "share" or metric.cut is not None
        if not free and not (is_numeric(answers) and numeric):
            return None
        losses: Floats = metric.row_loss(y, answers)
        weights = self.held.weights
        implied = value_of(metric, y, average(losses, weights), weights)
        return losses if isclose(implied, self.value, rel_tol=_AGREE, abs_tol=1e-12) else None
