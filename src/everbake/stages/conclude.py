"""The last step of a run: verdict, version number and deployment in one fact."""

from dataclasses import replace

from everbake.core.facts import DataArrived
from everbake.core.loop import ModelState
from everbake.core.pending import due_after, keeps_place
from everbake.core.run_facts import Concluded, Evaluated, RunPinned, Trained, TrainingFailed
from everbake.core.taking_over import TakingOver, taking_over
from everbake.core.updating import rhythm_after


def conclude(
    pinned: RunPinned,
    trained: Trained | TrainingFailed,
    evaluated: Evaluated | TrainingFailed,
    arrived: DataArrived,
    model: ModelState,
) -> Concluded:
    """What follows from a run, for the model as it is now (people may have acted meanwhile).

    Args:
        pinned: what the run worked on.
        trained: the candidate, or why there is none.
        evaluated: the comparison, or why there is none (the same failure, without a candidate).
        arrived: the newest data version that it worked on.
        model: the model's state.
    """
    if isinstance(trained, TrainingFailed):
        return _failed(pinned, trained, model)
    if isinstance(evaluated, TrainingFailed):
        return _failed(pinned, evaluated, model)
    follows = taking_over(pinned, evaluated, model)
    waits = follows.verdict == "promoted" and not follows.wins
    learned = pinned.learning.base is None or trained.new_rows > 0
    return replace(
        _ended(pinned, model, counts=learned),
        state="waiting" if waits else "finished",
        verdict=follows.verdict,
        version=model.versions + 1,
        bundle=evaluated.serves,
        runtime=trained.runtime,
        decision=evaluated.decision,
        serves=follows.serves,
        rolls=follows.rolls,
        seconds=trained.seconds + evaluated.seconds,
        log=trained.log,
        keeps=_keeps(pinned, follows, model),
        look=evaluated.look,
        next_look=_next_look(pinned, evaluated, arrived, follows),
        data_time=pinned.data_time,
        best_before=pinned.best,
        surpasses=follows.surpasses,
        pins=follows.pins,
        unpins=follows.unpins,
        base=pinned.learning.base,
        rows=trained.rows,
        new_rows=trained.new_rows,
    )


def _keeps(pinned: RunPinned, follows: TakingOver, model: ModelState) -> bool | None:
    """Whether the candidate that was pending stays; None if there was none, or this one wins."""
    if model.candidate is None or follows.wins:
        return None
    return keeps_place(model, pinned.recipe, follows.verdict, pinned.data_time)


def _next_look(
    pinned: RunPinned, evaluated: Evaluated, arrived: DataArrived, follows: TakingOver
) -> int | None:
    if follows.verdict != "inconclusive" or evaluated.look is None:
        return None
    table_rows = arrived.first_row + arrived.rows
    return due_after(pinned.spec.split, table_rows, evaluated.look.rows)


def _failed(pinned: RunPinned, failed: TrainingFailed, model: ModelState) -> Concluded:
    return replace(
        _ended(pinned, model, counts=not failed.again),
        error=f"{failed.code} {failed.error}",
        again=failed.again,
        log=failed.log,
    )


def _ended(pinned: RunPinned, model: ModelState, *, counts: bool) -> Concluded:
    """What is so of every run that ends: nobody new serves, as long as nothing else is said.

    Args:
        pinned: what the run worked on.
        model: the model's state.
        counts: whether the run counts in the rhythm of full trainings.
    """
    updates, full_time = rhythm_after(pinned, model, counts=counts)
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
        updates=updates,
        full_time=full_time,
    )
