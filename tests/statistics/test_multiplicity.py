"""Many claims at once: Holm's correction."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from statsmodels.stats.multitest import multipletests

from everbake.statistics.multiplicity import holm

claims = st.lists(st.floats(0, 1), min_size=1, max_size=30)


@settings(max_examples=15)  # a call of the peer takes a tenth of a second
@given(claims)
def test_holms_correction_is_that_of_statsmodels(p):
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1], abs=1e-12)


@given(claims)
def test_a_claim_alone_is_not_corrected_and_none_gets_smaller(p):
    assert holm(p[:1]).tolist() == p[:1]
    assert np.all(holm(p) >= np.array(p))


@given(arrays(np.float64, (3, 4, 6), elements=st.floats(0, 1)))
def test_sets_of_claims_along_the_last_axis_are_corrected_each_on_its_own(p):
    together = holm(p)
    for at in np.ndindex(3, 4):
        assert together[at].tolist() == holm(p[at]).tolist()


def test_no_claims_give_none():
    assert holm([]).tolist() == []
