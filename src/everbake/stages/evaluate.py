"""The third step of a run: candidate and champion on the same held-out rows."""

from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from everbake.core.facts import DataArrived
from everbake.core.look_facts import Look, LookPostponed
from everbake.core.run_facts import Evaluated, RunPinned, TrainingFailed
from everbake.ports import Compared, Failure, Ports, TooFew

if TYPE_CHECKING:
    from everbake.core.tables import Row

# Checks of how a version was made, and of what it learned from.
_OF_ITS_MAKING = ("leakage", "strength", "jump", "learning", "threshold")
_MOST_LOOKS = 200  # earlier decisions, the newest, whose rows are compared with those that judge


def evaluate(
    pinned: RunPinned, bundle: str, arrived: DataArrived, ports: Ports
) -> Evaluated | TrainingFailed:
    """The decision of the gate, or why there is none."""
    files = ports.tables.files(arrived)
    earlier = _looks(pinned.model, ports)
    outcome = ports.training.evaluate(pinned, bundle, arrived, files, earlier)
    return _failed(pinned, outcome) if isinstance(outcome, Failure) else _found(pinned, outcome)


def look(
    pinned: RunPinned, arrived: DataArrived, ports: Ports
) -> Evaluated | LookPostponed | TrainingFailed:
    """The decision about a candidate that is pending, by all rows that can judge it by now."""
    outcome = ports.training.look(pinned, arrived, ports.tables.files(arrived))
    if isinstance(outcome, TooFew):
        return LookPostponed(pinned.model, pinned.run, outcome.rows, outcome.seconds)
    if isinstance(outcome, Failure):
        return _failed(pinned, outcome)
    return _with_earlier_checks(_found(pinned, outcome), pinned, ports)


def _with_earlier_checks(found: Evaluated, pinned: RunPinned, ports: Ports) -> Evaluated:
    """With what was looked at when the version was made, as far as it was not looked at again."""
    version = None if pinned.pending is None else pinned.pending.version
    key: Row = {"model": pinned.model, "version": version}
    decision = msgspec.json.decode(found.decision)
    known = {check["name"] for check in decision["checks"]}
    for row in ports.ledger.rows("decisions", key, newest=1):
        for check in msgspec.json.decode(str(row["decision"]))["checks"]:
            if check["name"] not in known and check["name"].startswith(_OF_ITS_MAKING):
                decision["checks"].append(check)
    return replace(found, decision=msgspec.json.encode(decision).decode())


def _found(pinned: RunPinned, compared: Compared) -> Evaluated:
    return Evaluated(
        model=pinned.model,
        run=pinned.run,
        decision=compared.decision,
        serves=compared.serves,
        seconds=compared.seconds,
        look=compared.look,
        surpasses=compared.surpasses,
        best_broken=compared.best_broken,
    )


def _failed(pinned: RunPinned, failure: Failure) -> TrainingFailed:
    return TrainingFailed(
        pinned.model,
        pinned.run,
        "evaluate",
        failure.code,
        failure.error,
        failure.log,
        failure.again,
    )


def _looks(model: str, ports: Ports) -> tuple[Look, ...]:
    """The ledger of looks: by which rows this model was decided about, the newest first.

    Where nobody served there was nothing to compare, and no error to make.
    """
    rows = ports.ledger.rows("decisions", {"model": model}, newest=_MOST_LOOKS)
    return tuple(
        Look(
            number=int(row["look"] or 0),
            level=float(row["level"] or 0.0),
            rows=int(row["rows"] or 0),
            digest=str(row["digest"]),
            judged=str(row["judged"]),
        )
        for row in rows
        if row["judged"] is not None and row["champion_before"] is not None
    )
