"""Judging a candidate: everybody's answers on the rows that judge it, verdict, and refit."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from everbake.adapters.hosting.baking import Baker
from everbake.adapters.hosting.jobs import RunJobs, own_code
from everbake.adapters.hosting.work import failure_of, report_of
from everbake.core.decision import Check, Verdict
from everbake.core.facts import DataArrived
from everbake.core.look_facts import Look, Pending
from everbake.core.pending import rows_wanted
from everbake.core.run_facts import RunPinned
from everbake.core.work import (
    FreshOrder,
    FreshReport,
    Judged,
    JudgeOrder,
    JudgeReport,
    Precedent,
    ScoreOrder,
    TrainReport,
)
from everbake.errors import HealthError
from everbake.ports import Blobs, Compared, Failure, TooFew
from everbake.wire import JobOutcome

# The user's code raised, or gave what cannot be judged, as opposed to what limits or a crash did.
_UNFIT = {"EB231", "EB301", "EB331"}
_CANCELLED = "EB305"
_JUDGED = "judged.bin"


class _Verdict(msgspec.Struct):
    verdict: Verdict


@dataclass(frozen=True)
class _Run:
    """A run that judges, and the rows up to its data version."""

    pinned: RunPinned
    arrived: DataArrived
    files: tuple[str, ...]

    @property
    def rows(self) -> int:
        return self.arrived.first_row + self.arrived.rows


@dataclass(frozen=True)
class _Scored:
    """A model's answers, in a file; none where it gives none."""

    answers: str | None = None
    seconds: float = 0.0
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True)
class _Candidate:
    """The candidate of a run, beside the rows that judge it.

    Attributes:
        bundle: its bundle.
        folder: where the positions of the rows and their labels lie.
        scored: its answers on them.
        trained: file with the set of rows that it has learned from.
        rows: how many they are.
        earlier: the sets of rows that have decided before.
        look: the number of this look, where it is known without them.
        precedent: what a jump of the metric is held against, where it is judged first.
    """

    bundle: str
    folder: Path
    scored: _Scored
    trained: str
    rows: int
    earlier: tuple[Judged, ...] = ()
    look: int | None = None
    precedent: Precedent | None = None


