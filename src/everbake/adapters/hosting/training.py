"""Everything that a run needs user code for, by jobs in hosts; their files become blobs."""

import os
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from everbake.adapters.hosting.baking import Baker
from everbake.adapters.hosting.environment import describe_environment
from everbake.adapters.hosting.hosts import Hosts
from everbake.adapters.hosting.jobs import RunJobs
from everbake.adapters.hosting.judging import Judging
from everbake.adapters.hosting.work import Work, failure_of, report_of
from everbake.core.contract import Contract, Parsed, ParseOrder
from everbake.core.facts import DataArrived
from everbake.core.look_facts import Look
from everbake.core.run_facts import RunPinned
from everbake.errors import Retry, Stop
from everbake.ports import Batch, Blobs, Compared, Failure, TooFew, TrainedModel
from everbake.wire import JobLimits

_PARSE_LIMITS = JobLimits(4 * 2**30, 6 * 3600.0, os.cpu_count() or 1)

_IN_VAIN = {"EB301", "EB303"}  # raising and running out of memory will happen again


class HostTraining:
    """The port `Training`, in processes of their own."""

    def __init__(
        self,
        project: Path,
        blobs: Blobs,
        hosts: Hosts,
        work: Work,
        narrate: Callable[[str], None] | None = None,
    ) -> None:
        """Run jobs with `hosts` in folders of `work`; pass what they print to `narrate`."""
        self._project = project
        self._blobs = blobs
        self._hosts = hosts
        self._work = work
        self._jobs = RunJobs(blobs, hosts, work, narrate)
        self._baker = Baker(blobs, self._jobs)
        self._judging = Judging(blobs, self._jobs, self._baker)

    def parse(self, batch: Batch, stage: Path, contract: Contract | None, first_row: int) -> Parsed:
        """Read, check and stage a batch."""
        host = self._hosts.get(batch.snapshot, batch.spec.source)
        order = ParseOrder(
            sources=tuple(str(Path(source).absolute()) for source in batch.sources),
            names=batch.names,
            stage=str(stage.absolute()),
            contract=contract,
            first_row=first_row,
            special=batch.spec.table.special,
            mode=batch.mode,
        )
        with self._work.passing(f"parse-{uuid.uuid4().hex}") as folder:
            body = msgspec.json.encode(order)
            outcome = host.run("parse", body, work=folder, limits=_PARSE_LIMITS, seed=0)
            failure = None if outcome.state == "done" else failure_of(outcome, "")
            if failure is not None:
                raise _unread(batch, failure)
            return report_of(outcome, Parsed)

    def prepare(self, snapshot: str, source: str) -> None:
        """Start the host of a snapshot, which imports meanwhile."""
        self._hosts.get(snapshot, source)

    def environment(self, snapshot: str) -> str:  # noqa: ARG002 - the same for every snapshot here
        """Blob that describes what runs would run in."""
        return self._blobs.put(describe_environment(self._project))

    def train(
        self, pinned: RunPinned, arrived: DataArrived, files: Sequence[str]
    ) -> TrainedModel | Failure:
        """Train a candidate and put it into a bundle."""
        return self._baker.bake(pinned, arrived, files)

    def evaluate(
        self,
        pinned: RunPinned,
        bundle: str,
        arrived: DataArrived,
        files: Sequence[str],
        earlier: Sequence[Look],
    ) -> Compared | Failure:
        """Compare the candidate with the champion, and refit a winner."""
        return self._judging.evaluate(pinned, bundle, arrived, files, earlier)

    def look(
        self, pinned: RunPinned, arrived: DataArrived, files: Sequence[str]
    ) -> Compared | TooFew | Failure:
        """Compare a candidate that is pending with the champion, and refit a winner."""
        return self._judging.look(pinned, arrived, files)

    def cancel(self, run: str) -> None:
        """Kill the job of a run; the run ends as failed."""
        self._jobs.cancel(run)

    def forget(self, run: str) -> None:
        """The run is over: remove what its jobs left."""
        self._jobs.forget(run)


def _unread(batch: Batch, failure: Failure) -> Retry | Stop:
    """Why a batch was not read. None of the user's code runs there."""
    kind = Retry if failure.again or failure.code not in _IN_VAIN else Stop
    return kind(
        "EB307",
        "the batch could not be read",
        where=", ".join(batch.names),
        why=failure.error.replace("your code", "reading it"),
        mend="repeat the command"
        if kind is Retry
        else "give fewer rows at a time, or plainer ones",
    )
