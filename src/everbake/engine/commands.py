"""What the owner can be asked to do, by name, in plain data: the same here and over the channel."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from everbake.engine import release
from everbake.engine.owner import Owner, Received
from everbake.engine.release import Request
from everbake.errors import UsageError
from everbake.views.outcomes import SCHEMA, data_outcome, quarantined


@dataclass(frozen=True)
class Files:
    """`ingest`: files that arrive together."""

    model: str
    sources: tuple[str, ...]
    names: tuple[str, ...]
    wait: bool = True


@dataclass(frozen=True)
class Retraining:
    """`retrain`: a run without new data; `full`: from scratch."""

    model: str
    request: str
    wait: bool = True
    full: bool = False


@dataclass(frozen=True)
class Settling:
    """`accept` or `reject` a quarantined batch."""

    model: str
    quarantine: str
    reason: str


@dataclass(frozen=True)
class RunName:
    """`cancel` a run."""

    run: str


def ingest(owner: Owner, asked: Files) -> dict[str, Any]:
    """Take files as one batch, and run what is due."""
    return _received(owner, owner.ingest(asked.model, asked.sources, asked.names), asked.wait)


def _received(owner: Owner, received: Received, wait: bool) -> dict[str, Any]:  # noqa: FBT001
    run = None
    if received.quarantine is None:
        run = _run_over(owner, received.model, received.data_version or 0, wait=wait)
    return data_outcome(
        owner.ports.ledger,
        received.model,
        data_version=received.data_version,
        rows=received.rows,
        quarantine=received.quarantine,
        run=None if received.duplicate else run,
        duplicate=received.duplicate,
    )


def _run_over(owner: Owner, model: str, data_version: int, *, wait: bool) -> str | None:
    """The run that covers a data version, after it has ended or without waiting for it."""
    if not wait:
        return owner.next_baked(model)
    owner.settle(model)
    return owner.run_covering(model, data_version)


def retrain(owner: Owner, asked: Retraining) -> dict[str, Any]:
    """Run without new data."""
    owner.request_retrain(asked.model, asked.request, full=asked.full)
    if asked.wait:
        owner.settle(asked.model)
        settled = owner.known(asked.model)
        run = settled.last_run if settled.run_n > settled.retrain_n else None
    else:
        run = owner.next_baked(asked.model)
    state = owner.model(asked.model)
    return data_outcome(
        owner.ports.ledger, asked.model, data_version=state.data_version, rows=0, run=run
    )


def accept(owner: Owner, asked: Settling) -> dict[str, Any]:
    """Take a quarantined batch after all, and run what is due."""
    received = owner.accept(asked.model, asked.quarantine, asked.reason)
    outcome = _received(owner, received, wait=True)
    return {**outcome, "quarantine": asked.quarantine, "state": "accepted"}


def reject(owner: Owner, asked: Settling) -> dict[str, Any]:
    """Throw a quarantined batch away."""
    owner.reject(asked.model, asked.quarantine, asked.reason)
    entry = quarantined(owner.ports.ledger, asked.model, asked.quarantine)
    return {
        "schema": SCHEMA,
        "model": asked.model,
        "quarantine": asked.quarantine,
        "state": entry["state"] if entry else "rejected",
        "data_version": None,
        "run": None,
        "decision": None,
    }


def _shifting(
    shift: Callable[[Request, Owner], release.Shifted],
) -> Callable[[Owner, Request], dict[str, Any]]:
    def command(owner: Owner, asked: Request) -> dict[str, Any]:
        owner.known(asked.model)
        shifted = shift(asked, owner)
        return {"schema": SCHEMA, **msgspec.to_builtins(shifted)}

    return command


def resume(owner: Owner, asked: Request) -> dict[str, Any]:
    """Start runs again, and wait for what is due."""
    outcome = _shifting(release.resume)(owner, asked)
    owner.settle(asked.model)
    return outcome


def cancel(owner: Owner, asked: RunName) -> dict[str, Any]:
    """Kill the job of a run that is under way here."""
    rows = owner.ports.ledger.rows("runs", {"run": asked.run})
    if not rows:
        raise UsageError("EB009", f"there is no run {asked.run!r}", mend="everbake runs NAME")
    if rows[0]["state"] != "running":
        raise UsageError(
            "EB009",
            f"run {asked.run} has ended ({rows[0]['state']})",
            mend=f"everbake runs {rows[0]['model']}",
        )
    owner.cancel(asked.run)
    ended = owner.ports.ledger.rows("runs", {"run": asked.run})[0]
    return {"schema": SCHEMA, "run": asked.run, "model": ended["model"], "state": ended["state"]}


COMMANDS: dict[str, tuple[type, Callable[[Owner, Any], dict[str, Any]]]] = {
    "ingest": (Files, ingest),
    "retrain": (Retraining, retrain),
    "accept": (Settling, accept),
    "reject": (Settling, reject),
    "promote": (Request, _shifting(release.promote)),
    "rollback": (Request, _shifting(release.rollback)),
    "pin": (Request, _shifting(release.pin)),
    "pause": (Request, _shifting(release.pause)),
    "resume": (Request, resume),
    "cancel": (RunName, cancel),
}


def perform(owner: Owner, command: str, arguments: bytes) -> dict[str, Any]:
    """Do what a command of this name means, with arguments in JSON."""
    kind, function = COMMANDS[command]
    return function(owner, msgspec.json.decode(arguments, type=kind))
