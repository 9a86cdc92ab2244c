"""The folders in which jobs leave their results, and what those results say."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec

from everbake import errors
from everbake.core.redact import kept
from everbake.core.work import Refusal
from everbake.errors import EverbakeError, Retry
from everbake.ports import Failure
from everbake.wire import JobOutcome

T = TypeVar("T")

_ENDED = {
    "failed": ("EB301", "your code raised"),
    "timeout": ("EB302", "your code took longer than limits.time allows"),
    "out_of_memory": ("EB303", "your code took more than limits.memory allows"),
    "died": ("EB304", "your code ended its process"),
    "cancelled": ("EB305", "the run was cancelled"),
}


class _Refused(msgspec.Struct):
    refused: Refusal | None = None


class Work:
    """`.everbake/work`: one folder a step of a run, and passing ones."""

    def __init__(self, root: Path) -> None:
        """Keep the folders under `root`."""
        self._root = root

    def step(self, run: str, step: str) -> Path:
        """The folder of a step; what lies there after a crash is picked up."""
        return self._root / run / step

    def done(self, run: str) -> None:
        """The run is over: its folders may go."""
        shutil.rmtree(self._root / run, ignore_errors=True)

    @contextmanager
    def passing(self, name: str) -> Iterator[Path]:
        """A folder for one job whose result is used at once."""
        folder = self._root / name
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise Retry(
                "EB605",
                "nothing can be stored",
                where=str(folder),
                why=error.strerror or str(error),
                mend="free the disk or make the folder writable, then repeat the command",
            ) from error
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def report_of(outcome: JobOutcome, kind: type[T], *, where: str = "") -> T:
    """The report of a job that is done.

    Raises:
        EverbakeError: what the job refused with, as it was raised there.
    """
    body = outcome.result or b"{}"
    refusal = refusal_of(outcome)
    if refusal is not None:
        raise _raised(refusal, where)
    return msgspec.json.decode(body, type=kind)


def refusal_of(outcome: JobOutcome) -> Refusal | None:
    """The error that a job reported instead of a result."""
    if outcome.result is None or not outcome.result.startswith(b'{"refused"'):
        return None
    return msgspec.json.decode(outcome.result, type=_Refused).refused


def _raised(refusal: Refusal, where: str) -> EverbakeError:
    kind: type[EverbakeError] = getattr(errors, refusal.kind)
    return kind(
        refusal.code,
        kept(refusal.what, os.environ),
        where=refusal.where or where,
        why=kept(refusal.why, os.environ),
        mend=refusal.mend,
    )


def failure_of(outcome: JobOutcome, log: str) -> Failure | None:
    """Why a job has no report; None if it has one."""
    refusal = refusal_of(outcome)
    if refusal is not None:
        error = _raised(refusal, "")
        text = str(error).removeprefix(f"{error.code} ")
        return Failure(refusal.code, text, log, again=isinstance(error, Retry))
    if outcome.state == "done":
        return None
    code, what = _ENDED[outcome.state]
    if outcome.error.startswith("the host "):
        return Failure("EB306", outcome.error, log, again=True)
    return Failure(code, f"{what}: {outcome.error}" if outcome.error else what, log)
