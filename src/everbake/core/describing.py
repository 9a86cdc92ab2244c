"""A recipe as plain data: what travels and is recorded of it."""

from everbake.core.metrics import AtLeast, metric_name
from everbake.core.recipe import Recipe
from everbake.core.spec import (
    GateSpec,
    GuardrailSpec,
    RecipeSpec,
    UpdateSpec,
    parse_size,
    parse_span,
)
from everbake.core.splits import describe_split


def describe(recipe: Recipe, rows_form: str) -> RecipeSpec:
    """The plain-data form of a recipe; `rows_form` is what `train` wants its rows as."""
    gate = recipe.gate
    return RecipeSpec(
        name=recipe.name,
        table=recipe.data,
        gate=GateSpec(
            metric=metric_name(gate.metric),
            better=gate.direction,
            rule=gate.rule,
            tolerance=gate.tolerance,
            equal_within=gate.equal,
            min_gain=gate.min_gain,
            if_inconclusive=gate.if_inconclusive,
            guardrails=tuple(
                GuardrailSpec(
                    "at_least" if isinstance(rail, AtLeast) else "at_most",
                    metric_name(rail.metric),
                    rail.limit,
                )
                for rail in gate.guardrails
            ),
            segments=gate.segments,
            all_must_pass=gate.all_must_pass,
            confidence=gate.confidence,
        ),
        split=describe_split(recipe.split),
        refit=recipe.refit,
        params=dict(recipe.params),
        seed=recipe.seed,
        trigger_rows=recipe.triggers.rows,
        memory_bytes=parse_size(recipe.limits.memory),
        time_seconds=parse_span(recipe.limits.time),
        threads=recipe.limits.threads,
        rows_form=rows_form,
        rollout=recipe.rollout.described(),
        update=_describe_update(recipe),
        threshold=recipe.threshold,
        ranked=recipe.ranked,
    )


def _describe_update(recipe: Recipe) -> UpdateSpec | None:
    if recipe.update is None:
        return None
    if isinstance(recipe.full_every, str):
        return UpdateSpec(after_seconds=parse_span(recipe.full_every))
    return UpdateSpec(after_runs=recipe.full_every)