class Judging:
    """Compares candidates with the champion, and the best version so far, on the same rows."""

    def __init__(self, blobs: Blobs, jobs: RunJobs, baker: Baker) -> None:
        """Score and judge by `jobs`, refit by `baker`."""
        self._blobs = blobs
        self._jobs = jobs
        self._baker = baker

    def evaluate(
        self,
        pinned: RunPinned,
        bundle: str,
        arrived: DataArrived,
        files: Sequence[str],
        earlier: Sequence[Look],
    ) -> Compared | Failure:
        """Judge a candidate on the rows that its training held out, and refit a winner."""
        folder = self._jobs.folder(pinned.run, "train")
        again, log = self._baker.train(pinned, arrived, files)
        if (lost := failure_of(again, log)) is not None:  # its result was lost, and then this
            return lost
        report = report_of(again, TrainReport)
        candidate = _Candidate(
            bundle=bundle,
            folder=folder,
            scored=_Scored(str(folder / "answers.npy"), 0.0, report.checks),
            trained=str(folder / "trained.bin"),
            rows=report.rows,
            earlier=tuple(Judged(self._path(look.judged), look.rows) for look in earlier),
            precedent=self._precedent(pinned, report),
        )
        return self._compare(_Run(pinned, arrived, tuple(files)), candidate)

    def look(
        self, pinned: RunPinned, arrived: DataArrived, files: Sequence[str]
    ) -> Compared | TooFew | Failure:
        """Judge a candidate that is pending on all rows that are new to everybody."""
        pending, run = pinned.pending, _Run(pinned, arrived, tuple(files))
        if pending is None:
            raise ValueError(f"run {pinned.run} looks at no pending candidate")
        outcome, log = self._jobs.run(pinned, "fresh", self._fresh(run, pending), own_code(pinned))
        if (failure := failure_of(outcome, log)) is not None:
            return failure
        there = report_of(outcome, FreshReport)
        if there.rows < rows_wanted(pending.rows):
            return TooFew(there.rows, outcome.seconds)
        folder = self._jobs.folder(pinned.run, "fresh")
        scored = self._pending(run, pending, folder)
        if isinstance(scored, Failure):
            return scored
        candidate = _Candidate(
            bundle=pending.bundle,
            folder=folder,
            scored=replace(scored, checks=there.checks + scored.checks),
            trained=self._baker.trained_rows(pending.bundle),
            rows=self._baker.read(pending.bundle).rows,
            look=pending.look,
        )
        return self._compare(run, candidate)

    def _fresh(self, run: _Run, pending: Pending) -> FreshOrder:
        pinned, champion = run.pinned, run.pinned.champion_bundle
        others = [None if champion is None else self._baker.trained_rows(champion)]
        others.append(self._baker.best_rows(pinned))
        return FreshOrder(
            model=pinned.model,
            files=run.files,
            rows=run.rows,
            candidate=self._baker.trained_rows(pending.bundle),
            others=tuple(path for path in others if path is not None),
            judged=None if pending.judged is None else self._path(pending.judged),
        )

    def _path(self, blob: str) -> str:
        return str(self._blobs.path(blob))

    def _compare(self, run: _Run, candidate: _Candidate) -> Compared | Failure:
        champion = self._champion(run, candidate.folder)
        if isinstance(champion, Failure):
            return champion
        best = self._best(run, candidate.folder)
        if isinstance(best, Failure):
            return best
        order = self._order(run, candidate, champion, best)
        outcome, log = self._jobs.run(run.pinned, "judge", order, own_code(run.pinned))
        if (failure := failure_of(outcome, log)) is not None:
            return failure
        report = report_of(outcome, JudgeReport)
        serves = self._serves(run, candidate.bundle, report)
        if isinstance(serves, Failure):
            return serves
        judged = self._jobs.folder(run.pinned.run, "judge") / _JUDGED
        scored = (candidate.scored, champion, best)
        return Compared(
            decision=msgspec.json.encode(report.decision).decode(),
            serves=serves,
            seconds=outcome.seconds + sum(each.seconds for each in scored),
            look=Look(
                number=report.look,
                level=report.level,
                rows=report.rows,
                digest=report.digest,
                judged=self._blobs.put_file(judged),
            ),
            surpasses=report.surpasses,
            best_broken=report.best_broken or bool(best.checks),
        )

    def _order(
        self, run: _Run, candidate: _Candidate, champion: _Scored, best: _Scored
    ) -> JudgeOrder:
        pinned = run.pinned
        return JudgeOrder(
            model=pinned.model,
            files=run.files,
            rows=run.rows,
            judge=str(candidate.folder / "judge.npy"),
            truth=str(candidate.folder / "truth.npy"),
            candidate=candidate.scored.answers,
            champion=champion.answers,
            checks=(*candidate.scored.checks, *champion.checks, *best.checks),
            has_champion=pinned.champion is not None,
            more_rows=self._more_rows(pinned, candidate.rows),
            best=best.answers,
            best_name=f"version {pinned.best}",
            earlier=candidate.earlier,
            precedent=candidate.precedent,
            look=candidate.look,
            trained=candidate.trained,
            thresholds=(
                self._threshold(pinned.champion_bundle),
                self._threshold(candidate.bundle),
                None if best.answers is None else self._threshold(pinned.best_bundle),
            ),
        )

    def _threshold(self, bundle: str | None) -> float | None:
        frozen = None if bundle is None else self._baker.read(bundle).threshold
        return None if frozen is None else frozen.value

    def _pending(self, run: _Run, pending: Pending, folder: Path) -> _Scored | Failure:
        """The answers of the candidate that is pending; one that does not answer is no good."""
        outcome, log = self._score(run, "own", pending.bundle, folder)
        failure = failure_of(outcome, log)
        if failure is None:
            return self._scored(run, "own", outcome)
        if failure.code not in _UNFIT:
            return failure
        detail = f"version {pending.version} does not answer: {failure.error}"
        return _Scored(None, outcome.seconds, (Check("candidate", "fail", detail),))

    def _champion(self, run: _Run, folder: Path) -> _Scored | Failure:
        """The champion's answers, if there is one, and a row that it has not seen."""
        bundle = run.pinned.champion_bundle
        if bundle is None or not _length(folder / "judge.npy"):
            return _Scored()
        outcome, log = self._score(run, "score", bundle, folder)
        failure = failure_of(outcome, log)
        if failure is None:
            return self._scored(run, "score", outcome)
        if failure.code not in _UNFIT:
            what = f"the champion could not be scored: {failure.error}"
            return Failure("EB308", what, log, failure.again)
        # It cannot answer these rows: no reason to turn a candidate away that can.
        detail = f"the model in use does not answer: {failure.error}"
        return _Scored(None, outcome.seconds, (Check("champion", "warn", detail),))

    def _best(self, run: _Run, folder: Path) -> _Scored | Failure:
        """The answers of the best version so far, if it is another one; with a check if broken."""
        pinned = run.pinned
        bundle = pinned.best_bundle
        if bundle in (None, pinned.champion_bundle) or not _length(folder / "judge.npy"):
            return _Scored()
        try:
            outcome, log = self._score(run, "best", str(bundle), folder)
        except HealthError as error:  # what it needs is gone or damaged
            return _broken(pinned, str(error), 0.0)
        failure = failure_of(outcome, log)
        if failure is None:
            return self._scored(run, "best", outcome)
        if failure.again or failure.code == _CANCELLED:
            return failure
        return _broken(pinned, failure.error, outcome.seconds)

    def _score(self, run: _Run, step: str, bundle: str, folder: Path) -> tuple[JobOutcome, str]:
        """Let a version answer the rows in a folder, with its own code."""
        scored = self._baker.read(bundle)
        order = ScoreOrder(
            model=run.pinned.model,
            files=run.files,
            rows=run.rows,
            judge=str(folder / "judge.npy"),
            saved=self._baker.saved(scored),
            ranked=run.pinned.spec.ranked,
        )
        return self._jobs.run(run.pinned, step, order, (scored.snapshot, scored.source))

    def _scored(self, run: _Run, step: str, outcome: JobOutcome) -> _Scored:
        answers = self._jobs.folder(run.pinned.run, step) / "answers.npy"
        return _Scored(str(answers), outcome.seconds)

    def _more_rows(self, pinned: RunPinned, rows: int) -> int:
        if pinned.champion_bundle is None:
            return 0
        return max(0, rows - self._baker.read(pinned.champion_bundle).rows)

    def _precedent(self, pinned: RunPinned, report: TrainReport) -> Precedent | None:
        if pinned.champion_bundle is None:
            return None
        champion = self._baker.read(pinned.champion_bundle)
        known = {each.name for each in champion.inputs if each.needed}
        return Precedent(
            value=pinned.reached,
            doubled=report.rows >= 2 * champion.rows,
            edited=pinned.recipe != champion.recipe,
            new=tuple(name for name in report.needed if name not in known),
            told=report.told,
        )

    def _serves(self, run: _Run, bundle: str, report: JudgeReport) -> str | Failure:
        """The bundle that a winner serves with: its own, or one that was trained on all rows."""
        verdict = msgspec.convert(report.decision, _Verdict).verdict
        if not (run.pinned.spec.refit and verdict == "promoted"):
            return bundle
        again = self._baker.refit(run.pinned, run.arrived, run.files, bundle)
        return again if isinstance(again, Failure) else again.bundle


def _broken(pinned: RunPinned, why: str, seconds: float) -> _Scored:
    detail = (
        f"version {pinned.best}, the best so far, does not run any more, and the model in use "
        f"takes its place: {why}"
    )
    return _Scored(None, seconds, (Check("best", "warn", detail),))


def _length(path: Path) -> int:
    """Entries of a saved one-dimensional array, read off its header."""
    head = path.read_bytes()[:128].decode("latin-1")
    return int(head.split("'shape': (", 1)[1].split(",", 1)[0] or 0)
