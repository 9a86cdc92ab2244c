"""Processes as Linux shows them: who descends from whom, how much they hold, how they end."""

import ctypes
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PAGE = os.sysconf("SC_PAGE_SIZE")
# Looked up before any fork: a child must not have to load anything.
_prctl = getattr(ctypes.CDLL(None), "prctl", None)


def die_with_parent(parent: int) -> None:
    """End this process with its parent, also if the parent has ended already."""
    if _prctl is not None:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ends, so that none escapes."""
    if _prctl is not None:
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def children(pid: int) -> Iterator[int]:
    """The processes that a process has started or adopted and that have not been reaped."""
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            yield from (int(child) for child in task.read_text().split())


def descendants(pid: int) -> Iterator[int]:
    """All processes below a process, parents first."""
    for child in children(pid):
        yield child
        yield from descendants(child)


def resident(pid: int) -> int:
    """Resident bytes of a process and of all below it; zero if it is gone."""
    return _resident_alone(pid) + sum(_resident_alone(child) for child in descendants(pid))


def _resident_alone(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def data_size() -> int:
    """Bytes that this process has reserved of what RLIMIT_DATA counts."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    return 0


def kill_tree(pid: int) -> None:
    """Kill a process and all below it. Those who start meanwhile are left to the reaper."""
    below = list(descendants(pid))
    for each in (pid, *below):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(each, signal.SIGKILL)


def how_it_ended(status: int) -> str:
    """What a wait status means, in words."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"ended with exit code {code} before the job was done"
    with suppress(ValueError):
        return f"killed by signal {-code} ({signal.Signals(-code).name})"
    return f"killed by signal {-code}"
