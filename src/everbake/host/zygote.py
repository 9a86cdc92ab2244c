"""The process that forks a child for each job.

One thread and one `poll`: no BLAS or Python thread runs here, so a fork is safe. The zygote
listens to its owner (requests that come with a connection), to a lifeline that ends with the
owner, and to its children; it keeps their output, enforces their limits, and leaves no process
behind.
"""

import gc
import os
import select
import signal
import socket
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress

from everbake.host.forked import ImportedRecipe, Launch, run_child
from everbake.host.processes import adopt_orphans, children, kill_tree
from everbake.host.protocol import Catalogue
from everbake.host.recipe_side import RecipeSide, Snapshot
from everbake.host.running import Running, Watched, open_log, refuse
from everbake.wire import PACKET_LIMIT, Request

_PATIENCE = 1.0
_IDLE = 0.05  # seconds without a request after which it is a good moment to load more


def serve(inbox: socket.socket, lifeline: int, catalogue: Catalogue, snapshot: Snapshot) -> None:
    """Be a host until the owner is gone.

    Args:
        inbox: datagrams, each a request with the descriptor of its connection.
        lifeline: a pipe whose other end only the owner holds.
        catalogue: the jobs that may be asked for.
        snapshot: the recipe's code.
    """
    adopt_orphans()
    zygote = Zygote(inbox, lifeline, catalogue)

    def be_recipe_side(its_inbox: socket.socket, recipe: ImportedRecipe) -> None:
        Zygote(its_inbox, lifeline, catalogue, recipe).serve()

    zygote.recipe_side = RecipeSide(snapshot, zygote.abandon, be_recipe_side)
    gc.freeze()
    zygote.recipe_side.start()
    zygote.serve()


