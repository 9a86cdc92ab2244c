"""What was compared with what, in phrases: data, recipe, seed and runtime of both versions."""

from collections.abc import Iterator, Mapping
from typing import Any

from everbake.core.drawing.words import counted, plain, short

Json = Mapping[str, Any]


def units_of(evidence: Json, n: int) -> str:
    """What the `n` held-out rows belong to, and from when they are, as far as that is known."""
    groups, period = evidence.get("groups"), evidence.get("period")
    text = f" of {counted(groups, 'group')}" if groups and groups < n else ""
    return text if not period else f"{text}, {plain(period[0])} to {plain(period[1])}"


def sources_of(compared: Json) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each side with its phrases; nothing where a decision stands alone."""
    for role in ("candidate", "champion", "beside"):
        side = compared.get(role)
        if side is not None:
            yield role, (plain(side["name"]), *_side(side))
    held = compared.get("held_out")
    if held is not None:
        yield "held out", tuple(_held(held))


def _side(side: Json) -> Iterator[str]:
    rows = "" if side["rows"] is None else f"{counted(side['rows'], 'row')} of "
    yield f"learned from {rows}{_data(side['data_version'])}"
    if side["refit"]:
        yield "then trained once more on all rows"
    yield f"recipe {side['recipe_number']} ({short(plain(side['recipe']))})"
    yield f"seed {side['seed']}"
    yield plain(side["runtime"])


def _held(held: Json) -> Iterator[str]:
    yield f"{counted(held['rows'], 'row')} of {_data(held['data_version'])}"
    yield plain(held["split"])


def _data(newest: int) -> str:
    return "data version 1" if newest == 1 else f"data versions 1 to {newest}"
