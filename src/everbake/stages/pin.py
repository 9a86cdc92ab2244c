"""The first step of a run: fix what it works on."""

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
        spec=model.spec,
    )
