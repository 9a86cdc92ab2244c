"""When models that learn on are trained from scratch all the same, as it is declared."""

from everbake.core.spec import UpdateSpec, parse_span
from everbake.errors import RecipeError


def rhythm_of(full_every: int | str | None, *, learns_on: bool) -> UpdateSpec | None:
    """What `full_every` means; None for a recipe whose models do not learn on.

    Args:
        full_every: so many runs by update, or such a span of data.
        learns_on: whether the recipe has an `update`.

    Raises:
        RecipeError: it means nothing.

    >>> rhythm_of("30d", learns_on=True)
    UpdateSpec(after_runs=None, after_seconds=2592000.0)
    """
    if not learns_on:
        if full_every is None:
            return None
        raise RecipeError(
            "EB204",
            f"full_every is {full_every!r}, and there is no update",
            why="without one, every run trains from scratch",
            mend="Recipe(..., update=..., full_every=...), or drop full_every",
        )
    if isinstance(full_every, str):
        return UpdateSpec(after_seconds=parse_span(full_every))
    if full_every is not None and full_every < 1:
        raise RecipeError("EB204", f"full_every is {full_every}", mend='full_every=10, or "30d"')
    return UpdateSpec(after_runs=full_every)
