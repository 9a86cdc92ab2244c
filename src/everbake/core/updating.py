"""Whether a run trains from scratch or updates the champion: pure functions of what is known."""

from everbake.core.loop import ModelState
from everbake.core.run_facts import Learning, RunPinned
from everbake.core.spec import UpdateSpec

DAY = 86_400.0


def learning_of(
    model: ModelState, champion_recipe: str | None, time: float | None, *, was_full: bool
) -> Learning:
    """How the candidate of a run that begins now comes to know its rows.

    Args:
        model: the model's state.
        champion_recipe: digest of the recipe that the champion came from.
        time: how new the data are, in seconds since 1970.
        was_full: whether the run that is being tried again trained from scratch.
    """
    update = model.spec.update
    if update is None:
        return Learning()
    because = _why_full(model, update, champion_recipe, time)
    if not because and was_full:
        because = "the run before it, which failed, was to train in full"
    if because:
        return Learning(because=because)
    return Learning(model.champion, model.champion_bundle)


def _why_full(
    model: ModelState, update: UpdateSpec, champion_recipe: str | None, time: float | None
) -> str:
    """Why there is to be a full training; empty if there is to be none."""
    if model.champion is None:
        return "there is no champion to update"
    if champion_recipe != model.recipe:
        return f"version {model.champion} came from another recipe"
    if model.full_n > model.run_n:
        return "somebody asked for it"
    return _by_runs(model, update.after_runs) or _by_time(model, update.after_seconds, time)


def _by_runs(model: ModelState, most: int | None) -> str:
    if most is None or model.updates < most:
        return ""
    return f"{model.updates} runs by update came since the last full training"


def _by_time(model: ModelState, span: float | None, time: float | None) -> str:
    if span is None or time is None:
        return ""
    if model.full_time is None:
        return "it is not known when the last full training was"
    if time - model.full_time < span:
        return ""
    days = (time - model.full_time) / DAY
    return f"the data are {days:.3g} days newer than those of the last full training"


def rhythm_after(pinned: RunPinned, model: ModelState, *, counts: bool) -> tuple[int, float | None]:
    """How many runs by update there were since the last full training, and of what time that was.

    A full training counts whatever came of it: one that was rejected, or that the user's code did
    not survive, leaves the champion to be updated until the next is due.

    Args:
        pinned: a run that ends.
        model: the model's state.
        counts: whether it does: not if it found nothing new, or is to be tried again.
    """
    if not counts:
        return model.updates, model.full_time
    if pinned.learning.base is None:
        return 0, pinned.data_time
    return model.updates + 1, model.full_time
