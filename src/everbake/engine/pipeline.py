"""A run, top to bottom. What is recorded wins: after a crash it goes on at the first step without
a fact, and nothing else remembers anything."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from everbake.core.facts import (
    Concluded,
    DataArrived,
    Evaluated,
    Fact,
    RunPinned,
    Trained,
    TrainingFailed,
    step_id,
)
from everbake.core.loop import Retrain
from everbake.engine.patience import patiently
from everbake.engine.state import arrived_at, load_model
from everbake.ports import Ports
from everbake.stages.conclude import conclude
from everbake.stages.evaluate import evaluate
from everbake.stages.pin import pin
from everbake.stages.train import train

STEPS = ("pin", "train", "evaluate", "conclude")


def pipeline(order: Retrain, ports: Ports, deciding: AbstractContextManager[object]) -> Concluded:
    """Bake one candidate and decide about it. The same run id is one run, whatever dies.

    Args:
        order: what to bake, and why.
        ports: the outside.
        deciding: held while a deployment is decided, so that people and runs take turns.
    """
    run = order.run
    pinned = once("pin", run, ports, lambda: pin(order, load_model(ports.ledger, order.model), ports))
    assert isinstance(pinned, RunPinned)
    arrived = arrived_at(ports.ledger, pinned.model, pinned.data_version)
    trained = once("train", run, ports, lambda: train(pinned, arrived, ports))
    assert isinstance(trained, Trained | TrainingFailed)
    evaluated = _evaluated(pinned, trained, arrived, ports)
    with deciding:
        concluded = once(
            "conclude",
            run,
            ports,
            lambda: conclude(pinned, trained, evaluated, load_model(ports.ledger, pinned.model)),
        )
    assert isinstance(concluded, Concluded)
    return concluded


def _evaluated(
    pinned: RunPinned, trained: Trained | TrainingFailed, arrived: DataArrived, ports: Ports
) -> Evaluated | TrainingFailed | None:
    if isinstance(trained, TrainingFailed):
        return None
    done = once("evaluate", pinned.run, ports, lambda: evaluate(pinned, trained, arrived, ports))
    assert isinstance(done, Evaluated | TrainingFailed)
    return done


def once(step: str, run: str, ports: Ports, stage: Callable[[], Fact]) -> Fact:
    """The fact that ends a step: the recorded one, or what the stage makes now."""
    entry_id = step_id(run, step)
    known = ports.ledger.find(entry_id)
    if known is not None:
        return known.fact
    return patiently(lambda: ports.ledger.record(entry_id, stage()), ports.clock).fact
