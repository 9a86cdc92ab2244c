"""Decides how a trained model answers: from a compiled data file, or natively in its own host."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from everbake.host.fold import fold
from everbake.host.parity import Parity, parity
from everbake.host.standin import trace_predict
from everbake.runtimes.linear import LinearRuntime

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd


@dataclass(frozen=True)
class Built:
    """How a version answers.

    Attributes:
        kind: the runtime: `linear` has `data`; `native` runs the user's `predict`.
        data: the data file of a compiled runtime.
        why: one sentence, for the decision.
        parity: the comparison, where it came to one.
    """

    kind: Literal["linear", "native"]
    data: bytes | None
    why: str
    parity: Parity | None


def build_runtime(
    model: object,
    predict: "Callable[[Any, pd.DataFrame], object]",
    features: object,
    rows: "pd.DataFrame",
    seed: int,
) -> Built:
    """Compile the model where `predict` is shown to be nothing but the model.

    Args:
        model: what `train` returned.
        predict: the recipe's `predict`.
        features: the recipe's `features`, or None.
        rows: the held-out rows, as `predict` gets them.
        seed: of the perturbed rows.
    """
    traced = trace_predict(predict, rows, model, features)
    if isinstance(traced, str):
        return Built("native", None, traced, None)
    data = fold(model, traced.method, traced.columns, traced.output_column)
    if isinstance(data, str):
        return Built("native", None, data, None)
    compared = parity(lambda given: predict(model, given), LinearRuntime.load(data), rows, seed)
    if not compared.admitted:
        return Built("native", None, f"native: {compared.reason}", compared)
    return Built("linear", data, f"linear: {compared.reason}", compared)
