"""Labelled answers as files of rows: what a recipe with `Table(from_predictions=True)` learns from.

A file is one batch, like any other file that arrives. It is written before the record of it; after
a crash in between it is written again, under the same name, with the same rows in it.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from everbake.core.frames import Answered
from everbake.recording.store import RecordStore

_PATIENCE = 3_600.0  # seconds that a labelled answer waits for enough others
_MOST = 10_000  # rows of a file


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
    """The rows of answers, until their labels are final. Changed within a transaction.

    Args:
        folder: where the files go, one folder a model.
        store: where rows wait.
    """

    def __init__(self, folder: Path, store: RecordStore) -> None:
        self._folder = folder
        self._store = store

    def answered(self, model: str, lesson: Lesson, requests: Iterable[Answered]) -> None:
        """Keep the rows of requests."""
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
        """The labels of these answers are final."""
        self._store.put(
            "UPDATE rows SET ready = ? WHERE model = ? AND id = ? AND ready IS NULL",
            [(now, model, name) for name in ids],
        )

    def ready(self, model: str, lesson: Lesson, now: float) -> bool:
        """Whether enough labelled answers wait, or one has waited for long."""
        ((count, oldest),) = self._store.rows(
            "SELECT count(*), min(ready) FROM rows WHERE model = ? AND ready IS NOT NULL", (model,)
        )
        waited = oldest is not None and now - float(str(oldest)) >= _PATIENCE
        return waited or int(str(count)) >= lesson.rows

    def write(self, model: str, lesson: Lesson) -> None:
        """Write what is ready, some of it if it is much."""
        found = self._store.rows(
            "SELECT r.id, r.row, o.label FROM rows r JOIN outcomes o "
            "ON o.model = r.model AND o.id = r.id "
            "WHERE r.model = ? AND r.ready IS NOT NULL ORDER BY r.id LIMIT ?",
            (model, _MOST),
        )
        lines = [_line(str(row), str(label), lesson.label) for _, row, label in found]
        folder = self._folder / model
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / f"{found[0][0]}-{found[-1][0]}.jsonl"
        fresh = path.with_suffix(".new")
        fresh.write_text("".join(lines), encoding="utf-8")
        fresh.replace(path)
        self._store.put(
            "DELETE FROM rows WHERE model = ? AND id = ?", [(model, str(row[0])) for row in found]
        )


def _timed(row: Mapping[str, object], lesson: Lesson, time: float) -> dict[str, object]:
    if lesson.time is None or row.get(lesson.time) is not None:
        return dict(row)
    moment = datetime.fromtimestamp(time, UTC).replace(tzinfo=None)
    return {**row, lesson.time: moment.isoformat(timespec="milliseconds")}


def _line(row: str, label: str, column: str) -> str:
    return json.dumps({**json.loads(row), column: json.loads(label)}, ensure_ascii=False) + "\n"
