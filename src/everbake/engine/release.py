"""What a person decides about who serves: promote, roll back, pin, pause, resume."""

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
from everbake.core.look_facts import BestPinned
from everbake.core.loop import ModelState
from everbake.core.rollout_facts import RolloutOpened
from everbake.core.tables import Row
from everbake.core.taking_over import verdict_of
from everbake.engine.owner import Owner
from everbake.engine.rollouts import opened
from everbake.engine.state import becomes_best, last_decision, load_model
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
        best: the version behind which no candidate may fall.
    """

    model: str
    champion: int | None
    champion_before: int | None
    fact: str
    rollout: str | None = None
    best: int | None = None


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
    pins = becomes_best(owner.ports.ledger, model, number)
    fact = Promoted(**shift, pins=pins, candidate_before=model.candidate)
    return _record("promote", request, fact, owner)


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
    shift = _shift(request, model, version, owner)
    # What was not fit to serve is nothing that the next candidates have to be held against.
    pins = model.best == model.champion != shift["version"]
    return _record("rollback", request, RolledBack(**shift, pins=pins), owner)


def pin(request: Request, owner: Owner) -> Shifted:
    """Say which version is the best so far: the champion, if none is named.

    Raises:
        UsageError: no such version, or no reason.
        ConflictError: nothing serves yet, or the version never has.
    """
    with owner.deciding(request.model) as model:
        return _done("pin", request, owner) or _pinned(request, model, owner)


def _pinned(request: Request, model: ModelState, owner: Owner) -> Shifted:
    number = model.champion if request.version is None else request.version
    if number is None:
        raise ConflictError(
            "EB422",
            f"no version of {request.model} serves yet",
            why="the first that does is the best so far by itself",
            mend=f"everbake status {request.model}",
        )
    if not request.reason.strip():
        raise UsageError(
            "EB005",
            "which version is the best so far is changed by hand: a reason is needed",
            mend='add --reason "why no candidate may fall behind it"',
        )
    version = _version(owner, model, number)
    if not version["served"]:
        raise ConflictError(
            "EB422",
            f"{request.model}@{number} has never served",
            why="candidates are held against what has",
            mend=f'everbake promote {request.model}@{number} --reason "why it should serve"',
        )
    bundle = str(version["bundle"])
    owner.ports.release.check(bundle)
    fact = BestPinned(request.model, number, bundle, model.best, request.reason, request.request)
    return _record("pin", request, fact, owner)


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
    model = load_model(owner.ports.ledger, request.model)
    before, now, rollout = model.champion, model.champion, None
    if isinstance(entry.fact, Promoted | RolledBack):
        before, now = entry.fact.champion_before, entry.fact.version
    if isinstance(entry.fact, RolloutOpened):
        before, now, rollout = entry.fact.champion, entry.fact.champion, entry.fact.rollout
    return Shifted(request.model, now, before, entry.id, rollout, model.best)


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
    last = last_decision(owner.ports.ledger, str(version["model"]), int(version["version"] or 0))
    won = last is not None and verdict_of(str(last["decision"])) == "promoted"
    return won or bool(version.get("served"))


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
