"""The last step of a run that looked at a pending candidate again: what becomes of it."""

from dataclasses import replace

from everbake.core.facts import DataArrived
from everbake.core.look_facts import LookPostponed, Pending
from everbake.core.loop import ModelState
from everbake.core.pending import due_after, due_postponed
from everbake.core.run_facts import Concluded, Evaluated, RunPinned, TrainingFailed
from everbake.core.taking_over import taking_over


def settle(
    pinned: RunPinned,
    looked: Evaluated | LookPostponed | TrainingFailed,
    arrived: DataArrived,
    model: ModelState,
) -> Concluded:
    """What follows from a look, for the model as it is now (people may have acted meanwhile).

    Args:
        pinned: what the run worked on.
        looked: the comparison, that it is too early for it, or why there is none.
        arrived: the newest data version that it worked on.
        model: the model's state.

    Raises:
        ValueError: the run was pinned to no pending candidate.
    """
    pending = pinned.pending
    if pending is None:
        raise ValueError(f"run {pinned.run} looks at no pending candidate")
    if isinstance(looked, Evaluated):
        return _judged(pinned, looked, arrived, model)
    ended = _unjudged(pinned, pending, model)
    split, rows = pinned.spec.split, arrived.first_row + arrived.rows
    if isinstance(looked, LookPostponed):
        due = due_postponed(split, rows, pending.rows, looked.rows)
        return replace(ended, next_look=due, seconds=looked.seconds)
    return replace(
        ended,
        state="failed",
        error=f"{looked.code} {looked.error}",
        again=looked.again,
        log=looked.log,
        next_look=due_after(split, rows, pending.rows),
    )


def _unjudged(pinned: RunPinned, pending: Pending, model: ModelState) -> Concluded:
    return Concluded(
        model=pinned.model,
        run=pinned.run,
        state="postponed",
        data_version=pinned.data_version,
        recipe=pinned.recipe,
        cause=pinned.cause,
        attempt=pinned.attempt,
        verdict=None,
        version=pending.version,
        bundle=pending.bundle,
        runtime=pending.runtime,
        decision=None,
        serves=False,
        champion_before=model.champion,
        bundle_before=model.champion_bundle,
        candidate_before=model.candidate,
        looked=True,
    )


def _judged(
    pinned: RunPinned, looked: Evaluated, arrived: DataArrived, model: ModelState
) -> Concluded:
    pending = pinned.pending
    if pending is None or looked.look is None:
        raise ValueError(f"run {pinned.run} looked at nothing")
    follows = taking_over(pinned, looked, model)
    due = None
    if follows.verdict == "inconclusive":
        due = due_after(pinned.spec.split, arrived.first_row + arrived.rows, looked.look.rows)
    waits = follows.verdict == "promoted" and not follows.wins
    return replace(
        _unjudged(pinned, pending, model),
        state="waiting" if waits else "finished",
        verdict=follows.verdict,
        bundle=looked.serves,
        decision=looked.decision,
        serves=follows.serves,
        rolls=follows.rolls,
        seconds=looked.seconds,
        look=looked.look,
        next_look=due,
        best_before=pinned.best,
        surpasses=follows.surpasses,
        pins=follows.pins,
        unpins=follows.unpins,
    )
