"""What one column tells of a label, against naive counts and scikit-learn's losses."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import log_loss, r2_score

from everbake.statistics.alone import (
    MOST_CELLS,
    Cells,
    Label,
    binned,
    explained,
    foretold,
    grouped,
    ranked,
)


def classes(values):
    found, codes = np.unique(values, return_inverse=True)
    return Label(codes, len(found))


def halves(count, seed=0):
    return np.random.default_rng(seed).random(count) < 0.5


def naive_rates(cells, y, half, kinds):
    """The rates of the other half, row by row, each cell with one row of the overall rate."""
    told = []
    for cell, side in zip(cells, half, strict=True):
        others = [y[i] for i in range(len(y)) if half[i] != side]
        inside = [y[i] for i in range(len(y)) if half[i] != side and cells[i] == cell]
        usual = [others.count(kind) / max(len(others), 1) for kind in range(kinds)]
        told.append(
            [
                (inside.count(kind) + rate) / (len(inside) + 1)
                for kind, rate in enumerate(usual)
            ]
        )  # fmt: skip
    return np.array(told)


rows = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 2), st.booleans()), min_size=2, max_size=40
)


@given(rows)
def test_the_other_half_foretells_rates_as_counting_by_hand_does(drawn):
    cells, y, half = (list(column) for column in zip(*drawn, strict=True))
    told = foretold(Cells(np.array(cells), np.ones(5, bool)), Label(np.array(y), 3), np.array(half))
    assert told == pytest.approx(naive_rates(cells, y, half, 3))


@given(rows)
def test_the_other_half_foretells_mean_ranks_as_counting_by_hand_does(drawn):
    cells, y, half = (np.array(column) for column in zip(*drawn, strict=True))
    label = ranked(y.astype(float))
    told = foretold(Cells(cells, np.ones(5, bool)), label, half)[:, 0]
    for i in range(len(y)):
        others = label.values[half != half[i]]
        inside = label.values[(half != half[i]) & (cells == cells[i])]
        usual = others.mean() if len(others) else 0.0
        assert told[i] == pytest.approx((inside.sum() + usual) / (len(inside) + 1))


def test_what_is_explained_of_classes_is_one_minus_a_ratio_of_log_losses():
    y = np.arange(300) % 3
    told = np.random.default_rng(1).dirichlet([1, 2, 3], 300)
    base = np.full((300, 3), 1 / 3)
    expected = 1 - log_loss(y, told) / log_loss(y, base)
    assert explained(told, Label(y, 3)) == pytest.approx(expected)


def test_what_is_explained_of_numbers_is_r2_over_their_ranks():
    random = np.random.default_rng(2)
    y, guess = random.lognormal(size=200), random.normal(size=200) * 0.1
    ranks = (rankdata(y) - 0.5) / 200 - 0.5
    assert ranked(y).values == pytest.approx(ranks)
    assert explained(guess[:, None], ranked(y)) == pytest.approx(r2_score(ranks, guess))


def alone(values, y, seed=0):
    return explained(foretold(binned(values, y), y, halves(len(values), seed)), y)


def test_a_copy_tells_everything_and_noise_tells_nothing():
    random = np.random.default_rng(3)
    y = classes(random.random(5000) < 0.2)
    assert alone(y.values.astype(float), y) > 0.99
    assert abs(alone(random.normal(size=5000), y)) < 0.01
    number = random.normal(size=5000)
    assert alone(number, ranked(number)) > 0.99
    assert abs(alone(random.normal(size=5000), ranked(number))) < 0.02


def test_a_column_whose_values_never_come_twice_tells_nothing():
    y = classes(np.arange(1000) % 2)
    told = foretold(grouped(np.arange(1000)), y, halves(1000))
    assert explained(told, y) == pytest.approx(0.0, abs=0.05)


def test_a_level_of_rows_that_all_come_once_does_not_look_strong_by_fitting_it():
    # 500 levels of two rows each, the label a coin: read off all rows, they would tell half of it.
    random = np.random.default_rng(4)
    y = classes(random.random(1000) < 0.5)
    told = foretold(grouped(np.arange(1000) // 2), y, halves(1000))
    assert explained(told, y) < 0.0


@given(
    st.lists(st.integers(-5, 5), min_size=30, max_size=120),
    st.sampled_from([lambda x: 3 * x + 7, np.exp, lambda x: x**3]),
)
def test_a_change_of_scale_changes_no_cell(drawn, change):
    values = np.array(drawn, float)
    y = classes(np.arange(len(values)) % 2)
    assert (binned(values, y).codes == binned(change(values), y).codes).all()


@given(st.lists(st.one_of(st.none(), st.integers(0, 400)), min_size=1, max_size=300))
def test_cells_of_numbers_keep_their_order_and_single_ones_hold_one_value(drawn):
    values = np.array([np.nan if value is None else value for value in drawn], float)
    cells = binned(values, classes(np.arange(len(values)) % 2))
    assert (cells.codes == 0).tolist() == np.isnan(values).tolist()
    for cell in np.unique(cells.codes[cells.codes > 0]):
        inside = values[cells.codes == cell]
        if cells.single[cell]:
            assert len(np.unique(inside)) == 1


def test_a_value_that_comes_often_has_a_cell_of_its_own():
    values = np.concatenate([np.zeros(3000), np.random.default_rng(5).lognormal(size=1000)])
    cells = binned(values, classes(np.arange(4000) % 2))
    cell = cells.codes[0]
    assert cells.single[cell]
    assert (cells.codes == cell).sum() == 3000
    assert not cells.single[np.unique(cells.codes[3000:])].any()


def test_the_rarest_of_very_many_categories_share_a_cell():
    codes = np.concatenate([np.repeat(np.arange(MOST_CELLS), 2), np.arange(3 * MOST_CELLS), [-1]])
    cells = grouped(codes)
    assert len(cells.single) == MOST_CELLS
    assert cells.codes[-1] == 0
    assert cells.codes.max() == MOST_CELLS - 1
    assert not cells.single[-1]
    shared = np.unique(codes[cells.codes == MOST_CELLS - 1])
    assert shared.min() > 0
    assert len(shared) == 3 * MOST_CELLS - (MOST_CELLS - 2)
    kept = np.unique(codes[(cells.codes > 0) & (cells.codes < MOST_CELLS - 1)])
    assert kept.tolist() == list(range(MOST_CELLS - 2))


def test_the_strongest_reading_of_a_real_set_is_ranked_as_its_area_under_the_curve_is():
    data = load_breast_cancer(as_frame=True)
    y = classes(data.target)
    told = {name: alone(data.data[name].to_numpy(float), y) for name in data.data}
    strongest = sorted(told, key=told.get)[-5:]
    assert "worst perimeter" in strongest
    assert 0.55 < told["worst perimeter"] < 0.8  # the area under its curve is .975
