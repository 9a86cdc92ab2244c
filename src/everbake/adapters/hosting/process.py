"""The owner's side of a host: start it, ask it for jobs and sessions, end it.

The owner never imports user code. A request goes to the host as one datagram that carries the
descriptor of a fresh connection, so no name of a socket is needed and the project's folder may
be called anything.
"""

import codecs
import os
import select
import socket
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Self

from everbake.wire import (
    OUTPUT,
    JobLimits,
    JobOutcome,
    Request,
    parse_outcome,
    recall,
    receive_frame,
    send_frame,
)

JOBS = "everbake.host.jobs:JOBS"
SESSIONS = "everbake.host.jobs:SESSIONS"
_PASSED_ON = frozenset(
    {
        "HOME",
        "LANG",
        "LANGUAGE",
        "LD_LIBRARY_PATH",
        "PATH",
        "PYTHONPATH",
        "TMPDIR",
        "TZ",
        "VIRTUAL_ENV",
    }
)
_PASSED_ON_PREFIXES = ("LC_",)
# One thread before the imports: a fork does not survive the locks of a pool of threads. The same
# hashes in every process: a set of strings has one order, so training can be repeated. Threads
# that wait for others sleep: where other processes want the cores, too, turning round and round
# doubles what a batch of predictions costs.
_FIXED = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "PYTHONHASHSEED": "0",
}
_MARK = "EVERBAKE_HOST"
_GLANCE_MS = 20
_GOODBYE = 3.0
_LAST_BREATH = 0.5


def allowed_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The part of an environment that a host may see: no tokens, no passwords of the owner."""
    return {
        name: value
        for name, value in environment.items()
        if name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIXES)
    }


@dataclass(frozen=True)
class HostProgram:
    """What a host imports beside everbake.

    Attributes:
        module: the recipe's module in the snapshot.
        jobs: `module:attribute` of the table of jobs.
        sessions: `module:attribute` of the table of sessions.
        python: the interpreter.
        folder: where its processes stand; None: where this one does.
    """

    module: str = "recipe"
    jobs: str = JOBS
    sessions: str = SESSIONS
    python: str = sys.executable
    folder: str | None = None


@dataclass(frozen=True)
class _Live:
    """A started host: its process and what connects us.

    Attributes:
        process: the host.
        control: takes requests.
        lifeline: the host ends when this is closed.
        complaints: what the host itself wrote on standard error.
        mark: value of a variable in the environment of every process of this host.
        guard: of `complaints`, which one thread may read while another closes it.
    """

    process: subprocess.Popen[bytes]
    control: socket.socket
    lifeline: int
    complaints: IO[bytes]
    mark: str
    guard: threading.Lock = field(default_factory=threading.Lock)

    def close(self) -> None:
        """Cut the lifeline; the host kills its jobs and ends."""
        os.close(self.lifeline)
        self.control.close()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(_GOODBYE)
        if self.process.returncode != 0:
            self.process.kill()
            self.process.wait()
            _kill_marked(self.mark)
        with self.guard:
            self.complaints.close()

    def last_words(self) -> str:
        """How the process ended, and the last line it wrote."""
        try:
            code = self.process.wait(_LAST_BREATH)
        except subprocess.TimeoutExpired:
            return "the process that had imported the recipe was killed"
        if code < 0:
            return f"the host was killed by signal {-code}"
        return ": ".join([f"the host ended with exit code {code}", *self._last_line()])

    def _last_line(self) -> list[str]:
        with self.guard:
            if self.complaints.closed:
                return []
            self.complaints.seek(0)
            written = self.complaints.read().decode(errors="backslashreplace")
        return written.strip().splitlines()[-1:]


class HostProcess:
    """A host for one snapshot of code. Safe to use from several threads."""

    def __init__(
        self,
        snapshot: Path,
        *,
        program: HostProgram = HostProgram(),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Prepare; nothing is started.

        Args:
            snapshot: directory of the recipe and the modules beside it.
            program: what the host imports beside everbake.
            environment: variables that the host gets on top of the allowed ones of this process.
        """
        self._snapshot = snapshot
        self._program = program
        self._environment = dict(environment or {})
        self._live: _Live | None = None
        self._lock = threading.Lock()
        self._running = 0
        self._sessions: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    @property
    def busy(self) -> bool:
        """Whether a job runs, or a session is open: ending the host would end these."""
        with self._lock:
            return self._running > 0 or any(each.fileno() >= 0 for each in self._sessions)

    def __enter__(self) -> Self:
        """Start the host."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End the host."""
        self.close()

    def start(self) -> None:
        """Start the host if it is not alive, and return at once; it imports meanwhile."""
        self._alive()

    def close(self) -> None:
        """End the host and every process it has started. It can be started again."""
        with self._lock:
            live, self._live = self._live, None
        if live is not None:
            live.close()

    def run(  # noqa: PLR0913  what a job needs, each by its name
        self,
        job: str,
        order: bytes,
        *,
        work: Path,
        limits: JobLimits,
        seed: int,
        cancel: threading.Event | None = None,
        on_output: Callable[[str], None] | None = None,
    ) -> JobOutcome:
        """Do a job and wait for its outcome.

        A job whose result already lies in `work` is not done again.

        Args:
            job: its name in the table of jobs.
            order: what its function gets.
            work: its directory, which takes `output.log` and the result; made if missing.
            limits: what it may use.
            seed: for every generator of random numbers.
            cancel: kills it when set.
            on_output: called with what it prints, as it comes.
        """
        work = work.absolute()
        if (finished := recall(work)) is not None:
            return finished
        work.mkdir(parents=True, exist_ok=True)
        (work / OUTPUT).write_bytes(b"")
        with self._at_work():
            live = self._alive()
            connection = _connect(live, Request("job", job, str(work), seed, limits))
            with connection, _Tail(work / OUTPUT, on_output) as tail:
                with suppress(BrokenPipeError, ConnectionResetError):
                    send_frame(connection, order)
                frame = _await(connection, cancel, tail)
        if frame is None:
            how = live.last_words()
            self._bury(live)
            # The result may be there although the host could not say so any more.
            return recall(work) or JobOutcome("died", None, how, 0.0, 0)
        return parse_outcome(frame, work)

    def open(
        self, job: str, order: bytes, limits: JobLimits, *, work: Path | None = None
    ) -> socket.socket:
        """A connection to a process that runs a session; closing it ends the session.

        Args:
            job: its name in the table of sessions.
            order: what its function gets.
            limits: what it may use; `seconds` may be `math.inf`.
            work: directory for `output.log`; without one the output is dropped.

        Raises:
            ConnectionError: the host died before it took the order.
        """
        directory = ""
        if work is not None:
            work.mkdir(parents=True, exist_ok=True)
            directory = str(work.absolute())
        with self._at_work():
            connection = _connect(self._alive(), Request("session", job, directory, 0, limits))
            with self._lock:
                self._sessions.add(connection)
            send_frame(connection, order)
        return connection

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        with self._lock:
            self._running += 1
        try:
            yield
        finally:
            with self._lock:
                self._running -= 1

    def _bury(self, live: _Live) -> None:
        """Forget a host that has died, and kill what it could not."""
        with self._lock:
            if self._live is live and live.process.poll() is not None:
                self._live = None
                live.close()

    def _alive(self) -> _Live:
        with self._lock:
            if self._live is not None and self._live.process.poll() is not None:
                self._live.close()
                self._live = None
            if self._live is None:
                self._live = self._spawn()
            return self._live

    def _spawn(self) -> _Live:
        control, inbox = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        theirs, ours = os.pipe()
        complaints = tempfile.TemporaryFile()  # noqa: SIM115  it lives as long as the process
        mark = os.urandom(16).hex()
        environment = {**allowed_environment(os.environ), **_FIXED, **self._environment}
        environment[_MARK] = mark
        try:
            process = subprocess.Popen(  # noqa: S603  our own module, no shell
                self._command(inbox.fileno(), theirs),
                env=environment,
                cwd=self._program.folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=complaints,
                pass_fds=(inbox.fileno(), theirs),
                start_new_session=True,
            )
        finally:
            inbox.close()
            os.close(theirs)
        return _Live(process, control, ours, complaints, mark)

    def _command(self, inbox: int, lifeline: int) -> list[str]:
        program = self._program
        # -P: the folder we stand in must not shadow modules.
        return [
            *(program.python, "-P", "-m", "everbake.interfaces.host"),
            *("--snapshot", str(self._snapshot.absolute()), "--module", program.module),
            *("--socket", str(inbox), "--lifeline", str(lifeline)),
            *("--jobs", program.jobs, "--sessions", program.sessions),
        ]


