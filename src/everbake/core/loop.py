"""What is due: a pure function of what happened and the time.

The same function runs live, in simulation and over recorded history. Nothing else decides when a
run starts.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from everbake.core.facts import run_id, step_id
from everbake.core.project import Projections
from everbake.core.spec import RecipeSpec
from everbake.core.tables import Row

MOST_ATTEMPTS = 3  # of one cause, when the failure was not the user's
BACK_OFF = 5.0  # seconds before the second attempt; doubled for each further one
PENDING = "pending"  # kind of the cause of a run that trains nothing


@dataclass(frozen=True)
class Retrain:
    """Order: bake a candidate and decide about it (or go on with a run that was cut short).

    Attributes:
        model: the model.
        run: id of the run.
        cause: id of the fact that asks for it.
        cause_kind: `data`, `recipe`, `request`, or `pending`: nothing is baked, the candidate that
            could not be decided about is looked at again.
        attempt: from 1.
        version: that candidate, if the run has not begun.
    """

    model: str
    run: str
    cause: str
    cause_kind: str
    attempt: int
    version: int | None = None


@dataclass(frozen=True)
class ModelState:
    """One model, as its facts left it: the row of the table `models`, typed."""

    model: str
    recipe: str
    recipe_number: int
    recipe_fact: str
    recipe_n: int
    snapshot: str
    source: str
    spec: RecipeSpec
    paused: bool = False
    held: bool = False
    data_version: int = 0
    data_fact: str | None = None
    data_n: int = 0
    rows: int = 0
    contract: str | None = None
    covered: int = 0
    covered_recipe: str | None = None
    retrain_fact: str | None = None
    retrain_n: int = 0
    full_n: int = 0
    updates: int = 0
    full_time: float | None = None
    running: str | None = None
    run_n: int = 0
    last_run: str | None = None
    last_cause: str | None = None
    last_kind: str | None = None
    last_attempt: int = 0
    last_again: bool = False
    last_ended: float = 0.0
    champion: int | None = None
    champion_bundle: str | None = None
    candidate: int | None = None
    candidate_fact: str | None = None
    candidate_recipe: str | None = None
    candidate_due: int | None = None
    candidate_since: float | None = None
    best: int | None = None
    best_bundle: str | None = None
    winner: int | None = None
    winner_bundle: str | None = None
    rollout: str | None = None
    versions: int = 0


@dataclass(frozen=True)
class State:
    """Everything that `due` looks at.

    Attributes:
        models: by name.
        covered_rows: for each model, how many rows the covered data versions hold.
        unfinished: for each model with a run under way, the order that goes on with it.
    """

    models: Mapping[str, ModelState]
    covered_rows: Mapping[str, int]
    unfinished: Mapping[str, Retrain]


def model_state(row: Row) -> ModelState:
    """The typed form of a row of `models`."""
    known = {key: value for key, value in row.items() if value is not None}
    known["spec"] = msgspec.json.decode(str(known["spec"]))
    return msgspec.convert(known, ModelState, strict=False)


def state_of(folded: Projections) -> State:
    """The state in projections that are held in memory."""
    tables = folded.tables
    models = {str(row["model"]): model_state(row) for row in tables["models"].values()}
    covered = {
        name: _covered_rows(tables["data_versions"].get((name, model.covered)))
        for name, model in models.items()
    }
    unfinished = {
        name: order_of(tables["runs"][model.running,])
        for name, model in models.items()
        if model.running is not None
    }
    return State(models, covered, unfinished)


def _covered_rows(row: Row | None) -> int:
    return int(row["first_row"] or 0) + int(row["rows"] or 0) if row else 0


def order_of(run: Row) -> Retrain:
    """The order that goes on with a run, from its row of `runs`."""
    fields = {name: run[name] for name in ("model", "run", "cause", "cause_kind", "attempt")}
    return msgspec.convert(fields, Retrain)


def due(state: State, now: float) -> list[Retrain]:
    """The runs to start now, one a model at most, in order of the models' names."""
    orders = (_due(model, state, now) for _, model in sorted(state.models.items()))
    return [order for order in orders if order is not None]


def rollout_due(model: ModelState) -> bool:
    """Whether a version that won is to begin its rollout now."""
    return model.winner is not None and model.rollout is None and not model.paused


def look_due(model: ModelState) -> bool:
    """Whether the pending candidate is to be looked at now.

    Its rows have doubled, and a verdict could have effect: promotion is free, and the recipe is
    still the one that it came from.
    """
    ripe = model.candidate_due is not None and model.rows >= model.candidate_due
    return ripe and _may_look(model)


def _may_look(model: ModelState) -> bool:
    free = not model.held and model.rollout is None and model.winner is None
    return model.candidate is not None and free and model.candidate_recipe == model.recipe


def _due(model: ModelState, state: State, now: float) -> Retrain | None:
    if model.running is not None:
        return state.unfinished[model.model]
    if model.paused or model.data_version == 0:
        return None
    # Whatever asks now came after the run that failed, and its run covers the same rows as well.
    return _before_new(model, now) or _new(model, state)


def next_baked(model: ModelState, state: State, now: float) -> Retrain | None:
    """The run that bakes next, or bakes now, whether or not a look at a candidate comes first."""
    order = _due(model, state, now)
    if order is None or order.cause_kind != PENDING:
        return order
    return _new(model, state)


def _new(model: ModelState, state: State) -> Retrain | None:
    """The run that new data, an edited recipe or a person asks for."""
    causes = _causes(model, state.covered_rows.get(model.model, 0))
    if not causes:
        return None
    _, kind, cause = max(causes)
    return _order(model, kind, cause, 1)


def _before_new(model: ModelState, now: float) -> Retrain | None:
    """Another attempt of a run that failed, or a look at the candidate that is pending.

    A look comes before anything that is baked: it costs little, and decides who has to be beaten.
    """
    if _failed(model):
        return _another_attempt(model, str(model.last_cause), now)
    return _order(model, PENDING, str(model.candidate_fact), 1) if look_due(model) else None


def _failed(model: ModelState) -> bool:
    """Whether the last run failed and is to be tried again."""
    if not (model.last_again and model.last_cause and model.last_attempt < MOST_ATTEMPTS):
        return False
    if model.last_kind != PENDING:
        return True
    same = model.candidate_fact == step_id(str(model.last_run), "conclude")
    return same and _may_look(model)


def _causes(model: ModelState, covered_rows: int) -> list[tuple[int, str, str]]:
    """What asks for a run, with its place in the ledger: the newest becomes the cause."""
    causes = []
    enough = model.rows - covered_rows >= model.spec.trigger_rows
    if model.data_version > model.covered and enough and model.data_fact:
        causes.append((model.data_n, "data", model.data_fact))
    if model.covered_recipe not in (None, model.recipe):
        causes.append((model.recipe_n, "recipe", model.recipe_fact))
    if model.retrain_fact and model.retrain_n > model.run_n:
        causes.append((model.retrain_n, "request", model.retrain_fact))
    return causes


def _another_attempt(model: ModelState, cause: str, now: float) -> Retrain | None:
    if now < model.last_ended + BACK_OFF * 2 ** (model.last_attempt - 1):
        return None
    return _order(model, model.last_kind or "data", cause, model.last_attempt + 1)


def _order(model: ModelState, kind: str, cause: str, attempt: int) -> Retrain:
    run = run_id(model.model, cause, attempt)
    version = model.candidate if kind == PENDING else None
    return Retrain(model.model, run, cause, kind, attempt, version)
