"""What each fact changes in the tables that are derived from the facts.

One pure function serves every ledger (memory, SQLite, PostgreSQL), the rebuild in `audit verify`,
and the state that `core.loop` decides on.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import singledispatch

import msgspec

from everbake.core.facts import (
    BatchAccepted,
    BatchQuarantined,
    BatchRejected,
    Concluded,
    DataArrived,
    Entry,
    Evaluated,
    Paused,
    Promoted,
    RecipeChanged,
    Resumed,
    RetrainRequested,
    RolledBack,
    RunPinned,
    Trained,
    TrainingFailed,
)

Cell = str | int | float | None
Row = dict[str, Cell]

# Key columns of each table.
KEYS: dict[str, tuple[str, ...]] = {
    "models": ("model",),
    "data_versions": ("model", "version"),
    "quarantine": ("model", "id"),
    "runs": ("run",),
    "versions": ("model", "version"),
    "decisions": ("run",),
    "deployments": ("model",),
}

# The other columns of each table: the numbered SQL schemas have these, and a test compares.
COLUMNS: dict[str, tuple[str, ...]] = {
    table: tuple(names.split())
    for table, names in {
        "models": """recipe recipe_number recipe_fact recipe_n snapshot source spec held paused
            rows data_version data_fact data_n contract covered covered_recipe versions running
            run_n retrain_fact retrain_n last_run last_cause last_kind last_attempt last_again
            last_ended champion champion_bundle candidate""",
        "data_versions": """n digest rows first_row table_version fact time sources notices
            quarantine""",
        "quarantine": """n digest rows findings findings_count sources blobs state reason
            data_version time""",
        "runs": """n model cause cause_kind attempt data_version recipe champion seed environment
            state step started ended bundle peak_memory rows_trained log error verdict version
            seconds""",
        "versions": "n state served replaced run bundle runtime recipe data_version time",
        "decisions": "n model version decision champion_before time",
        "deployments": "version bundle previous previous_bundle generation time",
    }.items()
}

# The column that says which row of a table is newer: a place in the ledger, never a time.
NEWEST: dict[str, str] = dict.fromkeys(KEYS, "n") | {
    "models": "recipe_n",
    "deployments": "generation",
}


@dataclass(frozen=True)
class Put:
    """Insert the row with this key, or change these columns of it.

    Attributes:
        table: a key of `KEYS`.
        key: the values of the key columns, in their order.
        columns: the other columns to set.
    """

    table: str
    key: tuple[Cell, ...]
    columns: Mapping[str, Cell]


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
    return (Put("models", (fact.model,), {"retrain_fact": entry.id, "retrain_n": entry.n}),)


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
    return (
        Put("runs", (fact.run,), run),
        Put(
            "models",
            (fact.model,),
            {"running": fact.run, "run_n": entry.n, "last_kind": fact.cause_kind},
        ),
    )


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
def _(fact: Concluded, entry: Entry) -> tuple[Put, ...]:
    run: Row = {
        "state": fact.state,
        "step": "conclude",
        "verdict": fact.verdict,
        "version": fact.version,
        "seconds": fact.seconds,
        "ended": entry.time,
        "log": fact.log,
    }
    model: Row = {
        "running": None,
        "covered": fact.data_version,
        "covered_recipe": fact.recipe,
        "last_run": fact.run,
        "last_cause": fact.cause,
        "last_attempt": fact.attempt,
        "last_again": int(fact.again),
        "last_ended": entry.time,
    }
    puts = [Put("runs", (fact.run,), run)]
    if fact.version is not None:
        model |= {"versions": fact.version, "candidate": _candidate_after(fact)}
        puts += _numbered(fact, entry)
    puts.append(Put("models", (fact.model,), model))
    if fact.serves:
        puts += _deployed(fact, entry)
    return tuple(puts)


def _candidate_after(fact: Concluded) -> int | None:
    if fact.serves:
        return None
    return fact.candidate_before if fact.verdict == "rejected" else fact.version


def _numbered(fact: Concluded, entry: Entry) -> list[Put]:
    """The rows of a new version and its decision; a candidate that it replaces is retired."""
    states = {"promoted": "candidate", "inconclusive": "candidate", "rejected": "rejected"}
    columns: Row = {
        "n": entry.n,
        "state": states[str(fact.verdict)],
        "run": fact.run,
        "bundle": fact.bundle,
        "runtime": fact.runtime,
        "recipe": fact.recipe,
        "data_version": fact.data_version,
        "time": entry.time,
    }
    puts = [
        Put("versions", (fact.model, fact.version), columns),
        Put(
            "decisions",
            (fact.run,),
            {
                "n": entry.n,
                "model": fact.model,
                "version": fact.version,
                "decision": fact.decision,
                "champion_before": fact.champion_before,
                "time": entry.time,
            },
        ),
    ]
    if fact.candidate_before is not None and fact.verdict != "rejected":
        puts.append(Put("versions", (fact.model, fact.candidate_before), {"state": "retired"}))
    return puts


@_project.register
def _(fact: Promoted, entry: Entry) -> tuple[Put, ...]:
    # A winner that waited leaves the queue; another pending candidate is not asked for any more.
    return (Put("models", (fact.model,), {"candidate": None}), *_deployed(fact, entry))


@_project.register
def _(fact: RolledBack, entry: Entry) -> tuple[Put, ...]:
    return (Put("models", (fact.model,), {"held": 1}), *_deployed(fact, entry))


@_project.register
def _(fact: Paused, entry: Entry) -> tuple[Put, ...]:  # noqa: ARG001 - one shape for all
    return (Put("models", (fact.model,), {"paused": 1}),)


@_project.register
def _(fact: Resumed, entry: Entry) -> tuple[Put, ...]:  # noqa: ARG001 - one shape for all
    return (Put("models", (fact.model,), {"paused": 0, "held": 0}),)


def _deployed(fact: Concluded | Promoted | RolledBack, entry: Entry) -> list[Put]:
    """A version serves now; whoever served before is retired and kept warm."""
    puts = []
    if fact.champion_before is not None:
        left: Row = {"state": "retired"}
        if isinstance(fact, RolledBack):  # whoever was rolled back brings nobody back
            left["replaced"] = None
        puts.append(Put("versions", (fact.model, fact.champion_before), left))
    now: Row = {"state": "champion", "served": 1}
    if not isinstance(fact, RolledBack):  # which goes back: what it replaces is not to come back
        now["replaced"] = fact.champion_before
    puts.append(Put("versions", (fact.model, fact.version), now))
    deployment: Row = {
        "version": fact.version,
        "bundle": fact.bundle,
        "previous": fact.champion_before,
        "previous_bundle": fact.bundle_before,
        "generation": entry.n,
        "time": entry.time,
    }
    puts.append(Put("deployments", (fact.model,), deployment))
    champion: Row = {"champion": fact.version, "champion_bundle": fact.bundle}
    puts.append(Put("models", (fact.model,), champion))
    return puts
