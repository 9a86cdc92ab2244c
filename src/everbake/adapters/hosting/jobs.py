"""The jobs of a run: what each is allowed, what it printed, and how to stop it."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from everbake.adapters.hosting.hosts import Hosts
from everbake.adapters.hosting.work import Work
from everbake.core.redact import kept
from everbake.core.run_facts import RunPinned
from everbake.ports import Blobs
from everbake.wire import OUTPUT, JobLimits, JobOutcome

# Steps that are another one's job, in a folder of their own.
_JOBS = {"refit": "train", "best": "score", "own": "score"}


class RunJobs:
    """Does the jobs of runs in the hosts of their code; each leaves its result in a folder."""

    def __init__(
        self,
        blobs: Blobs,
        hosts: Hosts,
        work: Work,
        narrate: Callable[[str], None] | None = None,
    ) -> None:
        """Run jobs with `hosts` in folders of `work`; pass what they print to `narrate`."""
        self._blobs = blobs
        self._hosts = hosts
        self._work = work
        self._narrate = narrate
        self._cancels: dict[str, threading.Event] = {}

    def folder(self, run: str, step: str) -> Path:
        """Where a step of a run leaves its files."""
        return self._work.step(run, step)

    def run(
        self, pinned: RunPinned, step: str, order: object, code: tuple[str, str]
    ) -> tuple[JobOutcome, str]:
        """Do one job of a run, unless its result lies there.

        Args:
            pinned: the run.
            step: which of its jobs: also the name of the folder.
            order: what to do, for the host.
            code: snapshot and source file of the recipe that does it.

        Returns:
            How it ended, and the blob of what it printed.
        """
        host = self._hosts.get(*code)
        folder = self.folder(pinned.run, step)
        spec = pinned.spec
        with _lines(self._narrate) as narrate:
            outcome = host.run(
                _JOBS.get(step, step),
                msgspec.json.encode(order),
                work=folder,
                limits=JobLimits(spec.memory_bytes, spec.time_seconds, spec.threads),
                seed=pinned.seed,
                cancel=self._cancel(pinned.run),
                on_output=narrate,
            )
        return outcome, self._log(folder)

    def cancel(self, run: str) -> None:
        """Kill the job of a run."""
        self._cancel(run).set()

    def forget(self, run: str) -> None:
        """The run is over: remove what its jobs left."""
        self._cancels.pop(run, None)
        self._work.done(run)

    def _cancel(self, run: str) -> threading.Event:
        return self._cancels.setdefault(run, threading.Event())

    def _log(self, folder: Path) -> str:
        try:
            text = (folder / OUTPUT).read_text(errors="replace")
        except FileNotFoundError:
            text = ""
        return self._blobs.put(kept(text, os.environ).encode())


def own_code(pinned: RunPinned) -> tuple[str, str]:
    """Snapshot and source file of the recipe that a run was pinned to."""
    return pinned.snapshot, pinned.spec.source


@contextmanager
def _lines(narrate: Callable[[str], None] | None) -> Iterator[Callable[[str], None] | None]:
    """Passes text on without its secrets: line by line, so that none is cut in two."""
    if narrate is None:
        yield None
        return
    rest = ""

    def pass_on(text: str) -> None:
        nonlocal rest
        whole, end, rest = (rest + text).rpartition("\n")
        if end:
            narrate(kept(whole + end, os.environ))

    yield pass_on
    if rest:
        narrate(kept(rest, os.environ))
