"""What a worker counts: plain numbers, cheap enough for every request.

Each worker writes its numbers to a file of its own about once a second, so that whoever is asked
for them can tell those of all. A worker that starts takes over what the former ones of its number
have counted.
"""

import asyncio
import contextlib
import logging
import os
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import msgspec

from everbake.wire import alive

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SUFFIX = ".counts"
_EVERY = 1.0
_log = logging.getLogger(__name__)

Arm = tuple[str, int, str]


class Answers(msgspec.Struct):
    """What one version has answered in one role.

    Attributes:
        buckets: requests by their time: up to each of `BUCKETS`, and beyond.
        seconds: all together.
        rows: all together.
    """

    buckets: list[int]
    seconds: float = 0.0
    rows: int = 0


class Numbers(msgspec.Struct):
    """All that is counted, and what is measured beside it.

    Attributes:
        pid: of the worker.
        answers: by model, version and role.
        failures: the same, and the code of the problem.
        problems: all documents that say why a request was not answered, by code.
        open: requests under way, at this moment.
        resident: bytes of memory, at this moment.
        unlogged: rows that were answered and could not be logged, by model.
    """

    pid: int = 0
    answers: dict[str, Answers] = {}
    failures: dict[str, int] = {}
    problems: dict[str, int] = {}
    shadows_shed: dict[str, int] = {}
    open: int = 0
    resident: int = 0
    unlogged: dict[str, int] = {}

    def add(self, other: "Numbers") -> None:
        """Add what somebody else has counted, but nothing that was true at a moment."""
        for name, theirs in other.answers.items():
            mine = self.answers.setdefault(name, Answers([0] * len(theirs.buckets)))
            mine.buckets = [a + b for a, b in zip(mine.buckets, theirs.buckets, strict=True)]
            mine.seconds += theirs.seconds
            mine.rows += theirs.rows
        self.failures = Counter(self.failures) + Counter(other.failures)
        self.problems = Counter(self.problems) + Counter(other.problems)
        self.shadows_shed = Counter(self.shadows_shed) + Counter(other.shadows_shed)
        self.unlogged = Counter(self.unlogged) + Counter(other.unlogged)


class Counts:
    """The numbers of one worker. All methods belong to the event loop's thread.

    Args:
        folder: where all workers write theirs.
        worker: its number.
    """

    def __init__(self, folder: Path, worker: int) -> None:
        self._folder = folder
        self._path = folder / f"{worker}-{os.getpid()}{SUFFIX}"
        self._worker = worker
        self._answers: dict[Arm, Answers] = {}
        self._failures: Counter[tuple[str, int, str, str]] = Counter()
        self._before = Numbers()
        self.problems: Counter[str] = Counter()
        self.shed: Counter[str] = Counter()
        self.unlogged: Counter[str] = Counter()
        self.open = 0

    def answered(self, model: str, version: int, role: str, rows: int, seconds: float) -> None:
        """Count a request."""
        arm = (model, version, role)
        answers = self._answers.get(arm)
        if answers is None:
            answers = self._answers[arm] = Answers([0] * (len(BUCKETS) + 1))
        answers.buckets[bisect_left(BUCKETS, seconds)] += 1
        answers.seconds += seconds
        answers.rows += rows

    def failed(self, model: str, version: int, role: str, code: str) -> None:
        """Count a request for which a version was picked that could not answer."""
        self._failures[model, version, role, code] += 1

    async def keep(self) -> None:
        """Take over from the former workers of this number, and write about once a second."""
        former = [path for path in _files(self._folder) if _number(path) == self._worker]
        ended = [path for path in former if path != self._path and not _alive(path)]
        for numbers in _read(ended):
            self._before.add(numbers)
        self._write()
        for path in ended:
            path.unlink(missing_ok=True)
        while True:
            await asyncio.sleep(_EVERY)
            self._write()

    def close(self) -> None:
        """Write a last time."""
        self._write()

    def now(self) -> Numbers:
        """This worker's numbers."""
        answers = {_name(*arm): _copied(each) for arm, each in self._answers.items()}
        failures = {_name(*arm): count for arm, count in self._failures.items()}
        problems, shed = dict(self.problems), dict(self.shed)
        found = Numbers(os.getpid(), answers, failures, problems, shed, self.open, _resident())
        found.unlogged = dict(self.unlogged)
        found.add(self._before)
        return found

    def everybody(self) -> list[Numbers]:
        """The numbers of all workers, this one's own from memory."""
        others = [path for path in _files(self._folder) if path != self._path]
        return [self.now(), *_read(others)]

    def _write(self) -> None:
        fresh = self._path.with_suffix(".fresh")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh.write_bytes(msgspec.json.encode(self.now()))
            fresh.replace(self._path)
        except OSError as error:
            _log.warning("%s cannot be written: %s", self._path, error)


def parts(name: str) -> list[str]:
    """What `_name` has put together."""
    return msgspec.json.decode(name, type=list[str])


def _name(*of: object) -> str:
    return msgspec.json.encode([str(each) for each in of]).decode()


def _copied(answers: Answers) -> Answers:
    return Answers(list(answers.buckets), answers.seconds, answers.rows)


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{SUFFIX}"))


def _read(paths: Iterable[Path]) -> list[Numbers]:
    found = []
    for path in paths:
        # It was taken over just now, or is of another version of everbake.
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            found.append(msgspec.json.decode(path.read_bytes(), type=Numbers))
    return found


def _number(path: Path) -> int:
    return int(path.stem.partition("-")[0])


def _alive(path: Path) -> bool:
    return alive(int(path.stem.partition("-")[2]))


def _resident() -> int:
    # Imported here: what only few ask for does not slow the start.
    import psutil

    return int(psutil.Process().memory_info().rss)
