"""Metrics of ranked lists: against scikit-learn, and against the definitions in plain Python."""

from math import nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import dcg_score, ndcg_score

from everbake.statistics.ranking import (
    NOTHING,
    Wanted,
    average_precision,
    coverage,
    mean_popularity,
    ndcg,
    numbered,
    recall,
)

ITEMS = 8

users = st.fixed_dictionaries(
    {
        "wanted": st.dictionaries(st.integers(0, ITEMS - 1), st.sampled_from([0.0, 0.5, 1.0, 3.0])),
        "ranked": st.permutations(range(ITEMS)).flatmap(
            lambda order: st.integers(0, ITEMS).map(lambda length: order[:length])
        ),
    }
)
many_users = st.lists(users, min_size=1, max_size=6)
depths = st.integers(1, ITEMS + 2)


def flat(drawn):
    wanted, (lists,) = numbered(
        [user["wanted"] for user in drawn], [user["ranked"] for user in drawn]
    )
    return wanted, lists


def scikit_learns(user, k):
    """NDCG by scikit-learn's gains; a list that ends early gains nothing more."""
    gains = np.array([[user["wanted"].get(item, 0.0) for item in range(ITEMS)]])
    if not gains.any():
        return nan
    places = {item: -place for place, item in enumerate(user["ranked"])}
    scores = np.array([[float(places.get(item, -ITEMS)) for item in range(ITEMS)]])
    named = min(k, len(user["ranked"]))
    if named == ITEMS or k <= named:
        return ndcg_score(gains, scores, k=k)
    gained = dcg_score(gains, scores, k=named) if named else 0.0
    return gained / dcg_score(gains, gains, k=k)


def naive_recall(user, k):
    wanted = {item for item, gain in user["wanted"].items() if gain > 0}
    return len(wanted & set(user["ranked"][:k])) / len(wanted) if wanted else nan


def naive_average_precision(user, k):
    wanted = {item for item, gain in user["wanted"].items() if gain > 0}
    if not wanted:
        return nan
    total, hits = 0.0, 0
    for rank, item in enumerate(user["ranked"][:k], 1):
        if item in wanted:
            hits += 1
            total += hits / rank
    return total / min(k, len(wanted))


METRICS = [
    (ndcg, scikit_learns),
    (recall, naive_recall),
    (average_precision, naive_average_precision),
]


@pytest.mark.parametrize(("metric", "peer"), METRICS, ids=lambda f: f.__name__)
@given(drawn=many_users, k=depths)
def test_each_user_gets_what_the_definition_says(metric, peer, drawn, k):
    wanted, lists = flat(drawn)
    expected = [peer(user, k) for user in drawn]
    assert metric(lists, wanted, k) == pytest.approx(expected, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize(("metric", "peer"), METRICS, ids=lambda f: f.__name__)
def test_an_item_that_a_list_names_twice_counts_once(metric, peer):
    wanted, (twice, other) = numbered(
        [{"tea": 1.0, "jam": 1.0}], [["tea", "tea", "jam"]], [["tea", "ink", "jam"]]
    )
    assert metric(twice, wanted, 3) == pytest.approx(metric(other, wanted, 3))


def test_gains_count_for_ndcg_and_only_their_presence_for_the_others():
    wanted, (low, high) = numbered([{"a": 1.0, "b": 9.0}], [["a", "x"]], [["b", "x"]])
    assert ndcg(high, wanted, 2)[0] > ndcg(low, wanted, 2)[0]
    assert recall(high, wanted, 2) == recall(low, wanted, 2)
    assert average_precision(high, wanted, 2) == average_precision(low, wanted, 2)


def test_users_may_come_in_any_order():
    wanted, (lists,) = numbered([{"a": 1.0, "b": 2.0}, {"b": 1.0}], [["a", "b"], ["a", "b"]])
    order = np.array([2, 0, 1])
    mixed = Wanted(2, wanted.user[order], wanted.item[order], wanted.gain[order])
    for metric, _ in METRICS:
        assert metric(lists, mixed, 2) == pytest.approx(metric(lists, wanted, 2))


def test_nobody_wants_anything():
    wanted, (lists,) = numbered([{}, {"tea": 0.0}], [["tea"], []])
    for metric, _ in METRICS:
        assert np.isnan(metric(lists, wanted, 5)).all()


@given(many_users)
def test_coverage_and_popularity_are_counted_item_by_item(drawn):
    wanted, lists = flat(drawn)
    named = {item for user in drawn for item in user["ranked"]}
    assert coverage(lists, ITEMS) == pytest.approx(len(named) / ITEMS)
    popularity = np.arange(1.0, ITEMS + 1)
    codes = lists.tolist()
    means = [[popularity[item] for item in line if item != NOTHING] for line in codes]
    expected = [np.mean(line) if line else nan for line in means]
    assert mean_popularity(lists, popularity) == pytest.approx(expected, nan_ok=True)
    assert wanted.users == len(drawn)
