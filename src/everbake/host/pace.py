"""Measures from how many rows on a native model overtakes its compiled file."""

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from everbake.host.parity import cells_of

if TYPE_CHECKING:
    import pandas as pd

    from everbake.runtimes.kinds import Runtime

SIZES = (10, 100, 1_000, 10_000)
_TIMES = 3
_SECONDS = 0.25  # in all: a small model must not take longer to train
_GROWTH = 10.0  # the next size costs up to this many times as much


@dataclass(frozen=True)
class Pace:
    """Seconds for one call with so many rows."""

    rows: int
    compiled: float
    native: float


def native_above(
    predict: "Callable[[pd.DataFrame], object]", runtime: "Runtime", rows: "pd.DataFrame"
) -> int | None:
    """The rows in one call above which `predict` is the faster one; None: at no measured size."""
    until = time.perf_counter() + _SECONDS
    paces: list[Pace] = []
    for size in SIZES:
        began = time.perf_counter()
        many = rows.iloc[np.resize(np.arange(len(rows)), size)].reset_index(drop=True)
        cells = cells_of(many, runtime.columns)
        compiled, native = _seconds(
            lambda cells=cells: runtime.answer_columns(cells),  # type: ignore[misc]
            lambda many=many: predict(many),  # type: ignore[misc]
        )
        paces.append(Pace(size, compiled, native))
        ended = time.perf_counter()
        if ended + (ended - began) * _GROWTH > until:
            break
    return overtaken(paces)


def overtaken(paces: Sequence[Pace]) -> int | None:
    """The largest size at which the compiled file was still as fast, if it was overtaken after it.

    Only the end of the row of sizes counts: one odd measurement among small ones decides nothing.
    """
    above = None
    for pace in reversed(paces):
        if pace.native >= pace.compiled:
            return None if pace is paces[-1] else pace.rows
        above = 1
    return above


def _seconds(*calls: Callable[[], object]) -> tuple[float, ...]:
    """The median seconds of each call, taken in turns."""
    taken: list[list[float]] = [[] for _ in calls]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(_TIMES):
            for call, seconds in zip(calls, taken, strict=True):
                began = time.perf_counter()
                call()
                seconds.append(time.perf_counter() - began)
    return tuple(median(seconds) for seconds in taken)
