"""Finds which columns of the rows a user's `predict` needs, by leaving them out."""

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    PredictRows: TypeAlias = Callable[[pd.DataFrame], object]

Array: TypeAlias = np.ndarray[Any, Any]

_SAMPLE_ROWS = 20
_ROUNDING = 1e-9  # by which sums over several threads may differ
_ONE_BY_ONE = 500  # with more columns, whole groups are left out first


def needed_columns(predict_rows: "PredictRows", sample: "pd.DataFrame") -> tuple[str, ...]:
    """The columns without which `predict_rows` fails or answers differently, in order.

    All columns are needed if that cannot be told: if `predict_rows` fails on the sample, does not
    repeat its answers, or needs one of several columns without needing any one of them.
    """
    rows = sample.head(_SAMPLE_ROWS)
    names = list(rows.columns)
    wanted = _answers(predict_rows, rows)
    if wanted is None or not same_answers(wanted, _answers(predict_rows, rows)):
        return tuple(names)

    def dispensable(group: Sequence[str]) -> bool:
        return same_answers(wanted, _answers(predict_rows, rows.drop(columns=list(group))))

    spare = set(_spare(names, dispensable))
    needed = [name for name in names if name not in spare]
    if not same_answers(wanted, _answers(predict_rows, rows[needed])):
        return tuple(names)
    return tuple(needed)


def _spare(names: list[str], dispensable: Callable[[Sequence[str]], bool]) -> list[str]:
    if len(names) <= _ONE_BY_ONE:
        return [name for name in names if dispensable([name])]
    spare: list[str] = []
    groups = [names]
    while groups:
        group = groups.pop()
        if dispensable(group):
            spare += group
        elif len(group) > 1:
            half = len(group) // 2
            groups += [group[:half], group[half:]]
    return spare


def _answers(predict_rows: "PredictRows", rows: "pd.DataFrame") -> Array | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.asarray(predict_rows(rows.copy()))
    except Exception:  # noqa: BLE001 - user code that lacks a column may raise anything
        return None


def same_answers(wanted: Array, answers: Array | None) -> bool:
    """Whether two runs gave the same answers, but for the rounding of parallel sums."""
    if answers is None or answers.shape != wanted.shape:
        return False
    if wanted.dtype.kind == "f" and answers.dtype.kind == "f":
        return np.allclose(wanted, answers, rtol=_ROUNDING, atol=0.0, equal_nan=True)
    return bool(wanted.tolist() == answers.tolist())
