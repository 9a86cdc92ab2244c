"""The second step of a run: bake a candidate."""

from everbake.core.facts import DataArrived
from everbake.core.run_facts import RunPinned, Trained, TrainingFailed
from everbake.ports import Failure, Ports


def train(pinned: RunPinned, arrived: DataArrived, ports: Ports) -> Trained | TrainingFailed:
    """A candidate in its bundle, or why there is none."""
    outcome = ports.training.train(pinned, arrived, ports.tables.files(arrived))
    if isinstance(outcome, Failure):
        return TrainingFailed(
            pinned.model,
            pinned.run,
            "train",
            outcome.code,
            outcome.error,
            outcome.log,
            outcome.again,
        )
    return Trained(
        model=pinned.model,
        run=pinned.run,
        bundle=outcome.bundle,
        runtime=outcome.runtime,
        rows=outcome.rows,
        held_out=outcome.held_out,
        seconds=outcome.seconds,
        peak_memory=outcome.peak_memory,
        log=outcome.log,
        new_rows=outcome.new_rows,
    )
