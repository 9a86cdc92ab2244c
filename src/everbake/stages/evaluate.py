"""The third step of a run: candidate and champion on the same held-out rows."""

from everbake.core.facts import DataArrived, Evaluated, RunPinned, Trained, TrainingFailed
from everbake.ports import Failure, Ports


def evaluate(
    pinned: RunPinned, trained: Trained, arrived: DataArrived, ports: Ports
) -> Evaluated | TrainingFailed:
    """The decision of the gate, or why there is none."""
    files = ports.tables.files(arrived)
    outcome = ports.training.evaluate(pinned, trained.bundle, arrived, files)
    if isinstance(outcome, Failure):
        return TrainingFailed(
            pinned.model,
            pinned.run,
            "evaluate",
            outcome.code,
            outcome.error,
            outcome.log,
            outcome.again,
        )
    return Evaluated(pinned.model, pinned.run, outcome.decision, outcome.serves, outcome.seconds)
