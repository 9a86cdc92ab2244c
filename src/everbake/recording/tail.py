"""Reads what the workers append to the prediction log, from where it stopped."""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from everbake.core.frames import SUFFIX, Answered, FrameReader, SegmentHeader, payloads
from everbake.recording.breath import unhurried

_log = logging.getLogger(__name__)
_PIECE = 4 * 1024 * 1024  # bytes of one segment that are read at a time


@dataclass(frozen=True)
class Piece:
    """What was new in one segment.

    Attributes:
        model: whose segment it is.
        segment: its file's name.
        offset: behind the last whole frame.
        anchor: position and hash of the ledger when the segment was begun.
        answered: the requests.
        earlier: requests that were recorded before, and are read again after a new start.
    """

    model: str
    segment: str
    offset: int
    anchor: tuple[int, str]
    answered: list[Answered]
    earlier: list[Answered]


@dataclass
class _Place:
    """Where one segment was read up to."""

    offset: int
    reader: FrameReader = field(default_factory=FrameReader)
    anchor: tuple[int, str] = (0, "")
    size: int = -1  # of the file at the last look
    damaged: bool = False

    def read(self, payload: bytes) -> Answered | None:
        """What the next frame holds: a request, or else the header or names of columns."""
        if self.offset == 0:
            self.anchor = msgspec.msgpack.decode(payload, type=SegmentHeader).anchor
            return None
        return self.reader.read(payload)


class Tail:
    """All segments of a project's log.

    Args:
        directory: holds one directory a model.
        cursors: by segment, up to where it was read before.
        breathe: called after each frame.
    """

    def __init__(
        self,
        directory: Path,
        cursors: Mapping[str, int],
        breathe: Callable[[], None] = unhurried,
    ) -> None:
        self._breathe = breathe
        self._directory = directory
        self._cursors = dict(cursors)
        self._places: dict[Path, _Place] = {}

    def news(self) -> Iterator[Piece]:
        """What is new, segment by segment; a long segment comes in several pieces."""
        paths = sorted(self._directory.glob("*/*" + SUFFIX))
        self._places = {path: self._places[path] for path in paths if path in self._places}
        for path in paths:
            place = self._places.setdefault(path, _Place(0))
            size = _size(path)
            if size is None or size == place.size:
                continue
            while not place.damaged and (piece := self._read(path, place)) is not None:
                if piece.answered or piece.earlier:
                    yield piece
            place.size = size

    def _read(self, path: Path, place: _Place) -> Piece | None:
        """The next piece, None where no whole frame is left."""
        start = place.offset
        known = self._cursors.get(path.name, 0)
        answered: list[Answered] = []
        earlier: list[Answered] = []
        with path.open("rb") as stream:
            stream.seek(start)
            for payload, length in payloads(stream.read):
                self._breathe()
                end = start + length
                try:
                    one = place.read(payload)
                except (msgspec.DecodeError, ValueError):
                    # The others, and what stands before, are recorded all the same.
                    _log.exception("%s is damaged at byte %d", path, place.offset)
                    place.damaged = True
                    break
                if one is not None:
                    (answered if end > known else earlier).append(one)
                place.offset = end
                if end - start > _PIECE:
                    break
        if place.offset == start:
            return None
        where = (path.parent.name, path.name, place.offset, place.anchor)
        return Piece(*where, answered, earlier)


def _size(path: Path) -> int | None:
    """Bytes in a file, None if it is gone."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None
