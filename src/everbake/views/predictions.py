"""What was answered: the prediction log as scripts see it."""

import heapq
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice, takewhile
from pathlib import Path
from typing import TypeVar

import msgspec

from everbake.core.frames import FORMAT, SUFFIX, Answered, FrameReader, SegmentHeader, payloads
from everbake.core.tables import Row
from everbake.errors import HealthError
from everbake.ports import Anchor, Converted, Records, Wanted

T = TypeVar("T")

_AT_ONCE = 1_000  # rows whose labels are looked up together
_CLOCK_STEPS = 60.0  # seconds by which a file's time may be off the times within it


def predictions(
    project: Path,
    model: str,
    converted: Converted | None,
    wanted: Wanted = Wanted(),  # noqa: B008 - frozen
    limit: int | None = None,
) -> Iterator[dict[str, object]]:
    """Answered rows, the newest last, in memory bounded by `limit` (or by one frame a segment).

    Args:
        project: the project's folder.
        model: the model.
        converted: what of the log lies in a table; the rest is read from the segments.
        wanted: which rows.
        limit: only so many of the newest.

    Raises:
        HealthError: a segment was written by a newer everbake.
    """
    paths = (project / ".everbake" / "log" / model).glob("*" + SUFFIX)
    found = [
        _Segment(path, 0 if converted is None else converted.cursor(path.name)) for path in paths
    ]
    segments = [each for each in found if each.path.stat().st_size > each.cursor]
    if limit is not None:
        return (row for _, _, row in _newest(segments, converted, wanted, limit))
    chains = [_chain(each, wanted) for each in _by_worker(segments)]
    if converted is not None:
        chains.append(_entries(converted.rows(wanted)))
    return (row for _, _, row in heapq.merge(*chains, key=_order))


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


@dataclass(frozen=True)
class _Segment:
    """A file of the log, and up to where the table holds it."""

    path: Path
    cursor: int


def _by_worker(segments: list[_Segment]) -> list[list[_Segment]]:
    """The segments of each worker in the order in which they were begun."""
    workers: dict[str, list[_Segment]] = {}
    for each in sorted(segments, key=lambda s: s.path.name):
        workers.setdefault(each.path.name.partition("-")[0], []).append(each)
    return list(workers.values())


def _chain(segments: list[_Segment], wanted: Wanted) -> Iterator[_Found]:
    for each in segments:
        yield from _rows(each, wanted)


def _newest(
    segments: list[_Segment], converted: Converted | None, wanted: Wanted, limit: int
) -> list[_Found]:
    """The newest rows; what was finished before all of them is not opened."""
    kept: list[_Found] = []
    if limit <= 0:
        return kept
    for each in sorted(segments, key=lambda s: s.path.stat().st_mtime, reverse=True):
        if len(kept) == limit and each.path.stat().st_mtime + _CLOCK_STEPS < kept[0][0]:
            break
        _keep(kept, limit, _rows(each, wanted))
    if converted is not None:
        rows = _entries(converted.rows(wanted, newest_first=True))
        _keep(kept, limit, takewhile(lambda row: len(kept) < limit or row[:2] > kept[0][:2], rows))
    return sorted(kept, key=_order)


def _keep(kept: list[_Found], limit: int, rows: Iterable[_Found]) -> None:
    for found in rows:
        # Ids with roles are unique, so the rows themselves are never compared.
        (heapq.heappush if len(kept) < limit else heapq.heappushpop)(kept, found)


def _rows(segment: _Segment, wanted: Wanted) -> Iterator[_Found]:
    path = segment.path
    if wanted.since is not None and path.stat().st_mtime + _CLOCK_STEPS < wanted.since:
        return
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
        for payload, end in frames:
            # What is converted is read, too, for the names of its columns.
            answered = _decoded(payload, reader.read, path)
            if answered is not None and end > segment.cursor and answered.error is None:
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


def _answered(model: str, answered: Answered, wanted: Wanted) -> Iterator[_Found]:
    if not wanted.time(answered.time):
        return
    decisions = answered.decisions or [None] * len(answered.rows)
    for place, (row, prediction) in enumerate(
        zip(answered.rows, answered.predictions, strict=True)
    ):
        name = answered.ids[place]
        if wanted.ids is None or name in wanted.ids:
            arm: Row = {"model": model, "version": answered.version, "role": answered.role}
            of_one = arm | {"id": name, "time": answered.time, "key": answered.key}
            of_one["decision"] = decisions[place]
            yield _found(of_one, row, prediction)


def _entries(rows: Iterator[Row]) -> Iterator[_Found]:
    """What the table holds, without the failures."""
    for row in rows:
        if row["error"] is None:
            features = msgspec.json.decode(str(row["features"]))
            yield _found(row, features, msgspec.json.decode(str(row["prediction"])))


def _found(row: Row, features: object, prediction: object) -> _Found:
    time, name = float(row["time"] or 0.0), str(row["id"])
    entry = {
        "id": name,
        "time": datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds"),
        "model": row["model"],
        "version": row["version"],
        "role": row["role"],
        "key": row["key"],
        "features": features,
        "prediction": prediction,
        "decision": row["decision"],
        "label": None,
    }
    # A shadow answers under the same id.
    return time, f"{name} {row['role']}", entry
