"""The half of a host that imports the recipe.

Importing may take seconds, hang, or end the process. So the zygote forks a second zygote for it
and stays free itself: it serves the jobs that need no recipe, holds back those that do until the
second one is ready, and starts it anew if it dies.
"""

import os
import select
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from everbake.host.forked import ImportedRecipe, import_failure
from everbake.host.processes import adopt_orphans, die_with_parent, how_it_ended, kill_tree
from everbake.host.running import HANG_UP, Watched, refuse
from everbake.wire import Request, State

_RETRY = 0.01
_KEPT_OUTPUT = 1 << 16


@dataclass(frozen=True)
class Snapshot:
    """Where the recipe lies and what its module is called."""

    directory: str
    module: str


@dataclass
class _Waiting:
    """A request that waits for the import."""

    packet: bytes
    request: Request
    connection: socket.socket
    deadline: float


class RecipeSide:
    """The second zygote, as the first one sees it."""

    def __init__(
        self,
        snapshot: Snapshot,
        abandon: Callable[[], None],
        serve: Callable[[socket.socket, ImportedRecipe], None],
    ) -> None:
        """Prepare; nothing is forked yet.

        Args:
            snapshot: what to import.
            abandon: in the second zygote, closes what belongs to the first one.
            serve: the second zygote's loop.
        """
        self._snapshot = snapshot
        self._abandon = abandon
        self._serve = serve
        self._waiting: list[_Waiting] = []
        self._socket: socket.socket | None = None
        self._ready_pipe = -1
        self._ready = False
        self._given_up = False
        self.pid = 0

    def start(self) -> None:
        """Fork the second zygote, which begins to import at once."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._ready_pipe, ready = os.pipe()
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                die_with_parent(parent)
                adopt_orphans()
                self._abandon()
                ours.close()
                imported = _import(self._snapshot)
                os.write(ready, b"1")
                os.close(ready)
                self._serve(theirs, imported)
            finally:
                os._exit(1)
        theirs.close()
        os.close(ready)
        ours.settimeout(0)
        self._socket = ours

    def take(self, packet: bytes, request: Request, connection: socket.socket) -> None:
        """Pass a request on, now or as soon as the recipe is imported."""
        deadline = time.monotonic() + request.limits.seconds
        self._waiting.append(_Waiting(packet, request, connection, deadline))
        if not self.pid:
            self.start()
        self._flush()

    def watched(self) -> Iterator[Watched]:
        """What the first zygote's loop should listen to."""
        if self.pid and not self._ready:
            yield self._ready_pipe, select.POLLIN, self._become_ready
        for each in self._waiting:
            yield each.connection.fileno(), HANG_UP, partial(self._cancel, each)

    def pause(self, now: float) -> float | None:
        """Seconds until something must be looked at."""
        if not self._waiting:
            return None
        if self._ready:
            return _RETRY
        return max(0.0, min(each.deadline for each in self._waiting) - now)

    def check(self, now: float) -> None:
        """Give up on an import that takes longer than a job that waits for it may."""
        self._flush()
        for each in [each for each in self._waiting if now >= each.deadline]:
            seconds = each.request.limits.seconds
            self._drop(each, "timeout", f"importing the recipe was not done after {seconds:g} s")
            if not self._ready and not self._waiting:
                self._given_up = True
                kill_tree(self.pid)

    def ended(self, status: int) -> None:
        """The second zygote has died: tell those who wait; the next request starts it anew."""
        self._close_ends()
        self.pid, self._ready = 0, False
        if self._given_up:
            # We killed it for an earlier request; who came since has not had a try.
            self._given_up = False
            if self._waiting:
                self.start()
            return
        how = how_it_ended(status)
        for each in list(self._waiting):
            self._drop(each, "died", f"importing the recipe: {how}")

    def close(self) -> None:
        """Close this process's ends, without an answer to anybody."""
        self._close_ends()
        for each in self._waiting:
            each.connection.close()

    def _close_ends(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._ready_pipe >= 0:
            os.close(self._ready_pipe)
            self._ready_pipe = -1

    def _become_ready(self) -> None:
        # An end without the byte is a death, which the loop hears of by SIGCHLD.
        self._ready = bool(os.read(self._ready_pipe, 1))
        self._flush()

    def _flush(self) -> None:
        while self._ready and self._waiting and self._socket is not None:
            first = self._waiting[0]
            try:
                socket.send_fds(self._socket, [first.packet], [first.connection.fileno()])
            except OSError:
                # Its queue is full, or it has just died: both show in the loop's next turn.
                return
            first.connection.close()
            del self._waiting[0]

    def _cancel(self, each: _Waiting) -> None:
        if each in self._waiting:
            self._drop(each, "cancelled", "cancelled")

    def _drop(self, each: _Waiting, state: State, error: str) -> None:
        self._waiting.remove(each)
        refuse(each.connection, each.request, state, error)


def _import(snapshot: Snapshot) -> ImportedRecipe:
    """Import the recipe and keep what it prints, for the case that it fails."""
    sys.path.insert(0, snapshot.directory)
    # The snapshot is known by its digest: nothing may be written beside its files.
    sys.dont_write_bytecode = True
    with tempfile.TemporaryFile() as printed:
        for descriptor in (1, 2):
            os.dup2(printed.fileno(), descriptor)
        imported = _import_module(snapshot.module)
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        printed.seek(0)
        text = printed.read(_KEPT_OUTPUT).decode(errors="backslashreplace")
        with Path(os.devnull).open("wb") as nothing:
            os.dup2(nothing.fileno(), 1)
            os.dup2(nothing.fileno(), 2)
    return ImportedRecipe(imported.module, imported.error, text + imported.traceback)


def _import_module(name: str) -> ImportedRecipe:
    try:
        # numpy first: its generators are seeded in every job, also if the job imports it later.
        __import__("numpy")
        __import__(name)
    except BaseException as error:  # noqa: BLE001  also SystemExit: it is the recipe's failure
        return import_failure(error)
    return ImportedRecipe(sys.modules[name], "", "")
