"""A project whose commands are real processes, which a test may kill."""

import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from kills.tape import Told

ENTRY = Path(__file__).with_name("entry.py")
EXAMPLE = Path(__file__).parents[3] / "examples" / "line"
BOUND = 90.0  # seconds that anything may take before the test gives up
ACKNOWLEDGED = (0, 4, 5)  # promoted, rejected, inconclusive: the batch is in


def wait_for(what: str, happened: Callable[[], object], bound: float = BOUND) -> None:
    """Return when something has happened."""
    until = time.monotonic() + bound
    while not happened():
        if time.monotonic() > until:
            raise TimeoutError(f"not within {bound:.0f} s: {what}")
        time.sleep(0.003)


@dataclass(frozen=True)
class Batch:
    """A few rows that no other batch holds.

    Attributes:
        number: from 1.
        path: the file.
        features: one a row; the target is twice that.
    """

    number: int
    path: Path
    features: tuple[int, ...]


@dataclass
class Command:
    """A process of everbake in a group of its own.

    Attributes:
        process: the process.
        mark: in the environment of the process and all that it starts.
        said: what it wrote on standard output.
        complained: what it wrote on standard error.
        batch: what it ingests.
        killed: whether we have killed it.
    """

    process: subprocess.Popen
    mark: str
    said: Path
    complained: Path
    batch: Batch | None = None
    killed: bool = False

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    @property
    def acknowledged(self) -> bool:
        """Whether it has ended and said that its batch is in."""
        return self.process.poll() in ACKNOWLEDGED

    def kill(self) -> None:
        """kill -9 of this one process; what it started has to notice by itself."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.killed = True

    def end(self) -> int:
        """SIGTERM, and its exit code."""
        self.process.terminate()
        return self.process.wait(BOUND)


@dataclass
class Project:
    """A copy of the example, and the processes that work on it.

    Attributes:
        root: a directory of the test.
        wiring: name of a planted fault, or nothing.
    """

    root: Path
    wiring: str = ""
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    batches: list[Batch] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder = self.root / "project"
        self.said = self.root / "said"
        self.said.mkdir(parents=True)
        shutil.copytree(EXAMPLE, self.folder)
        self.told = Told(self.root / "tape")

    def batch(self) -> Batch:
        """The next batch: one to three rows."""
        number = len(self.batches) + 1
        first = 3 * number
        features = tuple(range(first, first + 1 + number % 3))
        path = self.root / f"batch{number}.csv"
        lines = [f"{feature},{2 * feature}\n" for feature in features]
        path.write_text("feature,target\n" + "".join(lines))
        self.batches.append(Batch(number, path, features))
        return self.batches[-1]

    def ingest(self, batch: Batch, barrier: str = "") -> Command:
        """Start `everbake ingest`."""
        return self._start(("ingest", "line", str(batch.path), "--json"), barrier, batch)

    def up(self, barrier: str = "") -> Command:
        """Start `everbake up`; return once it owns the project."""
        command = self._start(("up", "--port", "0"), barrier)

        def owns() -> bool:
            self.told.look()
            return self.told.owner == command.process.pid or not command.running

        wait_for("`up` owns the project", owns)
        assert command.running, command.complained.read_text()
        return command

    @property
    def reached(self) -> Path:
        """The file that a barrier touches."""
        return self.root / "reached"

    def _start(self, words: tuple[str, ...], barrier: str, batch: Batch | None = None) -> Command:
        mark = uuid.uuid4().hex
        environment = {
            **os.environ,
            "EVERBAKE_TEST_PROJECT": self.mark,
            "EVERBAKE_TEST_PROCESS": mark,
            "EVERBAKE_TEST_WIRING": self.wiring,
            "EVERBAKE_TEST_BARRIER": barrier,
            "EVERBAKE_TEST_REACHED": str(self.reached),
        }
        said, complained = self.said / f"{mark}.out", self.said / f"{mark}.err"
        with said.open("wb") as out, complained.open("wb") as err:
            process = subprocess.Popen(
                [sys.executable, str(ENTRY), str(self.told.path), *words],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        return Command(process, mark, said, complained, batch)


def marked(mark: str, *, but_serving: bool = False) -> list[int]:
    """The processes whose environment carries a mark."""
    found = []
    for process in psutil.process_iter():
        try:
            if mark not in process.environ().values() or process.status() == psutil.STATUS_ZOMBIE:
                continue
            family = [process, *process.parents()] if but_serving else []
            if not any("everbake.interfaces.serve" in each.cmdline() for each in family):
                found.append(process.pid)
        except psutil.Error:
            continue
    return found
