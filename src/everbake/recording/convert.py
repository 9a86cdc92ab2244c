"""Turns the segments of the prediction log into rows of a table, each exactly once."""

import fcntl
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from everbake.core.frames import FORMAT, SUFFIX, Answered, FrameReader, SegmentHeader, payloads
from everbake.core.tables import Cell
from everbake.ports import PredictionTables
from everbake.recording.breath import unhurried

COLUMNS = (
    *("id", "time", "model", "version", "role", "key", "latency", "error"),
    *("features", "prediction", "score", "decision"),
)
_text = msgspec.json.Encoder().encode
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pace:
    """When rows are committed.

    Attributes:
        seconds: after the first of them was read.
        rows: or as soon as so many wait.
    """

    seconds: float = 10.0
    rows: int = 50_000


@dataclass(frozen=True)
class Done:
    """A segment that its writer has closed, and whose rows are all in the table.

    Attributes:
        model: whose segment it is.
        path: of its file.
        at: behind its last request; 0 where it has none.
        anchor: position and hash of the ledger when it was begun.
    """

    model: str
    path: Path
    at: int
    anchor: tuple[int, str]


@dataclass
class _Place:
    """Where one segment was read up to."""

    at: int  # behind the last request that was read
    committed: int
    offset: int = 0  # behind the last whole frame that was read
    size: int = -1  # of the file when it was read to its end
    anchor: tuple[int, str] | None = None
    broken: bool = False
    reader: FrameReader = field(default_factory=FrameReader)


@dataclass
class _Batch:
    """Rows of one model that wait for their commit."""

    begun: float
    columns: tuple[list[Cell], ...] = field(default_factory=lambda: tuple([] for _ in COLUMNS))
    cursors: dict[str, int] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """How many."""
        return len(self.columns[0])


class Converter:
    """Converts one project's log; there is one converter a project at a time.

    Args:
        log: the folder of the prediction log.
        tables: where to.
        pace: when.
        ticks: seconds of a clock that never goes back.
        breathe: called after each request.
    """

    def __init__(
        self,
        log: Path,
        tables: PredictionTables,
        pace: Pace = Pace(),
        ticks: Callable[[], float] = time.monotonic,
        breathe: Callable[[], None] = unhurried,
    ) -> None:
        self._breathe = breathe
        self._log = log
        self._tables = tables
        self._pace = pace
        self._ticks = ticks
        self._places: dict[Path, _Place] = {}
        self._batches: dict[str, _Batch] = {}

    def step(self) -> None:
        """Read what is new, and commit what is due.

        Raises:
            Retry: a table cannot be written; its rows are read again. The others are written.
        """
        with going_on() as attempt:
            for folder in sorted(path for path in self._log.glob("*") if path.is_dir()):
                with attempt():
                    self._convert(folder)

    def done(self) -> list[Done]:
        """The segments that the table makes superfluous."""
        found = []
        for path, place in list(self._places.items()):
            if place.anchor is None or place.broken or place.at != place.committed:
                continue
            try:
                if _ended(path, place):
                    found.append(Done(path.parent.name, path, place.committed, place.anchor))
            except FileNotFoundError:
                self.gone(path)  # somebody has removed it
        return found

    def gone(self, path: Path) -> None:
        """A segment was deleted."""
        self._places.pop(path, None)

    def size(self) -> int:
        """Bytes of all segments."""
        return sum(path.stat().st_size for path in self._log.glob("*/*" + SUFFIX))

    def _convert(self, folder: Path) -> None:
        try:
            self._model(folder)
        except BaseException:
            # Whatever it was: a place that is ahead of the table would lose the rows between.
            self._forget(folder)
            raise

    def _model(self, folder: Path) -> None:
        for path in sorted(folder.glob("*" + SUFFIX), key=_begun):
            for answered, end in self._news(folder.name, path):
                self._breathe()
                batch = self._batches.setdefault(folder.name, _Batch(self._ticks()))
                _add(batch.columns, folder.name, answered)
                batch.cursors[path.name] = end
                if batch.rows >= self._pace.rows:
                    self._commit(folder)
        waiting = self._batches.get(folder.name)
        if waiting is not None and self._ticks() - waiting.begun >= self._pace.seconds:
            self._commit(folder)

    def _news(self, model: str, path: Path) -> Iterator[tuple[Answered, int]]:
        """The requests that are new in a segment, and the offset behind each."""
        place = self._places.get(path)
        if place is None:
            known = self._tables.cursor(model, path.name)
            place = self._places[path] = _Place(known, known)
        size = path.stat().st_size
        if size == place.size or place.broken:
            return
        try:
            yield from self._read(path, place)
        except (msgspec.DecodeError, ValueError):
            # The others can be converted; whoever reads this one is told.
            place.broken = True
            _log.exception("EB528 a segment of the prediction log cannot be read: %s", path)
        place.size = size

    @staticmethod
    def _read(path: Path, place: _Place) -> Iterator[tuple[Answered, int]]:
        start = place.offset
        with path.open("rb") as stream:
            stream.seek(start)
            for payload, length in payloads(stream.read):
                place.offset = start + length
                if place.anchor is None:
                    place.anchor = _anchor(payload)
                    continue
                # What was converted before is read once more for the names of its columns.
                one = place.reader.read(payload)
                if one is not None and place.offset > place.at:
                    place.at = place.offset
                    yield one, place.at

    def _commit(self, folder: Path) -> None:
        batch = self._batches.pop(folder.name)
        rows = dict(zip(COLUMNS, batch.columns, strict=True))
        self._tables.append(folder.name, rows, batch.cursors)
        for name, at in batch.cursors.items():
            self._places[folder / name].committed = at

    def _forget(self, folder: Path) -> None:
        """Only the table knows what it holds: begin again from its cursors."""
        self._batches.pop(folder.name, None)
        self._places = {p: place for p, place in self._places.items() if p.parent != folder}


