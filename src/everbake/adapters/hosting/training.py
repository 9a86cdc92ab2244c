"""Training, scoring and judging by jobs in hosts; their files become blobs."""

import os
import platform
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from everbake.adapters.hosting.environment import describe_environment
from everbake.adapters.hosting.hosts import Hosts
from everbake.adapters.hosting.work import Work, failure_of, report_of
from everbake.core.bundle import Bundle, Input
from everbake.core.contract import Contract, Parsed, ParseOrder
from everbake.core.decision import Check, Verdict
from everbake.core.facts import DataArrived, RunPinned
from everbake.core.redact import kept
from everbake.core.work import JudgeOrder, Model, ScoreOrder, TrainOrder, TrainReport
from everbake.errors import Retry, Stop
from everbake.ports import Batch, Blobs, Compared, Failure, TrainedModel
from everbake.wire import OUTPUT, JobLimits, JobOutcome

_PARSE_LIMITS = JobLimits(4 * 2**30, 6 * 3600.0, os.cpu_count() or 1)


_IN_VAIN = {"EB301", "EB303"}  # raising and running out of memory will happen again
_RAISED = "EB301"  # the user's code raised, as opposed to what limits or a crash did to it


class _Verdict(msgspec.Struct):
    verdict: Verdict


@dataclass(frozen=True)
class _Scored:
    """The champion's answers, in a file; none where it gives none."""

    answers: str | None = None
    seconds: float = 0.0
    checks: tuple[Check, ...] = ()


