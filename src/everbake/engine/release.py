"""What a person decides about who serves: promote, roll back, pause, resume."""

from dataclasses import dataclass
from typing import TypedDict

from everbake.core.facts import (
    Entry,
    Fact,
    Paused,
    Promoted,
    Resumed,
    RolledBack,
    digest,
)
from everbake.core.loop import ModelState
from everbake.core.rollout_facts import RolloutOpened
from everbake.core.tables import Row
from everbake.engine.owner import Owner
from everbake.engine.rollouts import opened
from everbake.engine.state import load_model
from everbake.errors import ConflictError, UsageError


@dataclass(frozen=True)
class Shifted:
    """Who serves now.

    Attributes:
        model: the model.
        champion: version that serves.
        champion_before: version that served before.
        fact: id of the fact that says so.
        rollout: the rollout by which a version is to take over.
    """

    model: str
    champion: int | None
    champion_before: int | None
    fact: str
    rollout: str | None = None


@dataclass(frozen=True)
class Request:
    """What a person asks for.

    Attributes:
        model: the model.
        version: of which version, or None for the obvious one.
        reason: why.
        request: the same request is one fact, however often it arrives.
    """

    model: str
    version: int | None
    reason: str
    request: str


def promote(request: Request, owner: Owner) -> Shifted:
    """Make a version the champion: the pending candidate, if none is named.

    It takes over by the recipe's rollout; one that is in its rollout already takes over at once.

    Raises:
        UsageError: no such version, or no reason for one that the gate did not promote.
        ConflictError: no candidate is pending, or the version serves already.
    """
    with owner.deciding(request.model) as model:
        shifted = _done("promote", request, owner) or _promoted(request, model, owner)
    owner.await_release(request.model)
    return shifted


def _promoted(request: Request, model: ModelState, owner: Owner) -> Shifted:
    challenger = _challenger(owner, model)
    number = request.version
    if number is None:
        number = model.candidate if challenger is None else challenger
    if number is None:
        raise ConflictError(
            "EB412",
            f"no candidate of {request.model} is pending",
            mend=f"everbake versions {request.model}",
        )
    version = _version(owner, model, number)
    if not request.reason.strip() and not _won(owner, version):
        raise UsageError(
            "EB005",
            f"the gate did not promote {request.model}@{number}: a reason is needed",
            mend='add --reason "why it should serve"',
        )
    if challenger not in (None, number):
        raise ConflictError(
            "EB421",
            f"{request.model}@{challenger} is in its rollout",
            why="one version at a time",
            mend=f"everbake rollback {request.model}, then promote the other",
        )
    shift = _shift(request, model, version, owner)
    if challenger is None and model.spec.rollout and model.champion is not None:
        begun = opened(model, version, owner.ports, request.reason, request.request)
        return _record("promote", request, begun, owner)
    return _record("promote", request, Promoted(**shift), owner)


def _challenger(owner: Owner, model: ModelState) -> int | None:
    """The version that is in its rollout."""
    rows = owner.ports.ledger.rows("rollouts", {"rollout": model.rollout or ""})
    return int(rows[0]["version"] or 0) if rows else None


def rollback(request: Request, owner: Owner) -> Shifted:
    """Bring an older champion back, at once; automatic promotion is held from then on.

    While a version is in its rollout, that ends, and the champion stays.

    Raises:
        UsageError: no such version.
        ConflictError: nothing served before, or the version serves already.
    """
    with owner.deciding(request.model) as model:
        shifted = _done("rollback", request, owner) or _rolled_back(request, model, owner)
    owner.await_release(request.model)
    return shifted


def _rolled_back(request: Request, model: ModelState, owner: Owner) -> Shifted:
    number = request.version
    if number is None:
        number = model.champion if model.rollout is not None else _served_before(owner, model)
    version = _version(owner, model, number or 0)
    if not version["served"]:
        raise ConflictError(
            "EB414",
            f"{request.model}@{number} has never served",
            why="a rollback brings back what has",
            mend=f'everbake promote {request.model}@{number} --reason "why it should serve"',
        )
    fact = RolledBack(**_shift(request, model, version, owner))
    return _record("rollback", request, fact, owner)


class _Shift(TypedDict):
    model: str
    version: int
    bundle: str
    champion_before: int | None
    bundle_before: str | None
    reason: str
    request: str
    rollout: str | None
    challenger: int | None


def _shift(request: Request, model: ModelState, version: Row, owner: Owner) -> _Shift:
    """What a change of who serves records.

    Raises:
        ConflictError: that is who serves already.
        HealthError: what it needs to answer is damaged; nothing is recorded.
    """
    number = int(version["version"] or 0)
    if number == model.champion and model.rollout is None:
        raise ConflictError(
            "EB413", f"{request.model}@{number} is the champion already", mend="everbake status"
        )
    owner.ports.release.check(str(version["bundle"]))
    return {
        "model": request.model,
        "version": number,
        "bundle": str(version["bundle"]),
        "champion_before": model.champion,
        "bundle_before": model.champion_bundle,
        "reason": request.reason,
        "request": request.request,
        "rollout": model.rollout,
        "challenger": _challenger(owner, model),
    }


def pause(request: Request, owner: Owner) -> Shifted:
    """Start no runs of the model until it is resumed."""
    with owner.deciding(request.model):
        fact = Paused(request.model, request.reason, request.request)
        return _record("pause", request, fact, owner)


def resume(request: Request, owner: Owner) -> Shifted:
    """Start runs again, and let winners serve again."""
    with owner.deciding(request.model):
        fact = Resumed(request.model, request.reason, request.request)
        return _record("resume", request, fact, owner)


def _entry_id(kind: str, request: Request) -> str:
    return digest(kind, request.model, request.request)


def _done(kind: str, request: Request, owner: Owner) -> Shifted | None:
    """What came of this very request before, if it was recorded and only its answer was lost."""
    entry = owner.ports.ledger.find(_entry_id(kind, request))
    return None if entry is None else _shifted(request, entry, owner)


def _record(kind: str, request: Request, fact: Fact, owner: Owner) -> Shifted:
    return _shifted(request, owner.ports.ledger.record(_entry_id(kind, request), fact), owner)


def _shifted(request: Request, entry: Entry, owner: Owner) -> Shifted:
    if isinstance(entry.fact, Promoted | RolledBack):
        before, now = entry.fact.champion_before, entry.fact.version
        return Shifted(request.model, now, before, entry.id)
    if isinstance(entry.fact, RolloutOpened):
        serves = entry.fact.champion
        return Shifted(request.model, serves, serves, entry.id, entry.fact.rollout)
    champion = load_model(owner.ports.ledger, request.model).champion
    return Shifted(request.model, champion, champion, entry.id)


def _version(owner: Owner, model: ModelState, number: int) -> Row:
    rows = owner.ports.ledger.rows("versions", {"model": model.model, "version": number})
    if not rows:
        raise UsageError(
            "EB008",
            f"{model.model} has no version {number}",
            mend=f"everbake versions {model.model}",
        )
    return rows[0]


def _won(owner: Owner, version: Row) -> bool:
    runs = owner.ports.ledger.rows("runs", {"run": version["run"]})
    return bool(version.get("served")) or runs[0]["verdict"] == "promoted"


def _served_before(owner: Owner, model: ModelState) -> int:
    rows = owner.ports.ledger.rows("versions", {"model": model.model, "version": model.champion})
    before = rows[0]["replaced"] if rows else None
    if before is None:
        raise ConflictError(
            "EB414",
            f"no older version of {model.model} has served",
            mend=f"everbake versions {model.model}; everbake rollback {model.model}@V",
        )
    return int(before)
