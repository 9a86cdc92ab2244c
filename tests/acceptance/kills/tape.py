"""What a killed process was at: it writes each port call down, before and after.

A line is `pid thread moment call fact`; the moment is `before` or `after` the call. The product
knows nothing of it: the tests' entry wraps the ports.
"""

import os
import threading
from dataclasses import dataclass, field
from pathlib import Path

STEPS = ("parse", "commit", "gap", "pin", "train", "evaluate", "conclude")

# call: the step while it lasts, and the step from its end to the next call
_STEP_OF = {
    "recipes.changed": ("start", "start"),
    "tables.orphans": ("start", "start"),
    "training.parse": ("parse", "parse"),
    "tables.commit": ("commit", "gap"),
    "ledger.record data_arrived": ("gap", "due"),  # maybe behind another run
    "training.environment": ("pin", "pin"),
    "ledger.record run_pinned": ("pin", "train"),
    "training.train": ("train", "train"),
    "ledger.record trained": ("train", "evaluate"),
    "training.evaluate": ("evaluate", "evaluate"),
    "ledger.record evaluated": ("evaluate", "conclude"),
    "ledger.record concluded": ("conclude", "conclude"),
    "training.forget": ("", ""),
    "perform": ("", ""),
}


@dataclass(frozen=True)
class Tape:
    """The writing end.

    Attributes:
        path: the file that all processes of a project append to.
    """

    path: Path

    def note(self, moment: str, call: str, fact: str = "-") -> None:
        """Append one line, whole."""
        line = f"{os.getpid()} {threading.get_ident()} {moment} {call} {fact}\n"
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, line.encode())
        finally:
            os.close(handle)


@dataclass
class Told:
    """The reading end: who owns the project, and at which step a process is.

    Attributes:
        path: the file.
        owner: the process that owns the project now, None while nobody does.
        steps: for each process, the step of each of its threads.
    """

    path: Path
    owner: int | None = None
    steps: dict[int, dict[str, str]] = field(default_factory=dict)
    _read: int = 0

    def look(self) -> None:
        """Read what is new."""
        if not self.path.exists():
            return
        with self.path.open("rb") as stream:
            stream.seek(self._read)
            for line in stream:
                if not line.endswith(b"\n"):
                    break
                self._read += len(line)
                self._take(line.decode().split())

    def at(self, pid: int) -> list[str]:
        """The steps that a process is, or was, in the middle of."""
        self.look()
        steps = {step for step in self.steps.get(pid, {}).values() if step}
        return sorted(steps - {"start", "due"} or steps)

    def _take(self, words: list[str]) -> None:
        pid, thread, moment, call, fact = words
        if call == "owning":
            self.owner = int(pid) if moment == "before" else None
            return
        name = call if fact == "-" else f"{call} {fact}"
        if name not in _STEP_OF:
            return
        during, behind = _STEP_OF[name]
        self.steps.setdefault(int(pid), {})[thread] = during if moment == "before" else behind
