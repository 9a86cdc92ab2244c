"""Which runs are due, and when a failed one is tried again."""

from dataclasses import replace

import pytest

from everbake.core.loop import BACK_OFF, MOST_ATTEMPTS, ModelState, State, due
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
