"""Ready metrics `(y_true, y_pred) -> float`, named as in scikit-learn and without importing it.

The gate knows their direction, their best value and the fast interval of their difference, as it
does for scikit-learn's functions of the same name; either may be given.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from everbake.core import metrics as losses
from everbake.core.ranking import coverage, mean_average_precision, ndcg, popularity, recall_at
from everbake.statistics import calibration

__all__ = [
    "accuracy_score",
    "brier_score_loss",
    "calibration_error",
    "calibration_slope_gap",
    "coverage",
    "expected_calibration_error",
    "log_loss",
    "mean_absolute_error",
    "mean_average_precision",
    "mean_squared_error",
    "ndcg",
    "pinball_loss",
    "popularity",
    "r2_score",
    "recall_at",
    "root_mean_squared_error",
]

_Function = TypeVar("_Function", bound=Callable[..., float])
_Loss = Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]]


def mean_squared_error(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Mean of the squared errors.

    >>> mean_squared_error([1, 2], [1, 4])
    2.0
    """
    return _mean(losses.squared_error, y_true, y_pred)


def root_mean_squared_error(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Root of the mean of the squared errors.

    >>> root_mean_squared_error([1, 2], [1, 2])
    0.0
    """
    return float(np.sqrt(_mean(losses.squared_error, y_true, y_pred)))


def mean_absolute_error(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Mean of the absolute errors.

    >>> mean_absolute_error([1, 2], [1, 4])
    1.0
    """
    return _mean(losses.absolute_error, y_true, y_pred)


def r2_score(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Share of the variance that the predictions explain; NaN where the outcomes do not vary.

    >>> r2_score([1, 2, 3], [1, 2, 3])
    1.0
    """
    variance = float(np.var(np.asarray(y_true, dtype=np.float64)))
    if variance == 0:
        return float("nan")
    return 1 - mean_squared_error(y_true, y_pred) / variance


def accuracy_score(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Share of the labels that are right.

    >>> accuracy_score(["a", "b"], ["a", "a"])
    0.5
    """
    return 1 - _mean(losses.zero_one, y_true, y_pred)


def brier_score_loss(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Mean squared distance of the probabilities from the outcomes.

    >>> brier_score_loss([0, 1], [0.5, 0.5])
    0.25
    """
    return _mean(losses.brier, y_true, y_pred)


def log_loss(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Mean of minus the log of the probability that the outcome was given.

    >>> round(log_loss([0, 1], [0.5, 0.5]), 4)
    0.6931
    """
    return _mean(losses.log_loss, y_true, y_pred)


def pinball_loss(quantile: float) -> Callable[[ArrayLike, ArrayLike], float]:
    """The pinball loss of one quantile, as a metric for the gate.

    >>> pinball_loss(0.9)([10.0], [8.0])
    1.8
    """

    def mean_pinball_loss(y_true: ArrayLike, y_pred: ArrayLike) -> float:
        over = np.asarray(y_true, dtype=np.float64) - np.asarray(y_pred, dtype=np.float64)
        return float(np.mean(np.maximum(quantile * over, (quantile - 1) * over)))

    return mean_pinball_loss


def _carries(known: losses.Metric) -> Callable[[_Function], _Function]:
    """Let a function say itself what is known of it."""

    def mark(function: _Function) -> _Function:
        marked: Any = function
        marked.everbake_metric = known
        return function

    return mark


_CALIBRATION = losses.Metric(
    "calibration_error", "lower", 0.0, "classes", unit=True, probabilities=True
)


@_carries(replace(_CALIBRATION, name="expected_calibration_error"))
def expected_calibration_error(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Mean gap between probability and share of positives, over 15 equally filled bins.

    This is the usual figure. On few rows chance alone puts a gap into each bin (of calibrated
    probabilities .09 in the mean on 200 rows): for a limit take `calibration_error`.

    >>> round(expected_calibration_error([0, 1, 1, 0], [0.5, 0.5, 0.5, 0.5]), 3)
    0.0
    """
    return calibration.calibration_error(*_probable(y_true, y_pred)).plug_in


@_carries(_CALIBRATION)
def calibration_error(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Root of the mean squared gap between probability and share of positives, without chance.

    Over 15 equally filled bins (Kumar, Liang and Ma 2019); 0 where chance explains all there is.

    >>> round(calibration_error([0, 0, 0, 1] * 50, [0.75] * 200), 2)
    0.5
    """
    return max(0.0, calibration.calibration_error(*_probable(y_true, y_pred)).root)


@_carries(replace(_CALIBRATION, name="calibration_slope_gap", unit=False))
def calibration_slope_gap(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """How far the slope of the calibration line (Cox 1958) is from 1; NaN where there is none.

    The slope is below 1 where probabilities are too extreme, above it where they are too timid.
    """
    try:
        line = calibration.calibration_line(*_probable(y_true, y_pred))
    except calibration.NotEstimableError:
        return float("nan")
    return abs(line.slope - 1)


def _probable(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[Any]]:
    return losses.positives(np.asarray(y_true)), np.asarray(y_pred, dtype=np.float64)


def _mean(loss: _Loss, y_true: ArrayLike, y_pred: ArrayLike) -> float:
    return float(np.mean(loss(np.asarray(y_true), np.asarray(y_pred))))
