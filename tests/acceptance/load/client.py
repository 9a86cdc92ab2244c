"""Many small prediction requests at a steady pace, over connections that stay, and over new ones.

Raw sockets under asyncio, in a thread of its own: what is measured is the server.
"""

import asyncio
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

import msgspec

FEATURE = 9
_STEADY = 8
_PATIENCE = 20.0  # seconds that one answer may take
_BREATH = 0.05  # seconds after a failure


class Answer(msgspec.Struct):
    """What the server says."""

    model: str
    version: int
    predictions: list[float]
    ids: list[str]


@dataclass
class Load:
    """The requests, and what became of them.

    Attributes:
        address: of the server.
        model: whom to ask.
        rate: requests a second to aim at, over all connections.
        answers: how often a version gave a prediction.
        ids: of all answers.
        failures: whatever was not an answer.
        seconds: how long it lasted.
    """

    address: str
    model: str
    rate: float
    answers: Counter[tuple[int, float]] = field(default_factory=Counter)
    ids: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __enter__(self) -> Self:
        self._end = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._send()), name="load")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    @property
    def versions(self) -> Counter[int]:
        """Requests per version."""
        found = Counter[int]()
        for (version, _), times in self.answers.items():
            found[version] += times
        return found

    async def _send(self) -> None:
        begun = time.monotonic()
        body = msgspec.json.encode({"rows": [{"feature": FEATURE}]})
        place = urlsplit(self.address)
        head = (
            f"POST /v1/models/{self.model}/predict HTTP/1.1\r\nHost: {place.netloc}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        request = head.encode() + body
        await asyncio.gather(
            *(self._stay(request) for _ in range(_STEADY)),
            self._come_and_go(request),
        )
        self.seconds = time.monotonic() - begun

    async def _stay(self, request: bytes) -> None:
        """One connection for all requests; one that the server closes is a failure."""
        while not self._end.is_set():
            await self._visit(request, stay=True)

    async def _come_and_go(self, request: bytes) -> None:
        """A connection for each request."""
        while not self._end.is_set():
            await self._visit(request, stay=False)

    async def _visit(self, request: bytes, *, stay: bool) -> None:
        place = urlsplit(self.address)
        try:
            reader, writer = await asyncio.open_connection(place.hostname, place.port)
        except OSError as error:
            await self._failed(f"connecting: {error!r}")
            return
        try:
            await self._talk(request, reader, writer, stay=stay)
        except (OSError, EOFError, TimeoutError, ValueError) as error:
            await self._failed(repr(error))
        finally:
            writer.close()

    async def _failed(self, why: str) -> None:
        self.failures.append(why)
        await asyncio.sleep(_BREATH)

    async def _talk(
        self,
        request: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        stay: bool,
    ) -> None:
        pause = (_STEADY + 1) / self.rate
        due = time.monotonic()
        while True:
            writer.write(request)
            async with asyncio.timeout(_PATIENCE):
                self._take(*await _response(reader))
            due = max(due + pause, time.monotonic() - pause)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if not stay or self._end.is_set():
                return

    def _take(self, status: int, body: bytes) -> None:
        if status != 200:
            self.failures.append(f"{status}: {body.decode(errors='replace')}")
            return
        answer = msgspec.json.decode(body, type=Answer)
        (prediction,) = answer.predictions
        self.answers[answer.version, prediction] += 1
        self.ids += answer.ids


async def _response(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
    lengths = [line.split(":")[1] for line in head if line.startswith("content-length:")]
    return int(head[0].split()[1]), await reader.readexactly(int(lengths[0]))
