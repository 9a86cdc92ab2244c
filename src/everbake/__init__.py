"""everbake keeps a machine-learning model right after it ships.

Everything here is loaded when it is first used, so that `import everbake` costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from everbake.core.decision import Check, Decision
    from everbake.core.exposure import Canary, Replace, Shadow
    from everbake.core.gate import judge
    from everbake.core.metrics import AtLeast, AtMost
    from everbake.core.recipe import (
        Gate,
        Limits,
        NewData,
        Recipe,
    )
    from everbake.core.spec import CostThreshold, Events, Table
    from everbake.core.splits import GroupSplit, HashSplit, TimeSplit

__all__ = [
    "AtLeast",
    "AtMost",
    "Canary",
    "Check",
    "CostThreshold",
    "Decision",
    "Events",
    "Gate",
    "GroupSplit",
    "HashSplit",
    "Limits",
    "NewData",
    "Recipe",
    "Replace",
    "Shadow",
    "Table",
    "TimeSplit",
    "judge",
]
__version__ = "0.1.0"

_HOMES = {
    "AtLeast": "core.metrics",
    "AtMost": "core.metrics",
    "Canary": "core.exposure",
    "Check": "core.decision",
    "CostThreshold": "core.spec",
    "Decision": "core.decision",
    "Events": "core.spec",
    "Gate": "core.recipe",
    "GroupSplit": "core.splits",
    "HashSplit": "core.splits",
    "Limits": "core.recipe",
    "NewData": "core.recipe",
    "Recipe": "core.recipe",
    "Replace": "core.exposure",
    "Shadow": "core.exposure",
    "Table": "core.spec",
    "TimeSplit": "core.splits",
    "judge": "core.gate",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'everbake' has no attribute {name!r}")
    return getattr(import_module(f"everbake.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
