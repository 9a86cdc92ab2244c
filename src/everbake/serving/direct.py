"""A usual request to a model takes no task of its own: most of what one would cost.

Its model is asked as soon as its body is there, and what it answers is sent once it is logged;
whatever needs a second look (an unusual head, many rows) goes the usual way. A request whose head
was seen before is not even parsed.
"""

from typing import TYPE_CHECKING

from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from everbake.serving.http import HttpAnswer, Message, Scope
from everbake.serving.protocol import BoundedProtocol

if TYPE_CHECKING:
    from everbake.serving.service import Service

_MOST = 64 * 1024  # bytes of a body: a larger one is read the careful way


class _Seen:
    """Stands where somebody might wait for more of the body; nobody does."""

    def set(self) -> None:
        """Nothing to do."""


class DirectCycle:
    """One request and its answer, as uvicorn's protocol knows them.

    Args:
        protocol: the connection.
        keep_alive: whether the connection stays open after it.
    """

    body = b""
    more_body = False
    disconnected = False
    response_started = False
    response_complete = False
    message_event = _Seen()

    def __init__(self, protocol: "DirectProtocol", *, keep_alive: bool = True) -> None:
        self._protocol = protocol
        self.keep_alive = keep_alive

    def finish(self, answer: HttpAnswer | None) -> None:
        """Send the answer; None where nobody waits for it."""
        self.response_started = self.response_complete = True
        transport = self._protocol.transport
        if answer is None or transport.is_closing():
            transport.close()
            return
        transport.write(self._written(answer))
        if not self.keep_alive:
            transport.close()
        self._protocol.on_response_complete()

    def _written(self, answer: HttpAnswer) -> bytes:
        further = b"".join([b"%b: %b\r\n" % pair for pair in answer.headers])
        return b"%b%b%bcontent-type: %b\r\ncontent-length: %d\r\n%b\r\n%b" % (
            STATUS_LINE[answer.status],
            self._protocol.standing(),
            further,
            answer.content,
            len(answer.body),
            b"" if self.keep_alive else b"connection: close\r\n",
            answer.body,
        )


class ParsedCycle(DirectCycle):
    """One whose head was parsed, and whose body arrives.

    Args:
        protocol: the connection.
        scope: of the request.
        begun: bytes with which the connection's data began, if this request is the first in them.
        keep_alive: whether the connection stays open after it.
    """

    more_body = True

    def __init__(
        self, protocol: "DirectProtocol", scope: Scope, begun: bytes, *, keep_alive: bool
    ) -> None:
        super().__init__(protocol, keep_alive=keep_alive)
        self._scope = scope
        self._begun = begun
        protocol.app.reading(1)

    def abandon(self) -> None:
        """The caller has gone."""
        if self.more_body:
            self.more_body = False
            self._protocol.app.reading(-1)

    async def receive(self) -> Message:
        """The body, which is there."""
        return {"type": "http.request", "body": self.body, "more_body": False}

    def start(self) -> None:
        """The body has arrived: ask the model, if it is a usual request."""
        protocol, service = self._protocol, self._protocol.app
        service.reading(-1)
        head = service.usual(protocol.url, protocol.headers, len(self.body))
        if head is not None and service.at_once(head, self.body, self.finish):
            if self._begun and self.keep_alive:
                service.heads.remember(self._begun, head)
            return
        protocol._start_asgi_task(self, service)  # type: ignore[arg-type]  # noqa: SLF001

    async def run_asgi(self, service: "Service") -> None:
        """Answer in a task, as uvicorn's protocol starts it."""
        self.finish(await service.answered(self._scope, self.receive))


class DirectProtocol(BoundedProtocol):
    """One connection, on which most requests go the short way."""

    _data = b""  # what arrived last, if a request begins with it
    _headers_of: object = None
    _standing = b""

    @override
    def data_received(self, data: bytes) -> None:
        """Answer a request whose head was seen before; parse any other one."""
        if self.resting and not self._leaving and not self.flow.write_paused:
            found = self.app.heads.find(data)
            if found is not None:
                cycle = DirectCycle(self)
                if self.app.at_once(*found, cycle.finish):
                    self.cycle = cycle  # type: ignore[assignment]
                    self._begun = True
                    return
            self._data = data
        super().data_received(data)
        self._data = b""

    @override
    def on_headers_complete(self) -> None:
        """The body begins."""
        begun, self._data = self._data, b""
        if not self._is_direct():
            super().on_headers_complete()
            return
        self._in_headers = False
        self._begun = True
        keep = self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive()
        keep = keep and not self._leaving
        self.cycle = ParsedCycle(self, self.scope, begun, keep_alive=keep)  # type: ignore[assignment, arg-type]

    def standing(self) -> bytes:
        """The headers of every answer; the server renews them each second."""
        headers = self.server_state.default_headers
        if headers is not self._headers_of:
            self._headers_of = headers
            self._standing = b"".join([b"%b: %b\r\n" % pair for pair in headers])
        return self._standing

    def _is_direct(self) -> bool:
        """Whether this is a small, plain request to a model, and the only one."""
        busy = self._begun and not self.cycle.response_complete
        if busy or self.flow.write_paused or self.expect_100_continue:
            return False
        path = self.url
        if self.parser.get_method() != b"POST" or not self.app.direct(path):
            return False
        length = None
        for name, value in self.headers:
            if name == b"content-length":
                length = value
            elif name in (b"transfer-encoding", b"upgrade"):
                return False
        if length is None or len(length) > 6 or int(length) > _MOST:  # noqa: PLR2004 - digits
            return False
        self.scope["method"] = "POST"
        self.scope["path"] = path.decode("ascii")
        return True

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is waited for any more."""
        cycle: object = self.cycle
        if isinstance(cycle, ParsedCycle):
            cycle.abandon()
        super().connection_lost(exc)

    @override
    def on_message_complete(self) -> None:
        """The body has arrived."""
        cycle: object = self.cycle
        if isinstance(cycle, ParsedCycle) and cycle.more_body:
            self._in_message = cycle.more_body = False
            cycle.start()
            return
        super().on_message_complete()
