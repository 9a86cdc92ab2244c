"""What each fact changes in the tables that are derived from the facts.

One pure function serves every ledger (memory, SQLite, PostgreSQL), the rebuild in `audit verify`,
and the state that `core.loop` decides on.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import singledispatch

import msgspec

from everbake.core.deploying import (
    best_pinned,
    concluded,
    promoted,
    rolled_back,
    rollout_ended,
    rollout_moved,
    rollout_opened,
)
from everbake.core.facts import (
    BatchAccepted,
    BatchQuarantined,
    BatchRejected,
    DataArrived,
    Entry,
    Paused,
    Promoted,
    RecipeChanged,
    Resumed,
    RetrainRequested,
    RolledBack,
)
from everbake.core.look_facts import BestPinned, LookPostponed
from everbake.core.rollout_facts import RolloutEnded, RolloutMoved, RolloutOpened
from everbake.core.run_facts import Concluded, Evaluated, RunPinned, Trained, TrainingFailed
from everbake.core.tables import KEYS, Cell, Put, Row


def project(entry: Entry) -> tuple[Put, ...]:
    """The changes that an entry makes, in order."""
    return _project(entry.fact, entry)


@dataclass
class Projections:
    """The tables in memory: rows by key. Missing columns are None."""

    tables: dict[str, dict[tuple[Cell, ...], Row]] = field(
        default_factory=lambda: {table: {} for table in KEYS}
    )

    def apply(self, entry: Entry) -> None:
        """Take one entry in."""
        for put in project(entry):
            rows = self.tables[put.table]
            fresh = dict(zip(KEYS[put.table], put.key, strict=True))
            rows.setdefault(put.key, fresh).update(put.columns)


def fold(entries: Iterable[Entry]) -> Projections:
    """All projections of a sequence of entries."""
    folded = Projections()
    for entry in entries:
        folded.apply(entry)
    return folded


@singledispatch
def _project(fact: object, entry: Entry) -> tuple[Put, ...]:
    raise TypeError(f"no projection for {type(fact).__name__} at {entry.n}")


@_project.register
def _(fact: RecipeChanged, entry: Entry) -> tuple[Put, ...]:
    columns: dict[str, Cell] = {
        "recipe": fact.digest,
        "recipe_number": fact.number,
        "recipe_fact": entry.id,
        "recipe_n": entry.n,
        "snapshot": fact.snapshot,
        "source": fact.spec.source,
        "spec": msgspec.json.encode(fact.spec, order="deterministic").decode(),
        "held": 0,
    }
    if fact.number == 1:
        columns |= {"paused": 0, "rows": 0, "data_version": 0, "covered": 0, "versions": 0}
    return (Put("models", (fact.model,), columns),)


@_project.register
def _(fact: DataArrived, entry: Entry) -> tuple[Put, ...]:
    puts = [
        Put(
            "data_versions",
            (fact.model, fact.version),
            {
                "n": entry.n,
                "digest": fact.digest,
                "rows": fact.rows,
                "first_row": fact.first_row,
                "table_version": fact.table_version,
                "fact": entry.id,
                "time": entry.time,
                "sources": "\n".join(fact.sources),
                "notices": "\n".join(fact.notices),
                "quarantine": fact.quarantine,
            },
        ),
        Put(
            "models",
            (fact.model,),
            {
                "data_version": fact.version,
                "data_fact": entry.id,
                "data_n": entry.n,
                "rows": fact.first_row + fact.rows,
                "contract": fact.contract,
            },
        ),
    ]
    if fact.quarantine is not None:
        state: Row = {"state": "accepted", "reason": fact.reason, "data_version": fact.version}
        puts.append(Put("quarantine", (fact.model, fact.quarantine), state))
    return tuple(puts)


@_project.register
def _(fact: BatchQuarantined, entry: Entry) -> tuple[Put, ...]:
    columns: Row = {
        "n": entry.n,
        "digest": fact.digest,
        "rows": fact.rows,
        "findings": fact.findings,
        "findings_count": fact.findings_count,
        "sources": "\n".join(fact.sources),
        "blobs": "\n".join(fact.blobs),
        "state": "waiting",
        "time": entry.time,
    }
    return (Put("quarantine", (fact.model, fact.quarantine), columns),)


@_project.register
def _(fact: BatchRejected, entry: Entry) -> tuple[Put, ...]:  # noqa: ARG001 - one shape for all
    columns: Row = {"state": "rejected", "reason": fact.reason}
    return (Put("quarantine", (fact.model, fact.quarantine), columns),)


@_project.register
def _(fact: BatchAccepted, entry: Entry) -> tuple[Put, ...]:  # noqa: ARG001 - one shape for all
    columns: Row = {"state": "accepted", "reason": fact.reason, "data_version": fact.version}
    return (Put("quarantine", (fact.model, fact.quarantine), columns),)


@_project.register
def _(fact: RetrainRequested, entry: Entry) -> tuple[Put, ...]:
    asked: Row = {"retrain_fact": entry.id, "retrain_n": entry.n}
    if fact.full:
        asked["full_n"] = entry.n
    return (Put("models", (fact.model,), asked),)


@_project.register
def _(fact: RunPinned, entry: Entry) -> tuple[Put, ...]:
    run: Row = {
        "model": fact.model,
        "n": entry.n,
        "cause": fact.cause,
        "cause_kind": fact.cause_kind,
        "attempt": fact.attempt,
        "data_version": fact.data_version,
        "recipe": fact.recipe,
        "champion": fact.champion,
        "seed": fact.seed,
        "environment": fact.environment,
        "state": "running",
        "step": "pin",
        "started": entry.time,
    }
    model: Row = {"running": fact.run, "last_kind": fact.cause_kind}
    if fact.pending is None:  # a look at a pending candidate answers no request for a new one
        model["run_n"] = entry.n
    return (Put("runs", (fact.run,), run), Put("models", (fact.model,), model))


@_project.register
def _(fact: Trained, entry: Entry) -> tuple[Put, ...]:  # noqa: ARG001 - one shape for all
    columns: Row = {
        "step": "train",
        "bundle": fact.bundle,
        "peak_memory": fact.peak_memory,
        "rows_trained": fact.rows,
        "log": fact.log,
    }
    return (Put("runs", (fact.run,), columns),)


@_project.register
def _(fact: TrainingFailed, entry: Entry) -> tuple[Put, ...]:  # noqa: ARG001 - one shape for all
    columns: Row = {"step": fact.step, "error": f"{fact.code} {fact.error}", "log": fact.log}
    return (Put("runs", (fact.run,), columns),)


@_project.register
def _(fact: Evaluated, entry: Entry) -> tuple[Put, ...]:  # noqa: ARG001 - one shape for all
    return (Put("runs", (fact.run,), {"step": "evaluate"}),)


@_project.register
def _(fact: LookPostponed, entry: Entry) -> tuple[Put, ...]:  # noqa: ARG001 - one shape for all
    return (Put("runs", (fact.run,), {"step": "evaluate"}),)


@_project.register
def _(fact: Paused, entry: Entry) -> tuple[Put, ...]:  # noqa: ARG001 - one shape for all
    return (Put("models", (fact.model,), {"paused": 1}),)


@_project.register
def _(fact: Resumed, entry: Entry) -> tuple[Put, ...]:  # noqa: ARG001 - one shape for all
    return (Put("models", (fact.model,), {"paused": 0, "held": 0}),)


_project.register(Concluded, concluded)
_project.register(RolloutOpened, rollout_opened)
_project.register(RolloutMoved, rollout_moved)
_project.register(RolloutEnded, rollout_ended)
_project.register(Promoted, promoted)
_project.register(RolledBack, rolled_back)
_project.register(BestPinned, best_pinned)
