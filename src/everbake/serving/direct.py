"""A request that a compiled model answers takes no task of its own: most of what one would cost.

Its coroutine is driven by hand. What it may wait for are plain futures, such as that of the log;
whoever needs a task (a time limit, a host) goes the usual way.
"""

from typing import TYPE_CHECKING

from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from everbake.serving.http import HttpAnswer, Message, Scope
from everbake.serving.protocol import BoundedProtocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine, Sequence

_MOST = 64 * 1024  # bytes of a body: a larger one is read the careful way


class _Seen:
    """Stands where somebody might wait for more of the body; nobody does."""

    def set(self) -> None:
        """Nothing to do."""


_SEEN = _Seen()


class DirectCycle:
    """One request and its answer, as uvicorn's protocol knows them.

    Args:
        protocol: the connection.
        scope: of the request.
        keep_alive: whether the connection stays open after it.
    """

    def __init__(self, protocol: "DirectProtocol", scope: Scope, *, keep_alive: bool) -> None:
        self._protocol = protocol
        self._scope = scope
        self._coroutine: Coroutine[asyncio.Future[object], None, HttpAnswer | None] | None = None
        self.keep_alive = keep_alive
        self.body = b""
        self.more_body = True
        self.disconnected = False
        self.response_started = False
        self.response_complete = False
        self.message_event = _SEEN
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
        """The body has arrived: answer, in one go if it is a usual request."""
        protocol, service = self._protocol, self._protocol.app
        service.reading(-1)
        if service.at_once(protocol.url, protocol.headers, self.body, self._finish):
            return
        self._coroutine = service.answered(self._scope, self.receive)
        self._step(None)

    def _step(self, _: object) -> None:
        """Go on, until the next future or the end."""
        coroutine = self._coroutine
        if coroutine is None:
            return
        try:
            future = coroutine.send(None)
        except StopIteration as end:
            self._finish(end.value)
        else:
            # What a task would do: the future has been awaited, and says when it is done.
            future._asyncio_future_blocking = False  # noqa: SLF001
            future.add_done_callback(self._step)

    def _finish(self, answer: HttpAnswer | None) -> None:
        self._coroutine = None
        self.response_started = self.response_complete = True
        transport = self._protocol.transport
        if answer is None or transport.is_closing():
            transport.close()
            return
        parts = [STATUS_LINE[answer.status], *self._headers(answer), b"\r\n", answer.body]
        transport.write(b"".join(parts))
        if not self.keep_alive:
            transport.close()
        self._protocol.on_response_complete()

    def _headers(self, answer: HttpAnswer) -> "Sequence[bytes]":
        given = [*self._protocol.server_state.default_headers, *answer.headers]
        lines = [b"%b: %b\r\n" % pair for pair in given]
        length = b"content-type: %b\r\ncontent-length: %d\r\n"
        lines.append(length % (answer.content, len(answer.body)))
        if not self.keep_alive:
            lines.append(b"connection: close\r\n")
        return lines


class DirectProtocol(BoundedProtocol):
    """One connection, on which most requests go the short way."""

    @override
    def on_headers_complete(self) -> None:
        """The body begins."""
        if not self._is_direct():
            super().on_headers_complete()
            return
        self._in_headers = False
        self._begun = True
        keep = self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive()
        keep = keep and not self._leaving
        self.cycle = DirectCycle(self, self.scope, keep_alive=keep)  # type: ignore[assignment, arg-type]

    def _is_direct(self) -> bool:
        """Whether this is a small, plain request to a compiled model, and the only one."""
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
        if isinstance(cycle, DirectCycle):
            cycle.abandon()
        super().connection_lost(exc)

    @override
    def on_message_complete(self) -> None:
        """The body has arrived."""
        cycle: object = self.cycle
        if isinstance(cycle, DirectCycle) and cycle.more_body:
            cycle.more_body = False
            cycle.start()
            return
        super().on_message_complete()
