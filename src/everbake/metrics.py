"""Ready metrics `(y_true, y_pred) -> float`, the usual ones named as in scikit-learn.

The gate knows their direction, their best value and the fast interval of their difference, as it
does for scikit-learn's functions of the same name; either may be given. All but those of ranked
lists and of calibration take sample weights. What is called with its own settings
(`pinball_loss(0.9)`, `selection_rate_gap("sex")`) makes a metric, which may decide in `Gate(...)`
or be a limit in `AtLeast(...)` and `AtMost(...)`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from everbake.core import metrics as losses
from everbake.core.calibration import (
    calibration_error,
    calibration_slope_gap,
    expected_calibration_error,
)
from everbake.core.metrics import Metric
from everbake.core.ranking import coverage, mean_average_precision, ndcg, popularity, recall_at
from everbake.errors import UsageError

__all__ = [
    "accuracy_score",
    "brier_score_loss",
    "calibration_error",
    "calibration_gap",
    "calibration_slope_gap",
    "coverage",
    "equal_opportunity_gap",
    "expected_calibration_error",
    "log_loss",
    "mean_absolute_error",
    "mean_average_precision",
    "mean_cost",
    "mean_squared_error",
    "ndcg",
    "pinball_loss",
    "popularity",
    "r2_score",
    "recall_at",
    "root_mean_squared_error",
    "selection_rate_gap",
]

Array = NDArray[Any]
MadeMetric = Callable[..., float]
_Loss = Callable[[Array, Array], Array]

FEWEST = 20  # rows of a group, below which its rate is not looked at


def mean_squared_error(
    y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> float:
    """Mean of the squared errors.

    >>> mean_squared_error([1, 2], [1, 4])
    2.0
    """
    return _mean(losses.squared_error, y_true, y_pred, sample_weight)


def root_mean_squared_error(
    y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> float:
    """Root of the mean of the squared errors.

    >>> root_mean_squared_error([1, 2], [1, 2])
    0.0
    """
    return float(np.sqrt(_mean(losses.squared_error, y_true, y_pred, sample_weight)))


def mean_absolute_error(
    y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> float:
    """Mean of the absolute errors.

    >>> mean_absolute_error([1, 2], [1, 4])
    1.0
    """
    return _mean(losses.absolute_error, y_true, y_pred, sample_weight)


def r2_score(
    y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> float:
    """Share of the variance that the predictions explain; NaN where the outcomes do not vary.

    >>> r2_score([1, 2, 3], [1, 2, 3])
    1.0
    """
    truth = np.asarray(y_true, dtype=np.float64)
    weights = _weights(sample_weight)
    centred = truth - np.average(truth, weights=weights)
    variance = float(np.average(centred**2, weights=weights))
    if variance == 0:
        return float("nan")
    return 1 - mean_squared_error(y_true, y_pred, sample_weight=sample_weight) / variance


def accuracy_score(
    y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> float:
    """Share of the labels that are right.

    >>> accuracy_score(["a", "b"], ["a", "a"])
    0.5
    """
    return 1 - _mean(losses.zero_one, y_true, y_pred, sample_weight)


def brier_score_loss(
    y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> float:
    """Mean squared distance of the probabilities from the outcomes.

    >>> brier_score_loss([0, 1], [0.5, 0.5])
    0.25
    """
    return _mean(losses.brier, y_true, y_pred, sample_weight)


def log_loss(
    y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> float:
    """Mean of minus the log of the probability that the outcome was given.

    >>> round(log_loss([0, 1], [0.5, 0.5]), 4)
    0.6931
    """
    return _mean(losses.log_loss, y_true, y_pred, sample_weight)


def pinball_loss(quantile: float) -> MadeMetric:
    """The pinball loss of one quantile (Koenker and Bassett 1978, Econometrica 46:33).

    Args:
        quantile: above 0 and below 1.

    Raises:
        UsageError: it is not.

    >>> pinball_loss(0.9)([10.0], [8.0])
    1.8
    """
    if not 0 < quantile < 1:
        raise UsageError(
            "EB055",
            f"pinball_loss({quantile!r}) is no quantile",
            mend="pinball_loss(0.9): above 0, below 1",
        )

    def loss(y: Array, p: Array) -> Array:
        over = y.astype(np.float64) - p.astype(np.float64)
        return np.maximum(quantile * over, (quantile - 1) * over)

    name = f"pinball_loss({quantile:g})"
    return _of_rows(Metric(name, "lower", 0.0, "mean", loss, "absolute"), loss)


def mean_cost(*, false_positive: float, false_negative: float) -> MadeMetric:
    """What wrong decisions cost, per row; it is computed on decisions, not on scores.

    Args:
        false_positive: the cost of a positive decision where the outcome is negative.
        false_negative: the cost of a negative decision where the outcome is positive.

    Raises:
        UsageError: a cost is negative, or both are 0.

    >>> mean_cost(false_positive=1, false_negative=10)([0, 0, 1, 1], [1, 0, 1, 0])
    2.75
    """
    costs = false_positive, false_negative
    if not all(0 <= cost < float("inf") for cost in costs) or not any(costs):
        raise UsageError(
            "EB055",
            f"mean_cost(false_positive={false_positive!r}, false_negative={false_negative!r})",
            mend="costs are finite and not negative, and one is above 0",
        )

    def cost(y: Array, decisions: Array) -> Array:
        positive, decided = losses.positives(y), losses.decided(y, decisions)
        return false_positive * (decided & ~positive) + false_negative * (positive & ~decided)

    metric = Metric("mean_cost", "lower", 0.0, "mean", cost, wants="decisions")
    return _of_rows(metric, cost)


def selection_rate_gap(column: str, *, fewest: int = FEWEST) -> MadeMetric:
    """How far the shares of positive decisions are apart between the groups of a column.

    The largest share less the smallest one (demographic parity); NaN with fewer than two groups.

    Args:
        column: of the held-out rows; numbers of many values are cut at their quintiles.
        fewest: rows of a group, below which it is not looked at.

    >>> rows = {"sex": ["f", "f", "m", "m"]}
    >>> selection_rate_gap("sex", fewest=2)([0, 1, 0, 1], [0, 1, 1, 1], rows)
    0.5
    """

    def gap(y: Array, p: Array, rows: object, weights: Array | None) -> float:
        rates = _rates(losses.decided(y, p), _codes(column, rows), weights, fewest)
        return _apart(rates)

    metric = Metric(f"selection_rate_gap({column})", "lower", 0.0, unit=True, wants="decisions")
    return _of_groups(metric, gap)


def equal_opportunity_gap(column: str, *, fewest: int = FEWEST) -> MadeMetric:
    """How far the true-positive rates are apart between the groups of a column.

    The largest rate less the smallest one (Hardt, Price and Srebro 2016); NaN with fewer than two
    groups.

    Args:
        column: of the held-out rows; numbers of many values are cut at their quintiles.
        fewest: positive outcomes in a group, below which it is not looked at.

    >>> rows = {"sex": ["f", "f", "m", "m"]}
    >>> equal_opportunity_gap("sex", fewest=1)([1, 1, 0, 1], [0, 1, 1, 1], rows)
    0.5
    """

    def gap(y: Array, p: Array, rows: object, weights: Array | None) -> float:
        there = losses.positives(y)
        weights = None if weights is None else weights[there]
        codes = _codes(column, rows)[there]
        return _apart(_rates(losses.decided(y, p)[there], codes, weights, fewest))

    metric = Metric(f"equal_opportunity_gap({column})", "lower", 0.0, unit=True, wants="decisions")
    return _of_groups(metric, gap)


def calibration_gap(column: str, *, fewest: int = FEWEST) -> MadeMetric:
    """How far mean score and share of positive outcomes are apart in the worst group of a column.

    NaN where no group is large enough.

    Args:
        column: of the held-out rows; numbers of many values are cut at their quintiles.
        fewest: rows of a group, below which it is not looked at.

    >>> rows = {"sex": ["f", "f", "m", "m"]}
    >>> calibration_gap("sex", fewest=2)([0, 1, 0, 1], [0.5, 0.5, 0.5, 0.75], rows)
    0.125
    """

    def gap(y: Array, p: Array, rows: object, weights: Array | None) -> float:
        off = p.astype(np.float64) - losses.positives(y)
        rates = np.abs(_rates(off, _codes(column, rows), weights, fewest))
        return float(np.max(rates)) if len(rates) else float("nan")

    metric = Metric(f"calibration_gap({column})", "lower", 0.0, unit=True, probabilities=True)
    return _of_groups(metric, gap)


def _of_rows(known: Metric, loss: _Loss) -> MadeMetric:
    """The mean of the row losses as a metric that carries what is known of it."""

    def metric(
        y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None
    ) -> float:
        return _mean(loss, y_true, y_pred, sample_weight)

    return losses.carrying(metric, known)


def _of_groups(
    known: Metric, gap: Callable[[Array, Array, object, Array | None], float]
) -> MadeMetric:
    """The gap between groups as a metric that carries what is known of it."""

    def metric(
        y_true: ArrayLike,
        y_pred: ArrayLike,
        rows: object,
        *,
        sample_weight: ArrayLike | None = None,
    ) -> float:
        return gap(np.asarray(y_true), np.asarray(y_pred), rows, _weights(sample_weight))

    return losses.carrying(metric, known)


def _mean(loss: _Loss, y_true: ArrayLike, y_pred: ArrayLike, weights: ArrayLike | None) -> float:
    rows = loss(np.asarray(y_true), np.asarray(y_pred))
    return float(np.average(rows, weights=_weights(weights)))


def _weights(weights: ArrayLike | None) -> NDArray[np.float64] | None:
    return None if weights is None else np.asarray(weights, dtype=np.float64)


def _codes(column: str, rows: object) -> NDArray[np.intp]:
    """The number of each row's group."""
    from everbake.core.gate.dividing import divide

    if not isinstance(rows, Mapping) and not hasattr(rows, "columns"):
        raise ValueError(f"it needs the column {column} of the rows: pass rows=")
    held: Any = rows
    return divide(column, np.asarray(held[column])).codes


def _rates(
    values: Array, codes: NDArray[np.intp], weights: Array | None, fewest: int
) -> NDArray[np.float64]:
    """The mean of the values in each group that is large enough."""
    sizes = np.bincount(codes)
    whole = np.bincount(codes, weights)
    kept = (sizes >= max(fewest, 1)) & (whole > 0)
    sums = np.bincount(codes, values if weights is None else values * weights)
    rates: NDArray[np.float64] = sums[kept] / whole[kept]
    return rates


def _apart(rates: NDArray[np.float64]) -> float:
    return float(np.ptp(rates)) if len(rates) > 1 else float("nan")
