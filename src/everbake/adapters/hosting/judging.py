"""Judging a candidate: the champion's answers on its held-out rows, verdict, and refit."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from everbake.adapters.hosting.baking import Baker
from everbake.adapters.hosting.jobs import RunJobs, own_code
from everbake.adapters.hosting.work import failure_of, report_of
from everbake.core.decision import Check, Verdict
from everbake.core.facts import DataArrived, RunPinned
from everbake.core.work import Earlier, JudgeOrder, Model, ScoreOrder, TrainReport
from everbake.ports import Blobs, Compared, Failure
from everbake.wire import JobOutcome

# The user's code raised, or gave what cannot be judged, as opposed to what limits or a crash did.
_UNFIT = {"EB231", "EB301", "EB331"}


class _Verdict(msgspec.Struct):
    verdict: Verdict


@dataclass(frozen=True)
class _Scored:
    """The champion's answers, in a file; none where it gives none."""

    answers: str | None = None
    seconds: float = 0.0
    checks: tuple[Check, ...] = ()


class Judging:
    """Compares candidates with the champion on the same rows."""

    def __init__(self, blobs: Blobs, jobs: RunJobs, baker: Baker) -> None:
        """Score and judge by `jobs`, refit by `baker`."""
        self._blobs = blobs
        self._jobs = jobs
        self._baker = baker

    def evaluate(
        self, pinned: RunPinned, bundle: str, arrived: DataArrived, files: Sequence[str]
    ) -> Compared | Failure:
        """Score the champion on the candidate's held-out rows, judge, and refit a winner."""
        trained = self._jobs.folder(pinned.run, "train")
        again, log = self._baker.train(pinned, arrived, files)
        if (lost := failure_of(again, log)) is not None:  # its result was lost, and then this
            return lost
        report = report_of(again, TrainReport)
        scored = self._champion(pinned, arrived, files)
        if isinstance(scored, Failure):
            return scored
        order = JudgeOrder(
            model=pinned.model,
            files=tuple(files),
            rows=arrived.first_row + arrived.rows,
            judge=str(trained / "judge.npy"),
            truth=str(trained / "truth.npy"),
            candidate=str(trained / "answers.npy"),
            champion=scored.answers,
            checks=(*report.checks, *scored.checks),
            has_champion=pinned.champion is not None,
            more_rows=self._more_rows(pinned, report),
            earlier=self._earlier(pinned, report),
            trained=str(trained / "trained.bin"),
            thresholds=(self._threshold(pinned.champion_bundle), self._threshold(bundle), None),
        )
        outcome, log = self._jobs.run(pinned, "judge", order, own_code(pinned))
        failure = failure_of(outcome, log)
        if failure is not None:
            return failure
        decision = (outcome.result or b"").decode()
        serves = self._serves(pinned, arrived, files, bundle, decision)
        if isinstance(serves, Failure):
            return serves
        return Compared(decision, serves, scored.seconds + outcome.seconds)

    def _champion(
        self, pinned: RunPinned, arrived: DataArrived, files: Sequence[str]
    ) -> _Scored | Failure:
        """The champion's answers, if there is one, and a row that it has not seen."""
        judge = self._jobs.folder(pinned.run, "train") / "judge.npy"
        if pinned.champion_bundle is None or not _length(judge):
            return _Scored()
        outcome, log = self._score(pinned, arrived, files, pinned.champion_bundle)
        failure = failure_of(outcome, log)
        if failure is None:
            answers = self._jobs.folder(pinned.run, "score") / "answers.npy"
            return _Scored(str(answers), outcome.seconds)
        if failure.code not in _UNFIT:
            what = f"the champion could not be scored: {failure.error}"
            return Failure("EB308", what, log, failure.again)
        # It cannot answer these rows: no reason to turn a candidate away that can.
        detail = f"the model in use does not answer: {failure.error}"
        return _Scored(None, outcome.seconds, (Check("champion", "warn", detail),))

    def _score(
        self, pinned: RunPinned, arrived: DataArrived, files: Sequence[str], bundle: str
    ) -> tuple[JobOutcome, str]:
        champion = self._baker.read(bundle)
        order = ScoreOrder(
            model=pinned.model,
            files=tuple(files),
            rows=arrived.first_row + arrived.rows,
            judge=str(self._jobs.folder(pinned.run, "train") / "judge.npy"),
            saved=Model(
                str(self._blobs.path(champion.artifact)),
                champion.artifact,
                champion.artifact_format,
            ),
            ranked=pinned.spec.ranked,
        )
        return self._jobs.run(pinned, "score", order, (champion.snapshot, champion.source))

    def _more_rows(self, pinned: RunPinned, report: TrainReport) -> int:
        if pinned.champion_bundle is None:
            return 0
        return max(0, report.rows - self._baker.read(pinned.champion_bundle).rows)

    def _earlier(self, pinned: RunPinned, report: TrainReport) -> Earlier | None:
        if pinned.champion_bundle is None:
            return None
        champion = self._baker.read(pinned.champion_bundle)
        known = {each.name for each in champion.inputs if each.needed}
        return Earlier(
            value=pinned.reached,
            doubled=report.rows >= 2 * champion.rows,
            edited=pinned.recipe != champion.recipe,
            new=tuple(name for name in report.needed if name not in known),
            told=report.told,
        )

    def _threshold(self, bundle: str | None) -> float | None:
        frozen = None if bundle is None else self._baker.read(bundle).threshold
        return None if frozen is None else frozen.value

    def _serves(
        self,
        pinned: RunPinned,
        arrived: DataArrived,
        files: Sequence[str],
        bundle: str,
        decision: str,
    ) -> str | Failure:
        """The bundle that a winner serves with: its own, or one that was trained on all rows."""
        verdict = msgspec.json.decode(decision, type=_Verdict).verdict
        if not (pinned.spec.refit and verdict == "promoted"):
            return bundle
        again = self._baker.bake(pinned, arrived, files, bundle)
        return again if isinstance(again, Failure) else again.bundle


def _length(path: Path) -> int:
    """Entries of a saved one-dimensional array, read off its header."""
    head = path.read_bytes()[:128].decode("latin-1")
    return int(head.split("'shape': (", 1)[1].split(",", 1)[0] or 0)
