"""A run, top to bottom.

What is recorded wins: after a crash it goes on at the first step without a fact, and nothing else
remembers anything.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager

from everbake.core.facts import Entry, Fact, expected, step_id
from everbake.core.look_facts import LookPostponed
from everbake.core.loop import Retrain
from everbake.core.run_facts import Concluded, Evaluated, RunPinned, Trained, TrainingFailed
from everbake.engine.patience import patiently
from everbake.engine.state import arrived_at, load_model
from everbake.ports import Ports
from everbake.stages.conclude import conclude
from everbake.stages.evaluate import evaluate, look
from everbake.stages.pin import pin
from everbake.stages.settle import settle
from everbake.stages.train import train


def pipeline(order: Retrain, ports: Ports, deciding: AbstractContextManager[object]) -> Concluded:
    """Bake one candidate, or take one that is pending, and decide about it.

    The same run id is one run, whatever dies.

    Args:
        order: what to bake, and why.
        ports: the outside.
        deciding: held while a deployment is decided, so that people and runs take turns.
    """
    ledger, run = ports.ledger, _Steps(order.run, ports)
    pinned = run.pin(lambda: pin(order, load_model(ledger, order.model), ports))
    arrived = arrived_at(ledger, pinned.model, pinned.data_version)
    if pinned.pending is not None:
        looked = run.look(lambda: look(pinned, arrived, ports))
        with deciding:
            return run.conclude(
                lambda: settle(pinned, looked, arrived, load_model(ledger, pinned.model))
            )
    trained = run.train(lambda: train(pinned, arrived, ports))
    evaluated: Evaluated | TrainingFailed
    if isinstance(trained, TrainingFailed):
        evaluated = trained
    else:
        candidate = trained
        evaluated = run.evaluate(lambda: evaluate(pinned, candidate.bundle, arrived, ports))
    with deciding:
        return run.conclude(
            lambda: conclude(pinned, trained, evaluated, arrived, load_model(ledger, pinned.model))
        )


class _Steps:
    """The steps of one run: each happens once, and its fact says how it ended."""

    def __init__(self, run: str, ports: Ports) -> None:
        self._run = run
        self._ports = ports

    def pin(self, stage: Callable[[], RunPinned]) -> RunPinned:
        return expected(self._once("pin", stage), RunPinned)

    def train(self, stage: Callable[[], Trained | TrainingFailed]) -> Trained | TrainingFailed:
        entry = self._once("train", stage)
        return _failed(entry) or expected(entry, Trained)

    def evaluate(
        self, stage: Callable[[], Evaluated | TrainingFailed]
    ) -> Evaluated | TrainingFailed:
        entry = self._once("evaluate", stage)
        return _failed(entry) or expected(entry, Evaluated)

    def look(
        self, stage: Callable[[], Evaluated | LookPostponed | TrainingFailed]
    ) -> Evaluated | LookPostponed | TrainingFailed:
        entry = self._once("evaluate", stage)
        if isinstance(entry.fact, LookPostponed):
            return entry.fact
        return _failed(entry) or expected(entry, Evaluated)

    def conclude(self, stage: Callable[[], Concluded]) -> Concluded:
        return expected(self._once("conclude", stage), Concluded)

    def _once(self, step: str, stage: Callable[[], Fact]) -> Entry:
        """The entry that ends a step: the recorded one, or what the stage makes now."""
        ledger, entry_id = self._ports.ledger, step_id(self._run, step)
        known = ledger.find(entry_id)
        if known is not None:
            return known
        return patiently(lambda: ledger.record(entry_id, stage()), self._ports.clock)


def _failed(entry: Entry) -> TrainingFailed | None:
    return entry.fact if isinstance(entry.fact, TrainingFailed) else None
