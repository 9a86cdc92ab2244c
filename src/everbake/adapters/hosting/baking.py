"""Candidates: the job that trains one, and the bundle of all that it needs to answer."""

import platform
from collections.abc import Sequence

import msgspec

from everbake.adapters.hosting.jobs import RunJobs, own_code
from everbake.adapters.hosting.work import failure_of, report_of
from everbake.core.bundle import Bundle, Input, ranking_inputs
from everbake.core.contract import Contract
from everbake.core.facts import DataArrived, RunPinned
from everbake.core.spec import RecipeSpec
from everbake.core.work import TrainOrder, TrainReport
from everbake.errors import HealthError
from everbake.ports import Blobs, Failure, TrainedModel
from everbake.wire import JobOutcome


class Baker:
    """Trains candidates and keeps what they need as blobs."""

    def __init__(self, blobs: Blobs, jobs: RunJobs) -> None:
        """Train by `jobs`; keep the bundles in `blobs`."""
        self._blobs = blobs
        self._jobs = jobs

    def train(
        self,
        pinned: RunPinned,
        arrived: DataArrived,
        files: Sequence[str],
        judged: str | None = None,
    ) -> tuple[JobOutcome, str]:
        """Do the job, unless its result lies there; and the blob of what it printed."""
        step = _step(judged)
        order = TrainOrder(
            model=pinned.model,
            files=tuple(files),
            rows=arrived.first_row + arrived.rows,
            champion_rows=self._champion_rows(pinned),
            most_held_out=pinned.most_held_out,
            refit=step == "refit",
            best_rows=self.best_rows(pinned),
            threshold=None if judged is None else self.read(judged).threshold,
        )
        return self._jobs.run(pinned, step, order, own_code(pinned))

    def bake(
        self,
        pinned: RunPinned,
        arrived: DataArrived,
        files: Sequence[str],
        judged: str | None = None,
    ) -> TrainedModel | Failure:
        """Train and put the model into a bundle.

        Args:
            pinned: the run.
            arrived: the data.
            files: of the table.
            judged: the bundle that was judged, to train once more on all rows for; what was frozen
                with it stays.
        """
        outcome, log = self.train(pinned, arrived, files, judged)
        failure = failure_of(outcome, log)
        if failure is not None:
            return failure
        report = report_of(outcome, TrainReport)
        bundle = self._bundle(pinned, arrived, report, outcome, _step(judged))
        return TrainedModel(
            bundle=self._blobs.put(bundle.encode()),
            runtime=report.runtime,
            rows=report.rows,
            held_out=report.held_out,
            seconds=outcome.seconds,
            peak_memory=outcome.peak_memory,
            log=log,
        )

    def read(self, bundle: str) -> Bundle:
        """The bundle behind a digest."""
        return Bundle.decode(self._blobs.get(bundle))

    def trained_rows(self, bundle: str) -> str:
        """The file with the set of rows that a version was trained on.

        Raises:
            HealthError: it is gone, or damaged.
        """
        rows = self.read(bundle).trained_rows
        self._blobs.get(rows)
        return str(self._blobs.path(rows))

    def _champion_rows(self, pinned: RunPinned) -> str | None:
        bundle = pinned.champion_bundle
        return None if bundle is None else self.trained_rows(bundle)

    def best_rows(self, pinned: RunPinned) -> str | None:
        """The same of the best version so far; None if it is the champion, or damaged."""
        if pinned.best_bundle in (None, pinned.champion_bundle):
            return None
        try:
            return self.trained_rows(str(pinned.best_bundle))
        except HealthError:
            return None  # it cannot judge anybody any more, and its evaluation says so

    def _bundle(
        self,
        pinned: RunPinned,
        arrived: DataArrived,
        report: TrainReport,
        outcome: JobOutcome,
        step: str,
    ) -> Bundle:
        inputs = _inputs(report, arrived, pinned.spec)
        private = {each.name for each in inputs if each.private}
        folder = self._jobs.folder(pinned.run, step)
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
            refit=step == "refit",
            seconds=outcome.seconds,
            peak_memory=outcome.peak_memory,
            python=platform.python_version(),
            example={n: v for n, v in report.example.items() if n not in private},
            native_above=report.native_above,
            threshold=report.threshold,
        )


def _step(judged: str | None) -> str:
    return "train" if judged is None else "refit"


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
