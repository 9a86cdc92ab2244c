"""Which runs are due, and when a failed one is tried again."""

from dataclasses import replace

import pytest

from everbake.core.facts import run_id, step_id
from everbake.core.loop import BACK_OFF, MOST_ATTEMPTS, ModelState, State, due, next_baked
from everbake.core.spec import GateSpec, RecipeSpec, SplitSpec, Table

SPEC = RecipeSpec(
    name="m",
    table=Table(label="y"),
    gate=GateSpec("mean_squared_error", "lower", "refresh", 0.05, 0.01, 0.0, "keep"),
    split=SplitSpec("hash", 0.2),
    refit=False,
    params={},
    seed=0,
    trigger_rows=1,
    memory_bytes=1,
    time_seconds=1.0,
    threads=1,
)
# Its first run, over data version 1, failed at time 100 through no fault of the user's.
FAILED = ModelState(
    "m", "r", 1, "f", 1, "s", "recipe.py", SPEC,
    data_version=1, data_fact="d1", data_n=2, rows=10, covered=1, covered_recipe="r",
    run_n=3, last_run="run", last_cause="d1", last_kind="request", last_attempt=1,
    last_again=True, last_ended=100.0,
)  # fmt: skip


def orders(model, now):
    return due(State({"m": model}, {"m": 10}, {}), now)


@pytest.mark.parametrize("attempt", range(1, MOST_ATTEMPTS))
def test_a_failure_that_was_not_the_users_is_tried_again_later_and_later(attempt):
    model = replace(FAILED, last_attempt=attempt)
    ripe = 100 + BACK_OFF * 2 ** (attempt - 1)
    assert orders(model, ripe - 0.1) == []
    (again,) = orders(model, ripe)
    assert (again.cause, again.cause_kind, again.attempt) == ("d1", "request", attempt + 1)


def test_at_some_time_it_is_given_up():
    assert orders(replace(FAILED, last_attempt=MOST_ATTEMPTS), 1e9) == []


def test_new_rows_do_not_wait_for_the_next_attempt():
    model = replace(FAILED, data_version=2, data_fact="d2", data_n=5, rows=12)
    (order,) = orders(model, 100.0)
    assert (order.cause, order.cause_kind, order.attempt) == ("d2", "data", 1)


def test_what_the_user_has_to_mend_is_not_tried_again():
    assert orders(replace(FAILED, last_again=False), 1e9) == []


# Its candidate, version 2, could not be decided about by the first 100 rows.
UNDECIDED = replace(
    FAILED, last_again=False, rows=100, covered=1, candidate=2, candidate_fact="c1",
    candidate_recipe="r", candidate_due=200, candidate_since=0.0, champion=1,
)  # fmt: skip


def pending_orders(model, covered_rows=100):
    return due(State({"m": model}, {"m": covered_rows}, {}), 1e9)


def test_a_pending_candidate_is_looked_at_once_its_rows_have_doubled():
    assert pending_orders(replace(UNDECIDED, rows=199), 199) == []
    (order,) = pending_orders(replace(UNDECIDED, rows=200), 200)
    assert (order.cause, order.cause_kind, order.version) == ("c1", "pending", 2)
    assert order.run == run_id("m", "c1", 1)


def test_the_look_comes_before_the_new_candidate_that_the_same_rows_ask_for():
    more = replace(UNDECIDED, rows=200, data_version=2, data_fact="d2", data_n=9)
    state = State({"m": more}, {"m": 100}, {})
    (order,) = due(state, 1e9)
    assert order.cause_kind == "pending"
    assert next_baked(more, state, 1e9).cause == "d2"


@pytest.mark.parametrize(
    "change",
    [
        {"held": True},
        {"paused": True},
        {"rollout": "o"},
        {"winner": 3},
        {"candidate_due": None},
        {"candidate_recipe": "older"},
    ],
)
def test_nobody_is_looked_at_while_a_verdict_could_have_no_effect(change):
    assert pending_orders(replace(UNDECIDED, rows=1000, **change), 1000) == []


def test_a_look_that_failed_is_tried_again_as_long_as_its_candidate_is_pending():
    failed = replace(
        UNDECIDED, rows=200, last_kind="pending", last_cause="c1", last_again=True,
        last_run="look", candidate_fact=step_id("look", "conclude"), candidate_due=400,
        last_ended=100.0,
    )  # fmt: skip
    state = State({"m": failed}, {"m": 200}, {})
    assert due(state, 100 + BACK_OFF - 0.1) == []
    (again,) = due(state, 100 + BACK_OFF)
    assert (again.cause, again.attempt, again.version) == ("c1", 2, 2)
    assert pending_orders(replace(failed, candidate_fact="another"), 200) == []
    assert pending_orders(replace(failed, candidate=None), 200) == []


def test_a_look_does_not_come_between_a_run_that_failed_and_its_next_attempt():
    failed = replace(UNDECIDED, rows=300, last_kind="data", last_again=True, last_ended=1e9)
    assert pending_orders(failed, 300) == []
