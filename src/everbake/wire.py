"""How the processes of everbake talk about jobs: frames, what is asked, and what came of it.

It lies below both sides, so that an owner, a server and a host share one wording without knowing
each other. A request travels as one packet together with a connection; the order and what a
session exchanges travel as frames over that connection.
"""

import json
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from everbake.core.redact import kept

State = Literal["done", "failed", "timeout", "out_of_memory", "died", "cancelled"]

OUTPUT = "output.log"
RESULT = "result.json"
OUTCOME = "outcome.json"
FRAME_LIMIT = 1 << 30
PACKET_LIMIT = 1 << 16

_LENGTH = struct.Struct(">I")


@dataclass(frozen=True)
class JobLimits:
    """What a job may use.

    Attributes:
        memory_bytes: resident memory of all its processes together.
        seconds: wall-clock time; `math.inf` for no limit.
        threads: threads of BLAS, OpenMP and Arrow.
    """

    memory_bytes: int
    seconds: float
    threads: int


@dataclass(frozen=True)
class JobOutcome:
    """How a job ended.

    Attributes:
        state: how.
        result: what the job's function returned, if it is done.
        error: one line; empty if it is done.
        seconds: wall-clock time.
        peak_memory: most resident bytes seen.
    """

    state: State
    result: bytes | None
    error: str
    seconds: float
    peak_memory: int


@dataclass(frozen=True)
class Request:
    """What the owner asks of a host.

    Attributes:
        kind: a `job` answers once, a `session` talks over its connection.
        name: the job's name in the table of its kind.
        work: the directory of its output and result; empty for a session without output.
        seed: for every generator of random numbers.
        limits: what it may use.
    """

    kind: Literal["job", "session"]
    name: str
    work: str
    seed: int
    limits: JobLimits

    def packet(self) -> bytes:
        """The request as one packet."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def parse(cls, packet: bytes) -> "Request":
        """The request that a packet holds."""
        fields: dict[str, Any] = json.loads(packet)
        return cls(**{**fields, "limits": JobLimits(**fields["limits"])})


def outcome_frame(outcome: JobOutcome) -> bytes:
    """An outcome without its result, which lies in the work directory."""
    fields = asdict(outcome)
    del fields["result"]
    return json.dumps(fields).encode()


def parse_outcome(frame: bytes, work: Path) -> JobOutcome:
    """The outcome that a frame and the work directory hold together."""
    fields: dict[str, Any] = json.loads(frame)
    result = (work / RESULT).read_bytes() if fields["state"] == "done" else None
    fields["error"] = kept(fields["error"], os.environ)
    return JobOutcome(result=result, **fields)


def recall(work: Path) -> JobOutcome | None:
    """The outcome of a job that was done before, in this process's life or another's."""
    try:
        result = (work / RESULT).read_bytes()
    except FileNotFoundError:
        return None
    measured = _measured(work / OUTCOME)
    return JobOutcome("done", result, "", measured["seconds"], int(measured["peak_memory"]))


def _measured(path: Path) -> dict[str, float]:
    """Seconds and peak memory; zero where a power cut took the file that is not synced."""
    try:
        fields: dict[str, float] = json.loads(path.read_bytes())
        return {"seconds": fields["seconds"], "peak_memory": fields["peak_memory"]}
    except (FileNotFoundError, ValueError, KeyError):
        return {"seconds": 0.0, "peak_memory": 0}


def send_frame(connection: socket.socket, frame: bytes) -> None:
    """Send one frame: four bytes of length, then the bytes."""
    connection.sendall(_LENGTH.pack(len(frame)) + frame)


def receive_frame(connection: socket.socket) -> bytes | None:
    """The next frame, or None if the other side has closed the connection between frames.

    Raises:
        ConnectionError: the connection ended inside a frame, or the frame is beyond all bounds.
    """
    head = _receive(connection, _LENGTH.size)
    if not head:
        return None
    if len(head) < _LENGTH.size:
        raise ConnectionError("the connection ended inside a frame")
    (length,) = _LENGTH.unpack(head)
    if length > FRAME_LIMIT:
        raise ConnectionError(f"a frame of {length} bytes is over the limit of {FRAME_LIMIT}")
    frame = _receive(connection, length)
    if len(frame) < length:
        raise ConnectionError("the connection ended inside a frame")
    return frame


def _receive(connection: socket.socket, length: int) -> bytes:
    """`length` bytes, or fewer where the connection ends."""
    parts = bytearray()
    while len(parts) < length:
        part = connection.recv(min(length - len(parts), 1 << 20))
        if not part:
            break
        parts += part
    return bytes(parts)


def connected(path: Path) -> socket.socket | None:
    """A connection to whoever listens at a socket file; None if nobody does."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with short_name(path) as name:
            connection.connect(name)
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    return connection


def listening_at(path: Path) -> socket.socket:
    """A socket that listens at a file, which nobody else on the machine may open."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        with short_name(path) as name:
            listener.bind(name)
    finally:
        os.umask(before)
    listener.listen(64)
    return listener


def alive(pid: int) -> bool:
    """Whether there is a process of this number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def short_name(path: Path) -> Iterator[str]:
    """A name for a socket in a folder whose own name may be longer than a socket's may."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
