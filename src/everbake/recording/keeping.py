"""What of the log is kept: segments until they are in the table, the rest as long as is set."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from everbake.ports import PredictionTables, Reader
from everbake.recording.convert import Converter, Done, going_on
from everbake.recording.hours import hour_of
from everbake.recording.recorder import Recorder

_ROUND = 60.0  # seconds between two looks at what is too old or too much
_AT_ONCE = 5_000  # answers that are deleted in one transaction
_GRACE = 1  # hours in which other programs may finish to read files that are no longer needed
_DAY = 86_400.0


@dataclass(frozen=True)
class Limits:
    """How much is kept.

    Attributes:
        seconds: so old a day may become, and what is recorded of it.
        size: bytes of tables and segments together.
    """

    seconds: float
    size: int


class Keeper:
    """Converts the log, and deletes what need not be kept. Belongs to one thread.

    Args:
        converter: of the log.
        recorder: which must have seen a segment before it goes.
        tables: where the log is converted to.
        reader: the ledger: an open rollout keeps what was answered since it was opened.
        limits: how much is kept.
        now: the time.
    """

    def __init__(
        self,
        converter: Converter,
        recorder: Recorder,
        tables: PredictionTables,
        reader: Reader,
        limits: Limits,
        now: Callable[[], float],
    ) -> None:
        self._converter = converter
        self._recorder = recorder
        self._tables = tables
        self._reader = reader
        self._limits = limits
        self._now = now
        self._next = 0.0

    def look(self) -> None:
        """Convert what is new; delete what is not needed any more."""
        with going_on() as attempt:
            with attempt():
                self._converter.step()
            with attempt():
                self._clear()
            # Even if nothing can be converted: on a full disk, this is what makes room.
            if time.monotonic() >= self._next:
                self._next = time.monotonic() + _ROUND
                with attempt():
                    self.retain()

    def retain(self) -> None:
        """Delete what is too old or too much; make few files of many."""
        since = self._needed()
        with going_on() as attempt:
            with attempt():
                self._drop(since)
            for row in self._reader.rows("models"):
                with attempt():
                    self._forget(str(row["model"]), self._oldest(str(row["model"]), since))
            grace = _GRACE
            with attempt():
                grace = 0 if self._crowded() else _GRACE
            for model in self._tables.models():
                with attempt(), self._tables.deleting(model) as alone:
                    if alone:
                        self._tables.tidy(model, grace)

    def _clear(self) -> None:
        """Delete the segments that are converted and recorded."""
        with going_on() as attempt:
            for done in self._converter.done():
                with attempt(), self._tables.deleting(done.model) as alone:
                    if alone and self._recorded(done):
                        self._converter.gone(done.path)

    def _recorded(self, done: Done) -> bool:
        """Delete a segment if all of it is recorded; whether it was."""
        name = done.path.name
        with self._recorder.paused() as store:
            if not store.rows(
                "SELECT 1 WHERE ? = 0 OR ? <= (SELECT at FROM cursors WHERE segment = ?)",
                (done.at, done.at, name),
            ):
                return False
            with store.transaction():
                row = (name, done.model, done.at, *done.anchor)
                store.put("INSERT OR IGNORE INTO cursors VALUES (?, ?, ?, ?, ?)", [row])
            done.path.unlink(missing_ok=True)
            # Of segments that were begun at one state of the ledger, one keeps its hash.
            same = "SELECT 1 FROM cursors WHERE model = ? AND anchor_n = ? AND anchor = ? "
            others = store.rows(same + "AND segment != ? LIMIT 1", (done.model, *done.anchor, name))
            if others:
                store.put("DELETE FROM cursors WHERE segment = ?", [(name,)])
        return True

    def _crowded(self) -> bool:
        """Whether the disk holds more than it may, with what nobody but other programs reads."""
        tables = sum(map(self._tables.size, self._tables.models()))
        return tables + self._converter.size() > self._limits.size

    def _needed(self) -> dict[str, float]:
        """By model, since when an open rollout needs what was answered."""
        rows = self._reader.rows("rollouts", {"state": "open"})
        return {str(row["model"]): float(row["opened"] or 0.0) for row in rows}

    def _oldest(self, model: str, since: Mapping[str, float]) -> float:
        """The moment before which nothing of a model is kept."""
        return min(self._now() - self._limits.seconds, since.get(model, float("inf")))

    def _drop(self, since: Mapping[str, float]) -> None:
        """Days that ended too long ago, and the oldest files of what is too much."""
        with going_on() as attempt:
            pieces: list[tuple[float, str, int]] = []
            for model in self._tables.models():
                with attempt():
                    found = self._tables.pieces(model)
                    pieces += [(piece.until, model, piece.size) for piece in found]
            for model, moment in self._superfluous(pieces, since).items():
                with attempt():
                    self._tables.drop(model, moment)

    def _superfluous(
        self, pieces: list[tuple[float, str, int]], since: Mapping[str, float]
    ) -> dict[str, float]:
        """By model, the moment before which nothing is kept."""
        excess = sum(size for *_, size in pieces) + self._converter.size() - self._limits.size
        before: dict[str, float] = {}
        for until, model, size in sorted(pieces):
            midnight = _midnight(self._oldest(model, since))
            if until <= midnight:
                before[model] = midnight
                excess -= size
            elif excess > 0 and until <= since.get(model, until):
                before[model] = until
                excess -= size
        return before

    def _forget(self, model: str, oldest: float) -> None:
        """Delete from the record store what is older than that."""
        before = f"{max(0, int(oldest * 1000)):012x}"  # ids begin with their milliseconds
        while self._forget_answers(model, before):
            pass
        ended = [
            (row["rollout"],)
            for row in self._reader.rows("rollouts", {"model": model})
            if row["state"] != "open" and float(row["ended"] or oldest) < oldest
        ]
        with self._recorder.paused() as store, store.transaction():
            hour = hour_of(oldest)
            store.put("DELETE FROM hours WHERE model = ? AND hour < ?", [(model, hour)])
            store.put("DELETE FROM seen WHERE rollout = ?", ended)

    def _forget_answers(self, model: str, before: str) -> bool:
        """Delete some; whether there may be more. A label must not wait for long."""
        with self._recorder.paused() as store, store.transaction():
            query = "SELECT id FROM answers WHERE model = ? AND id < ? ORDER BY id LIMIT 1 OFFSET ?"
            rows = store.rows(query, (model, before, _AT_ONCE))
            end = str(rows[0][0]) if rows else before
            store.put("DELETE FROM answers WHERE model = ? AND id < ?", [(model, end)])
            # Rows whose label has come are about to be written.
            store.put(
                "DELETE FROM rows WHERE model = ? AND id < ? AND ready IS NULL", [(model, end)]
            )
        return bool(rows)


def _midnight(moment: float) -> float:
    """When the day of a moment began."""
    return moment - moment % _DAY
