"""What the held-out period says, beside the same told in plain loops."""

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from everbake import Events
from everbake.host.ranking.period import Period, plain

events = st.lists(
    st.tuples(st.sampled_from("abcd"), st.sampled_from("uvwxyz"), st.integers(-1, 4)),
    min_size=2,
    max_size=40,
)
SHARED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def period(shop, lines, cut, **options):
    shop.columns, shop.events = ("user", "item", "gain"), lines
    trained = np.arange(len(lines)) < cut
    columns = Events(user="user", item="item", time="day", **options)
    return Period(shop.table(), columns, np.flatnonzero(~trained), trained)


@SHARED
@given(events, st.booleans(), st.booleans())
def test_users_want_what_they_choose_in_the_period(shop, lines, weighted, repeats):
    cut = len(lines) // 2
    options = {"weight": "gain"} if weighted else {}
    held = period(shop, lines, cut, repeats=repeats, **options)
    gains = defaultdict(Counter)
    for user, item, gain in lines[cut:]:
        gains[user][item] = gains[user][item] + gain if weighted else 1
    before = {(user, item) for user, item, _ in lines[:cut]}
    wanted = [
        {
            item: gain
            for item, gain in gains[user].items()
            if gain > 0 and (repeats or (user, item) not in before)
        }
        or None
        for user in sorted(gains)
    ]
    assert plain(held.users).tolist() == sorted(gains)
    assert held.wanted().tolist() == wanted


@SHARED
@given(events)
def test_the_audience_knows_who_is_new_and_what_was_chosen_before(shop, lines):
    cut = len(lines) // 2
    held = period(shop, lines, cut)
    audience = held.audience
    known = {user for user, _, _ in lines[:cut]}
    assert audience.users.tolist() == plain(held.users).tolist()
    assert audience.cold.tolist() == [user not in known for user in audience.users]
    assert audience.catalogue == Counter(item for _, item, _ in lines[:cut])


def test_a_missing_weight_counts_nothing(shop):
    held = period(shop, [("a", "u", 1.0), ("a", "v", None), ("b", "v", None)], 0, weight="gain")
    assert held.wanted().tolist() == [{"u": 1.0}, None]


def test_segments_are_what_stands_at_a_user_first(shop):
    shop.columns = ("user", "item", "town", "age")
    shop.events = [
        ("a", "u", None, 30),
        ("b", "u", "Rome", 40),
        ("a", "v", "Oslo", 31),
        ("c", "v", None, None),
        ("a", "w", "Bonn", 32),
    ]
    trained = np.array([True, True, False, False, False])
    columns = Events(user="user", item="item", time="day")
    held = Period(shop.table(), columns, np.flatnonzero(~trained), trained)
    found = held.segments(("town", "age"))
    assert found["town"].tolist() == ["Oslo", None]
    assert found["age"].tolist() == pytest.approx([30, float("nan")], nan_ok=True)
    assert found["cold_start"].tolist() == ["no", "yes"]


def test_users_are_no_segments_of_cold_start_where_all_are_alike(shop):
    held = period(shop, [("a", "u", 1), ("a", "v", 1)], 1)
    assert held.segments(()) == {}
    assert held.segments(("cold_start",))["cold_start"].tolist() == ["no"]
