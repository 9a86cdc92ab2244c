"""Labels: which answer each belongs to, and what is newest; nothing that came is thrown away.

A label names an answer by its id or by the key of its row. One whose answer is not known yet
waits; one by key also counts for answers that come later.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from everbake.recording.store import RecordStore


@dataclass(frozen=True)
class Label:
    """What somebody says about an answer.

    Attributes:
        kind: whether `name` is a prediction's `id` or a row's `key`.
        name: this id or key.
        label: as JSON.
        source: who says so.
        time: when it became known, seconds since 1970.
    """

    kind: Literal["id", "key"]
    name: str
    label: str
    source: str
    time: float


@dataclass
class LabelCounts:
    """What became of labels.

    Attributes:
        received: all.
        joined: that belong to answers.
        waiting: whose answers are not known (yet).
        corrected: that say something else than before.
        duplicate: that say what is known already.
    """

    received: int = 0
    joined: int = 0
    waiting: int = 0
    corrected: int = 0
    duplicate: int = 0


class LabelBook:
    """The labels of all models. Changed within a transaction.

    Args:
        store: where they are kept.
    """

    def __init__(self, store: RecordStore) -> None:
        self._store = store

    def take(self, model: str, labels: Iterable[Label]) -> tuple[LabelCounts, list[str]]:
        """Keep labels; returns what became of them, and the ids of the answers they settle."""
        counts, settled = LabelCounts(), []
        for label in labels:
            counts.received += 1
            before = self._newest(model, label.kind, label.name)
            if before == label.label:
                counts.duplicate += 1
                continue
            counts.corrected += before is not None
            number = self._keep(model, label)
            ids = self._answers(model, label)
            counts.joined += bool(ids)
            counts.waiting += not ids
            self._settle(model, [(each, label.label, number) for each in ids])
            settled += ids
        return counts, settled

    def answered(self, model: str, answers: Sequence[tuple[str, str | None]]) -> list[str]:
        """Answers that have just come, by id and key; returns the ids that a label waited for."""
        if not self._store.rows("SELECT 1 FROM newest WHERE model = ? LIMIT 1", (model,)):
            return []
        settled: list[tuple[str, str, int]] = []
        for answer, key in answers:
            names = [("id", answer)] + ([] if key is None else [("key", key)])
            known = [self._waiting(model, *name) for name in names]
            found = max((each for each in known if each is not None), key=_number, default=None)
            if found is not None:
                settled.append((answer, *found))
        self._settle(model, settled)
        return [answer for answer, _, _ in settled]

    def _newest(self, model: str, kind: str, name: str) -> str | None:
        found = self._waiting(model, kind, name)
        return None if found is None else found[0]

    def _waiting(self, model: str, kind: str, name: str) -> tuple[str, int] | None:
        query = "SELECT label, n FROM newest WHERE model = ? AND kind = ? AND name = ?"
        rows = self._store.rows(query, (model, kind, name))
        return (str(rows[0][0]), int(str(rows[0][1]))) if rows else None

    def _keep(self, model: str, label: Label) -> int:
        row = (model, label.kind, label.name, label.label, label.source, label.time)
        self._store.put(
            "INSERT INTO labels (model, kind, name, label, source, time) VALUES (?, ?, ?, ?, ?, ?)",
            [row],
        )
        ((number,),) = self._store.rows("SELECT max(n) FROM labels")
        newest = (model, label.kind, label.name, label.label, int(str(number)))
        self._store.put("INSERT OR REPLACE INTO newest VALUES (?, ?, ?, ?, ?)", [newest])
        return int(str(number))

    def _answers(self, model: str, label: Label) -> list[str]:
        query = f"SELECT DISTINCT id FROM answers WHERE model = ? AND {label.kind} = ?"  # noqa: S608
        return [str(name) for (name,) in self._store.rows(query, (model, label.name))]

    def _settle(self, model: str, outcomes: Sequence[tuple[str, str, int]]) -> None:
        self._store.put(
            "INSERT INTO outcomes VALUES (?, ?, ?, ?, 0) ON CONFLICT (model, id) "
            "DO UPDATE SET label = excluded.label, n = excluded.n WHERE excluded.n > n",
            [(model, *outcome) for outcome in outcomes],
        )


def _number(found: tuple[str, int]) -> int:
    return found[1]
