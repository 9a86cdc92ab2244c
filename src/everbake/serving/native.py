"""A model that answers in the host of its version, over one connection.

Requests that arrive while the host is at work wait and go out together in the next call, so the
fixed cost of a call is shared by all who wait for it. Callers that were just answered ask again
within a moment; for them the next call waits, where that costs less than it saves.
"""

import asyncio
import contextlib
import logging
import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import msgspec
from typing_extensions import override

from everbake.core.bundle import Bundle, Input
from everbake.errors import HealthError
from everbake.serving.decode import Row
from everbake.serving.http import RETRY
from everbake.serving.pace import Pace, Queued
from everbake.serving.problems import Place, ProblemError
from everbake.serving.router import Failed, Given
from everbake.serving.settle import settle

Opener = Callable[[Bundle], socket.socket]

_log = logging.getLogger(__name__)
_SHARE = 0.25  # of what a call costs without its rows: so long it may wait for more to join
_SEARCH = 0.5  # of the time for a call, for finding rows over which the version's code raises
_QUIET = 0.0001  # seconds without a newcomer, after which no more are waited for
_LENGTH = struct.Struct(">I")
_PROBE: dict[str, object] = {
    "int64": 0,
    "float64": 0.0,
    "bool": False,
    "string": "",
    "timestamp": "2000-01-01T00:00:00",
}


class NativeAnswer(msgspec.Struct, frozen=True):
    """What a session says to one call.

    Attributes:
        predictions: one a row, None where its row failed.
        errors: what was raised, by the position of the row.
    """

    predictions: list[object]
    errors: dict[int, str] = {}


@dataclass(frozen=True)
class Limits:
    """Bounds of a session and of what is sent to it.

    Attributes:
        rows: of a request.
        waiting: requests that may wait for their model.
        seconds: that a request may wait, and a call may take.
    """

    rows: int = 10_000
    waiting: int = 64
    seconds: float = 10.0


@dataclass(slots=True, eq=False)
class _Waiting:
    """A request that waits, and gives up after a time."""

    rows: list[Row]
    told: Callable[[Given], None]
    late: asyncio.TimerHandle | None = None
    done: bool = False

    def settle(self, given: Given) -> None:
        """Tell, unless that was done before."""
        if self.done:
            return
        self.done = True
        if self.late is not None:
            self.late.cancel()
        try:
            self.told(given)
        except Exception:  # noqa: BLE001 - whatever it is, it is nobody else's
            _log.exception("what a model answered could not be handed on")


@dataclass(frozen=True)
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    news: asyncio.Event  # set when the other side is gone

    async def call(self, request: bytes, rows: int) -> NativeAnswer:
        """Ask once, about so many rows."""
        self.writer.write(request)
        await self.writer.drain()
        (length,) = _LENGTH.unpack(await self.reader.readexactly(_LENGTH.size))
        answer = msgspec.msgpack.decode(await self.reader.readexactly(length), type=NativeAnswer)
        if len(answer.predictions) != rows:
            wrong = f"{len(answer.predictions)} predictions for {rows} rows"
            return NativeAnswer([None] * rows, dict.fromkeys(range(rows), wrong))
        return answer


class _Protocol(asyncio.StreamReaderProtocol):
    """Of a connection that is closed, and says so, as soon as the other side is gone."""

    def __init__(self, reader: asyncio.StreamReader, news: asyncio.Event) -> None:
        super().__init__(reader)
        self._news = news

    @override
    def eof_received(self) -> bool:
        super().eof_received()
        return False

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._news.set()


