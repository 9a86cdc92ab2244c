"""How often a 95 % interval of a mean, a root or an area holds the truth."""

from math import sqrt

import numpy as np
from gate_simulation.rows import by_student, chunks, near_equal
from scipy.special import ndtr, ndtri
from scipy.stats import norm, t

from everbake.statistics.auroc import auroc_interval
from everbake.statistics.bootstrap import Plan, weighted_interval
from everbake.statistics.mean import Shape, mean_interval, wider_bounds, wider_interval
from everbake.statistics.smooth import root_differences
from everbake.statistics.weighted import WEIGHTED

AUC = 0.8
SHIFT = sqrt(2) * float(norm.ppf(AUC))  # of the positives' normal scores
SHARED = 0.8  # correlation of the scores of two models
CALLED = SHIFT / 2  # scores above it are called positive
OWN = 1 / 3  # normal error of each model beside the heavy-tailed one that both share
TOGETHER = 10  # sets of rows that share their resamples

DRAWS = {
    "normal": (lambda rng, *size: rng.normal(size=size), 0.0),
    "squared t4": (lambda rng, *size: near_equal(rng, 4, OWN, *size), 0.0),
    "lognormal": (lambda rng, *size: rng.lognormal(size=size), float(np.exp(0.5))),
}
# coverage by t, wider, percentile, BCa, bootstrap-t; then wider's width by t's
MEANS = {
    ("normal", 20): ((95.1, 95.7, 92.6, 92.5, 94.7), 1.04),
    ("normal", 50): ((94.5, 94.9, 93.5, 93.6, 94.4), 1.01),
    ("normal", 100): ((95.5, 95.6, 94.6, 94.7, 95.1), 1.01),
    ("normal", 1000): ((96.3, 96.3, 95.9, 95.8, 96.2), 1.00),
    ("squared t4", 20): ((96.3, 96.4, 91.7, 87.4, 91.2), 1.41),
    ("squared t4", 50): ((95.6, 95.8, 92.8, 89.4, 91.2), 1.22),
    ("squared t4", 100): ((95.5, 95.5, 93.3, 91.0, 92.0), 1.13),
    ("squared t4", 1000): ((95.0, 95.0, 94.9, 94.1, 94.1), 1.03),
    ("lognormal", 20): ((85.8, 92.2, 84.7, 86.3, 91.0), 1.82),
    ("lognormal", 50): ((90.6, 95.0, 90.2, 90.6, 93.3), 1.62),
    ("lognormal", 100): ((91.2, 94.9, 91.1, 91.7, 93.4), 1.42),
    ("lognormal", 1000): ((94.1, 96.2, 94.2, 94.3, 94.5), 1.09),
}
PUBLISHED_RUNS = {20: 4000, 50: 4000, 100: 3000, 1000: 1000}
# lognormal rows: the truth missed below and above, by t and by wider
SIDES = {
    20: (0.2, 14.0, 0.2, 7.7),
    50: (0.4, 9.0, 0.4, 4.7),
    100: (0.2, 8.5, 0.2, 4.9),
    1000: (1.5, 4.4, 1.5, 2.3),
}
ROOTS = {20: (3.2, 2.9), 50: (3.7, 3.3), 200: (3.1, 2.4), 1000: (2.7, 2.3)}
AREAS = {
    (10, 40): (1.9, 2.2, 0.7, 0.8),
    (10, 190): (3.1, 2.8, 1.8, 1.5),
    (20, 180): (2.9, 2.3, 2.0, 1.7),
    (50, 450): (2.8, 2.7, 2.6, 2.4),
    (200, 1800): (2.4, 2.5, 2.4, 2.5),
}
# percentile below and above, then t with the bootstrap's standard error
RESAMPLED = {
    ("average_precision_score", 10, 190): (2.9, 3.9, 1.1, 2.0),
    ("average_precision_score", 20, 180): (3.2, 3.1, 2.4, 2.4),
    ("average_precision_score", 50, 450): (2.5, 1.6, 2.6, 1.4),
    ("f1_score", 10, 190): (2.4, 4.2, 0.8, 0.8),
    ("f1_score", 20, 180): (3.2, 5.8, 1.9, 3.0),
    ("f1_score", 50, 450): (3.6, 2.5, 2.1, 2.0),
}
# false L > 0 % with the union of padded rows
FEW = {
    "normal": {6: 0.0, 10: 0.0, 15: 0.2, 19: 0.5},
    "lognormal against": {6: 0.0, 10: 0.0, 15: 4.3, 19: 5.4},
}


