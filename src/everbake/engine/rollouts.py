"""Opens the rollout of a version that won, and takes the steps that follow from what was seen."""

from dataclasses import asdict, replace

import msgspec

from everbake.core.facts import Entry, Promoted, digest
from everbake.core.loop import ModelState
from everbake.core.metrics import known_metric
from everbake.core.rollout.assessing import Assessment, assess
from everbake.core.rollout.plan import Plan, Stage
from everbake.core.rollout.planning import Baseline, Loss, Options, make_plan
from everbake.core.rollout_facts import Exposure, RolloutEnded, RolloutMoved, RolloutOpened
from everbake.core.spec import PartSpec, RecipeSpec
from everbake.core.tables import Row
from everbake.engine.state import becomes_best
from everbake.ports import Ports, Records

_BEFORE = 7 * 86400.0  # seconds of the champion that a plan is made from
_STOPS = ("roll_back", "invalid")  # steps that are taken although the model is paused
_OUTCOMES = {"advance": "promoted", "promote": "promoted", "roll_back": "rolled_back"}


def opened(
    model: ModelState, version: Row, ports: Ports, reason: str = "", request: str = ""
) -> RolloutOpened:
    """The fact that a version begins to take over from the champion, with its frozen plan.

    Args:
        model: with a champion, and a recipe that declares a rollout.
        version: a row of `versions`.
        ports: the outside.
        reason: of a person who asks for it.
        request: and the request.
    """
    number, champion = int(version["version"] or 0), model.champion or 0
    why = request or str(version["run"])
    rollout = digest("rollout", model.model, str(number), str(champion), why)[:16]
    plans = tuple(_plans(model, champion, rollout, ports))
    return RolloutOpened(
        model=model.model,
        rollout=rollout,
        version=number,
        bundle=str(version["bundle"]),
        champion=champion,
        plan=msgspec.json.encode(plans, order="deterministic").decode(),
        exposure=_exposure(plans[0], 0),
        reason=reason,
        request=request,
        candidate_before=model.candidate,
    )


def won(model: ModelState, version: Row, ports: Ports) -> tuple[str, Promoted]:
    """The fact that a version which was to take over by a rollout serves at once, with its id."""
    request, number = digest("won", str(version["run"])), int(version["version"] or 0)
    fact = Promoted(
        model=model.model,
        version=number,
        bundle=str(version["bundle"]),
        champion_before=model.champion,
        bundle_before=model.champion_bundle,
        reason="it won, and the recipe declares no rollout any more",
        request=request,
        pins=becomes_best(ports.ledger, model, number),
        candidate_before=model.candidate,
    )
    return request, fact


def _plans(model: ModelState, champion: int, rollout: str, ports: Ports) -> list[Plan]:
    since = ports.clock.now() - _BEFORE
    parts = model.spec.rollout
    plans = [
        _plan(
            part,
            model.spec,
            digest("salt", rollout, str(place))[:16],
            ports.records.baseline(model.model, champion, since, part.latency),
        )
        for place, part in enumerate(parts)
    ]
    return [*plans[:-1], replace(plans[-1], final=True)]


def _plan(part: PartSpec, spec: RecipeSpec, salt: str, before: Baseline) -> Plan:
    metric = known_metric(spec.answer_metric)
    loss = None
    if metric is not None and metric.row_loss is not None:
        loss = Loss(metric.name, "rate" if metric.kind == "share" else "mean", part.margin)
    options = Options(
        kind=part.kind,
        salt=salt,
        unit=part.unit,
        stages=tuple(map(Stage, part.shares, part.dwell, part.least)),
        loss=loss,
        latency_budget=part.latency,
        maturity=spec.table.maturity,
        most_seconds=part.limit,
        most_requests=part.most,
        errors_rate=part.error_rate,
        errors_margin=part.margins[0],
        latency_margin=part.margins[1],
        relative=part.relative,
        segments=part.segments,
    )
    plan = make_plan(options, before)
    if loss is None:
        why = f"{spec.gate.metric} is no mean over answers that is known here"
        return replace(plan, quality_note=why)
    return plan


