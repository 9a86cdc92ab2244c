"""The last step of a run: verdict, version number and deployment in one fact."""

import msgspec

from everbake.core.decision import Verdict
from everbake.core.facts import Concluded, Evaluated, RunPinned, Trained, TrainingFailed
from everbake.core.loop import ModelState
from everbake.core.updating import rhythm_after


class _Verdict(msgspec.Struct):
    verdict: Verdict


def conclude(
    pinned: RunPinned,
    trained: Trained | TrainingFailed,
    evaluated: Evaluated | TrainingFailed,
    model: ModelState,
) -> Concluded:
    """What follows from a run, for the model as it is now (people may have acted meanwhile).

    Args:
        pinned: what the run worked on.
        trained: the candidate, or why there is none.
        evaluated: the comparison, or why there is none (the same failure, without a candidate).
        model: the model's state.
    """
    if isinstance(trained, TrainingFailed):
        return _failed(pinned, trained, model)
    if isinstance(evaluated, TrainingFailed):
        return _failed(pinned, evaluated, model)
    verdict = msgspec.json.decode(evaluated.decision, type=_Verdict).verdict
    # A winner over somebody who no longer serves has not beaten the one who does.
    free = not model.held and model.rollout is None and model.champion == pinned.champion
    won = verdict == "promoted" and free
    rolls = won and bool(pinned.spec.rollout) and model.champion is not None
    learned = pinned.learning.base is None or trained.new_rows > 0
    updates, full_time = rhythm_after(pinned, model, counts=learned)
    return Concluded(
        model=pinned.model,
        run=pinned.run,
        state="waiting" if verdict == "promoted" and not won else "finished",
        data_version=pinned.data_version,
        recipe=pinned.recipe,
        cause=pinned.cause,
        attempt=pinned.attempt,
        verdict=verdict,
        version=model.versions + 1,
        bundle=evaluated.serves,
        runtime=trained.runtime,
        decision=evaluated.decision,
        serves=won and not rolls,
        rolls=rolls,
        champion_before=model.champion,
        bundle_before=model.champion_bundle,
        candidate_before=model.candidate,
        seconds=trained.seconds + evaluated.seconds,
        log=trained.log,
        base=pinned.learning.base,
        rows=trained.rows,
        new_rows=trained.new_rows,
        updates=updates,
        full_time=full_time,
    )


def _failed(pinned: RunPinned, failed: TrainingFailed, model: ModelState) -> Concluded:
    updates, full_time = rhythm_after(pinned, model, counts=not failed.again)
    return Concluded(
        model=pinned.model,
        run=pinned.run,
        state="failed",
        data_version=pinned.data_version,
        recipe=pinned.recipe,
        cause=pinned.cause,
        attempt=pinned.attempt,
        verdict=None,
        version=None,
        bundle=None,
        runtime=None,
        decision=None,
        serves=False,
        champion_before=model.champion,
        bundle_before=model.champion_bundle,
        candidate_before=model.candidate,
        error=f"{failed.code} {failed.error}",
        again=failed.again,
        log=failed.log,
        updates=updates,
        full_time=full_time,
    )
