"""What the bootstrap draws: Poisson counts, units, groups."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from everbake.statistics.draws import drawn, generator_of, poisson_counts, rows_of_groups

WORDS = 65_536  # equally likely 16-bit numbers


def every_number_once():
    """A stand-in for a generator whose 64-bit words hold each 16-bit number once."""

    class Bits:
        def random_raw(self, size):
            return np.arange(4 * size, dtype="<u2").view("<u8")

    class Generator:
        bit_generator = Bits()

    return Generator()


def test_the_table_of_counts_is_poissons_to_sixteen_bits():
    counts = poisson_counts(every_number_once(), WORDS)
    shares = np.bincount(counts) / WORDS
    assert shares == pytest.approx(stats.poisson.pmf(np.arange(len(shares)), 1), abs=1 / WORDS)
    assert counts.mean() == 1.0
    assert counts.var() == pytest.approx(1.0, abs=1e-4)


def test_drawn_counts_follow_poissons_law():
    counts = poisson_counts(generator_of(12), 200_000)
    seen = np.bincount(np.minimum(counts, 6), minlength=7)
    expected = 200_000 * np.append(stats.poisson.pmf(range(6), 1), stats.poisson.sf(5, 1))
    assert stats.chisquare(seen, expected).pvalue > 0.001


@pytest.mark.parametrize("units", [1, 2, 3, 4, 5, 1003])
def test_counts_are_the_same_on_every_machine(units):
    # by Python's whole numbers: each 64-bit word of PCG64 holds four numbers, the lowest first
    words = np.random.PCG64(99).random_raw(-(-units // 4)).tolist()
    numbers = [word >> (16 * place) & 0xFFFF for word in words for place in range(4)]
    ends = np.round(np.cumsum(stats.poisson.pmf(np.arange(8), 1)) * WORDS)
    peer = np.searchsorted(ends, numbers[:units], side="right")
    assert poisson_counts(generator_of(99), units).tolist() == peer.tolist()


def test_the_words_are_those_of_the_published_generator():
    # PCG XSL RR 128/64 (O'Neill 2014) in whole numbers, from the state that the seed stands for
    source = np.random.PCG64(99)
    state, step = (source.state["state"][name] for name in ("state", "inc"))
    words = []
    for _ in range(5):
        state = (state * 0x2360ED051FC65DA44385DF649FCCF645 + step) % 2**128
        folded, turn = (state >> 64) ^ (state % 2**64), state >> 122
        words.append((folded >> turn | folded << (64 - turn)) % 2**64)
    assert source.random_raw(5).tolist() == words


def test_each_stratum_gives_as_many_units_as_it_has():
    strata = [np.array([0, 3, 4]), np.array([1, 2, 5, 6])]
    for seed in range(20):
        units = drawn(generator_of(seed), strata)
        assert np.isin(units[:3], strata[0]).all()
        assert np.isin(units[3:], strata[1]).all()
        assert len(units) == 7


@given(st.lists(st.integers(0, 4), min_size=1, max_size=30), st.data())
def test_the_rows_of_chosen_groups_follow_each_other(codes, data):
    groups = np.unique(codes, return_inverse=True)[1]
    there = st.integers(0, int(groups.max()))
    chosen = np.array(data.draw(st.lists(there, min_size=1, max_size=8)))
    naive = [row for group in chosen for row in range(len(codes)) if groups[row] == group]
    assert rows_of_groups(groups, chosen).tolist() == naive