@contextmanager
def going_on() -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """Give attempts whose errors do not stop the others; raise the first of them at the end."""
    errors: list[Exception] = []

    @contextmanager
    def attempt() -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever it is, it is raised at the end
            errors.append(error)

    yield attempt
    if errors:
        raise errors[0]


def _anchor(payload: bytes) -> tuple[int, str]:
    header = msgspec.msgpack.decode(payload, type=SegmentHeader)
    if header.format != FORMAT:
        raise ValueError(f"segment of format {header.format}, {FORMAT} is known")
    return header.anchor


def _begun(path: Path) -> str:
    """The part of a segment's name that says when it was begun."""
    return path.name.partition("-")[2]


def _ended(path: Path, place: _Place) -> bool:
    """Whether nothing can follow: a writer holds a lock on its segment for as long as it lives."""
    with path.open("rb") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return path.stat().st_size == place.size  # it may have written before it closed


def _add(columns: tuple[list[Cell], ...], model: str, one: Answered) -> None:
    """One request as rows, one for each row asked; a failure that has none is a row by itself."""
    count = max(len(one.rows), len(one.predictions), 1)
    answers = one.predictions
    padding: list[Cell] = [None] * count
    ids, texts, features, scores, decisions = (list(padding) for _ in range(5))
    ids[: len(one.ids)] = one.ids
    texts[: len(answers)] = [_text(each).decode() for each in answers]
    features[: len(one.rows)] = [_text(row).decode() for row in one.rows]
    scores[: len(answers)] = [_score(each) for each in answers]
    decisions[: len(one.decisions or ())] = one.decisions or ()
    shared: tuple[Cell, ...] = (
        *(round(one.time * 1e6), model, one.version, one.role, one.key, one.seconds, one.error),
    )
    columns[0].extend(ids[:count])
    for column, value in zip(columns[1:8], shared, strict=True):
        column.extend([value] * count)
    for column, values in zip(columns[8:], (features, texts, scores, decisions), strict=True):
        column.extend(values)


def _score(prediction: object) -> float | None:
    """A prediction that is one number."""
    if isinstance(prediction, float | int) and not isinstance(prediction, bool):
        return float(prediction)
    return None