class Zygote:
    """A loop that forks, watches and reaps."""

    def __init__(
        self,
        inbox: socket.socket,
        lifeline: int,
        catalogue: Catalogue,
        recipe: ImportedRecipe | None = None,
    ) -> None:
        """Prepare the loop.

        Args:
            inbox: where requests come from.
            lifeline: ends with the owner.
            catalogue: the jobs that may be asked for.
            recipe: what importing gave, if this is the side that has imported.
        """
        self.recipe_side: RecipeSide | None = None
        self._inbox = inbox
        self._lifeline = lifeline
        self._catalogue = catalogue
        self._recipe = recipe
        self._cold = recipe is not None and recipe.module is not None
        self._running: dict[int, Running] = {}
        self._kept: frozenset[int] = frozenset()
        self._bell, self._bell_rope = socket.socketpair()
        # True at first: a child may have ended before there was a bell.
        self._rung = True
        self._ending = False

    def serve(self) -> None:
        """Work until the owner is gone or SIGTERM comes, then end this process and all below."""
        self._inbox.settimeout(0)
        self._listen_to_signals()
        # What the imports have started (a resource tracker, say) belongs to no job.
        self._kept = frozenset(children(os.getpid())) - {self._recipe_pid}
        gc.freeze()
        while not self._ending:
            self._turn()
        self._end()

    @property
    def _recipe_pid(self) -> int:
        return self.recipe_side.pid if self.recipe_side else 0

    def _listen_to_signals(self) -> None:
        for end in (self._bell, self._bell_rope):
            end.settimeout(0)
        signal.set_wakeup_fd(self._bell_rope.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: self._finish())
        # Ctrl-C in a terminal is the owner's to answer.
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def _turn(self) -> None:
        """Wait for something to happen, and react."""
        poll = select.poll()
        reactions = {}
        for descriptor, events, reaction in self._watched():
            poll.register(descriptor, events)
            reactions[descriptor] = reaction
        happened = poll.poll(self._pause())
        for descriptor, _ in happened:
            reactions[descriptor]()
        # Last: it closes descriptors whose numbers the events above still use.
        if self._rung:
            self._reap()
        now = time.monotonic()
        for running in self._running.values():
            running.check(now)
        if self.recipe_side:
            self.recipe_side.check(now)

        if self._cold and (self._running or not happened):
            self._warm_up()

    def _warm_up(self) -> None:
        """Load what the next jobs need, while a first one runs or nobody asks for anything."""
        self._cold = False
        self._catalogue.warm()
        self._kept = frozenset(children(os.getpid())) - self._running.keys() - {self._recipe_pid}
        gc.freeze()

    def _watched(self) -> Iterator[Watched]:
        yield self._lifeline, select.POLLIN, self._finish
        yield self._bell.fileno(), select.POLLIN, self._ring
        yield self._inbox.fileno(), select.POLLIN, self._take
        for running in self._running.values():
            yield from running.watched()
        if self.recipe_side:
            yield from self.recipe_side.watched()

    def _pause(self) -> float | None:
        """Milliseconds until a limit must be looked at."""
        now = time.monotonic()
        pauses = [running.pause(now) for running in self._running.values()]
        if self._cold:
            pauses.append(_IDLE)
        if self.recipe_side and (pause := self.recipe_side.pause(now)) is not None:
            pauses.append(pause)
        return min(1000 * min(pauses) + 1, 1e6) if pauses else None

    def _finish(self) -> None:
        self._ending = True

    def _take(self) -> None:
        """Take one request; the next comes with the loop's next turn."""
        with suppress(BlockingIOError):
            flags = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
            packet, descriptors, _, _ = socket.recv_fds(self._inbox, PACKET_LIMIT, 1, flags)
            connection = socket.socket(fileno=descriptors[0])
            request = Request.parse(packet)
            entry = self._catalogue.find(request.kind, request.name)
            if entry is not None and entry.needs_recipe and self.recipe_side:
                self.recipe_side.take(packet, request, connection)
            else:
                self._launch(request, connection)

    def _launch(self, request: Request, connection: socket.socket) -> None:
        """Fork a child for a request."""
        try:
            log = open_log(request)
        except OSError as error:
            refuse(connection, request, "failed", f"{type(error).__name__}: {error}")
            return
        output, printed = os.pipe()
        report, reported = os.pipe()
        os.set_blocking(output, False)
        os.set_blocking(report, False)
        entry = self._catalogue.find(request.kind, request.name)
        recipe = self._recipe if entry is not None and entry.needs_recipe else None
        launch = Launch(request, entry, recipe, connection, printed, reported, os.getpid())
        pid = _fork()
        if pid == 0:
            try:
                self.abandon()
                run_child(launch)
            finally:
                os._exit(1)
        os.close(printed)
        os.close(reported)
        self._running[pid] = Running(pid, request, connection, output, report, log)

    def abandon(self) -> None:
        """In a child: let go of what belongs to the zygote and its other children."""
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        for running in self._running.values():
            running.close()
        if self.recipe_side:
            self.recipe_side.close()
        for each in (self._inbox, self._bell, self._bell_rope):
            each.close()

    def _ring(self) -> None:
        with suppress(BlockingIOError):
            self._bell.recv(4096)
        self._rung = True

    def _reap(self) -> None:
        """Collect children that have ended, with everything they left behind."""
        self._rung = False
        for pid, running in list(self._running.items()):
            ended, status, usage = os.wait4(pid, os.WNOHANG)
            if ended:
                del self._running[pid]
                self._sweep()
                running.conclude(status, usage)
        if self._recipe_pid:
            ended, status = os.waitpid(self._recipe_pid, os.WNOHANG)
            if ended and self.recipe_side:
                self.recipe_side.ended(status)
        self._sweep()

    def _sweep(self) -> None:
        """End the orphans of jobs that have ended.

        Each job adopts its own orphans while it lives, so whatever else is our child is left
        over: also a process that made itself a daemon.
        """
        patience = time.monotonic() + _PATIENCE
        while (strays := self._strays()) and time.monotonic() < patience:
            for pid in strays:
                kill_tree(pid)
                with suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
            time.sleep(0.001)

    def _strays(self) -> frozenset[int]:
        known = self._kept | self._running.keys() | {self._recipe_pid}
        return frozenset(children(os.getpid())) - known

    def _end(self) -> None:
        """Kill everything below, and wait until it is gone."""
        self._running.clear()
        self.recipe_side, self._kept = None, frozenset()
        self._sweep()
        os._exit(0)


def _fork() -> int:
    with warnings.catch_warnings():
        # Arrow's allocator keeps a thread that takes care of forks by itself; Python warns anyway.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()
