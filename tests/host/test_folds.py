"""Which rows are left out together: each once, groups and copies whole, nothing newer learned."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from everbake.core.dataset import HASH, ROW
from everbake.core.spec import GateSpec, RecipeSpec, SplitSpec, Table
from everbake.host.folds import folds_of
from everbake.host.parsing.rowhash import row_hashes

GATE = GateSpec("log_loss", "lower", "refresh", 0.05, 0.01, 0.0, "keep")


def spec(kind="hash", **table):
    fields = {"refit": False, "params": {}, "seed": 0, "trigger_rows": 1}
    limits = {"memory_bytes": 1, "time_seconds": 1.0, "threads": 1}
    return RecipeSpec(
        "m", Table(label="y", **table), GATE, SplitSpec(kind, 0.2), **fields, **limits
    )


def table(**columns):
    rows = pa.table(columns)
    return rows.append_column(ROW, pa.array(range(rows.num_rows))).append_column(
        HASH, pa.array(row_hashes(rows).view(np.int64))
    )


outcomes = st.lists(st.booleans(), min_size=2, max_size=200).map(np.array)


@given(outcomes, st.integers(2, 8), st.integers(0, 2**32 - 1))
def test_rows_are_dealt_evenly_and_so_are_positives(positive, count, seed):
    rows = table(x=np.arange(len(positive)), y=positive)
    dealt = folds_of(rows, spec(), positive, count, seed)
    again = folds_of(rows, spec(), positive, count, seed)
    assert dealt.plan == "rows"
    for fold, same in zip(dealt.folds, again.folds, strict=True):
        assert np.array_equal(fold.predict, same.predict)
        assert np.array_equal(fold.train, ~fold.predict)
        assert 0 < positive[fold.train].sum() < fold.train.sum()
        for of_class in (positive, ~positive):
            assert abs((fold.predict & of_class).sum() - of_class.sum() / count) <= 1
    assert np.sum([fold.predict for fold in dealt.folds], axis=0).max(initial=0) <= 1
    if min(positive.sum(), (~positive).sum()) >= 2 * count:
        assert np.sum([fold.predict for fold in dealt.folds], axis=0).min() == 1


@given(outcomes, st.integers(1, 12), st.integers(2, 6))
def test_a_group_is_learned_from_or_predicted_but_never_both(positive, groups, count):
    group = np.arange(len(positive)) % groups
    rows = table(x=np.arange(len(positive)), g=group, y=positive)
    dealt = folds_of(rows, spec(group="g"), positive, count, 1)
    assert dealt.plan == "groups"
    for fold in dealt.folds:
        assert not np.isin(group[fold.train], group[fold.predict]).any()


@given(st.integers(2, 30), st.integers(2, 5))
def test_copies_of_a_row_stay_together(different, count):
    x = np.repeat(np.arange(different), 4)
    positive = x % 2 == 0
    dealt = folds_of(table(x=x, y=positive), spec(), positive, count, 3)
    for fold in dealt.folds:
        assert not np.isin(x[fold.train], x[fold.predict]).any()


@given(
    st.lists(st.integers(0, 40), min_size=4, max_size=150).map(np.array),
    st.integers(2, 6),
    st.booleans(),
)
def test_in_time_a_model_is_older_than_what_it_predicts(times, count, grouped):
    positive = np.arange(len(times)) % 2 == 0
    group = np.arange(len(times)) % 7
    rows = table(x=np.arange(len(times)), t=times, g=group, y=positive)
    asked = spec("time", time="t", group="g" if grouped else None)
    dealt = folds_of(rows, asked, positive, count, 1)
    assert dealt.plan == "time"
    assert len(dealt.folds) <= count
    for fold in dealt.folds:
        assert times[fold.train].max() < times[fold.predict].min()
        if grouped:
            assert not np.isin(group[fold.train], group[fold.predict]).any()
    assert np.sum([fold.predict for fold in dealt.folds], axis=0).max(initial=0) <= 1


def test_in_time_each_model_learns_from_half_of_the_rows_at_least():
    positive = np.arange(1000) % 3 == 0
    rows = table(x=np.arange(1000), t=np.arange(1000)[::-1].copy(), y=positive)
    dealt = folds_of(rows, spec("time", time="t"), positive, 5, 1)
    assert [int(fold.train.sum()) for fold in dealt.folds] == [500, 600, 700, 800, 900]
    assert [int(fold.predict.sum()) for fold in dealt.folds] == [100] * 5


def test_rows_of_one_time_cannot_be_told_apart():
    positive = np.arange(40) % 2 == 0
    rows = table(x=np.arange(40), t=np.zeros(40), y=positive)
    assert folds_of(rows, spec("time", time="t"), positive, 5, 1).folds == ()