def rollout_id(fact: RolloutOpened) -> str:
    """The id of the fact that opens a rollout."""
    return digest("rollout_opened", fact.rollout)


def look_after(rollout: Row, model: ModelState, ports: Ports) -> Entry | None:
    """Take the step that follows for an open rollout, if one does.

    Args:
        rollout: a row of `rollouts`, open.
        model: as it is now, and nobody else may decide about it.
        ports: the outside.
    """
    plans = msgspec.json.decode(str(rollout["plan"]), type=tuple[Plan, ...])
    part, stage = int(rollout["part"] or 0), int(rollout["stage"] or 0)
    fact: RolloutMoved | RolloutEnded | None = _unloadable(rollout, model, ports)
    if fact is None:
        assessment = assessed(rollout, ports.records, ports.clock.now())
        if assessment.step == "wait" or (model.paused and assessment.step not in _STOPS):
            return None
        fact = _stepped(rollout, model, plans, assessment)
    if isinstance(fact, RolloutEnded) and fact.outcome == "promoted":
        fact = replace(fact, pins=becomes_best(ports.ledger, model, fact.version))
    step_id = digest("rollout_step", str(rollout["rollout"]), str(part), str(stage))
    return ports.ledger.record(step_id, fact)


def assessed(rollout: Row, records: Records, now: float) -> Assessment:
    """What follows for an open rollout now."""
    plans = msgspec.json.decode(str(rollout["plan"]), type=tuple[Plan, ...])
    part = int(rollout["part"] or 0)
    tally, passed = records.tally(str(rollout["rollout"]), part)
    return assess(
        plans[part],
        tally,
        int(rollout["stage"] or 0),
        now - float(rollout["stage_opened"] or 0.0),
        now - float(rollout["part_opened"] or 0.0),
        passed,
    )


def _unloadable(rollout: Row, model: ModelState, ports: Ports) -> RolloutEnded | None:
    deployed = ports.ledger.rows("deployments", {"model": model.model})
    why = ports.release.refused(model.model, int(deployed[0]["generation"] or 0))
    if why is None:
        return None
    return _ended(rollout, model, "failed", f"Because a server could not load it: {why}.", "{}")


def _stepped(
    rollout: Row, model: ModelState, plans: tuple[Plan, ...], assessment: Assessment
) -> RolloutMoved | RolloutEnded:
    """The next stage, the next part, or the end."""
    part, stage = int(rollout["part"] or 0), int(rollout["stage"] or 0)
    evidence = msgspec.json.encode(asdict(assessment)).decode()
    last = stage + 1 == len(plans[part].stages)
    onward = None
    if assessment.step in ("advance", "promote"):
        onward = (part + 1, 0) if last else (part, stage + 1)
    if onward is None or onward[0] == len(plans):
        outcome = _OUTCOMES.get(assessment.step, assessment.step)
        return _ended(rollout, model, outcome, assessment.because, evidence)
    return RolloutMoved(
        model=model.model,
        rollout=str(rollout["rollout"]),
        version=int(rollout["version"] or 0),
        part=onward[0],
        stage=onward[1],
        exposure=_exposure(plans[onward[0]], onward[1]),
        because=assessment.because,
        evidence=evidence,
    )


def _ended(
    rollout: Row, model: ModelState, outcome: str, because: str, evidence: str
) -> RolloutEnded:
    return RolloutEnded(
        model=model.model,
        rollout=str(rollout["rollout"]),
        version=int(rollout["version"] or 0),
        bundle=str(rollout["bundle"]),
        outcome=outcome,
        champion_before=model.champion,
        bundle_before=model.champion_bundle,
        because=because,
        evidence=evidence,
        candidate_before=model.candidate,
    )


def _exposure(plan: Plan, stage: int) -> Exposure:
    return Exposure(plan.kind, plan.unit, plan.salt, plan.stages[stage].share)
