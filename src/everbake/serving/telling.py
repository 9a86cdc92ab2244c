"""`GET /metrics`: the numbers of all workers as Prometheus reads them."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from everbake.core.frames import SUFFIX
from everbake.ports import Reader, Records
from everbake.serving.counts import BUCKETS, Answers, Counts, Numbers, parts
from everbake.serving.http import HttpAnswer, HttpRequest
from everbake.serving.router import Router
from everbake.wire import alive

if TYPE_CHECKING:
    from prometheus_client import Metric

_ARM = ("model", "version", "role")
_TEXT = b"text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True)
class _Seen:
    """What is told at one request: nothing here changes any more.

    Attributes:
        workers: the numbers of each.
        waiting: requests that wait in this worker, by model.
        trained: when the champion was made, by model and version.
        arrived: when the newest data came, by model.
        logged: bytes of the prediction log that lie in segments, by model.
        unrecorded: those of them that are not recorded yet.
    """

    workers: list[Numbers]
    waiting: Mapping[str, int]
    trained: Mapping[tuple[str, ...], float]
    arrived: Mapping[str, float]
    logged: Mapping[str, int]
    unrecorded: Mapping[str, int]


class MetricsEndpoint:
    """Tells what was counted.

    Args:
        counts: of this worker, which knows those of the others.
        router: who answers.
        reader: the ledger, for the age of models and data.
        records: how much of the prediction log is recorded.
        log: the folder of the prediction log.
    """

    def __init__(
        self, counts: Counts, router: Router, reader: Reader, records: Records, log: Path
    ) -> None:
        self._counts = counts
        self._router = router
        self._reader = reader
        self._records = records
        self._log = log

    async def __call__(self, request: HttpRequest) -> HttpAnswer:
        """All metrics."""
        request.allow("GET", "HEAD")
        live = self._router.live
        trained = {
            (name, str(one.version)): self._time("versions", model=name, version=one.version)
            for name, one in live.items()
        }
        arrived = {name: self._time("data_versions", model=name) for name in live}
        segments = {name: _sizes(self._log / name) for name in live}
        seen = _Seen(
            self._counts.everybody(),
            {name: one.loaded.answers.waiting for name, one in live.items()},
            {arm: time for arm, time in trained.items() if time},
            {name: time for name, time in arrived.items() if time},
            {name: sum(sizes.values()) for name, sizes in segments.items()},
            {name: self._unrecorded(sizes) for name, sizes in segments.items()},
        )
        return HttpAnswer(await asyncio.to_thread(_told, seen), _TEXT)

    def _unrecorded(self, sizes: Mapping[str, int]) -> int:
        recorded = self._records.recorded(list(sizes))
        return sum(max(0, size - recorded.get(name, 0)) for name, size in sizes.items())

    def _time(self, table: str, **where: str | int) -> float:
        rows = self._reader.rows(table, where, newest=1)
        return float(rows[0]["time"] or 0.0) if rows else 0.0


def _sizes(folder: Path) -> dict[str, int]:
    """Bytes of the segments of a model."""
    sizes = {}
    for path in folder.glob("*" + SUFFIX):
        with suppress(FileNotFoundError):  # its rows stand in the table by now
            sizes[path.name] = path.stat().st_size
    return sizes


def _told(seen: _Seen) -> bytes:
    # Imported here: who is never asked for metrics does not pay for it.
    from prometheus_client import CollectorRegistry, generate_latest

    class Collector:
        def collect(self) -> "Iterable[Metric]":
            return [*_counted(seen.workers), *_measured(seen)]

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collector())
    return generate_latest(registry)


def _counted(workers: Iterable[Numbers]) -> "Iterator[Metric]":
    from prometheus_client.core import CounterMetricFamily

    total = Numbers()
    for each in workers:
        total.add(each)
    yield from _answered(total.answers)
    failures = CounterMetricFamily(
        "everbake_failures", "Requests that a version could not answer.", labels=(*_ARM, "code")
    )
    for name, count in total.failures.items():
        failures.add_metric(parts(name), count)
    problems = CounterMetricFamily(
        "everbake_problems", "Requests that got no answer, for whatever reason.", labels=["code"]
    )
    for code, count in total.problems.items():
        problems.add_metric([code], count)
    shed = CounterMetricFamily(
        "everbake_shadows_shed", "Requests that no shadow scored.", labels=["model"]
    )
    for model, count in total.shadows_shed.items():
        shed.add_metric([model], count)
    unlogged = CounterMetricFamily(
        "everbake_unlogged", "Rows that were answered and not logged.", labels=["model"]
    )
    for model, count in total.unlogged.items():
        unlogged.add_metric([model], count)
    yield from (failures, problems, shed, unlogged)


def _answered(answers: Mapping[str, Answers]) -> "Iterator[Metric]":
    from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

    times = HistogramMetricFamily(
        "everbake_request_seconds", "From the whole request to its answer.", labels=_ARM
    )
    rows = CounterMetricFamily("everbake_rows", "Rows that were answered.", labels=_ARM)
    edges = [*map(str, BUCKETS), "+Inf"]
    for name, one in answers.items():
        sums = list(zip(edges, accumulate(one.buckets), strict=True))
        times.add_metric(parts(name), sums, one.seconds)
        rows.add_metric(parts(name), one.rows)
    yield from (times, rows)


def _measured(seen: _Seen) -> "Iterator[Metric]":
    from prometheus_client.core import GaugeMetricFamily

    living = [each for each in seen.workers if alive(each.pid)]
    told: list[tuple[str, str, tuple[str, ...], Mapping[tuple[str, ...], float]]] = [
        ("in_flight", "Requests under way.", ("pid",), {(str(w.pid),): w.open for w in living}),
        (
            "resident_bytes",
            "Memory of a worker.",
            ("pid",),
            {(str(w.pid),): w.resident for w in living},
        ),
        ("waiting", "Requests that wait for a model here.", ("model",), _single(seen.waiting)),
        (
            "model_trained_timestamp_seconds",
            "When the champion was made.",
            ("model", "version"),
            seen.trained,
        ),
        (
            "data_arrived_timestamp_seconds",
            "When the newest data came.",
            ("model",),
            _single(seen.arrived),
        ),
        ("log_bytes", "Of the log that lie in segments.", ("model",), _single(seen.logged)),
        (
            "log_unrecorded_bytes",
            "Of these, those that rollouts and labels do not know yet.",
            ("model",),
            _single(seen.unrecorded),
        ),
    ]
    for name, text, labels, values in told:
        family = GaugeMetricFamily(f"everbake_{name}", text, labels=labels)
        for key, value in values.items():
            family.add_metric(key, value)
        yield family


def _single(values: Mapping[str, float]) -> dict[tuple[str, ...], float]:
    return {(name,): value for name, value in values.items()}
