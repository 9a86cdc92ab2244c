"""What an endpoint gets of a request and gives back, apart from any protocol of predictions."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from everbake.serving.problems import ProblemError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = Mapping[bytes, bytes]

JSON = b"application/json"
PROBLEM = b"application/problem+json"
BEGUN = "everbake.begun"  # in a scope: when the request was read, if nothing stood before it
RETRY = ((b"retry-after", b"1"),)


@dataclass(frozen=True)
class Bounds:
    """What a worker accepts.

    Attributes:
        hosts: names in the `Host` header, beside those of this machine.
        body: bytes of a body.
        bodies: bytes of all bodies that are being read.
        requests: under way at once, bodies that are being read included.
    """

    hosts: tuple[str, ...] = ()
    body: int = 10 * 1024 * 1024
    bodies: int = 64 * 1024 * 1024
    requests: int = 1024


class HttpAnswer(msgspec.Struct, frozen=True, gc=False):
    """What is sent back.

    Attributes:
        body: the bytes.
        content: their type.
        status: of the answer.
        headers: further ones.
    """

    body: bytes
    content: bytes = JSON
    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = ()


class LeftError(Exception):
    """The caller has gone before the request was complete."""


@dataclass
class Reading:
    """Bodies that arrive in pieces, of all requests of a worker together.

    Attributes:
        bounds: what is accepted.
        bytes: held at this moment.
    """

    bounds: Bounds
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request, whose body has not been read yet.

    Attributes:
        method: such as `POST`.
        headers: by lower-case name.
        receive: gives the body's pieces.
        reading: shared by all requests of the worker.
        parts: what stands in the address where the endpoint's address has a `{name}`.
    """

    method: str
    headers: Headers
    receive: Receive
    reading: Reading
    parts: tuple[str, ...] = field(default=())

    def allow(self, *methods: str) -> None:
        """Refuse all other methods.

        Raises:
            ProblemError: this is another one.
        """
        if self.method not in methods:
            raise ProblemError(
                "EB504",
                f"{self.method} is not allowed here",
                mend=f"use {methods[0]}",
                headers=((b"allow", ", ".join(methods).encode()),),
            )

    async def json(self) -> bytes:
        """The body, which must be plain JSON.

        Raises:
            ProblemError: it is something else, or too large.
            LeftError: the caller hung up.
        """
        kind = self.headers.get(b"content-type", b"")
        if kind != JSON and kind.partition(b";")[0].strip().lower() != JSON:
            shown = kind.decode("latin-1")[:100] or "missing"
            raise ProblemError(
                "EB506", f"the content type is {shown}", mend="Content-Type: application/json"
            )
        return await self.body()

    async def body(self) -> bytes:
        """The body, of whatever type; it must not be encoded.

        Raises:
            ProblemError: it is encoded or too large.
            LeftError: the caller hung up.
        """
        if b"content-encoding" in self.headers:
            raise ProblemError("EB507", "the body is encoded", mend="send it plain")
        most = self.reading.bounds.body
        length = self.headers.get(b"content-length", b"0")
        # The parser let nothing but digits through.
        if len(length) > 9 or int(length) > most:  # noqa: PLR2004 - nine digits are 1 GB
            raise _too_large(int(length), most)
        message = await self.receive()
        body: bytes = message.get("body", b"")
        if message.get("more_body") or message["type"] != "http.request":
            return await self._rest(message)
        if len(body) > most:
            raise _too_large(len(body), most)
        return body

    async def _rest(self, message: Message) -> bytes:
        """A body that did not arrive in one piece."""
        body = bytearray()
        reading = self.reading
        try:
            while True:
                if message["type"] != "http.request":
                    raise LeftError
                chunk = message.get("body", b"")
                body += chunk
                reading.bytes += len(chunk)
                if len(body) > reading.bounds.body:
                    raise _too_large(len(body), reading.bounds.body)
                if reading.bytes > reading.bounds.bodies:
                    raise ProblemError("EB519", "too many large requests at once", headers=RETRY)
                if not message.get("more_body"):
                    return bytes(body)
                message = await self.receive()
        finally:
            reading.bytes -= len(body)


Endpoint = Callable[[HttpRequest], Awaitable[HttpAnswer]]


def _too_large(size: int, most: int) -> ProblemError:
    return ProblemError(
        "EB510",
        f"the body has {size} bytes or more, {most} at most",
        mend="send several requests",
    )
