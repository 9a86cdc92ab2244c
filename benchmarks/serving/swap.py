"""Section swap: versions change under load; compared with equal windows in which none changes."""

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from serving import fitted, wrk
from serving.load import Load, Outcome
from serving.processes import settled
from serving.project import Project, acknowledged, create, up
from serving.report import heading, note, unmeasured, verdict
from serving.throughput import Ask

PAIRS = 10
WORKERS = 2
SHARE = 0.4  # of what the server can do
MOST = 4000.0  # requests a second that the generator sends with ease
_LEAD = 1.0
_QUIET = ("versions", "--json")  # the same process, the same work for the owner, but no swap


@dataclass(frozen=True)
class Window:
    """Some seconds of load, with a command at their start."""

    began: float
    ended: float
    command: float
    swap: bool


def section(ask: Ask) -> None:
    """A compiled and a native model."""
    for kind in ("a", "c"):
        with tempfile.TemporaryDirectory() as folder:
            project = create(Path(folder) / "project", kind)
            project.ingest(
                fitted.rows().assign(mean_radius=lambda table: table["mean_radius"] * 1.001)
            )
            _swaps(project, ask)


def _swaps(project: Project, ask: Ask) -> None:
    runtime = project.runtime()
    heading(f"swap under load: {project.name}, runtime {runtime}, {WORKERS} workers on one core")
    with up(project, WORKERS) as server:
        settled(server.process.pid)
        capacity = wrk.run(server, 16, ask.seconds).rate
        rate = min(MOST, SHARE * capacity)
        project.command("promote", f"{project.name}@2", "--reason", "measured")
        project.command("promote", f"{project.name}@1", "--reason", "measured")
        width = max(1.5, 0.4 * ask.seconds)
        load = Load(server, rate, 2 * PAIRS * width + 2 * _LEAD)
        time.sleep(_LEAD)
        windows = [_window(project, number, width) for number in range(2 * PAIRS)]
        outcome = load.outcome()
        workers = len(acknowledged(project))
    note(
        f"{rate:,.0f} requests/s of {capacity:,.0f} that 16 connections get, open loop;"
        f" {PAIRS} windows of {width:g} s each way; {workers} workers acknowledge"
    )
    _judged(project.name, outcome, windows)


def _window(project: Project, number: int, width: float) -> Window:
    """Every other window begins with a swap, there and back in turns."""
    began = time.monotonic()
    swap = number % 2 == 1
    if not swap:
        project.command(_QUIET[0], project.name, _QUIET[1])
    elif number % 4 == 1:
        project.command("promote", f"{project.name}@2", "--reason", "measured")
    else:
        project.command("rollback", project.name, "--reason", "measured")
    took = time.monotonic() - began
    _check(project, 2 if number % 4 in (1, 2) else 1)
    time.sleep(max(0.0, began + width - time.monotonic()))
    return Window(began, time.monotonic(), took, swap)


def _check(project: Project, version: int) -> None:
    """When the command has returned, every worker answers with the version."""
    told = acknowledged(project)
    for each in told:
        if each["models"][project.name]["version"] != version:
            raise RuntimeError(f"version {version} is not acknowledged: {json.dumps(told)}")


def _judged(name: str, outcome: Outcome, windows: list[Window]) -> None:
    verdict(f"swap {name}, failed requests", outcome.failed + outcome.unsent, 0)
    with_swap = _slowest(outcome, windows, lambda w: w.swap)
    without = _slowest(outcome, windows, lambda w: not w.swap)
    if not with_swap or not without:
        unmeasured(f"swap {name}, slowest request", "no requests in the windows")
        return
    note(f"slowest a window with a swap: {_shown(with_swap)} ms; without: {_shown(without)} ms")
    verdict(f"swap {name}, slowest above quiet windows", max(with_swap) - max(without), 50, " ms")
    back = [w.command for at, w in enumerate(windows) if at % 4 == 3]
    there = [w.command for at, w in enumerate(windows) if at % 4 == 1]
    note(f"promote acknowledged after {max(there):.2f} s at most, `everbake` started for it")
    verdict(f"swap {name}, slowest rollback until all workers acknowledge", max(back), 1, " s")


def _slowest(
    outcome: Outcome, windows: list[Window], chosen: Callable[[Window], bool]
) -> list[float]:
    """Milliseconds of the slowest request in each of the chosen windows."""
    found = []
    for window in filter(chosen, windows):
        inside = [a.took for a in outcome.answers if window.began <= a.due < window.ended]
        if inside:
            found.append(max(inside) * 1000)
    return found


def _shown(values: list[float]) -> str:
    return ", ".join(f"{value:.0f}" for value in sorted(values))