class HostTraining:
    """The port `Training`, in processes of their own."""

    def __init__(
        self,
        project: Path,
        blobs: Blobs,
        hosts: Hosts,
        work: Work,
        narrate: Callable[[str], None] | None = None,
    ) -> None:
        """Run jobs with `hosts` in folders of `work`; pass what they print to `narrate`."""
        self._project = project
        self._blobs = blobs
        self._hosts = hosts
        self._work = work
        self._narrate = narrate
        self._cancels: dict[str, threading.Event] = {}

    def parse(self, batch: Batch, stage: Path, contract: Contract | None, first_row: int) -> Parsed:
        """Read, check and stage a batch."""
        host = self._hosts.get(batch.snapshot, batch.spec.source)
        order = ParseOrder(
            sources=tuple(str(Path(source).absolute()) for source in batch.sources),
            names=batch.names,
            stage=str(stage.absolute()),
            contract=contract,
            first_row=first_row,
            special=batch.spec.table.special,
            mode=batch.mode,
        )
        with self._work.passing(f"parse-{uuid.uuid4().hex}") as folder:
            body = msgspec.json.encode(order)
            outcome = host.run("parse", body, work=folder, limits=_PARSE_LIMITS, seed=0)
            failure = None if outcome.state == "done" else failure_of(outcome, "")
            if failure is not None:
                raise _unread(batch, failure)
            return report_of(outcome, Parsed)

    def prepare(self, snapshot: str, source: str) -> None:
        """Start the host of a snapshot, which imports meanwhile."""
        self._hosts.get(snapshot, source)

    def environment(self, snapshot: str) -> str:  # noqa: ARG002 - the same for every snapshot here
        """Blob that describes what runs would run in."""
        return self._blobs.put(describe_environment(self._project))

    def train(
        self, pinned: RunPinned, arrived: DataArrived, files: Sequence[str]
    ) -> TrainedModel | Failure:
        """Train a candidate and put it into a bundle."""
        return self._bake(pinned, arrived, files, "train")

    def evaluate(
        self, pinned: RunPinned, bundle: str, arrived: DataArrived, files: Sequence[str]
    ) -> Compared | Failure:
        """Score the champion on the candidate's held-out rows, judge, and refit a winner."""
        trained = self._work.step(pinned.run, "train")
        again, log = self._train(pinned, arrived, files, "train")
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
        )
        outcome, log = self._run(pinned, "judge", order, self._code(pinned))
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
        judge = self._work.step(pinned.run, "train") / "judge.npy"
        if pinned.champion_bundle is None or not _length(judge):
            return _Scored()
        outcome, log = self._score(pinned, arrived, files, pinned.champion_bundle)
        failure = failure_of(outcome, log)
        if failure is None:
            answers = self._work.step(pinned.run, "score") / "answers.npy"
            return _Scored(str(answers), outcome.seconds)
        if failure.code != _RAISED:
            what = f"the champion could not be scored: {failure.error}"
            return Failure("EB308", what, log, failure.again)
        # It cannot answer these rows: no reason to turn a candidate away that can.
        detail = f"the model in use does not answer: {failure.error}"
        return _Scored(None, outcome.seconds, (Check("champion", "warn", detail),))

    def cancel(self, run: str) -> None:
        """Kill the job of a run; the run ends as failed."""
        self._cancel(run).set()

    def forget(self, run: str) -> None:
        """The run is over: remove what its jobs left."""
        self._cancels.pop(run, None)
        self._work.done(run)

    def _cancel(self, run: str) -> threading.Event:
        return self._cancels.setdefault(run, threading.Event())

    @staticmethod
    def _code(pinned: RunPinned) -> tuple[str, str]:
        return pinned.snapshot, pinned.spec.source

    def _run(
        self, pinned: RunPinned, step: str, order: object, code: tuple[str, str]
    ) -> tuple[JobOutcome, str]:
        """Do one job of a run, unless its result lies there; and the blob of what it printed."""
        host = self._hosts.get(*code)
        folder = self._work.step(pinned.run, step)
        spec = pinned.spec
        with _lines(self._narrate) as narrate:
            outcome = host.run(
                "train" if step == "refit" else step,
                msgspec.json.encode(order),
                work=folder,
                limits=JobLimits(spec.memory_bytes, spec.time_seconds, spec.threads),
                seed=pinned.seed,
                cancel=self._cancel(pinned.run),
                on_output=narrate,
            )
        return outcome, self._log(folder)

    def _log(self, folder: Path) -> str:
        try:
            text = (folder / OUTPUT).read_text(errors="replace")
        except FileNotFoundError:
            text = ""
        return self._blobs.put(kept(text, os.environ).encode())

    def _train(
        self, pinned: RunPinned, arrived: DataArrived, files: Sequence[str], step: str
    ) -> tuple[JobOutcome, str]:
        order = TrainOrder(
            model=pinned.model,
            files=tuple(files),
            rows=arrived.first_row + arrived.rows,
            champion_rows=self._champion_rows(pinned),
            most_held_out=pinned.most_held_out,
            refit=step == "refit",
        )
        return self._run(pinned, step, order, self._code(pinned))

    def _bake(
        self, pinned: RunPinned, arrived: DataArrived, files: Sequence[str], step: str
    ) -> TrainedModel | Failure:
        outcome, log = self._train(pinned, arrived, files, step)
        failure = failure_of(outcome, log)
        if failure is not None:
            return failure
        report = report_of(outcome, TrainReport)
        bundle = self._bundle(pinned, arrived, report, outcome, step)
        return TrainedModel(
            bundle=self._blobs.put(bundle.encode()),
            runtime=report.runtime,
            rows=report.rows,
            held_out=report.held_out,
            seconds=outcome.seconds,
            peak_memory=outcome.peak_memory,
            log=log,
        )

    def _more_rows(self, pinned: RunPinned, report: TrainReport) -> int:
        if pinned.champion_bundle is None:
            return 0
        return max(0, report.rows - self._read(pinned.champion_bundle).rows)

    def _read(self, bundle: str) -> Bundle:
        return Bundle.decode(self._blobs.get(bundle))

    def _champion_rows(self, pinned: RunPinned) -> str | None:
        if pinned.champion_bundle is None:
            return None
        champion = self._read(pinned.champion_bundle)
        self._blobs.get(champion.trained_rows)
        return str(self._blobs.path(champion.trained_rows))

    def _bundle(
        self,
        pinned: RunPinned,
        arrived: DataArrived,
        report: TrainReport,
        outcome: JobOutcome,
        step: str,
    ) -> Bundle:
        private = pinned.spec.table.private
        folder = self._work.step(pinned.run, step)
        compiled = report.runtime != "native"
        return Bundle(
            model=pinned.model,
            recipe=pinned.recipe,
            snapshot=pinned.snapshot,
            source=pinned.spec.source,
            environment=pinned.environment,
            data_version=arrived.version,
            data_digest=arrived.digest,
            params=pinned.spec.params,
            seed=pinned.seed,
            runtime=report.runtime,
            runtime_data=self._blobs.put_file(folder / "runtime.bin") if compiled else None,
            why_runtime=report.why,
            artifact=self._blobs.put_file(folder / "model.bin"),
            artifact_format=report.form,
            inputs=_inputs(report, arrived, private),
            trained_rows=self._blobs.put_file(folder / "trained.bin"),
            rows=report.rows,
            refit=step == "refit",
            seconds=outcome.seconds,
            peak_memory=outcome.peak_memory,
            python=platform.python_version(),
            example={n: v for n, v in report.example.items() if n not in private},
            native_above=report.native_above,
        )

    def _score(
        self, pinned: RunPinned, arrived: DataArrived, files: Sequence[str], bundle: str
    ) -> tuple[JobOutcome, str]:
        champion = self._read(bundle)
        order = ScoreOrder(
            model=pinned.model,
            files=tuple(files),
            rows=arrived.first_row + arrived.rows,
            judge=str(self._work.step(pinned.run, "train") / "judge.npy"),
            saved=Model(
                str(self._blobs.path(champion.artifact)),
                champion.artifact,
                champion.artifact_format,
            ),
        )
        return self._run(pinned, "score", order, (champion.snapshot, champion.source))

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
        again = self._bake(pinned, arrived, files, "refit")
        return again if isinstance(again, Failure) else again.bundle