def report(out, size):
    """Print all tables of this file."""
    _means(out, size)
    _few(out, size)
    _roots(out, size)
    _areas(out, size)
    if size.peers:
        _resampled(out, size)


def _means(out, size):
    out.heading("Coverage % of 95 %: t, wider, percentile, BCa, bootstrap-t; then width wider/t")
    for (name, n), (published, width) in MEANS.items():
        draw, truth = DRAWS[name]
        rng, runs = np.random.default_rng([20240601, n]), size.runs(4 * PUBLISHED_RUNS[n])
        parts = [
            _plain(rows, truth)
            for rows in chunks(lambda k, d=draw, r=rng, n=n: d(r, k, n), n, runs)
        ]
        sides, bars = (np.concatenate(column, axis=-1) for column in zip(*parts, strict=True))
        hits = [~(sides[0] | sides[1]), ~(sides[2] | sides[3])]
        if size.peers:
            hits += _bootstraps(rng, draw, truth, n, min(size.runs(2000), PUBLISHED_RUNS[n]))
        out.shares(f"{name}, n = {n}", hits, published[: len(hits)], PUBLISHED_RUNS[n])
        out.means(
            "  width of wider by width of t", [_ratio(*bars)], [width], PUBLISHED_RUNS[n], 0.01
        )
        if name == "lognormal":
            out.shares("  missed below, above: t; wider", list(sides), SIDES[n], PUBLISHED_RUNS[n])


def _plain(rows, truth):
    """Truth below and above the interval, by t and by wider; the widths of both."""
    shape = Shape.of(rows)
    bounds = (*by_student(shape)[1:], *wider_bounds(shape))
    below, above = [truth < bounds[i] for i in (0, 2)], [truth > bounds[i] for i in (1, 3)]
    sides = np.stack([below[0], above[0], below[1], above[1]])
    return sides, np.stack([bounds[3] - bounds[2], bounds[1] - bounds[0]])


def _ratio(above, below):
    """Values whose mean is the ratio of the means, and whose spread is that of the ratio."""
    ratio = np.mean(above) / np.mean(below)
    return ratio + (above - ratio * below) / np.mean(below)


