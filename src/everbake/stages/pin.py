"""The first step of a run: fix what it works on."""

import msgspec

from everbake.core.decision import Verdict
from everbake.core.facts import RunPinned
from everbake.core.loop import ModelState, Retrain
from everbake.ports import Ports

_LOOKED_BACK = 20  # decisions, for the best value that a champion had


def pin(order: Retrain, model: ModelState, ports: Ports) -> RunPinned:
    """Data version, recipe, environment, champion and seed, as they are now."""
    return RunPinned(
        model=order.model,
        run=order.run,
        cause=order.cause,
        cause_kind=order.cause_kind,
        attempt=order.attempt,
        data_version=model.data_version,
        recipe=model.recipe,
        recipe_number=model.recipe_number,
        snapshot=model.snapshot,
        champion=model.champion,
        champion_bundle=model.champion_bundle,
        seed=model.spec.seed,
        environment=ports.training.environment(model.snapshot),
        most_held_out=_most_held_out(model, ports),
        spec=model.spec,
        reached=_reached(model, ports),
    )


class _Metric(msgspec.Struct):
    name: str
    candidate: float | None = None
    champion: float | None = None


class _Evidence(msgspec.Struct):
    rows_enough: int | None = None


class _Last(msgspec.Struct):
    verdict: Verdict
    metric: _Metric
    evidence: _Evidence | None = None


def _most_held_out(model: ModelState, ports: Ports) -> int | None:
    """How many rows would have been enough for the model's last decision by the same metric."""
    for row in ports.ledger.rows("decisions", {"model": model.model}, newest=1):
        last = msgspec.json.decode(str(row["decision"]), type=_Last)
        if last.evidence is not None and last.metric.name == model.spec.gate.metric:
            return last.evidence.rows_enough
    return None


def _reached(model: ModelState, ports: Ports) -> float | None:
    """The best value that a champion had, or won by, in the last decisions by the same metric."""
    values: list[float | None] = []
    for row in ports.ledger.rows("decisions", {"model": model.model}, newest=_LOOKED_BACK):
        last = msgspec.json.decode(str(row["decision"]), type=_Last)
        if last.metric.name == model.spec.gate.metric:
            values.append(last.metric.champion)
            values.append(last.metric.candidate if last.verdict == "promoted" else None)
    best = max if model.spec.gate.better == "higher" else min
    return best((value for value in values if value is not None), default=None)
