"""What the processes of a server have used, from /proc: a tree is its root and all below it."""

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

SERVER, LOAD = "0", "1"  # cores
_TICK = os.sysconf("SC_CLK_TCK")
_IDLE = 0.12  # processor seconds in two


def pinned(core: str, *words: object) -> list[str]:
    """A command on one core."""
    return ["taskset", "-c", core, *map(str, words)]


def _stat(process: int) -> list[str]:
    """The fields behind the name, which may hold anything."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()


def tree(root: int) -> list[int]:
    """A process and its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                children.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
            except (OSError, IndexError):
                continue  # it ended meanwhile
    found, waiting = [], [root]
    while waiting:
        process = waiting.pop()
        found.append(process)
        waiting += children.get(process, [])
    return found


def cpu_seconds(root: int) -> float:
    """User and system time of a tree, and of those of it that have ended."""
    total = 0
    for process in tree(root):
        try:
            total += sum(map(int, _stat(process)[11:15]))
        except OSError:
            continue
    return total / _TICK


def settled(root: int, most: float = 60.0) -> None:
    """Return once a server that nobody asks computes nothing: some load code after they answer."""
    until = time.monotonic() + most
    while time.monotonic() < until:
        before = cpu_seconds(root)
        time.sleep(2)
        if cpu_seconds(root) - before < _IDLE:
            return


def cpu_by_part(root: int) -> dict[str, float]:
    """Seconds of each process of a tree, named by the module that it runs."""
    found: dict[str, float] = {}
    for process in tree(root):
        try:
            words = Path(f"/proc/{process}/cmdline").read_text().split("\0")
            seconds = sum(map(int, _stat(process)[11:13])) / _TICK
        except OSError:
            continue
        module = words[words.index("-m") + 1] if "-m" in words else "owner"
        name = module.rpartition(".")[2]
        found[name] = found.get(name, 0.0) + seconds
    return found


def megabytes(root: int) -> float:
    """Memory of a tree: what processes share counts once."""
    total = 0
    for process in tree(root):
        try:
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def resident(process: int) -> float:
    """Megabytes of one process."""
    text = Path(f"/proc/{process}/statm").read_text()
    return int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


@dataclass
class Peak:
    """The end of a process and the most memory that its tree held."""

    seconds: float
    megabytes: float


def peak_of(process: subprocess.Popen[str], look: float = 0.1) -> Peak:
    """Watch a process until it ends."""
    started, most = time.perf_counter(), 0.0
    while process.poll() is None:
        most = max(most, megabytes(process.pid))
        time.sleep(look)
    return Peak(time.perf_counter() - started, most)


def end(process: subprocess.Popen[str]) -> None:
    """End a process that was started in a session of its own, with what it has started."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
