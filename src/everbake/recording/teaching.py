"""Labelled answers as files of rows: what a recipe with `Table(from_predictions=True)` learns from.

A file is one batch, like any other file that arrives. Which rows go into it is recorded first, and
that they are in it last; after a crash in between it is written again, the same byte for byte.
"""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from everbake.core.frames import Answered
from everbake.recording.store import RecordStore

_PATIENCE = 3_600.0  # seconds that a labelled answer waits for enough others
_MOST = 10_000  # rows of a file
_CHOSEN = float("-inf")  # since when a row is ready that goes into the next file, with its label


@dataclass(frozen=True)
class Lesson:
    """What a recipe wants to learn from.

    Attributes:
        label: the label column.
        time: the time column, filled with the time of the answer where no request gives it.
        rows: that start a run.
    """

    label: str
    time: str | None
    rows: int


class Teaching:
    """The rows of answers, until their labels are final and they stand in a file.

    Args:
        folder: where the files go, one folder a model.
        store: where rows wait.
    """

    def __init__(self, folder: Path, store: RecordStore) -> None:
        self._folder = folder
        self._store = store

    def answered(self, model: str, lesson: Lesson, requests: Iterable[Answered]) -> None:
        """Keep the rows of requests. Within a transaction."""
        self._store.put(
            "INSERT OR REPLACE INTO rows VALUES (?, ?, ?, NULL)",
            [
                (model, name, json.dumps(_timed(row, lesson, one.time), ensure_ascii=False))
                for one in requests
                if one.role != "shadow"
                for name, row in zip(one.ids, one.rows, strict=False)
            ],
        )

    def judged(self, model: str, ids: Iterable[str], now: float) -> None:
        """The labels of these answers are final. Within a transaction."""
        self._store.put(
            "UPDATE rows SET ready = ? WHERE model = ? AND id = ? AND ready IS NULL",
            [(now, model, name) for name in ids],
        )

    def ready(self, model: str, lesson: Lesson, now: float) -> bool:
        """Whether enough labelled answers wait, or one has waited for long or is chosen."""
        ((count, oldest),) = self._store.rows(
            "SELECT count(*), min(ready) FROM rows WHERE model = ? AND ready IS NOT NULL", (model,)
        )
        waited = oldest is not None and now - float(str(oldest)) >= _PATIENCE
        return waited or int(str(count)) >= lesson.rows

    def write(self, model: str, lesson: Lesson) -> None:
        """Write what is ready, some of it if it is much. In transactions of its own."""
        chosen = self._chosen(model)
        if not chosen:
            self._choose(model, lesson)
            chosen = self._chosen(model)
        names = [str(name) for name, _ in chosen]
        path = self._folder / model / f"{names[0]}-{names[-1]}.jsonl"
        _write(path, "".join(str(line) for _, line in chosen))
        with self._store.transaction():
            self._store.put(
                "DELETE FROM rows WHERE model = ? AND id = ?", [(model, name) for name in names]
            )

    def _chosen(self, model: str) -> list[tuple[object, ...]]:
        """Ids and lines of the rows that were chosen for a file."""
        return self._store.rows(
            "SELECT id, row FROM rows WHERE model = ? AND ready = ? ORDER BY id", (model, _CHOSEN)
        )

    def _choose(self, model: str, lesson: Lesson) -> None:
        """Choose rows, as the lines they will be: their labels may still be corrected."""
        found = self._store.rows(
            "SELECT r.id, r.row, o.label FROM rows r JOIN outcomes o "
            "ON o.model = r.model AND o.id = r.id "
            "WHERE r.model = ? AND r.ready IS NOT NULL ORDER BY r.id LIMIT ?",
            (model, _MOST),
        )
        with self._store.transaction():
            self._store.put(
                "UPDATE rows SET row = ?, ready = ? WHERE model = ? AND id = ?",
                [
                    (_line(str(row), str(label), lesson.label), _CHOSEN, model, str(name))
                    for name, row, label in found
                ],
            )


def _write(path: Path, text: str) -> None:
    """A file that is there whole or not at all, whenever the power goes."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    with fresh.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    for folder in path.parents[:3]:  # all that may just have been made, and what holds them
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _timed(row: Mapping[str, object], lesson: Lesson, time: float) -> dict[str, object]:
    if lesson.time is None or row.get(lesson.time) is not None:
        return dict(row)
    moment = datetime.fromtimestamp(time, UTC).replace(tzinfo=None)
    return {**row, lesson.time: moment.isoformat(timespec="milliseconds")}


def _line(row: str, label: str, column: str) -> str:
    return json.dumps({**json.loads(row), column: json.loads(label)}, ensure_ascii=False) + "\n"
