"""Candidates: the job that trains or updates one, and the bundle of all that it needs to answer."""

import platform
from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec

from everbake.adapters.hosting.jobs import RunJobs, own_code
from everbake.adapters.hosting.work import failure_of, report_of
from everbake.core.bundle import Bundle, Input, ranking_inputs
from everbake.core.contract import Contract
from everbake.core.facts import DataArrived
from everbake.core.run_facts import RunPinned
from everbake.core.spec import RecipeSpec
from everbake.core.work import Base, Model, TrainOrder, TrainReport
from everbake.errors import HealthError
from everbake.ports import Blobs, Failure, TrainedModel
from everbake.wire import JobOutcome


@dataclass(frozen=True)
class _Job:
    """A job that made a model.

    Attributes:
        pinned: its run.
        arrived: the newest data version that it has seen.
        step: `train` or `refit`.
        base: bundle of the model that was updated.
    """

    pinned: RunPinned
    arrived: DataArrived
    step: str
    base: str | None


class Baker:
    """Trains candidates and keeps what they need as blobs."""

    def __init__(self, blobs: Blobs, jobs: RunJobs) -> None:
        """Train by `jobs`; keep the bundles in `blobs`."""
        self._blobs = blobs
        self._jobs = jobs

    def train(
        self, pinned: RunPinned, arrived: DataArrived, files: Sequence[str]
    ) -> tuple[JobOutcome, str]:
        """Do the job, unless its result lies there; and the blob of what it printed."""
        return self._jobs.run(
            pinned, "train", self._order(pinned, arrived, files), own_code(pinned)
        )

    def bake(
        self, pinned: RunPinned, arrived: DataArrived, files: Sequence[str]
    ) -> TrainedModel | Failure:
        """Train, or update the champion, and put the model into a bundle."""
        outcome, log = self.train(pinned, arrived, files)
        return self._kept(_Job(pinned, arrived, "train", pinned.learning.bundle), outcome, log)

    def refit(
        self, pinned: RunPinned, arrived: DataArrived, files: Sequence[str], candidate: str
    ) -> TrainedModel | Failure:
        """The candidate of this bundle, once more on all rows: trained, or updated by the rest.

        What was frozen with the candidate stays.
        """
        base = candidate if pinned.learning.bundle else None
        order = replace(
            self._order(pinned, arrived, files),
            refit=True,
            base=self._base("the candidate", base),
            threshold=self.read(candidate).threshold,
        )
        outcome, log = self._jobs.run(pinned, "refit", order, own_code(pinned))
        return self._kept(_Job(pinned, arrived, "refit", base), outcome, log)

    def _order(self, pinned: RunPinned, arrived: DataArrived, files: Sequence[str]) -> TrainOrder:
        champion, learning = pinned.champion_bundle, pinned.learning
        return TrainOrder(
            model=pinned.model,
            files=tuple(files),
            rows=arrived.first_row + arrived.rows,
            champion_rows=None if champion is None else self.trained_rows(champion),
            most_held_out=pinned.most_held_out,
            best_rows=self.best_rows(pinned),
            base=self._base(f"version {learning.base}", learning.bundle),
            because=learning.because,
            threshold=self.read(learning.bundle).threshold if learning.bundle else None,
        )

    def _kept(self, job: _Job, outcome: JobOutcome, log: str) -> TrainedModel | Failure:
        """What a job made, in a bundle."""
        failure = failure_of(outcome, log)
        if failure is not None:
            return failure
        report = report_of(outcome, TrainReport)
        return TrainedModel(
            bundle=self._blobs.put(self._bundle(job, report, outcome).encode()),
            runtime=report.runtime,
            rows=report.rows,
            held_out=report.held_out,
            seconds=outcome.seconds,
            peak_memory=outcome.peak_memory,
            log=log,
            new_rows=report.new_rows,
        )

    def read(self, bundle: str) -> Bundle:
        """The bundle behind a digest."""
        return Bundle.decode(self._blobs.get(bundle))

    def saved(self, bundle: Bundle) -> Model:
        """The model of a bundle, for a host."""
        path = str(self._blobs.path(bundle.artifact))
        return Model(path, bundle.artifact, bundle.artifact_format)

    def trained_rows(self, bundle: str) -> str:
        """The file with the set of rows that a version was trained on.

        Raises:
            HealthError: it is gone, or damaged.
        """
        rows = self.read(bundle).trained_rows
        self._blobs.get(rows)
        return str(self._blobs.path(rows))

    def best_rows(self, pinned: RunPinned) -> str | None:
        """The same of the best version so far; None if it is the champion, or damaged."""
        if pinned.best_bundle in (None, pinned.champion_bundle):
            return None
        try:
            return self.trained_rows(str(pinned.best_bundle))
        except HealthError:
            return None  # it cannot judge anybody any more, and its evaluation says so

    def _base(self, name: str, bundle: str | None) -> Base | None:
        """The model that learns on; None for one that is trained from scratch."""
        if bundle is None:
            return None
        return Base(name, self.saved(self.read(bundle)), self.trained_rows(bundle))

    def _updates(self, job: _Job, report: TrainReport) -> int:
        """Runs that have taught the model since it was trained from scratch."""
        if job.base is None:
            return 0
        taught = job.step == "train" and report.new_rows > 0
        return self.read(job.base).updates + int(taught)

    def _bundle(self, job: _Job, report: TrainReport, outcome: JobOutcome) -> Bundle:
        pinned, arrived = job.pinned, job.arrived
        inputs = _inputs(report, arrived, pinned.spec)
        private = {each.name for each in inputs if each.private}
        folder = self._jobs.folder(pinned.run, job.step)
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
            inputs=inputs,
            trained_rows=self._blobs.put_file(folder / "trained.bin"),
            rows=report.rows,
            refit=job.step == "refit",
            seconds=outcome.seconds,
            peak_memory=outcome.peak_memory,
            python=platform.python_version(),
            example={n: v for n, v in report.example.items() if n not in private},
            native_above=report.native_above,
            base=job.base,
            new_rows=report.new_rows,
            updates=self._updates(job, report),
            threshold=report.threshold,
        )


def _inputs(report: TrainReport, arrived: DataArrived, spec: RecipeSpec) -> tuple[Input, ...]:
    """The columns of a request: types as stored, nulls as the contract allows them."""
    private = spec.table.private
    if spec.ranked is not None:
        hidden = spec.ranked.events.user in private
        return ranking_inputs(report.columns[0].type, private=hidden)
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
