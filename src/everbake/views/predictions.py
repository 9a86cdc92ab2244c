"""What was answered: the prediction log as scripts see it."""

import heapq
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TypeVar

import msgspec

from everbake.core.frames import FORMAT, SUFFIX, Answered, FrameReader, SegmentHeader, payloads
from everbake.errors import HealthError
from everbake.ports import Anchor, Records

T = TypeVar("T")

_AT_ONCE = 1_000  # rows whose labels are looked up together
_CLOCK_STEPS = 60.0  # seconds by which a file's time may be off the times within it


def predictions(
    project: Path, model: str, *, limit: int | None = None, ids: Collection[str] | None = None
) -> Iterator[dict[str, object]]:
    """Answered rows, the newest last, in memory bounded by `limit` (or by one frame a segment).

    Args:
        project: the project's folder.
        model: the model.
        limit: only so many of the newest.
        ids: only these prediction ids.

    Raises:
        HealthError: a segment was written by a newer everbake.
    """
    segments = sorted((project / ".everbake" / "log" / model).glob("*" + SUFFIX))
    wanted = None if ids is None else frozenset(ids)
    if limit is None:
        chains = [_chain(paths, wanted) for paths in _by_worker(segments)]
        found: Iterator[tuple[float, str, dict[str, object]]] = heapq.merge(*chains, key=_order)
    else:
        found = iter(_newest(segments, wanted, limit))
    return (row for _, _, row in found)


def labelled(
    entries: Iterable[dict[str, object]], records: Records, model: str
) -> Iterator[dict[str, object]]:
    """The same rows with their labels, where these are known.

    Args:
        entries: what `predictions` gives.
        records: knows the labels.
        model: whose rows they are.
    """
    rest = iter(entries)
    while part := list(islice(rest, _AT_ONCE)):
        known = records.labels(model, [str(entry["id"]) for entry in part])
        for entry in part:
            yield {**entry, "label": known.get(str(entry["id"]))}


def anchors(project: Path) -> Iterator[Anchor]:
    """Where the ledger's chain stood when each segment was begun."""
    for path in sorted((project / ".everbake" / "log").glob("*/*" + SUFFIX)):
        with path.open("rb") as stream:
            first = next(payloads(stream.read), None)
        if first is not None:
            n, linked = _decoded(first[0], _header, path).anchor
            yield Anchor(f"log/{path.parent.name}/{path.name}", n, linked)


_Found = tuple[float, str, dict[str, object]]


def _order(found: _Found) -> tuple[float, str]:
    return found[:2]


def _by_worker(segments: list[Path]) -> list[list[Path]]:
    """The segments of each worker in the order in which they were begun."""
    workers: dict[str, list[Path]] = {}
    for path in segments:
        workers.setdefault(path.name.partition("-")[0], []).append(path)
    return list(workers.values())


def _chain(paths: list[Path], wanted: frozenset[str] | None) -> Iterator[_Found]:
    for path in paths:
        yield from _rows(path, wanted)


def _newest(segments: list[Path], wanted: frozenset[str] | None, limit: int) -> list[_Found]:
    """The newest rows; segments that were finished before all of them are not opened."""
    kept: list[tuple[float, str, dict[str, object]]] = []
    if limit <= 0:
        return kept
    for path in sorted(segments, key=lambda p: p.stat().st_mtime, reverse=True):
        if len(kept) == limit and path.stat().st_mtime + _CLOCK_STEPS < kept[0][0]:
            break
        for found in _rows(path, wanted):
            # Ids are unique, so the rows themselves are never compared.
            (heapq.heappush if len(kept) < limit else heapq.heappushpop)(kept, found)
    return sorted(kept, key=_order)


def _rows(path: Path, wanted: frozenset[str] | None) -> Iterator[_Found]:
    with path.open("rb") as stream:
        frames = payloads(stream.read)
        first = next(frames, None)
        if first is None:
            return  # its writer died over the header
        header = _decoded(first[0], _header, path)
        if header.format != FORMAT:
            raise HealthError(
                "EB528",
                f"segment of format {header.format}, {FORMAT} is known",
                where=str(path),
                mend="upgrade everbake",
            )
        reader = FrameReader()
        for payload, _ in frames:
            answered = _decoded(payload, reader.read, path)
            if answered is not None and answered.error is None:
                yield from _answered(header.model, answered, wanted)


def _header(payload: bytes) -> SegmentHeader:
    return msgspec.msgpack.decode(payload, type=SegmentHeader)


def _decoded(payload: bytes, decode: Callable[[bytes], T], path: Path) -> T:
    try:
        return decode(payload)
    except msgspec.DecodeError as error:
        raise HealthError(
            "EB528",
            "a segment of the prediction log cannot be read",
            where=str(path),
            why=str(error),
            mend="move the file away: the other segments can be read",
        ) from error


def _answered(model: str, answered: Answered, wanted: frozenset[str] | None) -> Iterator[_Found]:
    time = datetime.fromtimestamp(answered.time, UTC).isoformat(timespec="milliseconds")
    for place, (row, prediction) in enumerate(
        zip(answered.rows, answered.predictions, strict=True)
    ):
        name = answered.ids[place]
        if wanted is not None and name not in wanted:
            continue
        yield (
            answered.time,
            name,
            {
                "id": name,
                "time": time,
                "model": model,
                "version": answered.version,
                "role": answered.role,
                "key": answered.key,
                "features": row,
                "prediction": prediction,
                "label": None,
            },
        )
