"""Reads what the workers append to the prediction log, from where it stopped."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from everbake.core.frames import SUFFIX, Answered, FrameReader, SegmentHeader, payloads

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
    """

    model: str
    segment: str
    offset: int
    anchor: tuple[int, str]
    answered: list[Answered]


@dataclass
class _Place:
    """Where one segment was read up to."""

    offset: int
    reader: FrameReader = field(default_factory=FrameReader)
    anchor: tuple[int, str] = (0, "")
    size: int = -1  # of the file at the last look


class Tail:
    """All segments of a project's log.

    Args:
        directory: holds one directory a model.
        cursors: by segment, up to where it was read before.
    """

    def __init__(self, directory: Path, cursors: Mapping[str, int]) -> None:
        self._directory = directory
        self._cursors = dict(cursors)
        self._places: dict[Path, _Place] = {}

    def news(self) -> Iterator[Piece]:
        """What is new, segment by segment; a long segment comes in several pieces."""
        paths = sorted(self._directory.glob("*/*" + SUFFIX))
        self._places = {path: self._places[path] for path in paths if path in self._places}
        for path in paths:
            place = self._places.get(path)
            if place is None:
                place = self._places[path] = _Place(0)
            size = path.stat().st_size
            if size == place.size:
                continue
            while (piece := self._read(path, place)) is not None:
                if piece.answered:
                    yield piece
            place.size = size

    def behind(self) -> int:
        """Bytes that were written and not read yet."""
        behind = 0
        for path, place in list(self._places.items()):
            with suppress(FileNotFoundError):  # it was recorded and converted
                behind += max(0, path.stat().st_size - place.offset)
        return behind

    def _read(self, path: Path, place: _Place) -> Piece | None:
        """The next piece, None where no whole frame is left."""
        start = place.offset
        known = self._cursors.get(path.name, 0)
        answered: list[Answered] = []
        with path.open("rb") as stream:
            stream.seek(start)
            for payload, length in payloads(stream.read):
                end = start + length
                if start == 0 and place.offset == 0:
                    place.anchor = msgspec.msgpack.decode(payload, type=SegmentHeader).anchor
                    place.offset = end
                    continue
                one = place.reader.read(payload)
                # What was recorded before is read once more for the names of its columns.
                if one is not None and end > known:
                    answered.append(one)
                place.offset = end
                if end - start > _PIECE:
                    break
        if place.offset == start:
            return None
        return Piece(path.parent.name, path.name, place.offset, place.anchor, answered)
