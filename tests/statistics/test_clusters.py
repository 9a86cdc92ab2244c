"""Rows that depend on each other: the reference figures."""

import numpy as np
import pytest

from everbake.statistics.clusters import grouped_interval, time_blocks


def test_groups_give_the_reference_figures():
    i = np.arange(1, 61)
    interval = grouped_interval(np.sin(i) + 0.3 * np.sin(i / 9), (i - 1) // 6)
    assert (interval.lower, interval.upper) == pytest.approx(
        (-0.1085961831, 0.1714814088), abs=1e-9
    )
    assert interval.sd / np.sqrt(60) == pytest.approx(0.0619049810, abs=1e-9)


def test_ten_blocks_of_time_give_the_reference_figures():
    d = np.sin(np.arange(1, 201) / 7)
    interval = grouped_interval(d, time_blocks(200))
    assert (interval.lower, interval.upper) == pytest.approx(
        (-0.2805678849, 0.4158045810), abs=1e-9
    )
