"""Candidates that are pending, and the ledger of looks: which rows decided how often."""

from typing import Any

import msgspec

from everbake.core.loop import ModelState, model_state
from everbake.core.tables import Row
from everbake.ports import Reader
from everbake.views.moments import moment


def pending(reader: Reader, model: Row) -> dict[str, Any] | None:
    """The candidate of a model that is looked at again, and when; None if there is none.

    Args:
        reader: the ledger.
        model: a row of `models`.
    """
    state = model_state(model)
    if state.candidate is None or state.candidate_due is None:
        return None
    to_come = max(0, state.candidate_due - state.rows)
    return {
        "version": state.candidate,
        "looks": len(looks(reader, state.model, state.candidate)),
        "rows_to_come": to_come,
        "next": _next(state, to_come),
    }


def _next(state: ModelState, to_come: int) -> str:
    """When it is looked at next, as a phrase."""
    if held_by := _held_by(state):
        return f"not looked at while {held_by}"
    return f"next look once {to_come} more rows are there" if to_come else "next look: now"


def _held_by(state: ModelState) -> str:
    """What keeps it from being looked at, beside rows that have to come."""
    if state.candidate_recipe != state.recipe:
        return "the recipe was edited"
    if state.paused:
        return "runs are paused"
    if state.held:
        return "promotion is held"
    return "a version is in its rollout" if state.rollout or state.winner else ""


def looks(reader: Reader, model: str, version: int) -> list[dict[str, Any]]:
    """All decisions about a version, the first one first."""
    rows = reader.rows("decisions", {"model": model, "version": version})
    return [_look(row) for row in sorted(rows, key=lambda row: int(row["n"] or 0))]


def _look(row: Row) -> dict[str, Any]:
    judged: dict[str, Any] = msgspec.json.decode(str(row["decision"]))
    return {
        "look": row["look"],
        "level": row["level"],
        "rows": row["rows"],
        "row_set": row["digest"],
        "verdict": judged["verdict"],
        "run": row["run"],
        "time": moment(row["time"]),
    }
