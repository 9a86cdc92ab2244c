"""How answered predictions are written down: frames of a segment of the prediction log.

A segment is a sequence of frames: length and CRC-32 of the payload (little-endian, four bytes
each), then the payload in MessagePack. The first payload is a `SegmentHeader`, every other one an
`Answered`. A process that dies while it writes leaves a torn frame at the end, never elsewhere.
"""

import struct
import zlib
from collections.abc import Callable, Iterator, Sequence

import msgspec

FORMAT = 1
SUFFIX = ".seg"
_HEAD = struct.Struct("<II")
_LONGEST = 256 * 1024 * 1024  # a longer frame is a torn length, not a frame


class SegmentHeader(msgspec.Struct, frozen=True):
    """Whose segment it is, and where the ledger's chain stood when it was begun.

    Attributes:
        model: whose predictions these are.
        worker: who writes.
        anchor: position and hash of the ledger's head, an outside witness of the chain.
        format: of the segment.
    """

    model: str
    worker: int
    anchor: tuple[int, str]
    format: int = FORMAT


class Answered(msgspec.Struct, frozen=True):
    """One request that was answered, or that failed after a version had been picked for it.

    Attributes:
        ids: one prediction id a row; none where it failed before its rows were known.
        time: seconds since 1970.
        version: of the model that answered.
        rows: what was asked.
        predictions: what was answered, one a row; none where it failed.
        key: what the caller gave to find the answers again.
        role: `champion`, `canary` or `shadow`.
        generation: of the deployment by which the version was picked.
        seconds: from the whole request to its answer.
        error: code of the failure.
        part: whether another entry holds the rest of this request: the rows that were answered.
        decisions: whether each prediction reaches the version's threshold, if it has one.
    """

    ids: list[str]
    time: float
    version: int
    rows: list[dict[str, object]]
    predictions: list[object]
    key: str | None = None
    role: str = "champion"
    generation: int = 0
    seconds: float = 0.0
    error: str | None = None
    part: bool = False
    decisions: list[bool | None] | None = None


class _Columns(msgspec.Struct, frozen=True, array_like=True, tag="c"):
    """Names that the rows behind this frame refer to by their number."""

    number: int
    names: tuple[str, ...]


class _Rows(msgspec.Struct, frozen=True, array_like=True, tag="r"):
    """`Answered`, with the names of its columns left out; -1 where each row has its own."""

    columns: int
    rows: Sequence[tuple[object, ...] | dict[str, object]]
    ids: list[str]
    time: float
    version: int
    predictions: list[object]
    key: str | None
    role: str
    generation: int
    seconds: float
    error: str | None
    part: bool = False
    decisions: list[bool | None] | None = None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Columns | _Rows).decode


class FrameWriter:
    """Turns requests into the frames of one segment; each set of columns is named once."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, ...], int] = {}

    def frames(self, answered: Answered) -> bytes:
        """The frames to append for this request."""
        rows = answered.rows
        names = tuple(rows[0]) if rows else ()
        number = self._numbers.get(names)
        before = b""
        if len(rows) > 1 and any(tuple(row) != names for row in rows):
            return framed(_encode(_packed(answered, -1, rows)))
        if number is None:
            number = self._numbers[names] = len(self._numbers)
            before = framed(_encode(_Columns(number, names)))
        values = [tuple(row.values()) for row in rows]
        return before + framed(_encode(_packed(answered, number, values)))


def _packed(
    answered: Answered, columns: int, rows: Sequence[tuple[object, ...] | dict[str, object]]
) -> _Rows:
    return _Rows(
        columns,
        rows,
        answered.ids,
        answered.time,
        answered.version,
        answered.predictions,
        answered.key,
        answered.role,
        answered.generation,
        answered.seconds,
        answered.error,
        answered.part,
        answered.decisions,
    )


class FrameReader:
    """Turns the frames of one segment, in order and without its header, back into requests."""

    def __init__(self) -> None:
        self._names: dict[int, tuple[str, ...]] = {}

    def read(self, payload: bytes) -> Answered | None:
        """The request in this frame, None for a frame that only names columns.

        Raises:
            msgspec.DecodeError: it is no such frame.
        """
        frame = _decode(payload)
        if isinstance(frame, _Columns):
            self._names[frame.number] = frame.names
            return None
        names = self._names.get(frame.columns, ())
        rows = [r if isinstance(r, dict) else dict(zip(names, r, strict=True)) for r in frame.rows]
        return Answered(
            frame.ids,
            frame.time,
            frame.version,
            rows,
            frame.predictions,
            frame.key,
            frame.role,
            frame.generation,
            frame.seconds,
            frame.error,
            frame.part,
            frame.decisions,
        )


def framed(payload: bytes) -> bytes:
    """A payload with its length and checksum before it."""
    return _HEAD.pack(len(payload), zlib.crc32(payload)) + payload


def payloads(read: Callable[[int], bytes]) -> Iterator[tuple[bytes, int]]:
    """Every whole payload and the offset behind its frame, up to the first torn frame.

    Args:
        read: returns so many bytes, fewer only at the end.
    """
    offset = 0
    while len(head := read(_HEAD.size)) == _HEAD.size:
        length, checksum = _HEAD.unpack(head)
        if not 0 < length <= _LONGEST:  # a power cut leaves zeros behind
            return
        payload = read(length)
        if len(payload) < length or zlib.crc32(payload) != checksum:
            return
        offset += _HEAD.size + length
        yield payload, offset
