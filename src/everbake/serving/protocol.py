"""uvicorn's HTTP protocol with the bounds that it lacks: size of headers, time to arrive."""

import time
from typing import TYPE_CHECKING, Any

import httptools
from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from everbake.serving.http import BEGUN
from everbake.serving.problems import ProblemError

if TYPE_CHECKING:
    import asyncio

_HEADERS = 16 * 1024
_LINGER = 0.5  # seconds
_STALLED = 5.0  # seconds without reading, after which a closing connection is cut
_IGNORED = 256 * 1024 * 1024


class _TooLargeError(Exception):
    """The headers are too large; stops the parser."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection.

    A request that is refused early is read on and dropped, so that its sender sees the answer
    and not a reset connection; but not for ever.

    Attributes:
        seconds: in which a request must have arrived whole, once it has begun.
        idle: seconds after which a connection is closed that nobody uses.
    """

    seconds = 10.0
    idle = 75.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed through
        super().__init__(*args, **kwargs)
        self._heading = 0
        self._ignored = 0
        self._in_headers = False
        self._in_message = False  # the rest of a refused one is still part of it
        self._begun = False  # there is a cycle
        self._leaving = False  # the server ends
        self._late: asyncio.TimerHandle | None = None
        self._used = 0.0  # when the last answer left
        self._ending: asyncio.TimerHandle | None = None

    @override
    def connection_made(self, transport: "asyncio.Transport") -> None:  # type: ignore[override]
        """The time of who says nothing at all begins, too."""
        super().connection_made(transport)
        self._used = self.loop.time()
        self._look_again(self.idle)

    @property
    def resting(self) -> bool:
        """Whether no request is under way, not even in part: what comes now begins one."""
        return self._answered and not self._in_message

    @property
    def _answered(self) -> bool:
        return (not self._begun or self.cycle.response_complete) and not self.pipeline

    @override
    def data_received(self, data: bytes) -> None:
        """Parse; a request that is not complete then must be so soon."""
        self._feed(data)
        whole = not self._in_headers and not self._body_open()
        if whole:
            if self._late is not None:
                self._late.cancel()
                self._late = None
        elif self._late is None:
            self._late = self.loop.call_later(self.seconds, self._give_up)

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offered:
            self._stay(data[offered.args[0] :])
        except httptools.HttpParserError:
            self.send_400_response("")

    def _stay(self, rest: bytes) -> None:
        """Read a request again as what it is without its offer to speak another protocol.

        The parser takes what follows the headers for that protocol; clients that offer HTTP/2
        with every request (Java's does) send their body there.
        """
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        kept = [pair for pair in self.headers if pair[0] != b"upgrade"]
        if len(kept) == len(self.headers):  # CONNECT needs no such header
            self.send_400_response("")
            return
        lines = [name + b": " + value for name, value in kept]
        head = method + b" " + self.url + b" HTTP/" + version + b"\r\n"
        self.parser = httptools.HttpRequestParser(self)
        self._feed(head + b"\r\n".join([*lines, b"", b""]) + rest)

    @override
    def on_response_complete(self) -> None:
        """What came behind this request is read on: its time begins."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            self._close()
            return
        self._used = self.loop.time()
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self.timeout_keep_alive_task is None:
            self._look_again(self.idle)
        if self._late is not None:
            self._late.cancel()
            self._late = self.loop.call_later(self.seconds, self._give_up)

    def _look_again(self, seconds: float) -> None:
        later = self.loop.call_later(seconds, self.timeout_keep_alive_handler)
        self.timeout_keep_alive_task = later

    @override
    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that nobody uses any more.

        One timer a connection looks when it was used last: to set one a request takes longer.
        """
        self.timeout_keep_alive_task = None
        left = self._used + self.idle - self.loop.time()
        if not self._answered or self._in_headers:
            return  # the end of the request sets the timer
        if left > 0 and not self.transport.is_closing():
            self._look_again(left)
        else:
            self._close()

    def _close(self) -> None:
        """Close once all is sent, or its receiver no longer takes any of it."""
        self.transport.close()
        if self._ending is None:
            self._see_off(-1)

    def _see_off(self, before: int) -> None:
        left = self.transport.get_write_buffer_size()
        if left == before:
            self.transport.abort()
        else:
            self._ending = self.loop.call_later(_STALLED, self._see_off, left)

    @override
    def shutdown(self) -> None:
        """The server ends: the next answer here is the last one.

        An idle connection stays open for a moment: its caller may be sending just now, and would
        see it closed without an answer.
        """
        self._leaving = True
        if self._begun and not self.cycle.response_complete:
            self.cycle.keep_alive = False
        else:
            self.loop.call_later(_LINGER, self._leave)

    def _leave(self) -> None:
        if not self._in_headers and (not self._begun or self.cycle.response_complete):
            self._close()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is waited for any more."""
        for timer in (self._late, self._ending):
            if timer is not None:
                timer.cancel()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    @override
    def eof_received(self) -> bool:  # type: ignore[override]
        """The caller has said all it wanted to; it still reads what it is owed."""
        owed = self._begun and not self.cycle.response_complete
        if not owed or self._in_headers or self.cycle.more_body:
            return False
        self.cycle.keep_alive = False
        return True

    def _body_open(self) -> bool:
        return self._begun and self.cycle.more_body and not self.cycle.response_complete

    @override
    def on_message_begin(self) -> None:
        """A request line begins."""
        super().on_message_begin()
        self._heading = self._ignored = 0
        self._in_headers = self._in_message = True

    @override
    def on_url(self, url: bytes) -> None:
        """A piece of the address."""
        self._count(len(url))
        super().on_url(url)

    @override
    def on_header(self, name: bytes, value: bytes) -> None:
        """A header."""
        self._count(len(name) + len(value))
        super().on_header(name, value)

    @override
    def on_headers_complete(self) -> None:
        """The body begins."""
        if self.parser.should_upgrade():
            return
        self._in_headers = False
        if not self.url.startswith(b"/"):
            self._believe_target()
        super().on_headers_complete()
        self._begun = True
        if self._leaving:
            self.cycle.keep_alive = False
        if not self.pipeline:
            self.scope[BEGUN] = time.perf_counter()  # type: ignore[literal-required]

    def _believe_target(self) -> None:
        """An address that names a host overrules the Host header."""
        named: Any = httptools.parse_url(self.url)
        if named.host:
            port = b"" if named.port is None else b":%d" % named.port
            others = [pair for pair in self.headers if pair[0] != b"host"]
            self.headers[:] = [*others, (b"host", named.host + port)]

    @override
    def on_message_complete(self) -> None:
        """The body has arrived."""
        self._in_message = False
        if not self.parser.should_upgrade():
            super().on_message_complete()

    @override
    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        if self.cycle.response_complete:
            self._ignored += len(body)
            if self._ignored > _IGNORED:
                self._close()
            return
        super().on_body(body)

    @override
    def send_400_response(self, msg: str) -> None:
        """The parser refuses what came."""
        if self._heading > _HEADERS:
            self._refuse(ProblemError("EB523", f"more than {_HEADERS} bytes of headers"))
        else:
            self._refuse(ProblemError("EB524", "this is no valid HTTP request"))

    def _count(self, size: int) -> None:
        self._heading += size
        if self._heading > _HEADERS:
            raise _TooLargeError

    def _give_up(self) -> None:
        self._late = None
        if self._behind():
            self._late = self.loop.call_later(self.seconds, self._give_up)
        elif self._in_headers or not self.cycle.response_started:
            self._refuse(ProblemError("EB525", f"it took longer than {self.seconds:g} s"))
        else:
            self._close()

    def _behind(self) -> bool:
        """Whether an earlier request is still being answered, for which this one may wait."""
        heading = self._in_headers and self._begun and not self.cycle.response_complete
        return heading or bool(self.pipeline)

    def _refuse(self, problem: ProblemError) -> None:
        if self.transport.is_closing():
            return
        if self._behind():
            self._close()
            return
        body = problem.document()
        head = b"content-type: application/problem+json\r\ncontent-length: %d\r\n" % len(body)
        close = b"connection: close\r\n\r\n"
        self.transport.write(STATUS_LINE[problem.status] + head + close + body)
        self._close()
