"""Puts the parts together: what is new in the log, and labels, each recorded in one transaction."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from everbake.core.frames import Answered
from everbake.core.spec import RecipeSpec
from everbake.ports import Reader
from everbake.recording.breath import unhurried
from everbake.recording.follow import RolloutBook
from everbake.recording.hours import Hour, decoded, encoded, hour_of
from everbake.recording.labels import Label, LabelBook, LabelCounts
from everbake.recording.losses import row_losses
from everbake.recording.opened import open_rollouts
from everbake.recording.store import RecordStore, plain
from everbake.recording.tail import Piece, Tail
from everbake.recording.teaching import Lesson, Teaching

_STEP = 32  # answers that are written between two breaths
_AT_ONCE = 5_000  # answers that are judged in one transaction


@dataclass(frozen=True)
class _Model:
    """What is known of a model's recipe."""

    metric: str
    delay: float
    key: str | None
    lesson: Lesson | None


@dataclass(frozen=True)
class _Due:
    """An answer whose label is final."""

    model: str
    id: str
    role: str
    version: int
    time: float
    generation: int
    caller: str | None
    prediction: str
    label: str


class Recorder:
    """Records for one project. Its methods may be called from several threads.

    Args:
        log: the folder of the prediction log.
        store: where to.
        reader: the ledger.
        now: the time.
        breathe: called between pieces of work that take microseconds.
    """

    def __init__(
        self,
        log: Path,
        store: RecordStore,
        reader: Reader,
        now: Callable[[], float],
        breathe: Callable[[], None] = unhurried,
    ) -> None:
        self._breathe = breathe
        self._log = log
        self._store = store
        self._reader = reader
        self._now = now
        self._tail = Tail(log, store.cursors(), breathe)
        self._book = RolloutBook(store)
        self._labels = LabelBook(store)
        self._teaching = Teaching(log.parent / "labelled", store)
        self._models: dict[str, _Model] = {}
        self._seen: int | None = None
        self._guard = threading.Lock()

    def look(self) -> None:
        """Record what is new."""
        with self._guard:
            try:
                for piece in self._tail.news():
                    self._know()  # after the read: no request can be newer than what is known
                    self._book.recall(piece.model, piece.earlier)
                    if not piece.answered:
                        continue
                    with self._store.transaction():
                        self._record(piece)
                        self._book.write()
                self._know()
                while self._judge():
                    pass
                self._teach()
            except BaseException:
                # What was read and not recorded is read again.
                self._tail = Tail(self._log, self._store.cursors(), self._breathe)
                self._book.forget()
                raise

    @contextmanager
    def paused(self) -> Iterator[RecordStore]:
        """What is recorded, while nothing else is."""
        with self._guard:
            yield self._store

    def label(self, model: str, labels: Sequence[Label]) -> LabelCounts:
        """Keep labels, durably."""
        self.look()  # they may be about answers that have just been given
        with self._guard, self._store.transaction():
            counts, settled = self._labels.take(model, labels)
            self._await(model, settled)
        self.look()
        return counts

    def _know(self) -> None:
        """The rollouts and recipes as the ledger has them now."""
        number = self._reader.version()
        if number == self._seen:
            return
        self._models = {str(row["model"]): _known(row) for row in self._reader.rows("models")}
        self._book.know(open_rollouts(self._reader))
        self._seen = number

    def _record(self, piece: Piece) -> None:
        place = (piece.segment, piece.model, piece.offset, *piece.anchor)
        self._store.put("INSERT OR REPLACE INTO cursors VALUES (?, ?, ?, ?, ?)", [place])
        known = self._models.get(piece.model)
        key = None if known is None else known.key
        if known is not None and known.lesson is not None:
            self._teaching.answered(piece.model, known.lesson, piece.answered)
        hours: dict[tuple[int, int], Hour] = {}
        answers: list[tuple[str, str, str, int, float, int, str | None, str | None, str]] = []
        for one in piece.answered:
            self._breathe()
            self._book.count(piece.model, one)
            if one.role != "shadow":
                self._count(piece.model, one, hours)
            answers += _answers(piece.model, one, key)
        for at in range(0, len(answers), _STEP):
            self._breathe()
            step = answers[at : at + _STEP]
            self._store.put(
                "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", step
            )
        self._keep(piece.model, hours)
        given = [(answer[1], answer[6]) for answer in answers if answer[2] != "shadow"]
        self._await(piece.model, self._labels.answered(piece.model, given))

    def _count(self, model: str, one: Answered, hours: dict[tuple[int, int], Hour]) -> None:
        hour = self._hour(model, one.version, hour_of(one.time), hours)
        if one.part:
            hour.errors += 1
            return
        hour.count(one.seconds, failed=one.error is not None)
        for prediction in one.predictions:
            if isinstance(prediction, float):
                hour.scores = hour.scores.add(prediction)

    def _hour(
        self, model: str, version: int, hour: int, hours: dict[tuple[int, int], Hour]
    ) -> Hour:
        if (version, hour) not in hours:
            rows = self._store.rows(
                "SELECT requests, errors, latencies, scores, losses FROM hours "
                "WHERE model = ? AND version = ? AND hour = ?",
                (model, version, hour),
            )
            hours[version, hour] = decoded(*rows[0]) if rows else Hour()  # type: ignore[arg-type]
        return hours[version, hour]

    def _keep(self, model: str, hours: dict[tuple[int, int], Hour]) -> None:
        self._store.put(
            "INSERT OR REPLACE INTO hours VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [(model, version, hour, *encoded(kept)) for (version, hour), kept in hours.items()],
        )

    def _await(self, model: str, ids: Sequence[str]) -> None:
        """Judge these answers once their labels are final."""
        delay = self._book.maturity(model)
        if delay is None:
            delay = self._models[model].delay if model in self._models else 0.0
        self._store.put(
            "INSERT OR IGNORE INTO due SELECT min(a.time) + ?, a.model, a.id FROM answers a "
            "JOIN outcomes o ON o.model = a.model AND o.id = a.id "
            "WHERE a.model = ? AND a.id = ? AND o.judged = 0 GROUP BY a.id",
            [(delay, model, each) for each in ids],
        )

    def _judge(self) -> bool:
        """Judge answers whose labels are final; whether there may be more of them."""
        rows = self._store.rows(
            "SELECT model, id, ready FROM due WHERE ready <= ? ORDER BY ready LIMIT ?",
            (self._now(), _AT_ONCE),
        )
        if not rows:
            return False
        with self._store.transaction():
            for model in sorted({str(row[0]) for row in rows}):
                if model in self._models:
                    self._judge_model(model, [str(row[1]) for row in rows if row[0] == model])
            self._store.put(
                "DELETE FROM due WHERE model = ? AND id = ? AND ready = ?",
                rows,  # type: ignore[arg-type]
            )
            self._book.write()
        return len(rows) == _AT_ONCE

    def _judge_model(self, model: str, ids: Sequence[str]) -> None:
        found = [due for each in ids for due in self._answers_of(model, each)]
        metric = self._models[model].metric
        hours: dict[tuple[int, int], Hour] = {}
        of_one: dict[str, dict[str, float]] = {}
        for due, loss, by in self._losses(model, found):
            of_one.setdefault(due.id, {})[due.role] = loss
            if due.role != "shadow" and by == metric:
                self._hour(model, due.version, hour_of(due.time), hours).lose(loss)
        for due in found:
            if due.role != "shadow" and due.id in of_one:
                self._book.judge(model, of_one[due.id], due.generation, due.caller)
        self._keep(model, hours)
        if self._models[model].lesson is not None:
            self._teaching.judged(model, ids, self._now())
        self._store.put(
            "UPDATE outcomes SET judged = 1 WHERE model = ? AND id = ?",
            [(model, each) for each in ids],
        )

    def _losses(self, model: str, found: Sequence[_Due]) -> Iterator[tuple[_Due, float, str]]:
        """What each answer lost, and by which metric: that of an open rollout is frozen."""
        by_metric: dict[str, list[_Due]] = {}
        for due in found:
            plan = self._book.frozen(model, due.generation)
            quality = None if plan is None else plan.quality
            name = self._models[model].metric if quality is None else quality.name
            by_metric.setdefault(name, []).append(due)
        for name, of_it in by_metric.items():
            losses = row_losses(name, [(due.prediction, due.label) for due in of_it])
            for due, loss in zip(of_it, losses, strict=True):
                if loss is not None:
                    yield due, loss, name

    def _teach(self) -> None:
        """Hand on the labelled answers that recipes want to learn from."""
        for model, known in self._models.items():
            if known.lesson is not None and self._teaching.ready(model, known.lesson, self._now()):
                self._teaching.write(model, known.lesson)

    def _answers_of(self, model: str, answer: str) -> list[_Due]:
        rows = self._store.rows(
            "SELECT a.model, a.id, a.role, a.version, a.time, a.generation, a.caller, "
            "a.prediction, o.label FROM answers a "
            "JOIN outcomes o ON o.model = a.model AND o.id = a.id "
            "WHERE a.model = ? AND a.id = ? AND o.judged = 0",
            (model, answer),
        )
        return [_Due(*row) for row in rows]  # type: ignore[arg-type]


def _known(row: object) -> _Model:
    spec = msgspec.json.decode(str(row["spec"]), type=RecipeSpec)  # type: ignore[index]
    table = spec.table
    lesson = Lesson(table.label, table.time, spec.trigger_rows) if table.from_predictions else None
    return _Model(spec.answer_metric, table.maturity, table.key, lesson)


def _answers(
    model: str, one: Answered, key: str | None
) -> list[tuple[str, str, str, int, float, int, str | None, str | None, str]]:
    """The rows of `answers` for one request."""
    made = []
    for place, prediction in enumerate(one.predictions):
        row = one.rows[place] if place < len(one.rows) else {}
        named = row.get(key) if key is not None else None
        name = one.key if named is None else str(named)
        # Rows of one request have much in common: its first one stands for it in a rollout.
        generation = one.generation if place == 0 else 0
        where = (model, one.ids[place], one.role, one.version, one.time, generation)
        made.append((*where, name, one.key, plain(prediction)))
    return made
