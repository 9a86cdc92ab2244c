"""The rollouts that are open, as the ledger has them: which requests belong to which stage."""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from everbake.core.rollout.plan import Plan
from everbake.core.tables import Row
from everbake.ports import Reader


@dataclass(frozen=True)
class Open:
    """One open rollout.

    Attributes:
        rollout: its id.
        model: the model.
        plans: one for each part.
        stages: part and stage, by the generation of the deployment that brought them about.
    """

    rollout: str
    model: str
    plans: tuple[Plan, ...]
    stages: Mapping[int, tuple[int, int]]


def open_rollouts(reader: Reader) -> dict[str, Open]:
    """By model."""
    rows = reader.rows("rollouts", {"state": "open"})
    return {str(row["model"]): _opened(reader, row) for row in rows}


def _opened(reader: Reader, row: Row) -> Open:
    plans = msgspec.json.decode(str(row["plan"]), type=tuple[Plan, ...])
    places = [(part, at) for part, plan in enumerate(plans) for at in range(len(plan.stages))]
    steps = reader.rows("rollout_steps", {"rollout": row["rollout"]})
    generations = [int(row["n"] or 0)] + [
        int(step["n"] or 0) for step in steps if step["step"] == "advance"
    ]
    return Open(
        str(row["rollout"]),
        str(row["model"]),
        plans,
        dict(zip(generations, places, strict=False)),
    )
