"""An open-loop generator: its rate does not depend on the answers. A program of its own.

`HOST PORT RATE SECONDS SOCKETS FILE` and the request on standard input; into the file go
`{"due": [...], "sent": [...], "took": [...], "status": [...], "unsent": n, "began": t}` as JSON.
A request takes the next free connection or opens one, up to SOCKETS; with none left it counts as
unsent. Times are seconds of the monotonic clock, which all processes share; `took` counts from the
moment at which the request was due, so that a generator that is late does not hide a wait.
"""

import asyncio
import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

_FAILED = 0  # the status of a request whose connection broke
_TICK = 0.001


@dataclass
class Outcome:
    """What became of every request, in the order of the answers."""

    began: float
    due: list[float] = field(default_factory=list)
    sent: list[float] = field(default_factory=list)
    took: list[float] = field(default_factory=list)
    status: list[int] = field(default_factory=list)
    unsent: int = 0

    def add(self, due: float, sent: float, status: int) -> None:
        """One request has ended."""
        self.due.append(due)
        self.sent.append(sent)
        self.took.append(time.monotonic() - due)
        self.status.append(status)


class Connection(asyncio.Protocol):
    """One request at a time; goes back to the pool when it is answered."""

    def __init__(self, request: bytes, outcome: Outcome, free: list["Connection"]) -> None:
        self._request = request
        self._outcome = outcome
        self._free = free
        self._received = b""
        self._due: float | None = None
        self._sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def ask(self, due: float) -> None:
        """Send the request that was due then."""
        self._due, self._sent = due, time.monotonic()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found or len(body) < _length(head):
            return
        self._received = b""
        due, self._due = self._due, None
        self._outcome.add(due, self._sent, int(head[9:12]))
        if b"connection: close" in head.lower():
            self._transport.close()
        else:
            self._free.append(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        if self._due is not None:
            self._outcome.add(self._due, self._sent, _FAILED)
        elif self in self._free:
            self._free.remove(self)

    @property
    def usable(self) -> bool:
        """Whether it is still open."""
        return not self._transport.is_closing()


def _length(head: bytes) -> int:
    return int(head.lower().split(b"content-length: ")[1].split()[0])


class Generator:
    """Sends at a rate over a bounded number of connections."""

    def __init__(self, address: tuple[str, int], request: bytes, sockets: int) -> None:
        self.outcome = Outcome(time.monotonic())
        self._address = address
        self._request = request
        self._sockets = sockets
        self._opened = 0
        self._free: list[Connection] = []
        self._opening: set[asyncio.Task[None]] = set()

    async def run(self, rate: float, seconds: float) -> Outcome:
        """All requests of the time, then the last answers."""
        self.outcome.began = began = time.monotonic()
        total = int(rate * seconds)
        for number in range(total):
            due = began + number / rate
            # One sleep a tick, not one a request: what is due by now goes out together.
            while (early := due - time.monotonic()) > 0:
                await asyncio.sleep(max(early, _TICK))
            if number % 16 == 0:
                await asyncio.sleep(0)  # answers are read even when this is late
            self._send(due)
        until = time.monotonic() + 15
        while len(self.outcome.due) + self.outcome.unsent < total and time.monotonic() < until:
            await asyncio.sleep(0.01)
        # Whoever was not answered by then has failed.
        for _ in range(total - len(self.outcome.due) - self.outcome.unsent):
            self.outcome.add(until, until, _FAILED)
        return self.outcome

    def _send(self, due: float) -> None:
        while self._free:
            connection = self._free.pop()
            if connection.usable:
                connection.ask(due)
                return
        if self._opened >= self._sockets:
            self.outcome.unsent += 1
            return
        self._opened += 1
        task = asyncio.get_running_loop().create_task(self._open(due))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open(self, due: float) -> None:
        def made() -> Connection:
            return Connection(self._request, self.outcome, self._free)

        try:
            _, connection = await asyncio.get_running_loop().create_connection(made, *self._address)
        except OSError:
            self.outcome.add(due, due, _FAILED)
            self._opened -= 1
        else:
            connection.ask(due)


def main(*told: str) -> None:
    """Run as told, write what became of it."""
    host, port, rate, seconds, sockets, file = told
    request = sys.stdin.buffer.read()
    generator = Generator((host, int(port)), request, int(sockets))
    outcome = uvloop.run(generator.run(float(rate), float(seconds)))
    # Not to standard output: uvloop leaves a pipe there non-blocking, and `print` loses its rest.
    Path(file).write_text(json.dumps(outcome.__dict__))


if __name__ == "__main__":
    main(*sys.argv[1:])