class NativeAnswers:
    """A session with a version's host. Made by `connect`."""

    def __init__(self, connection: _Connection, limits: Limits) -> None:
        self._connection = connection
        self._limits = limits
        self._queue: deque[_Waiting] = deque()
        self._rows = 0  # that wait
        self._pace = Pace(limits.waiting)
        self._news = connection.news
        self._expected = 1  # requests in the last call, and behind it when it was answered
        self._closing = False
        self._loop = asyncio.get_running_loop()
        self._pump = self._loop.create_task(self._run())

    @classmethod
    async def connect(cls, opener: Opener, bundle: Bundle, limits: Limits) -> "NativeAnswers":
        """Open a session and wait until it has answered once.

        Raises:
            HealthError: it ended without an answer, or did not answer.
        """
        # Starting a host takes as long as the user's imports take.
        channel = await asyncio.to_thread(opener, bundle)
        channel.setblocking(False)  # noqa: FBT003 - the standard library's signature
        connection = await _connected(channel)
        try:
            async with asyncio.timeout(6 * limits.seconds):
                await connection.call(_request([[_probe(bundle.inputs)]], limits), 1)
        except BaseException as error:
            connection.writer.close()
            if isinstance(error, OSError | EOFError | TimeoutError):
                raise _unstarted(bundle, error) from error
            raise
        return cls(connection, limits)

    @property
    def alive(self) -> bool:
        """Whether the host still answers: one that ended while nobody asked is seen, too."""
        return not self._connection.writer.is_closing()

    @property
    def waiting(self) -> int:
        """Requests that wait for the next call."""
        return len(self._queue)

    def ask(self, rows: list[Row], told: Callable[[Given], None]) -> None:
        """Tells when the host has answered, or at once where too many wait or it is gone."""
        if not self.alive:
            told(_gone())
            return
        queued = Queued(len(self._queue), self._rows)
        if not self._pace.admits(queued, len(rows), time.perf_counter()):
            why = f"{queued.requests} requests are waiting for this model"
            told(ProblemError("EB519", why, headers=RETRY))
            return
        waiting = _Waiting(rows, told)
        waiting.late = self._loop.call_later(self._limits.seconds, self._give_up, waiting)
        self._queue.append(waiting)
        self._rows += len(rows)
        self._news.set()

    def _give_up(self, waiting: _Waiting) -> None:
        why = f"no answer of the model within {self._limits.seconds:g} s"
        waiting.settle(ProblemError("EB522", why))

    async def answer(self, rows: list[Row]) -> list[object]:
        """One prediction a row, a `Failed` where the model raised.

        Raises:
            ProblemError: too many wait, the host is gone, or the model failed on all rows.
        """
        answered: asyncio.Future[Given] = self._loop.create_future()
        self.ask(rows, partial(settle, answered))
        given = await answered
        if isinstance(given, ProblemError):
            raise given
        return given

    async def close(self) -> None:
        """Answer what waits, then end the session."""
        self._closing = True
        self._news.set()
        await self._pump

    async def _run(self) -> None:
        # The host died, hangs, or talks nonsense: `_end` tells those who wait.
        lost = (OSError, EOFError, TimeoutError, msgspec.MsgspecError)
        with contextlib.ExitStack() as at_the_end, contextlib.suppress(*lost):
            at_the_end.callback(self._end)
            while self.alive and (self._queue or not self._closing):
                await self._news.wait()
                self._news.clear()
                while self._queue:
                    await self._gather()
                    await self._call(self._drain())

    async def _gather(self) -> None:
        """Wait for those who asked together before, as long as they keep coming."""
        now = time.perf_counter()
        until, quiet, seen = now + _SHARE * self._pace.fixed, now + _QUIET, len(self._queue)
        while len(self._queue) < self._expected and now < min(until, quiet):
            await asyncio.sleep(0)
            now = time.perf_counter()
            if len(self._queue) > seen:
                quiet, seen = now + _QUIET, len(self._queue)

    def _drain(self) -> list[_Waiting]:
        """Those who wait, as many as fit into one call."""
        batch: list[_Waiting] = []
        rows = 0
        while self._queue and (not batch or self._fits(rows, batch[0])):
            batch.append(self._queue.popleft())
            rows += len(batch[-1].rows)
        self._rows -= rows
        return [waiting for waiting in batch if not waiting.done]

    def _fits(self, rows: int, first: _Waiting) -> bool:
        """Rows that lack a column would get it, empty, from rows that have it."""
        after = self._queue[0].rows
        return rows + len(after) <= self._limits.rows and after[0].keys() == first.rows[0].keys()

    async def _call(self, batch: list[_Waiting]) -> None:
        try:
            request = _request([waiting.rows for waiting in batch], self._limits)
        except Exception:  # noqa: BLE001 - whatever it is, only some requests are to blame
            batch = [waiting for waiting in batch if not _refused(waiting)]
            request = _request([waiting.rows for waiting in batch], self._limits)
        rows = sum(len(waiting.rows) for waiting in batch)
        if not rows:
            return
        self._pace.begin(rows, time.perf_counter())
        try:
            async with asyncio.timeout(self._limits.seconds):
                answer = await self._connection.call(request, rows)
        except BaseException:
            for waiting in batch:
                waiting.settle(_gone())
            raise
        self._pace.end(time.perf_counter())
        start = 0
        for waiting in batch:
            end = start + len(waiting.rows)
            waiting.settle(_given(_part(answer, start, end)))
            start = end
        self._expected = len(batch) + len(self._queue)

    def _end(self) -> None:
        self._connection.writer.close()
        while self._queue:
            self._queue.popleft().settle(_gone())
        self._rows = 0


