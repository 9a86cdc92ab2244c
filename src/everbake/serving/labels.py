"""Takes labels, and hands them to the process that records: `POST /v1/models/{name}/labels`."""

import asyncio
import os
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from everbake.serving.answering import Answering
from everbake.serving.http import RETRY, HttpAnswer, HttpRequest
from everbake.serving.problems import ProblemError

_LENGTH = struct.Struct(">I")
_SECONDS = 10.0
_SOURCE = "http"


class _Labels(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a request."""

    labels: list[Any]


class _Told(msgspec.Struct):
    """What the recorder says."""

    outcome: dict[str, Any] | None = None
    error: tuple[str, str, str, str, str] | None = None


class LabelsEndpoint:
    """`POST /v1/models/{name}/labels`.

    Args:
        answering: knows the models.
        intake: the socket file of the recorder.
    """

    def __init__(self, answering: Answering, intake: Path) -> None:
        self._answering = answering
        self._intake = intake
        self._decoder = msgspec.json.Decoder(_Labels)

    async def __call__(self, request: HttpRequest) -> HttpAnswer:
        """Take the labels of one request: all of them, or none."""
        request.allow("POST")
        _check_origin(request)
        (name,) = request.parts
        self._answering.known(name)
        body = await request.json()
        try:
            labels = self._decoder.decode(body).labels
        except (msgspec.ValidationError, RecursionError) as error:
            raise ProblemError("EB541", str(error), mend=_SHAPE) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ProblemError("EB508", f"the body is no JSON: {error}", mend=_SHAPE) from None
        told = await self._tell(
            msgspec.json.encode({"model": name, "labels": labels, "source": _SOURCE})
        )
        if told.error is not None:
            code, what, where, why, mend = told.error
            known = code if code in ("EB540", "EB541", "EB547") else "EB542"
            detail = f"{what}{' in ' * bool(where)}{where}{': ' * bool(why)}{why}"
            raise ProblemError(known, detail, mend=mend)
        return HttpAnswer(msgspec.json.encode(told.outcome))

    async def _tell(self, asked: bytes) -> _Told:
        try:
            async with asyncio.timeout(_SECONDS), _connected(self._intake) as (reader, writer):
                writer.write(_LENGTH.pack(len(asked)) + asked)
                await writer.drain()
                (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
                return msgspec.json.decode(await reader.readexactly(length), type=_Told)
        except (OSError, EOFError, TimeoutError) as error:
            what = "the process that keeps labels does not answer; it is being started again"
            raise ProblemError("EB542", what, headers=RETRY) from error


_SHAPE = 'send {"labels": [{"id": "...", "label": 1}, ...]}'


def _check_origin(request: HttpRequest) -> None:
    """Refuse what a page of another site sends: whoever labels can steer who serves."""
    origin = request.headers.get(b"origin")
    if origin is None:
        return
    host = request.headers.get(b"host", b"")
    if origin.partition(b"://")[2].lower() != host.lower():
        shown = origin.decode("latin-1")[:100]
        raise ProblemError("EB543", f"pages of {shown} may not send labels")


@asynccontextmanager
async def _connected(
    path: Path,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    # The project's own name may be longer than a socket's may.
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        streams = await asyncio.open_unix_connection(f"/proc/self/fd/{folder}/{path.name}")
    finally:
        os.close(folder)
    try:
        yield streams
    finally:
        streams[1].close()
