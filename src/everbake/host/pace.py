"""Measures from how many rows on a native model overtakes its compiled file."""

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from everbake.host.parity import cells_of
from everbake.runtimes.columns import RowRefusedError

if TYPE_CHECKING:
    import pandas as pd

    from everbake.runtimes.kinds import Runtime

SIZES = (10, 100, 1_000, 10_000)
_TIMES = 3
_ENOUGH = 0.03  # seconds at one size that are not repeated
_SECONDS = 0.3  # in all: a small model must not take longer to train
_GROWTH = 10.0  # from one size to the next


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
    try:
        return overtaken(_paces(predict, runtime, rows))
    except RowRefusedError:
        return None  # rows that both refuse are no measure


def _paces(
    predict: "Callable[[pd.DataFrame], object]", runtime: "Runtime", rows: "pd.DataFrame"
) -> list[Pace]:
    until = time.perf_counter() + _SECONDS
    paces: list[Pace] = []
    before = None
    for size in SIZES:
        began = time.perf_counter()
        paces.append(_pace(predict, runtime, rows, size))
        ended = time.perf_counter()
        took = ended - began
        # A call has a fixed cost, which does not grow with the rows.
        growth = max(0.0, took - (took if before is None else before))
        if ended + took + _GROWTH * growth > until:
            break
        before = took
    return paces


def _pace(
    predict: "Callable[[pd.DataFrame], object]",
    runtime: "Runtime",
    rows: "pd.DataFrame",
    size: int,
) -> Pace:
    many = rows.iloc[np.resize(np.arange(len(rows)), size)].reset_index(drop=True)
    cells = cells_of(many, runtime.columns)
    return Pace(size, *_seconds(lambda: runtime.answer_columns(cells), lambda: predict(many)))


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


def _seconds(compiled: Callable[[], object], native: Callable[[], object]) -> tuple[float, float]:
    """The median seconds of both calls, taken in turns."""
    ours, theirs = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(_TIMES):
            ours.append(_taken(compiled))
            theirs.append(_taken(native))
            if sum(ours) + sum(theirs) > _ENOUGH:
                break
    return median(ours), median(theirs)


def _taken(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began
