"""Which model a key goes to: the same everywhere, and a growing share only adds keys."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everbake.core.rollout import arm_of_key


def test_a_key_stays_where_it_is_on_every_machine():
    chosen = [i for i in range(16) if arm_of_key("rollout-7", f"user-{i}", 0.25)]
    assert chosen == [2, 14]


@given(st.text(), st.text(), st.floats(0, 1), st.floats(0, 1))
def test_a_growing_share_only_adds_keys(salt, key, one, other):
    small, large = sorted((one, other))
    assert arm_of_key(salt, key, large) or not arm_of_key(salt, key, small)
    assert not arm_of_key(salt, key, 0.0)
    assert arm_of_key(salt, key, 1.0)


def test_keys_meet_the_declared_share_and_another_salt_shuffles_them():
    first = [arm_of_key("a", str(i), 0.1) for i in range(20_000)]
    second = [arm_of_key("b", str(i), 0.1) for i in range(20_000)]
    assert sum(first) == pytest.approx(2000, abs=130)
    both = sum(x and y for x, y in zip(first, second, strict=True))
    assert both == pytest.approx(200, abs=50)
