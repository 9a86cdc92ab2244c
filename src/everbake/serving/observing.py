"""Tells of each request on its own, where that is configured: access log and spans."""

import asyncio
import os
import sys
import time
from collections.abc import Iterable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec

from everbake.errors import UsageError
from everbake.serving.http import Scope

STDERR = "stderr"


@dataclass(slots=True)
class Facts:
    """What became known about a request while it was answered.

    Attributes:
        model: that was asked.
        version: that was picked.
        role: of the version.
        rows: that were answered.
        code: of the problem, if there was one.
    """

    model: str | None = None
    version: int | None = None
    role: str | None = None
    rows: int = 0
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that was answered.

    Attributes:
        scope: the request.
        time: when it began, in seconds since 1970.
        seconds: that it took.
        status: of the answer.
        facts: what became known.
    """

    scope: Scope
    time: float
    seconds: float
    status: int
    facts: Facts


class Observer(Protocol):
    """Gets every request once it was answered."""

    def see(self, seen: Seen) -> None:
        """Tell of one request."""

    def close(self) -> None:
        """Send what was not sent yet; may block."""


_current: ContextVar[Facts | None] = ContextVar("facts", default=None)


def picked(model: str, version: int, role: str) -> None:
    """Note who is to answer the request at hand, if anybody observes."""
    facts = _current.get()
    if facts is not None:
        facts.model, facts.version, facts.role = model, version, role


def counted(rows: int) -> None:
    """Note how many rows were answered."""
    facts = _current.get()
    if facts is not None:
        facts.rows = rows


@dataclass
class Observers:
    """All that is to be told of requests.

    Attributes:
        all: who is told; without anybody, nothing is noted.
    """

    all: Sequence[Observer] = ()

    def begin(self) -> tuple[Facts, float, float] | None:
        """Note facts from here on, in this task."""
        if not self.all:
            return None
        facts = Facts()
        _current.set(facts)
        return facts, time.time(), time.perf_counter()

    def end(
        self, begun: tuple[Facts, float, float] | None, scope: Scope, status: int, code: str | None
    ) -> None:
        """The answer is there."""
        if begun is None:
            return
        facts, at, started = begun
        facts.code = code
        seen = Seen(scope, at, time.perf_counter() - started, status, facts)
        for each in self.all:
            each.see(seen)

    async def close(self) -> None:
        """Send what was not sent yet."""
        for each in self.all:
            await asyncio.to_thread(each.close)


class AccessLog:
    """A line of JSON a request, in a file that all workers share, or on standard error."""

    def __init__(self, target: str, project: Path) -> None:
        """Open it; a relative path is one within the project."""
        self._own = target != STDERR
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        path = project / target
        self._descriptor = os.open(path, flags, 0o600) if self._own else sys.stderr.fileno()

    def see(self, seen: Seen) -> None:
        """Write one line. A full disk costs lines, no answers."""
        facts = seen.facts
        line = {
            "time": round(seen.time, 6),
            "method": seen.scope["method"],
            "path": seen.scope["path"],
            "status": seen.status,
            "seconds": round(seen.seconds, 6),
            "model": facts.model,
            "version": facts.version,
            "role": facts.role,
            "rows": facts.rows,
            "code": facts.code,
        }
        try:
            os.write(self._descriptor, msgspec.json.encode(line) + b"\n")
        except OSError:
            return

    def close(self) -> None:
        """Close the file."""
        if self._own:
            os.close(self._descriptor)


class Spans:
    """One OpenTelemetry span a request, sent over OTLP by a thread of the library's own."""

    def __init__(self, endpoint: str) -> None:
        """Send to the endpoint; without one, where the standard variables say."""
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError as error:
            raise UsageError(
                "EB562",
                "OpenTelemetry is configured, but not installed",
                why=str(error),
                mend='pip install "everbake[otel]"',
            ) from error
        target = f"{endpoint.rstrip('/')}/v1/traces" if endpoint else None
        name = os.environ.get("OTEL_SERVICE_NAME", "everbake")
        self._provider = TracerProvider(resource=Resource.create({"service.name": name}))
        exporter = OTLPSpanExporter(endpoint=target)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("everbake.serving")

    def see(self, seen: Seen) -> None:
        """Make the span of a request, as a child of its caller's if that one says which it is."""
        from opentelemetry.trace import SpanKind, StatusCode

        start = int(seen.time * 1e9)
        span = self._tracer.start_span(
            f"{seen.scope['method']} {'predict' if seen.facts.model else seen.scope['path']}",
            _caller(seen.scope["headers"]),
            SpanKind.SERVER,
            _attributes(seen),
            start_time=start,
        )
        if seen.status >= 500:  # noqa: PLR2004 - the server's fault
            span.set_status(StatusCode.ERROR, seen.facts.code)
        span.end(start + int(seen.seconds * 1e9))

    def close(self) -> None:
        """Send what waits."""
        self._provider.shutdown()


def _caller(headers: Iterable[tuple[bytes, bytes]]) -> Any:  # noqa: ANN401 - the library's context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    wanted = (b"traceparent", b"tracestate")
    carrier = {k.decode(): v.decode("latin-1") for k, v in headers if k in wanted}
    return TraceContextTextMapPropagator().extract(carrier) if carrier else None


def _attributes(seen: Seen) -> dict[str, str | int]:
    facts = seen.facts
    told = {
        "http.request.method": seen.scope["method"],
        "url.path": seen.scope["path"],
        "http.response.status_code": seen.status,
        "everbake.model": facts.model,
        "everbake.version": facts.version,
        "everbake.role": facts.role,
        "everbake.rows": facts.rows,
        "error.type": facts.code,
    }
    return {name: value for name, value in told.items() if value is not None}


def observers_of(access_log: str, otel_endpoint: str, project: Path) -> Observers:
    """Who is told of requests by these settings; nothing is imported for who is not."""
    found: list[Observer] = []
    if access_log:
        found.append(AccessLog(access_log, project))
    standard = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    if otel_endpoint or any(os.environ.get(name) for name in standard):
        found.append(Spans(otel_endpoint))
    return Observers(found)
