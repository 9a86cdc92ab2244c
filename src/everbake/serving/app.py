"""The ASGI application: one plain callable."""

import itertools
import logging
import math
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any

import msgspec

from everbake.core.frames import Answered
from everbake.serving.decode import near_miss
from everbake.serving.problems import Place, ProblemError
from everbake.serving.router import Router
from everbake.serving.segments import PredictionLog

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = dict[bytes, bytes]

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_PREFIX, _SUFFIX = "/v1/models/", "/predict"
_JSON, _PROBLEM = b"application/json", b"application/problem+json"
_REMEMBERED = 1000
_log = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode


class Answer(msgspec.Struct):
    """What a prediction request gets."""

    model: str
    version: int
    predictions: list[object]
    ids: list[str]


@dataclass(frozen=True)
class Bounds:
    """What a worker accepts.

    Attributes:
        hosts: names in the `Host` header, beside those of this machine.
        body: bytes of a body.
        bodies: bytes of all bodies that are being read.
    """

    hosts: tuple[str, ...] = ()
    body: int = 10 * 1024 * 1024
    bodies: int = 64 * 1024 * 1024


class _Left(Exception):  # noqa: N818 - no error: the caller hung up
    """The caller has gone before the request was complete."""


class _Ids:
    """Prediction ids: by time, unique over all workers; 12 + 10 + 10 hexadecimal digits."""

    def __init__(self) -> None:
        self._worker = secrets.token_hex(5)
        self._count = itertools.count(1)

    def draw(self, now: float, rows: int) -> list[str]:
        start = f"{int(now * 1000):012x}{self._worker}"
        return [f"{start}{next(self._count):010x}" for _ in range(rows)]


