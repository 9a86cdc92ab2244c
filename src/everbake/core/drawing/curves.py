"""What decisions cost, told from a decision's curves; a check tells how they are calibrated."""

from collections.abc import Mapping
from typing import Any

from everbake.core.drawing.words import figure

Json = Mapping[str, Any]

_MODELS = {"candidate": "the new model", "champion": "the model in use"}


def costs_of(curves: Json) -> tuple[str, ...]:
    """From which score each model decides and what that costs; nothing where none decides."""
    told = [
        f"{who} from {figure(found['threshold'])} on, a row costs {figure(found['cost'])}"
        for key, who in _MODELS.items()
        if (found := curves[f"{key}_cost"]) is not None
    ]
    if not told:
        return ()
    false_positive, false_negative = map(figure, curves["prices"])
    return (*told, f"a false positive costs {false_positive}, a false negative {false_negative}")
