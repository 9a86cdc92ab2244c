"""Section overload: three times what a native model can answer, in an open loop."""

import tempfile
import time
from pathlib import Path

from serving import wrk
from serving.load import Load, Outcome
from serving.processes import megabytes, resident, settled
from serving.project import acknowledged, create, up
from serving.report import cut, heading, note, unmeasured, verdict
from serving.throughput import Ask

OWN = 2.0  # milliseconds a row that the model computes
CAPACITY = 1000 / OWN  # rows a second, of the model alone
TIMES = 3.0
SECONDS = 60.0
_REFUSED = (429, 503)
_RECIPE = """
import time

import pandas as pd
from sklearn.metrics import accuracy_score

import fitted
from everbake import Gate, Recipe, Table


def train(rows: pd.DataFrame):
    return fitted.fit("c", rows[fitted.NAMES], rows["target"])


def predict(model, rows: pd.DataFrame):
    until = time.perf_counter() + 0.002 * len(rows)
    labels = model.predict(rows[fitted.NAMES])
    while time.perf_counter() < until:
        pass
    return labels


recipe = Recipe(
    name="model_slow",
    data=Table(label="target"),
    train=train,
    predict=predict,
    gate=Gate(accuracy_score, better="higher"),
)
"""


def section(ask: Ask) -> None:
    """Memory, the accepted ones' latency, and how fast the rest is refused."""
    heading(f"overload: a native model that computes {OWN:g} ms a row, at {TIMES:g}x its capacity")
    seconds = min(SECONDS, 12 * ask.seconds)
    with tempfile.TemporaryDirectory() as folder:
        project = create(Path(folder) / "project", "slow", _RECIPE)
        with up(project) as server:
            settled(server.process.pid)
            closed = wrk.run(server, 16, ask.seconds)
            worker = acknowledged(project)[0]["pid"]
            time.sleep(1)
            load = Load(server, TIMES * CAPACITY, seconds)
            memory = []
            while load.process.poll() is None and len(memory) < seconds:
                memory.append((resident(worker), megabytes(server.process.pid)))
                time.sleep(1)
            outcome = load.outcome()
            served = acknowledged(project)[0]["pid"] == worker
        note(
            f"runtime {project.runtime()}; in a closed loop of 16 connections {closed.good:,.0f}/s"
        )
    _told(outcome, TIMES * CAPACITY, seconds)
    _memory(memory, served=served)


def _told(outcome: Outcome, rate: float, seconds: float) -> None:
    accepted, refused = outcome.took(200), outcome.took(*_REFUSED)
    total = len(outcome.answers)
    broken = total - len(accepted) - len(refused)
    note(
        f"sent {total / seconds:,.0f}/s of {rate:,.0f}/s for {seconds:g} s"
        f" ({outcome.unsent} without a free socket; p99 of the generator's own lateness"
        f" {cut(outcome.late, 0.99) * 1000:.1f} ms)"
    )
    note(f"accepted {len(accepted) / seconds:,.0f}/s, refused {len(refused) / seconds:,.0f}/s")
    verdict("overload, neither answered nor refused", broken + outcome.unsent, 0)
    if not accepted or not refused:
        unmeasured("overload latencies", "nothing was accepted, or nothing refused")
        return
    for name, values in (("accepted", accepted), ("refused", refused)):
        cuts = ", ".join(f"p{100 * q:g} {cut(values, q):.1f}" for q in (0.5, 0.99, 0.999))
        note(f"{name}: {cuts} ms, slowest {max(values):.1f} ms")
    verdict("overload, p99 of accepted above the model's own", cut(accepted, 0.99) - OWN, 50, " ms")
    verdict("overload, p99 of refusals", cut(refused, 0.99), 50, " ms")


def _memory(memory: list[tuple[float, float]], *, served: bool) -> None:
    if not served or len(memory) < 4:
        unmeasured("overload, memory", "the worker was replaced" if not served else "too short")
        return
    settled = memory[len(memory) // 10 + 1]
    note(
        f"worker RSS {memory[0][0]:.1f} MB before, {settled[0]:.1f} MB after the first tenth,"
        f" {max(each[0] for each in memory):.1f} MB at most, {memory[-1][0]:.1f} MB at the end;"
        f" all processes {settled[1]:.0f} -> {memory[-1][1]:.0f} MB"
    )
    verdict("overload, growth of the worker's memory", memory[-1][0] - settled[0], 5, " MB")
