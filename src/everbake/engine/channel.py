"""Asking the owner, when somebody else is it: one request a connection, over a socket file."""

import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from everbake import errors
from everbake.engine.commands import perform
from everbake.engine.owner import Owner
from everbake.errors import EverbakeError
from everbake.wire import connected, listening_at, receive_frame, send_frame


class Ask(msgspec.Struct):
    """A request."""

    command: str
    arguments: msgspec.Raw


class Told(msgspec.Struct, omit_defaults=True):
    """A reply: an outcome, or the parts of an error."""

    outcome: dict[str, Any] | None = None
    error: dict[str, str] | None = None


class Channel:
    """The owner's ear: answers every connection in a thread of its own."""

    def __init__(self, path: Path, owner: Owner, failed: Callable[[Exception], None]) -> None:
        """Listen at `path`; tell `failed` what nobody foresaw."""
        self._path = path
        self._owner = owner
        self._failed = failed
        self._listener = listening_at(path)
        owner.threads.start("channel", self._accept)

    def close(self) -> None:
        """Stop listening; requests that are being answered go on."""
        self._path.unlink(missing_ok=True)
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._owner.threads.start("answer", partial(self._answer, connection))

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            request = receive_frame(connection)
            if request is None:
                return
            # Whoever asked may have gone meanwhile; what was asked for is done all the same.
            with suppress(OSError):
                send_frame(connection, msgspec.json.encode(self._told(request)))

    def _told(self, request: bytes) -> Told:
        try:
            ask = msgspec.json.decode(request, type=Ask)
            return Told(outcome=perform(self._owner, ask.command, bytes(ask.arguments)))
        except EverbakeError as error:
            return Told(error=_parts(error))
        except Exception as error:  # noqa: BLE001 - one bad request must not end the owner
            self._failed(error)
            what = f"{type(error).__name__}: {error}"
            return Told(error=_parts(EverbakeError("EB000", what, mend="everbake doctor")))


def ask(path: Path, command: str, arguments: bytes) -> dict[str, Any] | None:
    """The owner's outcome of a command; None if nobody listens.

    Raises:
        EverbakeError: what the owner raised.
        ConflictError: the owner went away before it answered.
    """
    connection = connected(path)
    if connection is None:
        return None
    with connection:
        try:
            send_frame(connection, msgspec.json.encode(Ask(command, msgspec.Raw(arguments))))
            reply = receive_frame(connection)
        except ConnectionError:
            reply = None
    if reply is None:
        raise errors.ConflictError(
            "EB416",
            "the owner ended before it answered",
            mend="repeat the command: what was done is not done twice",
        )
    told = msgspec.json.decode(reply, type=Told)
    if told.error is not None:
        raise _error(told.error)
    return told.outcome


def listening(path: Path) -> bool:
    """Whether an owner listens there (a socket file may have outlived its owner)."""
    connection = connected(path) if path.parent.is_dir() else None
    if connection is not None:
        connection.close()
    return connection is not None


def _parts(error: EverbakeError) -> dict[str, str]:
    return {
        "kind": type(error).__name__,
        "code": error.code,
        "what": error.what,
        "where": error.where,
        "why": error.why,
        "mend": error.mend,
    }


def _error(parts: dict[str, str]) -> EverbakeError:
    kind: type[EverbakeError] = getattr(errors, parts["kind"])
    return kind(
        parts["code"], parts["what"], where=parts["where"], why=parts["why"], mend=parts["mend"]
    )
