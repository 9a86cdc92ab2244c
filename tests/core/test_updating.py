"""When a run trains from scratch, and when it teaches the champion."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everbake.core.loop import ModelState
from everbake.core.run_facts import Learning, RunPinned
from everbake.core.spec import GateSpec, RecipeSpec, SplitSpec, Table, UpdateSpec
from everbake.core.updating import learning_of, rhythm_after

DAY = 86_400.0
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
    update=UpdateSpec(),
)
SERVING = ModelState(
    "m", "r", 1, "f", 1, "s", "recipe.py", SPEC,
    champion=3, champion_bundle="b3", run_n=9, updates=2, full_time=10 * DAY,
)  # fmt: skip
TAUGHT = Learning(3, "b3")


def decided(model=SERVING, recipe="r", time=12 * DAY, *, was_full=False, **update):
    if update:
        model = replace(model, spec=replace(SPEC, update=UpdateSpec(**update)))
    return learning_of(model, recipe, time, was_full=was_full)


def test_without_an_update_there_is_nothing_to_say():
    assert decided(replace(SERVING, spec=replace(SPEC, update=None))) == Learning()


def test_the_champion_is_taught_for_ever_if_nothing_else_is_asked():
    assert decided(replace(SERVING, updates=10**6)) == TAUGHT


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"model": replace(SERVING, champion=None, champion_bundle=None)}, "no champion"),
        ({"recipe": "another"}, "version 3 came from another recipe"),
        ({"model": replace(SERVING, full_n=10)}, "somebody asked"),
        ({"was_full": True}, "which failed"),
        ({"after_runs": 2}, "2 runs by update"),
        ({"after_seconds": 2 * DAY}, "2 days newer"),
        ({"model": replace(SERVING, full_time=None), "after_seconds": DAY}, "not known"),
    ],
)
def test_what_asks_for_a_training_from_scratch(asked, why):
    if asked.keys() & {"model"} and "after_seconds" in asked:
        spec = replace(SPEC, update=UpdateSpec(after_seconds=asked.pop("after_seconds")))
        asked["model"] = replace(asked["model"], spec=spec)
    told = decided(**asked)
    assert (told.base, told.bundle) == (None, None)
    assert why in told.because


@pytest.mark.parametrize(
    "asked",
    [
        {"model": replace(SERVING, full_n=8)},  # a run has begun since somebody asked
        {"after_runs": 3},
        {"after_seconds": 2 * DAY + 1},
    ],
)
def test_what_is_not_due_yet_is_not_done(asked):
    assert decided(**asked) == TAUGHT


def pinned(learning, time=None):
    return RunPinned(
        "m", "run", "c", "data", 1, 1, "r", 1, "s", 3, "b3", 0, "e", None, SPEC,
        data_time=time, learning=learning,
    )  # fmt: skip


@given(st.integers(1, 6), st.lists(st.sampled_from(["ends", "again", "nothing"]), max_size=60))
def test_full_trainings_come_after_as_many_updates_as_were_chosen(every, outcomes):
    """Runs that taught nothing, or that are tried again, neither count nor break the row."""
    spec = replace(SPEC, update=UpdateSpec(after_runs=every))
    model = replace(SERVING, spec=spec, updates=0)
    taught, row = 0, []
    again = False
    for outcome in outcomes:
        learning = learning_of(model, "r", None, was_full=again and bool(row) and row[-1])
        full = learning.base is None
        assert full == (taught >= every)
        counts = outcome == "ends" or (full and outcome == "nothing")
        updates, full_time = rhythm_after(pinned(learning), model, counts=counts)
        if counts:
            taught = 0 if full else taught + 1
        row.append(full)
        again = outcome == "again"
        model = replace(model, updates=updates, full_time=full_time)


def test_the_time_of_a_full_training_is_kept_through_updates():
    full = pinned(Learning(because="first"), 7.0)
    assert rhythm_after(full, SERVING, counts=True) == (0, 7.0)
    assert rhythm_after(pinned(TAUGHT, 11.0), SERVING, counts=True) == (3, 10 * DAY)
    assert rhythm_after(full, SERVING, counts=False) == (2, 10 * DAY)