def _bootstraps(rng, draw, truth, n, runs, resamples=1000):
    """Whether percentile, BCa and bootstrap-t hold the truth: the peers, from one set of draws."""
    hits = []
    for _ in range(-(-runs // TOGETHER)):
        rows = draw(rng, TOGETHER, n)
        index = rng.integers(0, n, (resamples, n)) + n * np.arange(resamples)[:, None]
        counts = np.bincount(index.ravel(), minlength=resamples * n).reshape(resamples, n) / n
        means = counts @ rows.T
        spreads = np.sqrt(np.maximum(counts @ (rows**2).T - means**2, 1e-300))
        hits.append(_held(Shape.of(rows), means, spreads, truth))
    return list(np.concatenate(hits, axis=1))


def _held(shape, means, spreads, truth):
    z = ndtri([0.025, 0.975])[:, None]
    percentile = np.quantile(means, [0.025, 0.975], axis=0)
    bias = ndtri(np.clip(np.mean(means < shape.mean, axis=0), 1e-3, 1 - 1e-3))
    bend = shape.skew / (6 * sqrt(shape.n))
    levels = ndtr(bias + (bias + z) / (1 - bend * (bias + z)))
    bca = [np.quantile(means[:, i], levels[:, i]) for i in range(means.shape[1])]
    spread = shape.sd * sqrt((shape.n - 1) / shape.n)
    low, high = np.quantile((means - shape.mean) / spreads, [0.025, 0.975], axis=0)
    bounds = [percentile, np.array(bca).T, (shape.mean - high * spread, shape.mean - low * spread)]
    return np.array([(lower <= truth) & (truth <= upper) for lower, upper in bounds])


def _few(out, size):
    out.heading("False L > 0 % of few rows, padded")
    for name, figures in FEW.items():
        for n, published in figures.items():
            rng, runs = np.random.default_rng([44, n]), size.runs(4000)
            sets = rng.normal(size=(runs, n)) if name == "normal" else _against(rng, runs, n)
            found = [mean_interval(d) for d in sets]
            assert all(interval.gain_barred for interval in found)
            lower = np.array([interval.lower > 0 for interval in found])
            out.shares(f"{name}, n = {n}: union", [lower], [published], 5000)


def _against(rng, *size):
    return np.exp(0.5) - rng.lognormal(size=size)


def _roots(out, size):
    out.heading("RMSE, t5 errors, equal models: truth below, above the interval %")
    for n, published in ROOTS.items():
        rng, bounds = np.random.default_rng([21, n]), []
        for _ in range(size.runs(4000)):
            e0, e1 = rng.standard_t(5, (2, n))
            bounds.append(wider_interval(root_differences(e0**2, e1**2)))
        lower, upper = np.array(bounds).T
        out.shares(f"n = {n}", [lower > 0, upper < 0], published, 3000)


def _scores(rng, positives, negatives):
    """Outcomes and the scores of two equal models."""
    y = np.repeat([True, False], [positives, negatives])
    common = SHIFT * y + sqrt(SHARED) * rng.normal(size=len(y))
    return y, common + sqrt(1 - SHARED) * rng.normal(size=(2, len(y)))


def _areas(out, size):
    out.heading(f"AUROC, equal models of {AUC}: truth missed on either side %, by z, by t")
    z = float(norm.ppf(0.975))
    for (positives, negatives), published in AREAS.items():
        rng, found = np.random.default_rng([21, positives, negatives]), []
        usual = 3000 if positives + negatives <= 500 else 1500
        for _ in range(size.runs(usual)):
            y, scores = _scores(rng, positives, negatives)
            found.append(auroc_interval(y, *scores))
        middle = np.array([i.difference for i in found])
        half = np.array([i.upper for i in found]) - middle
        short = half * z / float(t.ppf(0.975, min(positives, negatives) - 1))
        hits = [middle - short > 0, middle + short < 0, middle - half > 0, middle + half < 0]
        out.shares(f"{positives} positives, {negatives} negatives", hits, published, 3000)


def _resampled(out, size):
    out.heading("AP and F1, equal models: truth missed on either side %, percentile, SE-t")
    for (name, positives, negatives), published in RESAMPLED.items():
        rng, hits = np.random.default_rng([21, positives, negatives]), []
        for run in range(min(size.runs(400), 2000)):
            y, scores = _scores(rng, positives, negatives)
            answers = scores if name != "f1_score" else (scores > CALLED).astype(float)
            hits.append(_sides(WEIGHTED[name], y, answers, run))
        label = f"{name}, {positives} and {negatives}"
        out.shares(label, list(np.array(hits).T), published, 800)


def _sides(metric, y, answers, seed):
    new, old = metric(y, answers[1]), metric(y, answers[0])
    values = []

    def difference(weights):
        values.append(new(weights) - old(weights))
        return values[-1]

    seen = float(difference(np.ones((1, len(y))))[0])
    plan = Plan(len(y), y.astype(int), seed, resamples=500)
    interval = weighted_interval(difference, seen, plan)
    low, high = np.quantile(np.concatenate(values[1:]), [0.025, 0.975])
    return low > 0, high < 0, interval.lower > 0, interval.upper < 0
