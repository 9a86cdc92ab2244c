"""Metrics of ranked lists, beside scikit-learn's and beside their definitions."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

import everbake
from everbake.core.ranking import Audience, listed, wanted
from everbake.errors import UsageError, UserCodeError
from everbake.metrics import coverage, mean_average_precision, ndcg, popularity, recall_at

ITEMS = 12
lists = st.lists(st.integers(0, ITEMS - 1), unique=True, min_size=1, max_size=ITEMS)
wishes = st.dictionaries(st.integers(0, ITEMS - 1), st.integers(1, 5), min_size=1)
users = st.lists(st.tuples(wishes, lists), min_size=1, max_size=6)
lengths = st.integers(1, ITEMS + 2)


@given(users, lengths)
def test_ndcg_is_that_of_scikit_learn(pairs, k):
    # Behind the named items come others that nobody wants, and more of them than are looked at.
    truth, scores = np.zeros((len(pairs), 4 * ITEMS)), np.zeros((len(pairs), 4 * ITEMS))
    for user, (wish, named) in enumerate(pairs):
        truth[user, list(wish)] = list(wish.values())
        unnamed = [item for item in range(ITEMS) if item not in named]
        order = [*named, *range(ITEMS, 4 * ITEMS), *unnamed]
        scores[user, order] = -np.arange(len(order))
    ours = ndcg(k)([wish for wish, _ in pairs], [named for _, named in pairs])
    assert ours == pytest.approx(ndcg_score(truth, scores, k=k))


@given(users, lengths)
def test_recall_and_map_are_what_their_definitions_say(pairs, k):
    recalls, precisions = [], []
    for wish, named in pairs:
        hits = [item in wish for item in named[:k]]
        recalls.append(sum(hits) / len(wish))
        found = [sum(hits[: rank + 1]) / (rank + 1) for rank, hit in enumerate(hits) if hit]
        precisions.append(sum(found) / min(k, len(wish)))
    truth, named = zip(*pairs, strict=True)
    assert recall_at(k)(truth, named) == pytest.approx(np.mean(recalls))
    assert mean_average_precision(k)(truth, named) == pytest.approx(np.mean(precisions))


@given(users, lengths)
def test_coverage_and_popularity_are_what_their_definitions_say(pairs, k):
    truth, named = zip(*pairs, strict=True)
    events = {item: item + 1 for item in range(ITEMS - 2)}  # two items have none
    first = [items[:k] for items in named]
    told = {item for items in first for item in items if item in events}
    shares = [np.mean([events.get(i, 0) / sum(events.values()) for i in items]) for items in first]
    rows = Audience(np.arange(len(pairs)), np.zeros(len(pairs), bool), events)
    assert coverage(k)(truth, named, rows) == pytest.approx(len(told) / len(events))
    assert coverage(k, list(events))(truth, named) == coverage(k)(truth, named, rows)
    assert popularity(k)(truth, named, rows) == pytest.approx(np.mean(shares))
    assert popularity(k, events)(truth, named) == popularity(k)(truth, named, rows)


def test_the_best_order_has_the_value_one_and_gains_count():
    truth = [{"a": 3.0, "b": 1.0}]
    assert ndcg(2)(truth, [["a", "b"]]) == 1
    assert ndcg(2)(truth, [["b", "a"]]) < ndcg(2)(truth, [["a", "c"]])


@pytest.mark.parametrize(
    "form",
    [
        [["a", "b"], ["c"]],
        [("a", "b"), ("c",)],
        [np.array(["a", "b"]), np.array(["c"])],
        pd.Series([["a", "b"], ["c"]]),
        np.array([["a", "b"], ["c", "d"]]),
    ],
    ids=["lists", "tuples", "arrays", "series", "matrix"],
)
def test_lists_come_in_many_forms(form):
    assert recall_at(1)([["a"], {"c"}], form) == 1.0


def test_users_who_wanted_nothing_are_left_out_and_an_empty_list_is_worth_nothing():
    assert recall_at(3)([["a"], []], [["a"], ["b"]]) == 1.0
    assert recall_at(3)([["a"], {"b": 0.0}, ["b"]], [["a"], ["b"], []]) == 0.5
    assert np.isnan(recall_at(3)([[]], [["a"]]))


def test_users_may_count_differently():
    truth, lists = [["a"], ["b"], []], [["a"], ["a"], ["a"]]
    assert recall_at(1)(truth, lists, sample_weight=[3, 1, 9]) == 0.75
    events = {"a": 1, "b": 3}
    shown = popularity(1, events)(truth[:2], [["a"], ["b"]], sample_weight=[3, 1])
    assert shown == pytest.approx((3 * 0.25 + 0.75) / 4)
    kept, dropped = some(1, 0.5), some(2, 0.5)
    weights = [1.0] * 150 + [0.0] * 150
    weighed = everbake.judge([[1]] * 300, kept, dropped, metric=ndcg(5), weights=weights)
    plain = everbake.judge([[1]] * 150, kept[:150], dropped[:150], metric=ndcg(5))
    assert weighed.interval == pytest.approx(plain.interval)


def test_an_item_that_is_named_twice_counts_once():
    assert ndcg(3)([["a", "b"]], [["a", "a", "b"]]) == ndcg(3)([["a", "b"]], [["a", "x", "b"]])
    assert recall_at(2)([["a", "b"]], [["a", "a"]]) == 0.5


def test_what_was_read_is_not_read_again():
    read = listed([["a"], None])
    assert listed(read) is read
    assert wanted([["a"], {"b": 2}, []]).tolist() == [{"a": 1.0}, {"b": 2.0}, None]


@pytest.mark.parametrize(
    ("lists", "told"),
    [(["ab"], "'ab' for user 1"), ([{"a"}], "best first"), ("ab", "'ab'"), ([3], "3 for user 1")],
)
def test_what_is_no_list_is_refused(lists, told):
    with pytest.raises(UsageError, match=told):
        recall_at(1)([["a"]], lists)


def test_a_metric_says_what_it_needs():
    with pytest.raises(
        UsageError, match=r"coverage@3 needs catalogue[\s\S]*coverage\(3, catalogue"
    ):
        coverage(3)([["a"]], [["a"]])
    with pytest.raises(UsageError, match="k is 0"):
        ndcg(0)
    with pytest.raises(UsageError, match="2 lists for 1 users"):
        ndcg(1)([["a"]], [["a"], ["b"]])


def some(seed, hit):
    """Lists for 300 users who want item 1, which they name with a chance of `hit`."""
    random = np.random.default_rng(seed)
    return [[1 if random.random() < hit else 0, *range(2, 6)] for _ in range(300)]


def test_judge_compares_lists_by_user():
    truth = [[1]] * 300
    better = everbake.judge(truth, some(1, 0.3), some(2, 0.6), metric=ndcg(5))
    assert (better.verdict, better.code) == ("promoted", "better")
    # The interval is that of the mean of the users' differences.
    before, after = ([float(line[0]) for line in some(*key)] for key in ((1, 0.3), (2, 0.6)))
    mean = np.mean(np.subtract(after, before))
    assert better.difference == pytest.approx(mean)
    assert better.interval[0] < mean < better.interval[1]
    worse = everbake.judge(truth, some(1, 0.6), some(2, 0.3), metric=recall_at(5))
    assert (worse.verdict, worse.code) == ("rejected", "worse")
    same = everbake.judge(truth, some(1, 0.6), some(1, 0.6), metric=mean_average_precision(3))
    assert (same.verdict, same.code) == ("promoted", "same_predictions")


def test_judge_holds_lists_against_guardrails():
    truth, lists = [[1]] * 300, some(1, 0.5)
    rails = [everbake.AtLeast(coverage(5, range(100)), 0.5)]
    decision = everbake.judge(truth, None, lists, metric=ndcg(5), guardrails=rails)
    assert (decision.verdict, decision.code) == ("rejected", "guardrail")
    assert "coverage@5 is 0.06" in decision.because


def test_judge_refuses_what_is_no_list():
    with pytest.raises((UsageError, UserCodeError), match="'ab' for user 1"):
        everbake.judge([["a"]] * 9, None, ["ab"] * 9, metric=ndcg(5))
