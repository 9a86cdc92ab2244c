"""How many rows a verdict needs."""

from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.power import TTestPower

from everbake.statistics.power import rows_for


@given(st.floats(0.1, 2), st.floats(0.05, 1))
def test_rows_needed_reach_the_power_that_statsmodels_computes(sd, delta):
    n = rows_for(sd, delta)
    peer = TTestPower()
    effect = delta / sd
    assert peer.power(effect, max(n, 2), 0.05, alternative="larger") > 0.79
    assert peer.power(effect, n, 0.025, alternative="larger") >= 0.8 - 1e-6


@given(st.floats(0.1, 2), st.floats(0.05, 1))
def test_a_stricter_level_needs_more_rows(sd, delta):
    assert rows_for(sd, delta, 0.0167) >= rows_for(sd, delta)


def test_no_number_is_named_where_none_is_honest():
    assert rows_for(0.2, 0.0) is None
    assert rows_for(0.2, -0.1) is None
    assert rows_for(float("inf"), 0.1) is None
    assert rows_for(0.0, 0.1) == 2
