"""Workers outlive an owner that was killed, and hand their listening socket to the next one.

Nothing is refused meanwhile: the socket stays open in the old workers until the new ones answer.
"""

import json
import os
import signal
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from everbake.wire import connected, listening_at

_GLANCE = 0.05
_PATIENCE = 5.0  # seconds in which a worker notices that its owner is gone
_PROGRAM = "everbake.interfaces.serve"


def outlive(parent: int, listener: socket.socket, folder: Path) -> threading.Event:
    """Watch the owner; once it is gone, hand the listener to whoever asks at a socket in `folder`.

    Watched by a thread: the signal that Linux offers for this comes when the parent's thread
    ends, not its process, and other systems offer none.

    Returns:
        What is set once the owner is gone.
    """
    gone = threading.Event()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_GLANCE)
        gone.set()
        _hand_out(listener, _door(folder, os.getpid()))

    threading.Thread(target=watch, name="owner", daemon=True).start()
    return gone


def _hand_out(listener: socket.socket, door: Path) -> None:
    with listening_at(door) as waiting:
        while True:
            asking, _ = waiting.accept()
            with asking, suppress(OSError):
                socket.send_fds(asking, [b"."], [listener.fileno()])


def _door(folder: Path, pid: int) -> Path:
    return folder / f"{pid}.sock"


@dataclass(frozen=True)
class Survivors:
    """The workers whose owner was killed.

    Attributes:
        folder: of the acknowledgements.
        pids: of those that still run.
    """

    folder: Path
    pids: frozenset[int]

    def listener(self, port: int) -> socket.socket | None:
        """The socket they listen on, if its port is the wanted one; any is, for 0."""
        for pid in sorted(self.pids):
            found = self._ask(pid)
            if found is None:
                continue
            if port in (0, found.getsockname()[1]):
                return found
            found.close()
        return None

    def _ask(self, pid: int) -> socket.socket | None:
        until = time.monotonic() + _PATIENCE
        while (connection := connected(_door(self.folder, pid))) is None:
            if time.monotonic() > until or not _serves(pid, self.folder):
                return None
            time.sleep(_GLANCE)
        with connection:
            _, descriptors, _, _ = socket.recv_fds(connection, 1, 1)
        return socket.socket(fileno=descriptors[0]) if descriptors else None

    def end(self) -> None:
        """Tell them that others answer: they finish what they have begun, and end."""
        for pid in self.pids:
            if _serves(pid, self.folder):
                os.kill(pid, signal.SIGTERM)
            _door(self.folder, pid).unlink(missing_ok=True)


def survivors(folder: Path) -> Survivors:
    """Who still serves; what the others have acknowledged is forgotten.

    To be asked by an owner, before it starts workers of its own.
    """
    found = set()
    for path, said in acknowledged(folder):
        if _serves(said["pid"], folder):
            found.add(said["pid"])
        else:
            path.unlink(missing_ok=True)
    return Survivors(folder, frozenset(found))


def acknowledged(folder: Path) -> list[tuple[Path, dict[str, Any]]]:
    """The files in which workers say what they answer from."""
    found = []
    for path in sorted(folder.glob("*.json")):
        with suppress(FileNotFoundError, ValueError):  # it ended just now
            found.append((path, json.loads(path.read_bytes())))
    return found


def _serves(pid: int, folder: Path) -> bool:
    """Whether this process is a worker of the project, and not another one of the same number."""
    # Imported here: a worker needs it never, a command only if there are acknowledgements.
    import psutil

    project = str(folder.parent.parent.absolute())
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        words = process.cmdline()
        return _PROGRAM in words and project in words and process.status() != psutil.STATUS_ZOMBIE
    return False
