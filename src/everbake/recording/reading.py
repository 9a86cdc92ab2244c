"""Looks into the record store without changing it."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from everbake.core.rollout.planning import Baseline
from everbake.core.rollout.tally import Tally
from everbake.ports import Anchor
from everbake.recording.hours import baseline, decoded, hour_of


class RecordReader:
    """The record store of a project, which may not be there yet.

    Args:
        path: of its file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def baseline(self, model: str, version: int, since: float, budget: float | None) -> Baseline:
        """What a version did since a moment; see `ports.Records`."""
        query = (
            "SELECT requests, errors, latencies, scores, losses FROM hours "
            "WHERE model = ? AND version = ? AND hour >= ?"
        )
        with self._opened() as connection:
            rows = connection.execute(query, (model, version, hour_of(since))).fetchall()
        return baseline((decoded(*row) for row in rows), budget)

    def tally(self, rollout: str, part: int) -> tuple[Tally, frozenset[str]]:
        """What one part of a rollout has seen so far, and the metrics that have passed."""
        query = "SELECT tally FROM tallies WHERE rollout = ? AND part = ?"
        with self._opened() as connection:
            row = connection.execute(query, (rollout, part)).fetchone()
        if row is None:
            return Tally(), frozenset()
        return msgspec.json.decode(row[0], type=tuple[Tally, frozenset[str]])

    def labels(self, model: str, ids: Sequence[str]) -> dict[str, object]:
        """The labels of these predictions, where they are known."""
        query = "SELECT label FROM outcomes WHERE model = ? AND id = ?"
        found: dict[str, object] = {}
        with self._opened() as connection:
            for name in ids:
                row = connection.execute(query, (model, name)).fetchone()
                if row is not None:
                    found[name] = msgspec.json.decode(row[0])
        return found

    def recorded(self, segments: Sequence[str]) -> dict[str, int]:
        """Up to which byte these segments of the prediction log are recorded."""
        query = "SELECT segment, at FROM cursors WHERE segment = ?"
        with self._opened() as connection:
            return dict(
                row for name in segments for row in connection.execute(query, (name,)).fetchall()
            )

    def anchors(self) -> list[Anchor]:
        """Where the ledger's chain stood when each segment was begun, of those deleted, too."""
        query = "SELECT segment, model, anchor_n, anchor FROM cursors ORDER BY model, segment"
        with self._opened() as connection:
            rows = connection.execute(query).fetchall()
        return [Anchor(f"log/{model}/{segment}", n, linked) for segment, model, n, linked in rows]

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        from everbake.recording.schema import SCHEMA

        if not self._path.exists():
            connection = sqlite3.connect(":memory:")
            connection.executescript(SCHEMA)
        else:
            connection = sqlite3.connect(f"file:{self._path}?mode=ro", uri=True)
        try:
            yield connection
        finally:
            connection.close()
