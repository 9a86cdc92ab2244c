"""One forked job as its zygote sees it: output, memory, time, and how it ended."""

import json
import os
import resource
import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import get_args

from everbake.host.processes import how_it_ended, kill_tree, resident
from everbake.wire import (
    OUTPUT,
    JobOutcome,
    Request,
    State,
    outcome_frame,
    recall,
    send_frame,
)

OUTPUT_LIMIT = 10_000_000
HANG_UP = select.POLLHUP | getattr(select, "POLLRDHUP", 0)
_CUT = b"\n... output beyond 10 MB is dropped\n"
_CHUNK = 1 << 16
_FIRST_CHECK, _LAST_CHECK = 0.01, 0.05
_FAREWELL = 1.0

Watched = tuple[int, int, Callable[[], None]]


@dataclass
class Running:
    """A job between its fork and its outcome.

    Attributes:
        pid: its process, the leader of a session of its own.
        request: what was asked.
        connection: to the one who asked.
        output: read end of what it prints.
        report: read end of how it failed.
        log: descriptor of the file that keeps the output; -1 for none.
    """

    pid: int
    request: Request
    connection: socket.socket
    output: int
    report: int
    log: int
    started: float = field(default_factory=time.monotonic)
    peak: int = 0
    _written: int = 0
    _listening: bool = True
    _deadline: float = field(init=False)
    _verdict: tuple[State, str] | None = None

    def __post_init__(self) -> None:
        """Take the time from here."""
        self._deadline = self.started + self.request.limits.seconds

    def watched(self) -> Iterator[Watched]:
        """What the zygote's loop should listen to: descriptor, events, reaction."""
        if self.output >= 0:
            yield self.output, select.POLLIN, self.drain
        if self._listening:
            # A session's child reads from this connection, so only its end concerns us.
            events = HANG_UP if self.request.kind == "job" else select.POLLHUP
            yield self.connection.fileno(), events, self._hung_up

    def pause(self, now: float) -> float:
        """Seconds until the next look: soon at first, when most jobs end or grow."""
        wait = min(_LAST_CHECK, max(_FIRST_CHECK, (now - self.started) / 4))
        return max(0.0, min(wait, self._deadline - now))

    def check(self, now: float) -> None:
        """Kill the job if it is over a limit."""
        held = resident(self.pid)
        self.peak = max(self.peak, held)
        allowed = self.request.limits.memory_bytes
        if held > allowed:
            self._kill("out_of_memory", f"{held} bytes resident, the limit is {allowed}")
        elif now >= self._deadline:
            seconds = self.request.limits.seconds
            self._kill("timeout", f"not done after {seconds:g} s")

    def _kill(self, state: State, error: str) -> None:
        self._verdict = self._verdict or (state, error)
        kill_tree(self.pid)

    def _hung_up(self) -> None:
        """The other side has left: a job is cancelled, a session may say farewell."""
        self._listening = False
        if self.request.kind == "job":
            self._kill("cancelled", "cancelled")
        else:
            self._deadline = min(self._deadline, time.monotonic() + _FAREWELL)

    def drain(self) -> None:
        """Move what was printed into the log; at most a few chunks, others wait too."""
        for _ in range(16):
            try:
                chunk = os.read(self.output, _CHUNK)
            except BlockingIOError:
                return
            if not chunk:
                os.close(self.output)
                self.output = -1
                return
            self._keep(chunk)

    def _keep(self, chunk: bytes) -> None:
        room = OUTPUT_LIMIT - self._written
        self._written += len(chunk)
        if self.log < 0 or room < 0:
            return
        kept = chunk if len(chunk) <= room else chunk[:room] + _CUT
        try:
            os.write(self.log, kept)
        except OSError:
            # A full disk costs the rest of the log, not the job.
            os.close(self.log)
            self.log = -1

    def conclude(self, status: int, usage: resource.struct_rusage) -> None:
        """The process has ended and its tree is gone: answer, and close everything."""
        while self.output >= 0 and _readable(self.output):
            self.drain()
        answer(self.connection, self.request, self._outcome(status, usage))
        self.close()

    def _outcome(self, status: int, usage: resource.struct_rusage) -> JobOutcome:
        peak = max(self.peak, usage.ru_maxrss * 1024)
        done = recall(Path(self.request.work)) if self.request.kind == "job" else None
        if done is not None:
            return replace(done, peak_memory=max(done.peak_memory, peak))
        state, error = self._verdict or self._reported() or ("died", how_it_ended(status))
        return JobOutcome(state, None, error, time.monotonic() - self.started, peak)

    def _reported(self) -> tuple[State, str] | None:
        """What the child said, if it could say anything and is not lying about being done."""
        with suppress(ValueError, KeyError, TypeError, BlockingIOError):
            told = json.loads(os.read(self.report, _CHUNK))
            if told["state"] in get_args(State) and told["state"] != "done":
                return told["state"], str(told["error"])
        return None

    def close(self) -> None:
        """Close this process's ends; the job is not told."""
        self.connection.close()
        for descriptor in (self.output, self.report, self.log):
            if descriptor >= 0:
                os.close(descriptor)


def _readable(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


def open_log(request: Request) -> int:
    """A fresh file for what a job prints; -1 if nobody wants it."""
    if not request.work:
        return -1
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    return os.open(Path(request.work) / OUTPUT, flags, 0o600)


def answer(connection: socket.socket, request: Request, outcome: JobOutcome) -> None:
    """Tell the one who asked, if still there. A session learns it from its connection's end."""
    if request.kind == "job":
        connection.settimeout(0)
        with suppress(OSError):
            send_frame(connection, outcome_frame(outcome))
    connection.close()


def refuse(connection: socket.socket, request: Request, state: State, error: str) -> None:
    """Answer a request that was never forked."""
    answer(connection, request, JobOutcome(state, None, error, 0.0, 0))
