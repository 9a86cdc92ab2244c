"""Coverage where rows depend on each other: groups, and neighbours in time."""

from math import ceil, sqrt
from unittest.mock import patch

import numpy as np

from everbake.statistics import clusters
from everbake.statistics.clusters import grouped_interval, time_blocks
from everbake.statistics.mean import t_interval
from everbake.statistics.quantiles import student

SHARE = 0.2  # of the variance that a group shares
# coverage %: naive t, groups, percentile of resampled groups
GROUPS = {
    5: (74.4, 93.9, 82.6),
    10: (73.5, 94.2, 88.9),
    20: (74.0, 94.8, 91.8),
    50: (74.4, 95.0, 94.0),
    200: (73.3, 95.2, 94.2),
}
# groups of unequal size: t(G - 1), t(effective - 1)
UNEQUAL = {5: (87.0, 95.7), 10: (87.4, 94.1), 20: (89.9, 93.2), 50: (92.4, 93.4)}
# neighbours: naive t, 10 blocks, 20 blocks, moving blocks
SERIES = {
    (0.0, 200): (95.6, 95.8, 95.3, 93.5),
    (0.5, 60): (74.1, 92.7, 88.6, 86.9),
    (0.5, 200): (75.1, 95.1, 93.7, 90.5),
    (0.5, 1000): (74.3, 95.4, 95.7, 93.2),
    (0.8, 60): (47.5, 81.7, 68.9, 72.1),
    (0.8, 200): (47.9, 91.9, 87.9, 81.9),
    (0.8, 1000): (47.3, 94.0, 94.0, 87.7),
}


def report(out, size):
    """Print all tables of this file."""
    groups(out, size)
    _unequal(out, size)
    _series(out, size)


def below_the_floor():
    """Intervals also below 5 effective groups, where the product gives none."""
    return patch.object(clusters, "FEWEST_GROUPS", 0)


def groups(out, size, counts=tuple(GROUPS)):
    """Groups of about ten rows."""
    out.heading("Groups of Poisson(10) rows, ICC .2, coverage %: naive t, groups, resampled groups")
    for count in counts:
        rng, hits = np.random.default_rng([3, count]), []
        for _ in range(max(2000, size.runs(2000))):
            codes = np.repeat(np.arange(count), np.maximum(1, rng.poisson(10, count)))
            d = _grouped(rng, codes)
            bounds = [t_interval(d), _interval(d, codes)]
            bounds += [_resampled(rng, d, codes)] if size.peers else []
            hits.append([low <= 0 <= high for low, high in bounds])
        columns = list(np.array(hits).T)
        out.shares(f"G = {count}", columns, GROUPS[count][: len(columns)], 2000)


def _grouped(rng, codes):
    shared = rng.normal(size=codes[-1] + 1)[codes]
    return sqrt(SHARE) * shared + sqrt(1 - SHARE) * rng.normal(size=len(codes))


def _interval(d, codes):
    with below_the_floor():
        interval = grouped_interval(d, codes)
    return interval.lower, interval.upper


def _resampled(rng, d, codes, resamples=500):
    sizes, sums = np.bincount(codes), np.bincount(codes, weights=d)
    chosen = rng.integers(0, len(sums), (resamples, len(sums)))
    means = sums[chosen].sum(axis=1) / sizes[chosen].sum(axis=1)
    return np.quantile(means, [0.025, 0.975])


def _unequal(out, size):
    out.heading("Groups of 10 lognormal(0, 1) rows, coverage %: t(G - 1), t(effective - 1)")
    for count, published in UNEQUAL.items():
        rng, hits, barred = np.random.default_rng([4, count]), [], 0
        for _ in range(size.runs(3000)):
            sizes = np.maximum(1, np.round(10 * rng.lognormal(size=count))).astype(int)
            codes = np.repeat(np.arange(count), sizes)
            barred += clusters.effective_groups(codes) < 5
            d = _grouped(rng, codes)
            with below_the_floor():
                interval = grouped_interval(d, codes)
            narrow = student(0.975, count - 1) * interval.sd / sqrt(len(d))
            hits.append((abs(interval.difference) <= narrow, interval.lower <= 0 <= interval.upper))
        out.shares(f"G = {count}", list(np.array(hits).T), published, 3000)
        out.note(
            f"  too few effective groups in {100 * barred / len(hits):.0f} %: no interval then"
        )


def _series(out, size):
    out.heading("AR(1), coverage %: naive t, 10 blocks, 20 blocks, moving blocks")
    for (phi, n), published in SERIES.items():
        rng, hits = np.random.default_rng([3, int(10 * phi), n]), []
        series = _autoregressive(rng, phi, n, size.runs(2000))
        ten, twenty = time_blocks(n), np.arange(n) * 20 // n
        for d in series:
            bounds = [t_interval(d), *(_interval(d, b) for b in (ten, twenty))]
            bounds += [_moving(rng, d)] if size.peers else []
            hits.append([low <= 0 <= high for low, high in bounds])
        columns = list(np.array(hits).T)
        out.shares(f"phi {phi:g}, n = {n}", columns, published[: len(columns)], 1500)


def _autoregressive(rng, phi, n, runs):
    noise = rng.normal(size=(n, runs))
    noise[0] /= sqrt(1 - phi**2)
    for i in range(1, n):
        noise[i] += phi * noise[i - 1]
    return noise.T.copy()


def _moving(rng, d, resamples=500):
    n = len(d)
    length = ceil(1.5 * n ** (1 / 3))
    sums = np.cumsum(np.append(0.0, d))
    blocks = (sums[length:] - sums[:-length]) / length
    starts = rng.integers(0, len(blocks), (resamples, ceil(n / length)))
    return np.quantile(blocks[starts].mean(axis=1), [0.025, 0.975]) - (blocks.mean() - d.mean())
