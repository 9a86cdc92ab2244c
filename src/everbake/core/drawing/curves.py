"""How a decision's curves are told: the lines of calibration, and what decisions cost."""

from collections.abc import Iterator, Mapping
from typing import Any

from everbake.core.drawing.words import figure

Json = Mapping[str, Any]
Fact = tuple[str, tuple[str, ...]]

_MODELS = {"candidate": "the new model", "champion": "the model in use"}


def curves_of(curves: Json) -> Iterator[Fact]:
    """Facts about calibration and costs, where a decision has such curves."""
    told = [_calibration(who, curves[key]) for key, who in _MODELS.items() if curves[key]]
    if told:
        yield "calibrated", tuple(told)
    costs = [_cost(who, curves[f"{key}_cost"]) for key, who in _MODELS.items()]
    known = [cost for cost in costs if cost]
    if known:
        false_positive, false_negative = map(figure, curves["prices"])
        prices = f"a false positive costs {false_positive}, a false negative {false_negative}"
        yield "decides", (*known, prices)


def _calibration(who: str, found: Json) -> str:
    if found["slope"] is None:
        return f"{who}: no line can be estimated"
    low, high = (f"{end:.2f}" for end in found["slope_interval"])
    return f"{who}: slope {found['slope']:.2f} ({low} to {high}; 1 is right)"


def _cost(who: str, found: Json | None) -> str:
    if found is None:
        return ""
    return f"{who} from {figure(found['threshold'])} on, a row costs {figure(found['cost'])}"
