"""When a candidate that could not be decided about is looked at again, and who takes its place."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everbake.core.gate.looks import BUDGET, level_of
from everbake.core.loop import ModelState
from everbake.core.pending import (
    EXPIRY,
    FEWEST,
    due_after,
    due_postponed,
    keeps_place,
    rows_wanted,
)
from everbake.core.spec import GateSpec, RecipeSpec, SplitSpec, Table

BY_TIME = SplitSpec("time", 0.2)
BY_HASH = SplitSpec("hash", 0.2)
SPEC = RecipeSpec(
    name="m",
    table=Table(label="y"),
    gate=GateSpec("mean_squared_error", "lower", "refresh", 0.05, 0.01, 0.0, "keep"),
    split=BY_TIME,
    refit=False,
    params={},
    seed=0,
    trigger_rows=1,
    memory_bytes=1,
    time_seconds=1.0,
    threads=1,
)
MODEL = ModelState(
    "m", "r", 1, "f", 1, "s", "recipe.py", SPEC,
    champion=1, candidate=2, candidate_recipe="r", candidate_since=1000.0,
)  # fmt: skip


def test_the_errors_of_all_looks_together_stay_within_the_budget():
    assert sum(level_of(look) for look in range(1, 10_000)) == pytest.approx(BUDGET, rel=1e-3)
    assert [round(level_of(look), 4) for look in (1, 2, 3, 4)] == [0.05, 0.0167, 0.0083, 0.005]


@given(judged=st.integers(0, 10**6), rows=st.integers(0, 10**6))
def test_with_a_split_in_time_all_that_arrives_judges(judged, rows):
    due = due_after(BY_TIME, rows, judged)
    assert due > rows
    assert judged + (due - rows) == max(FEWEST, 2 * judged, judged + 1)


@given(judged=st.integers(0, 10**6), rows=st.integers(0, 10**6), share=st.floats(0.01, 0.99))
def test_with_a_hash_as_many_arrive_as_hold_enough_rows_out(judged, rows, share):
    arriving = due_after(SplitSpec("hash", share), rows, judged) - rows
    missing = rows_wanted(judged) - judged
    assert arriving * share >= missing
    assert arriving * share <= max(1, missing) + 2 * max(1, missing) ** 0.5 + 1


@given(judged=st.integers(0, 10**6), there=st.integers(0, 10**6))
def test_after_a_look_that_came_too_early_some_more_rows_have_to_come(judged, there):
    missing = due_postponed(BY_TIME, 100, judged, there) - 100
    assert missing >= max(1, rows_wanted(judged) - there, judged // 8)


@pytest.mark.parametrize(
    ("verdict", "recipe", "later", "keeps"),
    [
        ("inconclusive", "r", EXPIRY - 1, True),
        ("inconclusive", "r", EXPIRY, False),
        ("promoted", "r", 0.0, False),  # a winner that has to wait
        ("rejected", "r", 2 * EXPIRY, True),
        ("inconclusive", "edited", 0.0, False),
        ("rejected", "edited", 0.0, False),
    ],
)
def test_who_gives_way_to_whom(verdict, recipe, later, keeps):
    assert keeps_place(MODEL, recipe, verdict, 1000.0 + later) is keeps


def test_a_candidate_that_nobody_looks_at_gives_way_to_any_undecided_one():
    # Its rollout ended without a decision.
    waiting = replace(MODEL, candidate_recipe=None, candidate_since=None)
    assert not keeps_place(waiting, "r", "inconclusive", 1000.0)
    assert keeps_place(waiting, "r", "rejected", 1000.0)