class PredictionApp:
    """Answers predictions from whatever the router holds, and logs them first.

    Args:
        router: who answers.
        log: where answers are written before they leave.
        bounds: what is accepted.
    """

    def __init__(self, router: Router, log: PredictionLog, bounds: Bounds) -> None:
        self._router = router
        self._log = log
        self._bounds = bounds
        self._ids = _Ids()
        self._hosts = frozenset(h.lower() for h in (*LOOPBACK, *bounds.hosts))
        self._good_hosts: set[bytes] = set()
        self._reading = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            body = await self._respond(scope, receive)
        except ProblemError as refused:
            await _refuse(send, refused)
        except _Left:
            return
        except Exception:  # noqa: BLE001 - whatever it is, this request fails alone
            _log.exception("a request failed")
            await _refuse(send, ProblemError("EB500", "the server failed; its log says more"))
        else:
            await _send(send, 200, body, _JSON_HEADER)

    async def _respond(self, scope: Scope, receive: Receive) -> bytes:
        headers: Headers = dict(scope["headers"])
        if headers.get(b"host") not in self._good_hosts:
            self._check_host(headers.get(b"host", b""))
        path: str = scope["path"]
        if path.startswith(_PREFIX) and path.endswith(_SUFFIX):
            name = path[len(_PREFIX) : -len(_SUFFIX)]
            if "/" not in name:
                _check_method(scope["method"], "POST")
                return await self._predict(name, headers, receive)
        if path not in ("/healthz", "/readyz"):
            raise ProblemError("EB501", f"nothing is at {path[:200]}", mend=f"POST {_USUAL}")
        _check_method(scope["method"], "GET", "HEAD")
        return b'{"status":"ok"}' if path == "/healthz" else self._ready()

    def _check_host(self, host: bytes) -> None:
        name = host.decode("latin-1").lower()
        bare = name if name.endswith("]") else name.rpartition(":")[0] or name
        if bare not in self._hosts:
            raise ProblemError(
                "EB505",
                f"this server does not answer as {name[:100]!r}",
                mend="call it by one of: " + ", ".join(sorted(self._hosts)),
            )
        if len(self._good_hosts) < _REMEMBERED:
            self._good_hosts.add(host)

    def _ready(self) -> bytes:
        if not self._router.read:
            raise ProblemError("EB526", "the ledger could not be read yet")
        waiting = self._router.waiting
        if waiting:
            names = "; ".join(f"{n}: {why}" if why else n for n, why in sorted(waiting.items()))
            raise ProblemError("EB526", f"not loaded yet: {names}")
        return _encode(
            {"status": "ok", "models": {n: v.version for n, v in self._router.live.items()}}
        )

    async def _predict(self, name: str, headers: Headers, receive: Receive) -> bytes:
        if name not in self._router.live:
            raise self._absent(name)
        self._check_headers(headers)
        message = await receive()
        body = message.get("body", b"")
        if message.get("more_body") or message["type"] != "http.request":
            body = await self._rest(message, receive)
        elif len(body) > self._bounds.body:
            raise self._too_large(len(body))
        # Looked up only now: a slow body must not hold on to a version that is let go meanwhile.
        live = self._router.live[name]
        rows = live.loaded.decoder.decode(body)
        predictions = await live.loaded.answers.answer(rows)
        _check_finite(predictions)
        key = headers.get(b"everbake-key")
        now = time.time()
        ids = self._ids.draw(now, len(rows))
        answered = Answered(
            ids, now, live.version, rows, predictions, key.decode("latin-1") if key else None
        )
        trouble = await self._log.append(name, answered)
        if trouble is not None:
            raise _unlogged(trouble)
        return _encode(Answer(name, live.version, predictions, ids))

    def _absent(self, name: str) -> ProblemError:
        if not self._router.read or name in self._router.waiting:
            why = self._router.waiting.get(name) or "it is being loaded"
            return ProblemError(
                "EB521", f'model "{name}" cannot answer: {why}', headers=((b"retry-after", b"1"),)
            )
        if name in self._router.known:
            return ProblemError(
                "EB503", f'model "{name}" has no champion yet', mend=f"everbake ingest {name} FILE"
            )
        hint = near_miss(name, sorted(self._router.known))
        return ProblemError("EB502", f'model "{name[:100]}" is not known{hint}')

    def _check_headers(self, headers: Headers) -> None:
        kind = headers.get(b"content-type", b"")
        if kind != _JSON and kind.partition(b";")[0].strip().lower() != _JSON:
            shown = kind.decode("latin-1")[:100] or "missing"
            raise ProblemError(
                "EB506", f"the content type is {shown}", mend="Content-Type: application/json"
            )
        if b"content-encoding" in headers:
            raise ProblemError("EB507", "the body is encoded", mend="send it plain")
        length = headers.get(b"content-length", b"0")
        # The parser let nothing but digits through.
        if len(length) > 9 or int(length) > self._bounds.body:  # noqa: PLR2004 - nine digits are 1 GB
            raise self._too_large(int(length))

    async def _rest(self, message: Message, receive: Receive) -> bytes:
        """A body that did not arrive in one piece."""
        body = bytearray()
        try:
            while True:
                if message["type"] != "http.request":
                    raise _Left
                chunk = message.get("body", b"")
                body += chunk
                self._reading += len(chunk)
                if len(body) > self._bounds.body:
                    raise self._too_large(len(body))
                if self._reading > self._bounds.bodies:
                    raise ProblemError(
                        "EB519",
                        "too many large requests at once",
                        headers=((b"retry-after", b"1"),),
                    )
                if not message.get("more_body"):
                    return bytes(body)
                message = await receive()
        finally:
            self._reading -= len(body)

    def _too_large(self, size: int) -> ProblemError:
        return ProblemError(
            "EB510",
            f"the body has {size} bytes or more, {self._bounds.body} at most",
            mend="send several requests",
        )


_USUAL = "/v1/models/{name}/predict"
_JSON_HEADER = ((b"content-type", _JSON),)


async def _send(
    send: Send, status: int, body: bytes, headers: Iterable[tuple[bytes, bytes]]
) -> None:
    full = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": full})
    await send({"type": "http.response.body", "body": body})


async def _refuse(send: Send, problem: ProblemError) -> None:
    headers = ((b"content-type", _PROBLEM), *problem.headers)
    await _send(send, problem.status, problem.document(), headers)


def _check_method(method: str, *allowed: str) -> None:
    if method not in allowed:
        raise ProblemError(
            "EB504",
            f"{method} is not allowed here",
            mend=f"use {allowed[0]}",
            headers=((b"allow", ", ".join(allowed).encode()),),
        )


def _check_finite(predictions: list[object]) -> None:
    for at, value in enumerate(predictions):
        if not _is_finite(value):
            raise ProblemError("EB518", f"the prediction for row {at} is {value}", Place(at))


def _is_finite(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, list):
        return all(map(_is_finite, value))
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    return value is not None


def _unlogged(trouble: Exception) -> ProblemError:
    return ProblemError(
        "EB520",
        f"the prediction log cannot be written: {trouble}",
        mend="everbake doctor",
        headers=((b"retry-after", b"1"),),
    )