def _unread(batch: Batch, failure: Failure) -> Retry | Stop:
    """Why a batch was not read. None of the user's code runs there."""
    kind = Retry if failure.again or failure.code not in _IN_VAIN else Stop
    return kind(
        "EB307",
        "the batch could not be read",
        where=", ".join(batch.names),
        why=failure.error.replace("your code", "reading it"),
        mend="repeat the command"
        if kind is Retry
        else "give fewer rows at a time, or plainer ones",
    )


@contextmanager
def _lines(narrate: Callable[[str], None] | None) -> Iterator[Callable[[str], None] | None]:
    """Passes text on without its secrets: line by line, so that none is cut in two."""
    if narrate is None:
        yield None
        return
    rest = ""

    def pass_on(text: str) -> None:
        nonlocal rest
        whole, end, rest = (rest + text).rpartition("\n")
        if end:
            narrate(kept(whole + end, os.environ))

    yield pass_on
    if rest:
        narrate(kept(rest, os.environ))


def _inputs(
    report: TrainReport, arrived: DataArrived, private: tuple[str, ...]
) -> tuple[Input, ...]:
    """The columns of a request: types as stored, nulls as the contract allows them."""
    contract = msgspec.json.decode(arrived.contract, type=Contract)

    def nullable(name: str) -> bool:
        rule = contract.rule(name)
        return rule is None or rule.nullable

    return tuple(
        Input(
            column.name,
            column.type,
            nullable(column.name),
            column.name in report.needed,
            column.name in private,
        )
        for column in report.columns
    )


def _length(path: Path) -> int:
    """Entries of a saved one-dimensional array, read off its header."""
    head = path.read_bytes()[:128].decode("latin-1")
    return int(head.split("'shape': (", 1)[1].split(",", 1)[0] or 0)
