"""What the benchmarks share: whole processes timed, medians told."""

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
EVERBAKE = str(Path(sys.executable).with_name("everbake"))


def machine() -> str:
    """The machine in a few words."""
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"


def seconds_of(words: Sequence[str], cwd: Path, given: str | None = None) -> float:
    """How long a process takes from start to end; it must end well."""
    started = time.perf_counter()
    done = subprocess.run(
        list(words), cwd=cwd, input=given, capture_output=True, text=True, check=False
    )
    taken = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} ended with {done.returncode}:\n{done.stderr}")
    return taken


def told(what: str, runs: Sequence[float], budget: float | None = None) -> None:
    """One line: median, range, number of runs, and the budget if there is one."""
    middle = statistics.median(runs)
    line = f"{what:<52} {middle:8.3f} s   [{min(runs):.3f}, {max(runs):.3f}]  n={len(runs)}"
    if budget is not None:
        line += f"   budget {budget:g} s: {'kept' if middle <= budget else 'MISSED'}"
    print(line, flush=True)


def repeated(times: int, run: Callable[[], float]) -> list[float]:
    """The results of several runs."""
    return [run() for _ in range(times)]
