"""The first step of a run: fix what it works on."""

import msgspec

from everbake.core.facts import RunPinned
from everbake.core.loop import ModelState, Retrain
from everbake.ports import Ports


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
    )


class _Metric(msgspec.Struct):
    name: str


class _Evidence(msgspec.Struct):
    rows_enough: int | None = None


class _Last(msgspec.Struct):
    metric: _Metric
    evidence: _Evidence | None = None


def _most_held_out(model: ModelState, ports: Ports) -> int | None:
    """How many rows would have been enough for the model's last decision by the same metric."""
    for row in ports.ledger.rows("decisions", {"model": model.model}, newest=1):
        last = msgspec.json.decode(str(row["decision"]), type=_Last)
        if last.evidence is not None and last.metric.name == model.spec.gate.metric:
            return last.evidence.rows_enough
    return None
