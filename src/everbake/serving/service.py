"""A worker's parts put together, as an ASGI application with a lifespan."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from everbake.ports import Blobs, Clock, Reader, Records
from everbake.serving.answering import Answering, Outcome
from everbake.serving.app import App
from everbake.serving.counts import Counts
from everbake.serving.heads import Head, Heads
from everbake.serving.health import ReadyEndpoint, alive
from everbake.serving.http import Bounds, Endpoint, HttpAnswer, Receive, Scope, Send
from everbake.serving.labels import LabelsEndpoint
from everbake.serving.load import Loader
from everbake.serving.mlflow import Scoring
from everbake.serving.native import Limits, Opener
from everbake.serving.observing import Observers
from everbake.serving.openapi import ModelsEndpoint, OpenApiEndpoint
from everbake.serving.problems import ProblemError
from everbake.serving.router import Router
from everbake.serving.segments import Full, LogPlace, PredictionLog, Sync
from everbake.serving.telling import MetricsEndpoint
from everbake.serving.v1 import PredictEndpoint, sent
from everbake.serving.v2 import OpenInference
from everbake.serving.watch import Watcher, WatchPlace

Headers = Sequence[tuple[bytes, bytes]]
Told = Callable[[HttpAnswer], None]

_BEFORE, _BEHIND = b"/v1/models/", b"/predict"
_ALWAYS = ("/healthz", "/readyz", "/metrics")  # answered also under overload


@dataclass(frozen=True)
class Sources:
    """What a worker reads from.

    Attributes:
        reader: the ledger.
        records: what was answered, as far as it has been recorded.
        blobs: the bundles.
        opener: opens a session in a version's host.
        clock: the time.
    """

    reader: Reader
    records: Records
    blobs: Blobs
    opener: Opener
    clock: Clock


@dataclass(frozen=True)
class Worker:
    """What a worker is told.

    Attributes:
        state: the project's state folder.
        number: of the worker.
        poll: seconds between two looks at the ledger.
        sync: of the prediction log.
        full: what to do with answers that it cannot take.
        bounds: of requests.
        limits: of native sessions.
        orphaned: whether the owner is gone.
        observers: are told of each request.
    """

    state: Path
    number: int
    poll: float = 0.05
    sync: Sync = "none"
    full: Full = "refuse"
    bounds: Bounds = field(default_factory=Bounds)
    limits: Limits = field(default_factory=Limits)
    orphaned: Callable[[], bool] = lambda: False
    observers: Observers = field(default_factory=Observers)


class Service:
    """An ASGI application: starts with its lifespan, ends with it.

    Attributes:
        heads: of usual requests.
    """

    def __init__(self, sources: Sources, worker: Worker) -> None:
        self.heads = Heads()
        router = self._router = Router()
        state, number = worker.state, worker.number
        self._log = PredictionLog(LogPlace(state / "log", number, worker.sync), sources.reader.head)
        self._counts = Counts(state / "serving", number)
        self._answering = Answering(router, self._log, sources.clock.now, self._counts, worker.full)
        place = WatchPlace(state / "serving", number, worker.poll, worker.orphaned)
        points = endpoints(router, self._answering, place, state / "record.sock")
        points["/metrics"] = MetricsEndpoint(
            self._counts, router, sources.reader, sources.records, state / "log"
        )
        always = [points[path] for path in _ALWAYS]
        self._observers = worker.observers
        self._app = App(points, worker.bounds, self._counts, self._observers, always)
        loader = Loader(sources.blobs, sources.opener, worker.limits)
        self._watcher = Watcher(sources.reader, loader, router, place)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """One request, or the lifespan."""
        if scope["type"] == "http":
            return self._app(scope, receive, send)
        return self._lifespan(receive, send)

    def answered(self, scope: Scope, receive: Receive) -> Coroutine[Any, None, HttpAnswer | None]:
        """What one request gets, for a protocol that sends it itself."""
        return self._app.answered(scope, receive)

    def direct(self, path: bytes) -> bool:
        """Whether a model is asked at this address that can answer, and nobody observes."""
        return self._ready(_model(path)) and not self._observers.all

    def usual(self, path: bytes, headers: Headers, length: int) -> Head | None:
        """What a head says that needs no second look; None where `answered` has to see it.

        Args:
            path: one for which `direct` holds.
            headers: names in lower case, and values.
            length: bytes of the body.
        """
        headers_by_name = dict(headers)
        if not self._app.usual(headers_by_name, len(headers), length):
            return None
        key = headers_by_name.get(b"everbake-key")
        return Head(_model(path), length, key.decode("latin-1") if key else None)

    def at_once(self, head: Head, body: bytes, told: Told) -> bool:
        """Begin to answer a usual request; false where `answered` has to look at it."""
        if not self._ready(head.model):
            return False
        tell = partial(self._tell, told)
        begun = self._answering.at_once(head.model, body, head.key, tell)
        self._counts.open += begun
        return begun

    def _tell(self, told: Told, outcome: Outcome | ProblemError) -> None:
        self._counts.open -= 1
        if isinstance(outcome, ProblemError):
            self._counts.problems[outcome.code] += 1
        told(sent(outcome))

    def _ready(self, model: str) -> bool:
        return model in self._router.live and self._app.free

    def reading(self, requests: int) -> None:
        """So many more requests (or fewer) are under way, whose bodies have not arrived."""
        self._counts.open += requests

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await self._watcher.start()
        counting = asyncio.create_task(self._counts.keep())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._answering.close()
        await self._watcher.stop()
        await self._log.close()
        counting.cancel()
        await asyncio.gather(counting, return_exceptions=True)
        self._counts.close()
        await self._observers.close()
        await send({"type": "lifespan.shutdown.complete"})


def _model(path: bytes) -> str:
    """The model whose predictions are asked for at this address, or an empty text."""
    name = path[len(_BEFORE) : -len(_BEHIND)]
    return name.decode("latin-1") if path == _BEFORE + name + _BEHIND else ""


def endpoints(
    router: Router, answering: Answering, place: WatchPlace, intake: Path
) -> dict[str, Endpoint]:
    """All addresses of a worker."""
    ready = ReadyEndpoint(router, place)
    return {
        "/v1/models/{name}/predict": PredictEndpoint(answering),
        "/v1/models": ModelsEndpoint(router),
        "/v1/models/{name}/openapi.json": OpenApiEndpoint(answering),
        **OpenInference(answering, ready).endpoints(),
        **Scoring(answering, router, ready).endpoints(),
        "/v1/models/{name}/labels": LabelsEndpoint(answering, intake),
        "/healthz": alive,
        "/readyz": ready,
    }
