"""Which rows are held out: for ever, whole groups, the newest, and never what the champion saw."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everbake.core.dataset import HASH, ROW
from everbake.core.spec import GateSpec, RecipeSpec, SplitSpec, Table
from everbake.errors import RecipeError
from everbake.host.parsing.rowhash import row_hashes
from everbake.host.splitting import held_out, pack_rows, split, unpack_rows, unseen

GATE = GateSpec("mean_squared_error", "lower", "refresh", 0.05, 0.01, 0.0, "keep")


def spec(split, **table):
    return RecipeSpec(
        name="m",
        table=Table(label="y", **table),
        gate=GATE,
        split=split,
        refit=False,
        params={},
        seed=0,
        trigger_rows=1,
        memory_bytes=1,
        time_seconds=1.0,
        threads=1,
    )


def table(**columns):
    rows = pa.table(columns)
    return rows.append_column(ROW, pa.array(range(rows.num_rows))).append_column(
        HASH, pa.array(row_hashes(rows).view(np.int64))
    )


@given(st.integers(2, 300), st.integers(0, 200), st.floats(0.05, 0.95))
def test_a_hash_split_never_moves_a_row_as_the_table_grows(first, more, share):
    both = table(x=list(range(first + more)), y=[0.0] * (first + more))
    hashed = spec(SplitSpec("hash", share))
    wide, narrow = held_out(both, hashed), held_out(both.slice(0, first), hashed)
    raw = np.asarray(both.column(HASH)).view(np.uint64) / 2.0**64 < share
    if raw[:first].any() and not raw[:first].all():
        assert (wide[:first] == narrow).all()
        assert (narrow == raw[:first]).all()
    assert narrow.any()
    assert not narrow.all()


def test_a_hash_split_holds_out_about_its_share():
    rows = table(x=list(range(20_000)), y=[0.0] * 20_000)
    held = held_out(rows, spec(SplitSpec("hash", 0.2)))
    assert abs(held.mean() - 0.2) < 0.02


def test_with_a_key_the_same_key_is_always_on_the_same_side():
    keys = [f"k{i % 40}" for i in range(400)]
    rows = table(k=keys, x=list(range(400)), y=[0.0] * 400)
    held = held_out(rows, spec(SplitSpec("hash", 0.3), key="k"))
    assert all(
        len({bool(h) for h, k in zip(held, keys, strict=True) if k == key}) == 1
        for key in set(keys)
    )


@given(st.lists(st.integers(0, 9), min_size=2, max_size=200))
def test_a_group_split_keeps_groups_whole(groups):
    rows = table(g=groups, x=list(range(len(groups))), y=[0.0] * len(groups))
    held = held_out(rows, spec(SplitSpec("group", 0.3), group="g"))
    for group in set(groups):
        assert len({bool(h) for h, g in zip(held, groups, strict=True) if g == group}) == 1


def test_strata_are_split_each_for_itself():
    strata = ["rare"] * 6 + ["usual"] * 600 + ["alone"]
    rows = table(s=strata, x=list(range(607)), y=[0.0] * 607)
    held = held_out(rows, spec(SplitSpec("hash", 0.2, stratify="s")))
    of = {name: held[[s == name for s in strata]] for name in set(strata)}
    assert of["rare"].any()
    assert not of["rare"].all()
    assert not of["alone"].any()


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=100), st.floats(0.05, 0.95))
def test_a_time_split_holds_out_the_newest(times, share):
    rows = table(t=times, y=[0.0] * len(times))
    held = held_out(rows, spec(SplitSpec("time", share), time="t"))
    assert held.any()
    assert not held.all()
    assert max(np.array(times)[~held]) <= min(np.array(times)[held])


def test_a_time_split_needs_no_more_rows_than_last_time():
    rows = table(t=list(range(1000)), y=[0.0] * 1000)
    held = held_out(rows, spec(SplitSpec("time", 0.2), time="t"), most=50)
    assert np.flatnonzero(held).tolist() == list(range(950, 1000))


def test_a_time_split_by_span_counts_seconds():
    days = pa.array([f"2026-01-{day:02d}T00:00:00Z" for day in range(1, 31)])
    rows = table(t=days.cast(pa.timestamp("us", "UTC")), y=[0.0] * 30)
    held = held_out(rows, spec(SplitSpec("time", None, span_seconds=5 * 86400.0), time="t"))
    assert held.sum() == 5


def test_text_has_no_order_in_time():
    rows = table(t=["a", "b"], y=[0.0, 1.0])
    with pytest.raises(RecipeError, match="EB207"):
        held_out(rows, spec(SplitSpec("time", 0.2), time="t"))


def test_of_one_row_none_is_held_out():
    assert not held_out(table(x=[1], y=[0.0]), spec(SplitSpec("hash", 0.2))).any()


@given(st.lists(st.booleans(), min_size=2, max_size=60), st.integers(0, 60))
def test_no_row_that_the_champion_saw_judges_it(seen, more):
    count = len(seen) + more
    rows = table(x=list(range(count)), y=[0.0] * count)
    found = split(rows, spec(SplitSpec("hash", 0.5)), np.array(seen))
    known = np.array([*seen, *[False] * more])
    assert not (found.judge & known).any()
    assert not (found.judge & found.train).any()
    assert found.seen == int((~found.train & known).sum())


TIMED = spec(SplitSpec("time", 0.5), time="t")


@given(st.lists(st.tuples(st.integers(0, 30), st.booleans()), min_size=2, max_size=60))
def test_in_time_a_candidate_learns_whatever_the_champion_did_and_is_older_than_the_judges(rows):
    times = np.array([time for time, _ in rows])
    seen = np.array([known for _, known in rows])
    found = split(
        table(t=times.tolist(), x=list(range(len(rows))), y=[0.0] * len(rows)), TIMED, seen
    )
    assert not (found.judge & (seen | found.train)).any()
    oldest = times[found.judge].min() if found.judge.any() else np.inf
    assert found.train[seen & (times <= oldest)].all()
    if found.train.any() and found.judge.any():
        assert times[found.train].max() <= oldest


def test_a_copy_of_what_the_champion_saw_does_not_judge_it():
    times = [*range(10), *range(10), 10, 11]
    found = split(table(t=times, y=[float(t) for t in times]), TIMED, np.array([True] * 10))
    assert np.flatnonzero(found.judge).tolist() == [20, 21]


def test_of_rows_that_are_equal_one_judges_and_none_is_trained_on():
    rows = table(t=[1, 2, 3, 4, 4, 4], y=[0.0, 0.0, 0.0, 1.0, 1.0, 1.0])
    found = split(rows, spec(SplitSpec("time", 0.34), time="t"), None)
    assert (found.judge.sum(), found.train.tolist()) == (1, [True] * 3 + [False] * 3)
    assert found.twins == 2


def test_a_row_without_a_time_counts_as_the_oldest():
    rows = table(t=[1, 2, None, 4], y=[0.0] * 4)
    span = spec(SplitSpec("time", None, span_seconds=2.5), time="t")
    assert held_out(rows, span).tolist() == [False, True, False, True]


@given(st.lists(st.booleans(), max_size=500))
def test_a_set_of_rows_survives_packing(rows):
    assert unpack_rows(pack_rows(np.array(rows, np.bool_))).tolist() == rows


def learned(count, rows):
    mask = np.zeros(count, np.bool_)
    mask[list(rows)] = True
    return mask


def test_what_was_learned_and_its_copies_cannot_compare_models():
    rows = table(x=[1, 2, 3, 1, 5], y=[0.0] * 5)
    hashed = spec(SplitSpec("hash", 0.5))
    assert unseen(rows, hashed, learned(5, [0, 1])).tolist() == [False, False, True, False, True]


def test_a_key_that_was_learned_from_cannot_compare_models():
    rows = table(key=["a", "b", "a", "c"], x=[1, 2, 3, 4], y=[0.0] * 4)
    keyed = spec(SplitSpec("hash", 0.5), key="key")
    assert unseen(rows, keyed, learned(4, [0])).tolist() == [False, True, False, True]


def test_groups_that_were_learned_from_cannot_compare_models_where_groups_are_held_out():
    rows = table(who=["a", "b", "a", "c"], x=[1, 2, 3, 4], y=[0.0] * 4)
    grouped = spec(SplitSpec("group", 0.5), group="who")
    assert unseen(rows, grouped, learned(4, [0])).tolist() == [False, True, False, True]
    plain = spec(SplitSpec("hash", 0.5), group="who")
    assert unseen(rows, plain, learned(4, [0])).tolist() == [False, True, True, True]


def test_rows_older_than_what_was_learned_cannot_compare_models_in_time():
    rows = table(t=[1, 2, 3, 4, 5, 5], x=[1, 2, 3, 4, 5, 5], y=[0.0] * 6)
    timed = spec(SplitSpec("time", 0.2), time="t")
    assert unseen(rows, timed, learned(6, [0, 2])).tolist() == [False] * 3 + [True, True, False]
