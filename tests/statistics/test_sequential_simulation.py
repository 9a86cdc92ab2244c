"""Promises kept in simulation: false roll-backs, requests until harm is found, and the traps.

Small runs with fixed seeds; `benchmarks/bench_rollout_simulation.py` prints the full ones.
"""

from math import log, sqrt

import numpy as np
import pytest

from everbake.statistics.running import moments, unpaired
from everbake.statistics.sequential import Split, better, under_cap, worse

RUNS = 400
ERROR = sqrt(0.05 * 0.95 / RUNS)  # Monte-Carlo standard error of a share of 5 %


def least_canary(share, alpha, most):
    """By number of events n: the least number of canary events at which ln E+(1) is enough."""
    table, b = np.full(most + 1, most + 2), 0
    for n in range(1, most + 1):
        while b <= n and worse([Split(share, b, n)]) < log(1 / alpha):
            b += 1
        table[n] = b
    return table


@pytest.mark.parametrize("share", [0.5, 0.1])
def test_equal_arms_are_rarely_told_apart_however_often_one_looks(share):
    rng = np.random.default_rng(20240601)
    events = 500
    b = np.cumsum(rng.random((RUNS, events)) < share, axis=1)
    harm = (b >= least_canary(share, 0.05, events)[1:]).any(axis=1)
    assert harm.mean() <= 0.05 + 2 * ERROR


def test_a_z_test_on_the_same_arms_cries_harm_in_a_third_of_all_runs():
    rng = np.random.default_rng(20240601)
    n = np.arange(1, 501)
    b = np.cumsum(rng.random((RUNS, 500)) < 0.5, axis=1)
    z = (b - n / 2) / np.sqrt(n / 4)
    assert (z.max(axis=1) > 1.645).mean() >= 0.30


@pytest.mark.parametrize(
    ("share", "champion", "canary", "median"),
    [(0.5, 0.01, 0.02, 3750), (0.1, 0.01, 0.02, 10_100), (0.5, 0.001, 0.01, 1670)],
)
def test_a_worse_canary_is_found_after_as_many_requests_as_promised(
    share, champion, canary, median
):
    rng = np.random.default_rng(20240603)
    rate = share * canary + (1 - share) * champion
    most = 1200
    b = np.cumsum(rng.random((RUNS, most)) < share * canary / rate, axis=1)
    found = b >= least_canary(share, 0.05, most)[1:]
    requests = np.cumsum(rng.geometric(rate, (RUNS, most)), axis=1)
    assert found.any(axis=1).mean() > 0.99
    stops = requests[np.arange(RUNS), found.argmax(axis=1)]
    assert np.median(stops) == pytest.approx(median, rel=0.15)


def test_a_ramp_with_an_incident_is_no_harm_by_stage_and_always_harm_pooled():
    rng = np.random.default_rng(20240604)
    sizes, shares = [10_000] * 3 + [20_000], [0.01, 0.05, 0.25, 0.5]
    calm = [0.01, 0.01, 0.01, 0.029]  # the last stage with 2,000 requests at 20 %
    by_stage, pooled = [], []
    for _ in range(100):
        failures = [int(rng.binomial(n, p)) for n, p in zip(sizes, calm, strict=True)]
        labels = [rng.random(n) < share for n, share in zip(failures, shares, strict=True)]
        by_stage.append(any(_looks(shares, labels)))
        canary = sum(n * share for n, share in zip(sizes, shares, strict=True))
        hits = sum(int(seen.sum()) for seen in labels)
        pooled.append(worse([Split(canary / sum(sizes), hits, sum(failures))]) >= log(20))
    assert np.mean(by_stage) <= 0.05 + 2 * sqrt(0.05 * 0.95 / 100)
    assert np.mean(pooled) >= 0.95


def _looks(shares, labels):
    """Whether each canary event, with all before it, is evidence of harm."""
    past = []
    for share, seen in zip(shares, labels, strict=True):
        for n in np.flatnonzero(seen) + 1:
            mine = int(seen[:n].sum())
            yield worse([*past, Split(share, mine, int(n))]) >= log(20)
        past.append(Split(share, int(seen.sum()), len(seen)))


def test_a_canary_at_the_margin_and_at_the_cap_rarely_passes():
    rng = np.random.default_rng(20240605)
    passes = []
    for _ in range(RUNS):
        champion = np.cumsum(rng.binomial(500, 0.01, 60))
        canary = np.cumsum(rng.binomial(500, 0.015, 60))
        looks = (
            (better([Split(0.5, b, a + b)], 1.5), under_cap(b, 500 * (i + 1), 0.015))
            for i, (a, b) in enumerate(zip(champion.tolist(), canary.tolist(), strict=True))
        )
        passes.append(any(np.logaddexp(*pair) - log(2) >= log(20) for pair in looks))
    assert np.mean(passes) <= 0.05 + 2 * ERROR


def test_a_small_arm_of_skewed_losses_does_not_look_better_than_it_is():
    rng = np.random.default_rng(20240638)
    better_by_largest, better_by_own = [], []
    for _ in range(RUNS):
        losses, canary = rng.lognormal(size=5000), rng.random(5000) < 0.1
        largest, own = _any_better(losses, canary)
        better_by_largest.append(largest)
        better_by_own.append(own)
    assert np.mean(better_by_largest) <= 0.05
    assert np.mean(better_by_own) > np.mean(better_by_largest) + 2 * ERROR


def _any_better(losses, canary):
    """Looks after every 200 rows: by the larger variance, and by each arm's own."""
    b = a = moments(())
    largest = own = False
    for start in range(0, len(losses), 200):
        part, mine = losses[start : start + 200], canary[start : start + 200]
        b, a = b.merge(moments(part[mine].tolist())), a.merge(moments(part[~mine].tolist()))
        estimate = unpaired([(b, a)])
        if estimate is None:
            continue
        width = (estimate.upper(0.05) - estimate.difference) / estimate.error
        error = sqrt(b.variance / b.n + a.variance / a.n)
        largest = largest or estimate.upper(0.05) < 0
        own = own or estimate.difference + width * error < 0
    return largest, own
