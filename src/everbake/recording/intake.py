"""Takes labels over a socket, from the workers and from commands."""

import logging
import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec

from everbake import errors
from everbake.errors import EverbakeError
from everbake.ports import Reader
from everbake.recording.reception import label_type, labels_of
from everbake.recording.recorder import Recorder
from everbake.wire import connected, listening_at, receive_frame, send_frame

_log = logging.getLogger(__name__)


class Asked(msgspec.Struct, frozen=True):
    """Labels of one model, as somebody sent them."""

    model: str
    labels: list[Any]
    source: str = ""


class Told(msgspec.Struct, frozen=True):
    """What became of them, or why they were not taken: code, what, where, why, mend."""

    outcome: dict[str, Any] | None = None
    error: tuple[str, str, str, str, str] | None = None
    kind: str = ""


def take(
    asked: Asked, recorder: Recorder, reader: Reader, now: Callable[[], float]
) -> dict[str, Any]:
    """Keep labels; what became of them, as scripts read it.

    Raises:
        DataError: one cannot be used; none was kept.
        UsageError: there is no such model.
    """
    kind = label_type(reader, asked.model)
    labels = labels_of(asked.labels, kind, asked.source, now())
    return {"schema": 1, "model": asked.model, **asdict(recorder.label(asked.model, labels))}


class Intake:
    """Listens at a socket file of the project.

    Args:
        path: of the file.
        taking: does what is asked.
    """

    def __init__(self, path: Path, taking: Callable[[Asked], dict[str, Any]]) -> None:
        self._path = path
        self.taking = taking
        self._listener: socket.socket | None = None

    def start(self) -> None:
        """Listen from now on, in threads of their own."""
        self._listener = listening_at(self._path)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def close(self) -> None:
        """Listen no more."""
        if self._listener is not None:
            self._listener.close()
            self._path.unlink(missing_ok=True)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while (request := receive_frame(connection)) is not None:
                send_frame(connection, msgspec.json.encode(self._told(request)))

    def _told(self, request: bytes) -> Told:
        try:
            return Told(self.taking(msgspec.json.decode(request, type=Asked)))
        except EverbakeError as error:
            parts = (error.code, error.what, error.where, error.why, error.mend)
            return Told(error=parts, kind=type(error).__name__)
        except Exception as error:  # noqa: BLE001 - one bad request must not end the recorder
            _log.exception("labels could not be taken")
            what = f"{type(error).__name__}: {error}"
            parts = ("EB542", "labels cannot be kept now", "", what, _DOCTOR)
            return Told(error=parts, kind="Retry")


_DOCTOR = "everbake doctor"


def ask(path: Path, asked: Asked) -> Told | None:
    """What the recorder tells; None if none listens."""
    if not os.path.lexists(path):
        return None
    connection = connected(path)
    if connection is None:
        return None
    try:
        with connection:
            send_frame(connection, msgspec.json.encode(asked))
            reply = receive_frame(connection)
    except ConnectionError:  # it ended; to send labels twice does no harm
        return None
    return None if reply is None else msgspec.json.decode(reply, type=Told)


def outcome_of(told: Told) -> dict[str, Any]:
    """What became of the labels.

    Raises:
        EverbakeError: they were not taken, as the recorder says.
    """
    if told.error is not None:
        code, what, where, why, mend = told.error
        kind: type[EverbakeError] = getattr(errors, told.kind)
        raise kind(code, what, where=where, why=why, mend=mend)
    return told.outcome or {}
