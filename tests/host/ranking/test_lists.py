"""What `recommend` may give, and what is said of anything else."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from everbake.core.ranking import listed
from everbake.errors import UserCodeError
from everbake.host.ranking.lists import check_lists, coded, decoded, recommended

USERS = np.array(["ann", "bob"], dtype=object)
ITEMS = pa.array(["milk", "salt", "tea"])


def given(shop, lists, k=2):
    return recommended(shop.recipe(recommend=lambda model, users, k: lists), None, USERS, k)


@pytest.mark.parametrize(
    "form",
    [
        [["tea", "milk"], ["salt"]],
        (("tea", "milk"), ("salt",)),
        [np.array(["tea", "milk"]), np.array(["salt"])],
        [pd.Series(["tea", "milk"]), pd.Series(["salt"])],
        pd.Series([["tea", "milk"], ["salt"]]),
        pd.DataFrame({"user": ["ann", "bob", "ann"], "item": ["tea", "salt", "milk"]}),
        (items for items in (["tea", "milk"], ["salt"])),
        [["tea", "milk", "salt"], ["salt"]],
    ],
    ids=["lists", "tuples", "arrays", "columns", "series", "frame", "generator", "too many"],
)
def test_lists_come_in_many_forms(shop, form):
    assert given(shop, form) == [["tea", "milk"], ["salt"]]


def test_a_matrix_has_a_row_a_user_and_a_frame_may_leave_users_out(shop):
    assert given(shop, np.array([[3, 1], [2, 4]])) == [[3, 1], [2, 4]]
    frame = pd.DataFrame({"user": ["bob"], "item": ["tea"]})
    assert given(shop, frame) == [[], ["tea"]]


def test_items_are_plain_values(shop):
    lists = given(shop, [[np.int64(3)], []])
    assert lists == [[3], []]
    assert type(lists[0][0]) is int


@pytest.mark.parametrize(
    ("lists", "told"),
    [
        (None, "gave NoneType"),
        ("tea", "gave tea"),
        (["tea", "milk"], "gave tea"),
        ([{"tea"}, {"milk"}], "gave set"),
        ([["tea"]], "1 lists for 2 users"),
        ([[["tea"]], [["milk"]]], "lists of lists"),
        ([["tea", None], []], "missing value"),
        ([[float("nan")], []], "missing value"),
        (pd.DataFrame({"user": ["cid"], "item": ["tea"]}), "'cid', who was not asked for"),
        (pd.DataFrame({"who": ["ann"], "item": ["tea"]}), "a frame with the columns who, item"),
    ],
)
def test_what_is_no_list_of_items_for_each_user_is_refused(shop, lists, told):
    with pytest.raises(UserCodeError, match=told) as refused:
        given(shop, lists)
    assert refused.value.code == "EB331"
    assert "best first" in refused.value.mend


def test_lists_survive_their_numbers():
    codes = coded([["tea", "milk"], [], ["rum", "salt"]], ITEMS, 3)
    assert codes.tolist() == [[2, 0, -1], [-1, -1, -1], [3, 1, -1]]
    assert decoded(codes, ITEMS).tolist() == [("tea", "milk"), (), (None, "salt")]
    assert listed(decoded(codes, ITEMS)).tolist() == decoded(codes, ITEMS).tolist()


def test_items_of_another_type_than_the_events_are_refused():
    with pytest.raises(UserCodeError, match=r"type int[\s\S]*type string"):
        coded([[3]], ITEMS, 1)
    with pytest.raises(UserCodeError, match=r"type str[\s\S]*type int64"):
        coded([["3"]], pa.array([3]), 1)


def test_an_item_that_is_named_twice_is_refused():
    check_lists([["tea", "milk"], []])
    with pytest.raises(UserCodeError, match=r"twice[\s\S]*user 2 of 2") as refused:
        check_lists([["tea", "milk"], ["tea", "tea"]])
    assert refused.value.code == "EB332"