def _kill_marked(mark: str) -> None:
    """Kill what a host left behind that was itself killed, and so could not clean up."""
    # Imported here: hosts are rarely killed, and every command pays for what a module imports.
    import psutil

    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(_MARK) == mark:
                process.kill()


def _connect(live: _Live, request: Request) -> socket.socket:
    """Send a request with one end of a connection; keep the other end.

    A host that has just died is not told: the connection then ends without an answer.
    """
    ours, theirs = socket.socketpair()
    with theirs, suppress(ConnectionRefusedError, ConnectionResetError, BrokenPipeError):
        socket.send_fds(live.control, [request.packet()], [theirs.fileno()])
    return ours


class _Tail:
    """Follows a growing file and passes its text on."""

    def __init__(self, path: Path, sink: Callable[[str], None] | None) -> None:
        self._path = path
        self._sink = sink
        self._decode = codecs.getincrementaldecoder("utf-8")("backslashreplace").decode
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        if self._sink is not None:
            self._file = self._path.open("rb")
        return self

    def __exit__(self, *_: object) -> None:
        self.follow()
        if self._file is not None:
            self._file.close()

    @property
    def wanted(self) -> bool:
        """Whether anybody listens."""
        return self._sink is not None

    def follow(self) -> None:
        """Pass on what is new."""
        if self._file is None or self._sink is None:
            return
        while chunk := self._file.read(1 << 16):
            if text := self._decode(chunk):
                self._sink(text)


def _await(connection: socket.socket, cancel: threading.Event | None, tail: _Tail) -> bytes | None:
    """The outcome's frame, or None if the host died."""
    glance = None if cancel is None and not tail.wanted else _GLANCE_MS
    cancelled = False
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    while not poll.poll(glance):
        tail.follow()
        if cancel is not None and cancel.is_set() and not cancelled:
            cancelled = True
            # The host sees the end of our half, kills the job, and still answers.
            connection.shutdown(socket.SHUT_WR)
    try:
        return receive_frame(connection)
    except ConnectionError:
        return None
