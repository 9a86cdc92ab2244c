"""The area under the ROC curve: DeLong's variance, against pair counts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score

from everbake.statistics.auroc import auroc_interval, delong, midranks

Y = np.array([0, 0, 1, 1, 0, 1, 0, 1, 0, 0], dtype=bool)
S0 = np.array([0.1, 0.4, 0.35, 0.8, 0.3, 0.6, 0.6, 0.9, 0.2, 0.5])
S1 = np.array([0.2, 0.3, 0.5, 0.7, 0.1, 0.6, 0.4, 0.95, 0.35, 0.5])


def by_pairs(y, s0, s1):
    """DeLong's variance by counting all pairs."""

    def kernel(s):
        up, down = s[y][:, None], s[~y][None, :]
        return (up > down) + 0.5 * (up == down)

    d = kernel(s1) - kernel(s0)
    return np.var(d.mean(axis=1), ddof=1) / d.shape[0] + np.var(d.mean(axis=0), ddof=1) / d.shape[1]


outcomes = st.lists(st.tuples(st.booleans(), st.integers(0, 9), st.integers(0, 9)), max_size=40)


@given(outcomes)
def test_delong_agrees_with_pair_counts_and_scikit_learn(drawn):
    drawn = [*drawn, (True, 1, 2), (True, 3, 4), (False, 5, 1), (False, 0, 6)]
    y, s0, s1 = (np.array(column) for column in zip(*drawn, strict=True))
    areas = delong(y, s0.astype(float), s1.astype(float))
    assert areas.champion == pytest.approx(roc_auc_score(y, s0), abs=1e-12)
    assert areas.candidate == pytest.approx(roc_auc_score(y, s1), abs=1e-12)
    assert areas.variance == pytest.approx(by_pairs(y, s0, s1), abs=1e-12)


@given(st.lists(st.integers(0, 5), min_size=1))
def test_ties_share_the_middle_rank(values):
    assert midranks(np.array(values, dtype=float)) == pytest.approx(rankdata(values))


def test_swapping_the_models_mirrors_the_interval():
    there, back = auroc_interval(Y, S0, S1), auroc_interval(Y, S1, S0)
    assert (there.lower, there.upper) == pytest.approx((-back.upper, -back.lower), abs=1e-12)


@pytest.mark.parametrize(("m", "bounds"), [(19, (-1.0, 1.0)), (20, (1.0, 1.0))])
def test_a_perfect_separation_is_believed_from_twenty_rows_of_each_class(m, bounds):
    y = np.repeat([False, True], m)
    interval = auroc_interval(y, -1.0 * y, 1.0 * y)
    assert interval.difference == pytest.approx(1.0)
    assert (interval.lower, interval.upper) == pytest.approx(bounds)
