"""Metrics of calibration, for guardrails: whether probabilities mean what they say."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from everbake.core.metrics import Metric, carrying, positives
from everbake.statistics.calibration import (
    NotEstimableError,
    calibration_line,
)
from everbake.statistics.calibration import calibration_error as binned_error


def expected_calibration_error(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Mean gap between probability and share of positives, over 15 equally filled bins.

    This is the usual figure. On few rows chance alone puts a gap into each bin (of calibrated
    probabilities .09 in the mean on 200 rows): for a limit take `calibration_error`.

    >>> round(expected_calibration_error([0, 1, 1, 0], [0.5, 0.5, 0.5, 0.5]), 3)
    0.0
    """
    return binned_error(*_probable(y_true, y_pred)).plug_in


def calibration_error(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Root of the mean squared gap between probability and share of positives, without chance.

    Over 15 equally filled bins (Kumar, Liang and Ma 2019); 0 where chance explains all there is.

    >>> round(calibration_error([0, 0, 0, 1] * 50, [0.75] * 200), 2)
    0.5
    """
    return max(0.0, binned_error(*_probable(y_true, y_pred)).root)


def calibration_slope_gap(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """How far the slope of the calibration line (Cox 1958) is from 1; NaN where there is none.

    The slope is below 1 where probabilities are too extreme, above it where they are too timid.
    """
    try:
        line = calibration_line(*_probable(y_true, y_pred))
    except NotEstimableError:
        return float("nan")
    return abs(line.slope - 1)


def _probable(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[Any]]:
    return positives(np.asarray(y_true)), np.asarray(y_pred, dtype=np.float64)


_KNOWN = Metric("calibration_error", "lower", 0.0, "classes", unit=True, probabilities=True)
carrying(calibration_error, _KNOWN)
carrying(expected_calibration_error, replace(_KNOWN, name="expected_calibration_error"))
carrying(calibration_slope_gap, replace(_KNOWN, name="calibration_slope_gap", unit=False))
