"""Values with which only one class ever comes, against brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mutual_info_score
from statsmodels.stats.proportion import proportion_confint

from everbake.statistics.alone import Cells, Label, binned, grouped
from everbake.statistics.settled import settled


def label_of(y):
    y = np.asarray(y)
    return Label(y.astype(np.int64), int(y.max()) + 1)


def by_brute_force(codes, y, kinds):
    """Every value, a missing one, a present one, and anything but the usual one."""
    usual = np.bincount(codes).argmax()
    sides = [(cell, codes == cell) for cell in range(codes.max() + 1)]
    sides += [(0, codes != 0), (usual, codes != usual)]
    best = None
    for cell, inside in sides:
        if inside.all() or not inside.any():
            continue
        left = np.bincount(y[inside], minlength=kinds).argmax()
        bad, rows = int((y[inside] != left).sum()), int(inside.sum())
        elsewhere = (y != left).mean()
        # Twice the level: the interval is two-sided, and its upper end is meant.
        bound = proportion_confint(bad, rows, alpha=0.1, method="wilson")[1]
        entropy = mutual_info_score(y, y)
        told = mutual_info_score(y, inside) / entropy if entropy else 0.0
        if told >= 0.1 and bound * 50 <= elsewhere and (best is None or told > best[0] + 1e-9):
            best = (told, cell, rows, bad, left)
    return best


@settings(max_examples=60)
@given(
    st.integers(0, 10_000),
    st.integers(2, 4),
    st.integers(300, 4000),
    st.lists(st.sampled_from([0.0, 0.0, 0.001, 0.01, 0.5, 1.0]), min_size=2, max_size=5),
)
def test_what_settles_a_label_is_found_as_by_brute_force(seed, kinds, count, rates):
    random = np.random.default_rng(seed)
    codes = random.integers(0, len(rates), count)
    other = random.integers(1, kinds, count)
    y = np.where(random.random(count) < np.array(rates)[codes], other, 0)
    found = settled(Cells(codes, np.ones(len(rates), bool)), Label(y, kinds))
    expected = by_brute_force(codes, y, kinds)
    if expected is None:
        assert found is None
    else:
        told, _, _, _, _ = expected
        assert found.explained == pytest.approx(told)
        inside = codes != found.cell if found.without else codes == found.cell
        assert found.rows == inside.sum()
        assert found.exceptions == (y[inside] != found.label).sum()


def deaths(count=4000, seed=0):
    random = np.random.default_rng(seed)
    in_hospital = random.random(count) < 0.25
    later = in_hospital | (random.random(count) < 0.5)
    return in_hospital, later, random


def test_who_never_died_did_not_die_in_hospital():
    in_hospital, later, _ = deaths()
    found = settled(grouped(later.astype(int)), label_of(in_hospital))
    assert (found.cell, found.without, found.label, found.exceptions) == (1, False, 0, 0)
    assert found.rows == (~later).sum()


def test_that_a_value_is_missing_or_given_can_settle_it():
    y, _, random = deaths(seed=1)
    when = np.where(y, random.normal(size=len(y)), np.nan)
    found = settled(binned(when, label_of(y)), label_of(y))
    assert (found.cell, found.exceptions) == (0, 0)
    assert found.explained == pytest.approx(1.0)
    half = np.where(y & (random.random(len(y)) < 0.5), random.normal(size=len(y)), np.nan)
    given_when = settled(binned(half, label_of(y)), label_of(y))
    assert (given_when.cell, given_when.without, given_when.label) == (0, True, 1)


def test_that_a_value_is_not_the_usual_one_can_settle_it():
    y, _, random = deaths(seed=2)
    amount = np.where(y & (random.random(len(y)) < 0.5), random.lognormal(size=len(y)), 0.0)
    cells = binned(amount, label_of(y))
    found = settled(cells, label_of(y))
    assert found.without
    assert (amount[cells.codes == found.cell] == 0).all()
    assert (found.label, found.exceptions, found.rows) == (1, 0, int((amount > 0).sum()))


def test_a_range_of_numbers_settles_nothing():
    random = np.random.default_rng(3)
    x = random.normal(size=5000)
    y = x + random.normal(size=5000) * 0.05 > 0.5
    assert settled(binned(x, label_of(y)), label_of(y)) is None


def test_few_rows_settle_nothing():
    y = np.arange(400) % 4 == 0
    value = np.where(np.arange(400) < 100, 1, 0)
    assert settled(grouped(value), label_of(y & (value == 0))) is None


def test_a_rare_value_settles_nothing_however_sure_it_is():
    random = np.random.default_rng(4)
    y = random.random(100_000) < 0.3
    town = np.where(np.arange(100_000) < 2000, 1, 0)
    assert settled(grouped(town), label_of(y & (town == 0))) is None


def test_a_strong_cause_settles_nothing():
    random = np.random.default_rng(5)
    smokes = random.random(20_000) < 0.3
    y = random.random(20_000) < np.where(smokes, 0.4, 0.02)
    assert settled(grouped(smokes.astype(int)), label_of(y)) is None


def test_of_many_classes_a_value_must_leave_one():
    kind = np.arange(6000) % 3
    two_left = np.where(kind == 0, 0, 1)
    assert settled(grouped(two_left), label_of(kind)).label == 0
    no_first = np.where(kind == 0, np.arange(6000) % 2, 1)
    found = settled(grouped(no_first), label_of(kind))
    assert found is None or found.label == 0


def test_numbers_are_not_settled():
    assert settled(grouped(np.zeros(100, int)), Label(np.linspace(-0.5, 0.5, 100), 0)) is None


@pytest.mark.parametrize("codes", [np.zeros(500, int), np.full(500, -1)])
def test_a_column_of_one_value_settles_nothing(codes):
    assert settled(grouped(codes), label_of(np.arange(500) % 2)) is None
