"""Two versions answer the same rows, each by its own code; what the gate says is only told."""

import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from everbake.adapters.hosting.hosts import Hosts
from everbake.adapters.hosting.work import Work, failure_of, report_of
from everbake.core.bundle import Bundle
from everbake.core.spec import Ranked, RecipeSpec
from everbake.core.work import JudgeOrder, JudgeReport, Model, ScoreOrder, UnseenOrder, UnseenReport
from everbake.errors import UserCodeError
from everbake.ports import Blobs
from everbake.wire import JobLimits

T = TypeVar("T")


@dataclass(frozen=True)
class Made:
    """A version.

    Attributes:
        name: as in `line@2`.
        bundle: what it is made of.
        spec: its recipe.
    """

    name: str
    bundle: Bundle
    spec: RecipeSpec


class Beside:
    """Compares versions on rows of one table."""

    def __init__(
        self, table: tuple[tuple[str, ...], int], places: tuple[Hosts, Work, Blobs]
    ) -> None:
        """Compare on the first rows of a table, which is given as its files and their number."""
        self._files, self._rows = table
        self._hosts, self._work, self._blobs = places

    def judged(self, one: Made, other: Made) -> dict[str, object] | None:
        """What the gate of `other` says of it beside `one`; None without a row new to both.

        Raises:
            UserCodeError: a version's own code raised, or took more than it may.
        """
        with self._work.passing(f"compare-{uuid.uuid4().hex}") as folder:
            if not self._unseen(one, other, folder):
                return None
            order = JudgeOrder(
                model=other.bundle.model,
                files=self._files,
                rows=self._rows,
                judge=str(folder / "unseen" / "judge.npy"),
                truth=str(folder / "unseen" / "truth.npy"),
                champion=self._answers(one, "one", folder, other.spec.ranked),
                candidate=self._answers(other, "other", folder, other.spec.ranked),
                has_champion=True,
                more_rows=max(0, other.bundle.rows - one.bundle.rows),
                trained=str(folder / "unseen" / "trained.bin"),
                thresholds=(_threshold(one.bundle), _threshold(other.bundle), None),
            )
            return self._done(other, "judge", order, folder / "judge", JudgeReport).decision

    def _unseen(self, one: Made, other: Made, folder: Path) -> int:
        """How many rows neither has learned from; their positions and labels are in a folder."""
        trained = tuple(self._path(made.bundle.trained_rows) for made in (one, other))
        order = UnseenOrder(other.bundle.model, self._files, self._rows, trained)
        return self._done(other, "unseen", order, folder / "unseen", UnseenReport).rows

    def _answers(self, made: Made, name: str, folder: Path, ranked: Ranked | None) -> str:
        """The file with a version's answers for these rows."""
        bundle, place = made.bundle, folder / name
        order = ScoreOrder(
            model=bundle.model,
            files=self._files,
            rows=self._rows,
            judge=str(folder / "unseen" / "judge.npy"),
            saved=Model(self._path(bundle.artifact), bundle.artifact, bundle.artifact_format),
            ranked=ranked,
        )
        self._done(made, "score", order, place, dict[str, Any])
        return str(place / "answers.npy")

    def _done(self, made: Made, job: str, order: object, place: Path, kind: type[T]) -> T:
        """The report of a job by a version's own code, within its recipe's limits."""
        spec = made.spec
        outcome = self._hosts.get(made.bundle.snapshot, made.bundle.source).run(
            job,
            msgspec.json.encode(order),
            work=place,
            limits=JobLimits(spec.memory_bytes, spec.time_seconds, spec.threads),
            seed=made.bundle.seed,
        )
        failure = failure_of(outcome, "")
        if failure is not None:
            raise UserCodeError(failure.code, failure.error, where=made.name)
        return report_of(outcome, kind)

    def _path(self, blob: str) -> str:
        """The file of a blob, whose bytes have been compared with their digest."""
        self._blobs.get(blob)
        return str(self._blobs.path(blob))


def _threshold(bundle: Bundle) -> float | None:
    return None if bundle.threshold is None else bundle.threshold.value
