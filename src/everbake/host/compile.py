"""Decides how a trained model answers: from a compiled data file, or natively in its own host."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from everbake.host.families import family_of
from everbake.host.features import follow
from everbake.host.fold import fold
from everbake.host.heads import Asked, Fitted, Unfoldable, labels_of
from everbake.host.pace import native_above
from everbake.host.parity import Native, Parity, parity
from everbake.host.plant import plant
from everbake.host.standin import Traced, trace_predict
from everbake.runtimes.kinds import load

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from everbake.runtimes.columns import Floats


@dataclass(frozen=True)
class Built:
    """How a version answers.

    Attributes:
        kind: the runtime: `native` runs the user's `predict`, any other has `data`.
        data: the data file of a compiled runtime.
        why: one sentence, for the decision.
        parity: the comparison, where it came to one.
        native_above: rows in one call above which the native model is faster; None: never.
    """

    kind: Literal["linear", "trees", "native"]
    data: bytes | None
    why: str
    parity: Parity | None = None
    native_above: int | None = None


@dataclass(frozen=True)
class _File:
    kind: Literal["linear", "trees"]
    data: bytes
    edges: "dict[str, Floats]" = field(default_factory=dict)


def build_runtime(
    model: object,
    predict: "Callable[[Any, pd.DataFrame], object]",
    features: object,
    rows: "pd.DataFrame",
    seed: int,
    threshold: float | None = None,
) -> Built:
    """Compile the model where `predict` is shown to be nothing but the model.

    Args:
        model: what `train` returned.
        predict: the recipe's `predict`.
        features: the recipe's `features`, or None.
        rows: the held-out rows, as `predict` gets them.
        seed: of the perturbed rows.
        threshold: from which answer the version decides "positive", if it decides.
    """
    traced = trace_predict(predict, rows, model, features)
    if isinstance(traced, str):
        return Built("native", None, traced)
    try:
        file = _file(model, traced)
    except Unfoldable as reason:
        return Built("native", None, f"native: {reason}")
    runtime = load(file.kind, file.data)
    native = replace(_native(model, predict, traced), threshold=threshold)
    compared = parity(native, runtime, rows, file.edges, seed)
    if not compared.admitted:
        return Built("native", None, f"native: {compared.reason}", compared)
    # A folded linear model is a matrix product: nothing overtakes it.
    above = native_above(native.predict, runtime, rows) if file.kind == "trees" else None
    return Built(file.kind, file.data, f"{file.kind}: {compared.reason}", compared, above)


def _file(model: Fitted, traced: Traced) -> _File:
    """The data file that is to be compared with the model."""
    followed = follow(model, traced.columns)
    asked = Asked(traced.method, traced.output_column)
    if family_of(followed.last) is None:
        return _File("linear", fold(followed, asked))
    planted = plant(followed, asked)
    return _File("trees", planted.data, planted.edges)


def _native(
    model: Fitted, predict: "Callable[[Any, pd.DataFrame], object]", traced: Traced
) -> Native:
    """The model as it answers by itself, with what its labels are decided by."""

    def answers(rows: "pd.DataFrame") -> object:
        return predict(model, rows)

    if traced.method != "predict" or not hasattr(model, "classes_"):
        return Native(answers)
    method = "decision_function" if hasattr(model, "decision_function") else "predict_proba"

    def scores(rows: "pd.DataFrame") -> object:
        return np.asarray(getattr(model, method)(rows[list(traced.columns)]))

    return Native(answers, scores, labels_of(model))
