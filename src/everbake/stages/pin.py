"""The first step of a run: fix what it works on."""

from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from everbake.core.decision import Verdict
from everbake.core.facts import DataArrived, expected, step_id
from everbake.core.look_facts import Pending
from everbake.core.loop import PENDING, ModelState, Retrain
from everbake.core.run_facts import Learning, RunPinned
from everbake.core.updating import learning_of
from everbake.ports import Ports

if TYPE_CHECKING:
    from everbake.core.tables import Row

_LOOKED_BACK = 20  # decisions, for the best value that a champion had


def pin(order: Retrain, model: ModelState, ports: Ports) -> RunPinned:
    """Data version, recipe, environment, champion and seed, as they are now."""
    if order.cause_kind == PENDING:
        return _look(order, model, ports)
    time = _data_time(model, ports)
    return RunPinned(
        model=order.model,
        run=order.run,
        cause=order.cause,
        cause_kind=order.cause_kind,
        attempt=order.attempt,
        data_version=model.data_version,
        recipe=model.recipe,
        recipe_number=model.recipe_number,
        snapshot=model.snapshot,
        champion=model.champion,
        champion_bundle=model.champion_bundle,
        seed=model.spec.seed,
        environment=ports.training.environment(model.snapshot),
        most_held_out=_most_held_out(model, ports),
        spec=model.spec,
        reached=_reached(model, ports),
        best=model.best,
        best_bundle=model.best_bundle,
        data_time=time,
        learning=_learning(model, time, ports),
    )


def _data_time(model: ModelState, ports: Ports) -> float | None:
    """How new the data are: their newest time, but no later than when their newest version came."""
    entry = ports.ledger.find(str(model.data_fact))
    if entry is None:
        return None
    newest = expected(entry, DataArrived).newest
    return entry.time if newest is None else min(newest, entry.time)


def _look(order: Retrain, model: ModelState, ports: Ports) -> RunPinned:
    """The same for another look at a version: with the recipe that it came from."""
    key: Row = {"model": order.model, "version": order.version}
    version = ports.ledger.rows("versions", key)[0]
    baked = expected(ports.ledger.find(step_id(str(version["run"]), "pin")), RunPinned)
    looks = ports.ledger.rows("decisions", key)
    last = max(looks, key=lambda row: int(row["n"] or 0))
    judged = last["judged"]
    return replace(
        baked,
        run=order.run,
        cause=order.cause,
        cause_kind=order.cause_kind,
        attempt=order.attempt,
        data_version=model.data_version,
        champion=model.champion,
        champion_bundle=model.champion_bundle,
        environment=ports.training.environment(baked.snapshot),
        best=model.best,
        best_bundle=model.best_bundle,
        data_time=_data_time(model, ports),
        pending=Pending(
            version=int(version["version"] or 0),
            bundle=str(version["bundle"]),
            runtime=str(version["runtime"]),
            look=len(looks) + 1,
            rows=int(last["rows"] or 0),
            judged=None if judged is None else str(judged),
        ),
    )


def _learning(model: ModelState, time: float | None, ports: Ports) -> Learning:
    """Whether the candidate is trained from scratch, or the champion taught the new rows."""
    champion: Row = {"model": model.model, "version": model.champion}
    known = ports.ledger.rows("versions", champion) if model.champion is not None else []
    recipe = str(known[0]["recipe"]) if known else None
    return learning_of(model, recipe, time, was_full=_was_full(model, ports))


def _was_full(model: ModelState, ports: Ports) -> bool:
    """Whether the last run failed through no fault of the user's, and trained from scratch."""
    if not (model.last_again and model.last_run):
        return False
    last = expected(ports.ledger.find(step_id(model.last_run, "pin")), RunPinned)
    return last.pending is None and last.learning.base is None


class _Metric(msgspec.Struct):
    name: str
    candidate: float | None = None
    champion: float | None = None


class _Evidence(msgspec.Struct):
    rows_enough: int | None = None


class _Last(msgspec.Struct):
    verdict: Verdict
    metric: _Metric
    evidence: _Evidence | None = None


def _most_held_out(model: ModelState, ports: Ports) -> int | None:
    """How many rows would have been enough for the model's last decision by the same metric."""
    for row in ports.ledger.rows("decisions", {"model": model.model}, newest=1):
        last = msgspec.json.decode(str(row["decision"]), type=_Last)
        if last.evidence is not None and last.metric.name == model.spec.gate.metric:
            return last.evidence.rows_enough
    return None


def _reached(model: ModelState, ports: Ports) -> float | None:
    """The best value that a champion had, or won by, in the last decisions by the same metric."""
    values: list[float | None] = []
    for row in ports.ledger.rows("decisions", {"model": model.model}, newest=_LOOKED_BACK):
        last = msgspec.json.decode(str(row["decision"]), type=_Last)
        if last.metric.name == model.spec.gate.metric:
            values.append(last.metric.champion)
            values.append(last.metric.candidate if last.verdict == "promoted" else None)
    best = max if model.spec.gate.better == "higher" else min
    return best((value for value in values if value is not None), default=None)
