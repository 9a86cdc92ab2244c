"""Sections A, B and C: one-row requests a second, beside the peers."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from serving import wrk
from serving.processes import cpu_by_part, settled
from serving.project import create, up
from serving.report import heading, note, unmeasured, verdict
from serving.servers import PEERS, Server, peer

MLSERVER, MLFLOW, FASTAPI = PEERS
Wanted = dict[str, float]
_WHAT = {
    "a": "StandardScaler + LogisticRegression, 30 features",
    "b": "HistGradientBoosting, 100 trees, 30 features",
    "c": "StandardScaler + SVC with a radial kernel (in no compiled runtime), 30 features",
}


@dataclass(frozen=True)
class Ask:
    """What the command line says: seconds a run, runs, where environments are."""

    seconds: float
    times: int
    cache: Path
    rows: int


def section_a(ask: Ask) -> None:
    """The linear pipeline, prediction log on."""
    ratios = {MLSERVER: 20.0, MLFLOW: 40.0, FASTAPI: 25.0}
    with _servers("a", ask) as running:
        found = running.compare(16, ratios)
        if found is not None:
            verdict("A p99", found.p99, 3, " ms")
            verdict("A aim, requests/s", found.rate, 25_000, least=True)


def section_b(ask: Ask) -> None:
    """Boosted trees."""
    with _servers("b", ask) as running:
        found = running.compare(16, {MLSERVER: 10.0})
        if found is not None:
            verdict("B aim, requests/s", found.rate, 12_000, least=True)


def section_c(ask: Ask) -> None:
    """A model that cannot be compiled."""
    with _servers("c", ask) as running:
        running.compare(16, {MLSERVER: 3.0})
        running.compare(64, {MLSERVER: 6.0})


class _Running:
    """All servers of one model, at the same time; idle ones use next to nothing."""

    def __init__(self, kind: str, ask: Ask, servers: list[Server], absent: dict[str, str]) -> None:
        self._kind = kind.upper()
        self._ask = ask
        self._servers = servers
        self._absent = absent

    def compare(self, connections: int, wanted: Wanted) -> wrk.Run | None:
        """Measure in turns, print, judge the ratios; what everbake did, unless requests failed."""
        note(f"{connections} connections, {self._ask.times} x {self._ask.seconds:g} s, medians")
        root = self._servers[0].process.pid
        settled(root)
        before = cpu_by_part(root)
        found = wrk.in_turns(self._servers, connections, self._ask.seconds, self._ask.times)
        wrk.table(self._servers, found)
        parts = {k: v - before.get(k, 0.0) for k, v in cpu_by_part(root).items()}
        shares = ", ".join(f"{k} {v / sum(parts.values()):.0%}" for k, v in sorted(parts.items()))
        note(f"processor time of everbake's processes, in and between the runs: {shares}")
        ours = found[0]
        if ours.failed:
            unmeasured(f"{self._kind} everbake", f"{ours.failed} requests failed")
            return None
        theirs = {s.name: run for s, run in zip(self._servers, found, strict=True)}
        for name, ratio in wanted.items():
            what = f"{self._kind} at {connections} connections, times {name}"
            run = theirs.get(name)
            if run is None or not run.good:
                unmeasured(what, self._absent.get(name, "no request was answered"))
            else:
                verdict(what, ours.good / run.good, ratio, "x", least=True)
                less = run.cpu / ours.cpu
                note(f"       (processor time a request, which others disturb less: {less:.3g}x)")
        return ours


@contextmanager
def _servers(kind: str, ask: Ask) -> Iterator[_Running]:
    """everbake and every peer with one model; a peer that does not start is told."""
    heading(f"{kind.upper()}: {_WHAT[kind]}; one row a request")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        project = create(folder / "project", kind)
        servers = [stack.enter_context(up(project))]
        absent: dict[str, str] = {}
        for at, name in enumerate(PEERS):
            place = folder / f"peer-{at}"
            try:
                servers.append(stack.enter_context(peer(name, kind, place, ask.cache)))
            except RuntimeError as error:
                absent[name] = str(error)
        for server in servers:
            note(f"{server.name} answers {str(server.ask())[:120]}")
        note(f"everbake's runtime: {project.runtime()}; prediction log on")
        yield _Running(kind, ask, servers, absent)
