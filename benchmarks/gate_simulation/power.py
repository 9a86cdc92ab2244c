"""What the refresh rule promotes and rejects, by the size of the test set and the true difference."""

import numpy as np

from everbake.statistics.mean import wider_bounds

from .rows import (
    EQUAL_WITHIN,
    TOLERANCE,
    moved,
    near_equal,
    normal_shapes,
    refresh,
    refreshed,
    shapes,
)

RUNS = 200_000
STEP = 0.005  # of the true losses of which the worst harm is sought
EFFECTS = (0.0, 0.02, 0.05, -0.01, -0.02, -0.05, -0.10)
REJECTED = (0.0, -0.02, -0.05, -0.10)
# P(promoted) % by EFFECTS, worst harm in % of the gap, P(rejected) % by REJECTED
POWER = {
    (0.2, 50): ((41.0, 67.8, 93.4, 28.5, 17.9, 2.5, 0), 0.36, (1.1, 5.3, 28.4, 87.6)),
    (0.2, 200): ((94.0, 99.9, 100, 80.3, 56.0, 2.5, 0), 1.12, (0.4, 10.4, 80.4, 100)),
    (0.2, 1000): ((100, 100, 100, 97.4, 64.8, 0, 0), 1.32, (0, 35.2, 100, 100)),
    (0.2, 10_000): ((100, 100, 100, 97.6, 0.1, 0, 0), 0.97, (0, 99.9, 100, 100)),
    (0.5, 50): ((10.2, 16.1, 28.3, 8.0, 6.1, 2.6, 0.4), 0.14, (1.8, 3.5, 7.9, 23.8)),
    (0.5, 200): ((29.0, 50.6, 80.3, 20.3, 13.1, 2.5, 0), 0.26, (1.3, 4.6, 20.1, 71.7)),
    (0.5, 1000): ((88.4, 99.3, 100, 71.5, 47.4, 2.5, 0), 0.95, (0.5, 9.2, 71.5, 100)),
    (0.5, 10_000): ((100, 100, 100, 97.5, 48.5, 0, 0), 1.25, (0, 51.5, 100, 100)),
}
RULES = {
    "L >= -1 %": (lambda low, high: low >= -0.01, (5, 11, 35, 99.9), 0.35),
    "L >= -10 %, U >= 0": (
        lambda low, high: (low >= -0.1) & (high >= 0),
        (93, 97.5, 97.5, 97.5),
        2.15,
    ),
    "U >= 0": (lambda low, high: high >= 0, (97.5, 97.5, 97.5, 97.5), 2.95),
    "D >= 0": (lambda low, high: low + high >= 0, (50, 50, 50, 50), 0.48),
    "L > 0": (lambda low, high: low > 0, (2.5, 2.5, 2.5, 2.5), 0.01),
}
SIZES = (50, 200, 1000, 10_000)
# t6 errors: equal models, and worse by 5 %
HEAVY = {50: (19.3, 3.5), 200: (52.5, 2.6), 1000: (99.1, 2.9), 10_000: (100, 0)}
HEAVY_RUNS = {50: 4000, 200: 3000, 1000: 1500, 10_000: 400}
HEAVY_GAP = 1.5  # mean square of Student's t with 6 degrees of freedom
OWN = {0.35: 0.15, 0.41: 0.18}  # kappa: normal error of each model beside the shared one
# all three equal, kappa .2: without the best model so far, and with it
PINNED = {200: (94.2, 90.0), 1000: (99.98, 99.96)}


def report(out, size):
    """Print all tables of this file."""
    _normal(out, size)
    _others(out, size)
    _heavy(out, size)
    _pinned(out, size)


def bounds_of_equal(kappa, n, runs):
    """Intervals of normal differences of two equal models; a true difference only moves them."""
    rng = np.random.default_rng([7, n, round(10 * kappa)])
    return wider_bounds(normal_shapes(rng, n, runs, kappa))


