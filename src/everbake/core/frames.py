"""How answered predictions are written down: frames of a segment of the prediction log.

A segment is a sequence of frames: length and CRC-32 of the payload (little-endian, four bytes
each), then the payload in MessagePack. The first payload is a `SegmentHeader`, every other one an
`Answered`. A process that dies while it writes leaves a torn frame at the end, never elsewhere.
"""

import struct
import zlib
from collections.abc import Callable, Iterator

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
    """One answered request.

    Attributes:
        ids: one prediction id a row.
        time: seconds since 1970.
        version: of the model that answered.
        rows: what was asked.
        predictions: what was answered, one a row.
        key: what the caller gave to find the answers again.
    """

    ids: list[str]
    time: float
    version: int
    rows: list[dict[str, object]]
    predictions: list[object]
    key: str | None = None


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