def _unstarted(bundle: Bundle, error: Exception) -> HealthError:
    late = isinstance(error, TimeoutError)
    return HealthError(
        "EB529",
        "the version's own process " + ("does not answer" if late else "ended before it answered"),
        where=f"{bundle.model}, {bundle.source}",
        why="its code cannot be imported, or its model not loaded, in this environment",
        mend="everbake doctor",
    )


def _gone() -> ProblemError:
    return ProblemError(
        "EB521",
        "the model's process ended; it is being started again",
        headers=RETRY,
    )


def _part(answer: NativeAnswer, start: int, end: int) -> NativeAnswer:
    """What concerns one of the requests that went out together."""
    predictions = answer.predictions[start:end]
    if not answer.errors:
        return NativeAnswer(predictions)
    errors = {at - start: why for at, why in answer.errors.items() if start <= at < end}
    return NativeAnswer(predictions, errors)


def _given(answer: NativeAnswer) -> Given:
    if not answer.errors:
        return answer.predictions
    if len(answer.errors) == len(answer.predictions):
        row = min(answer.errors)
        place = Place(row if len(answer.predictions) == 1 else None)
        return ProblemError("EB517", f"the model failed: {answer.errors[row]}", place)
    told = list(answer.predictions)
    for at, why in answer.errors.items():
        told[at] = Failed(why)
    return told


def _request(requests: list[list[Row]], limits: Limits) -> bytes:
    """The frame in which the rows of requests go out together."""
    call = {
        "rows": [row for rows in requests for row in rows],
        "sizes": [len(rows) for rows in requests],
        "seconds": _SEARCH * limits.seconds,
    }
    body = msgspec.msgpack.encode(call)
    return _LENGTH.pack(len(body)) + body


def _refused(waiting: _Waiting) -> bool:
    """Whether a value of the request can be sent to no host, as its caller is told then."""
    for at, row in enumerate(waiting.rows):
        for name, value in row.items():
            try:
                msgspec.msgpack.encode(value)
            except Exception:  # noqa: BLE001 - whatever it is, it is about this value
                what = f'field "{name}" in row {at} is {str(value)[:50]!r}, which cannot be sent'
                waiting.settle(ProblemError("EB515", what, Place(at, name)))
                return True
    return False


async def _connected(channel: socket.socket) -> _Connection:
    loop, reader, news = asyncio.get_running_loop(), asyncio.StreamReader(), asyncio.Event()
    protocol = _Protocol(reader, news)
    if channel.family == socket.AF_UNIX:
        transport, _ = await loop.create_unix_connection(lambda: protocol, sock=channel)
    else:
        transport, _ = await loop.create_connection(lambda: protocol, sock=channel)
    return _Connection(reader, asyncio.StreamWriter(transport, protocol, reader, loop), news)


def _probe(inputs: tuple[Input, ...]) -> Row:
    """A row of the right types; its answer does not matter, only that there is one."""
    return {i.name: _PROBE[i.type] for i in inputs}