def _normal(out, size):
    out.heading("Refresh, normal d, P(promoted) %: equal +2 +5 -1 -2 -5 -10; P(rejected) 0 -2 -5 -10")
    for (kappa, n), (promoted, harm, rejected) in POWER.items():
        low, high = bounds_of_equal(kappa, n, size.runs(RUNS))
        hits = [refresh(low + x, high + x)[0] for x in EFFECTS]
        out.shares(f"kappa {kappa:g}, n = {n}: promoted", hits, promoted, RUNS)
        hits = [refresh(low + x, high + x)[1] for x in REJECTED]
        out.shares("  rejected", hits, rejected, RUNS)
        worst = _harm(lambda a, b: refresh(a, b)[0], low, high)
        out.means("  harm, % of the gap", [worst], [harm], RUNS, 0.01)


def _harm(rule, low, high):
    """Loss times promotion where their mean is worst, in percent of the gap."""
    losses = np.arange(STEP, 0.4, STEP)
    shares = [np.mean(rule(low - x, high - x)) for x in losses]
    worst = losses[np.argmax(losses * shares)]
    return 100 * worst * rule(low - worst, high - worst)


def _others(out, size):
    out.heading("Other rules, kappa .2: P(promoted | equal) % at n = 50, 200, 1000, 10,000; harm")
    bounds = [bounds_of_equal(0.2, n, size.runs(RUNS)) for n in SIZES]
    for name, (rule, published, harm) in RULES.items():
        unit = 0.1 if any(p % 1 for p in published) else 1
        out.shares(name, [rule(*pair) for pair in bounds], published, RUNS, unit)
        worst = max((_harm(rule, *pair) for pair in bounds), key=np.mean)
        out.means("  worst harm, % of the gap", [worst], [harm], RUNS, 0.01)
    for kappa, harm in ((0.2, 0.48), (0.5, 1.20)):
        low, high = bounds_of_equal(kappa, 50, size.runs(RUNS))
        out.means(f"lean, kappa {kappa:g}, n = 50: harm", [_harm(_lean, low, high)], [harm], RUNS, 0.01)
        out.note(f"  lean, kappa {kappa:g}: P(promoted | equal) {100 * np.mean(_lean(low, high)):.1f} %")


def _lean(low, high):
    promoted, rejected = refresh(low, high)
    return promoted | (~rejected & (low + high >= 0))


def heavy(n, runs, kappa, worse):
    """Whether the refresh rule promotes under heavy tails; `worse` is a share of the gap."""
    rng = np.random.default_rng([33, n, round(100 * kappa), round(1000 * worse)])
    own = OWN[kappa]
    gap = HEAVY_GAP + own**2
    found = shapes(lambda k: near_equal(rng, 6, own, k, n, worse=worse) / gap, n, runs)
    return refreshed(found)[0]


def _heavy(out, size):
    out.heading("Refresh, t6 errors, P(promoted) %: equal, worse by 5 %")
    for n, published in HEAVY.items():
        hits = [heavy(n, size.runs(4 * HEAVY_RUNS[n]), 0.35, worse) for worse in (0.0, TOLERANCE)]
        out.shares(f"kappa .35, n = {n}", hits, published, HEAVY_RUNS[n])
    for n in HEAVY:
        hits = [heavy(n, size.runs(4 * HEAVY_RUNS[n]), 0.41, worse) for worse in (0.0, TOLERANCE)]
        out.shares(f"kappa .41, n = {n}", hits, (None, None), 0)
    out.note("the reference names kappa .41; its figures are those of .35 here")


def _pinned(out, size):
    out.heading("All three equal, kappa .2, P(promoted) %: alone, and with the best so far")
    for n, published in PINNED.items():
        rng, runs, own = np.random.default_rng([8, n]), size.runs(RUNS), 0.2 / np.sqrt(2 * n)
        new, old, best = own * rng.normal(size=(3, runs))
        alone, both = _both(rng, n, runs, new - old, new - best)
        out.shares(f"n = {n}", [alone, both], published, 20_000, 0.1 if n == 200 else 0.01)


def _both(rng, n, runs, against_champion, against_best):
    first, second = (
        refreshed(_around(rng, n, runs, mean))[0] for mean in (against_champion, against_best)
    )
    return first, first & second


def _around(rng, n, runs, mean):
    shape = normal_shapes(rng, n, runs, 0.2)
    return moved(shape, mean - shape.mean)


__all__ = ["EQUAL_WITHIN", "bounds_of_equal", "heavy", "report"]
