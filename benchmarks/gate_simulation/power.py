"""What the refresh rule promotes and rejects, by number of rows and true difference."""

import numpy as np
from gate_simulation.rows import (
    TOLERANCE,
    by_known_sd,
    by_student,
    moved,
    near_equal,
    normal_shapes,
    refresh,
    seen,
    shapes,
    worse,
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
    "L >= -1 %": (lambda found: found.lower >= -0.01, (5, 11, 35, 99.9), 0.35),
    "L >= -10 %, U >= 0": (
        lambda found: (found.lower >= -0.1) & (found.upper >= 0),
        (93, 97.5, 97.5, 97.5),
        2.15,
    ),
    "U >= 0": (lambda found: found.upper >= 0, (97.5, 97.5, 97.5, 97.5), 2.95),
    "D >= 0": (lambda found: found.difference >= 0, (50, 50, 50, 50), 0.48),
    "L > 0": (lambda found: found.lower > 0, (2.5, 2.5, 2.5, 2.5), 0.01),
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


def equal_models(kappa, n, runs):
    """Normal differences of two equal models; a true difference only moves their intervals."""
    rng = np.random.default_rng([7, n, round(10 * kappa)])
    return normal_shapes(rng, n, runs, kappa)


def _normal(out, size):
    out.heading(
        "Refresh, normal d: P(promoted) at +0 +2 +5 -1 -2 -5 -10 %, P(rejected) at 0 -2 -5 -10"
    )
    out.note("the reference has Student's interval alone; the product's stands below each line")
    for (kappa, n), figures in POWER.items():
        shape = equal_models(kappa, n, size.runs(RUNS))
        _lines(out, f"kappa {kappa:g}, n = {n}: promoted", by_student(shape), figures)
        _lines(out, "  wider: promoted", seen(shape), ((None,) * 7, None, (None,) * 4))


def _lines(out, name, found, figures):
    promoted, harm, rejected = figures
    out.shares(name, [refresh(found.moved(x)) for x in EFFECTS], promoted, RUNS)
    out.shares("  rejected", [worse(found.moved(x)) for x in REJECTED], rejected, RUNS)
    out.means("  harm, % of the gap", [_harm(refresh, found)], [harm], RUNS, 0.01)


def _harm(rule, found):
    """Loss times promotion where their mean is worst, in percent of the gap."""
    losses = np.arange(STEP, 0.4, STEP)
    shares = [np.mean(rule(found.moved(-x))) for x in losses]
    worst = losses[np.argmax(losses * shares)]
    return 100 * worst * rule(found.moved(-worst))


def _others(out, size):
    out.heading("Other rules, kappa .2: P(promoted | equal) % at n = 50, 200, 1000, 10,000; harm")
    every = [by_student(equal_models(0.2, n, size.runs(RUNS))) for n in SIZES]
    for name, (rule, published, harm) in RULES.items():
        unit = 0.1 if sum(p % 1 > 0 for p in published) > 1 else 1
        out.shares(name, [rule(found) for found in every], published, RUNS, unit)
        worst = max((_harm(rule, found) for found in every), key=np.mean)
        out.means("  worst harm, % of the gap", [worst], [harm], RUNS, 0.01)
    for kappa, harm in ((0.2, 0.48), (0.5, 1.20)):
        found = by_student(equal_models(kappa, 50, size.runs(RUNS)))
        out.means(f"lean, kappa {kappa:g}, n = 50: harm", [_harm(_lean, found)], [harm], RUNS, 0.01)
        out.note(f"  P(promoted | equal) {100 * np.mean(_lean(found)):.1f} %")


def _lean(found):
    return refresh(found) | (~worse(found) & (found.difference >= 0))


def heavy(n, runs, kappa, loss):
    """Whether the refresh rule promotes under heavy tails; `loss` is a share of the gap."""
    rng = np.random.default_rng([33, n, round(100 * kappa), round(1000 * loss)])
    own = OWN[kappa]
    gap = HEAVY_GAP + own**2
    found = shapes(lambda k: near_equal(rng, 6, own, k, n, worse=loss) / gap, n, runs)
    return refresh(seen(found))


def _heavy(out, size):
    out.heading("Refresh, t6 errors, P(promoted) %: equal, worse by 5 %")
    for n, published in HEAVY.items():
        hits = [heavy(n, size.runs(4 * HEAVY_RUNS[n]), 0.35, loss) for loss in (0.0, TOLERANCE)]
        out.shares(f"kappa .35, n = {n}", hits, published, HEAVY_RUNS[n])
    for n in HEAVY:
        hits = [heavy(n, size.runs(4 * HEAVY_RUNS[n]), 0.41, loss) for loss in (0.0, TOLERANCE)]
        out.shares(f"kappa .41, n = {n}", hits, (None, None), 0)
    out.note("the reference names kappa .41; its figures are those of .35 here")


def _pinned(out, size):
    out.heading("All three equal, kappa .2, P(promoted) %: alone, and with the best so far")
    out.note("the reference knows the standard deviation; the product's figures stand below")
    for n, published in PINNED.items():
        rng, runs, own = np.random.default_rng([8, n]), size.runs(RUNS), 0.2 / np.sqrt(2 * n)
        new, old, best = own * rng.normal(size=(3, runs))
        both = [_around(rng, n, runs, new - other) for other in (old, best)]
        unit = 0.1 if n == 200 else 0.01
        for name, interval, figures in (
            (f"n = {n}", by_known_sd, published),
            ("  wider", seen, (None, None)),
        ):
            alone, also = (refresh(interval(shape)) for shape in both)
            out.shares(name, [alone, alone & also], figures, 20_000, unit)


def _around(rng, n, runs, mean):
    shape = normal_shapes(rng, n, runs, 0.2)
    return moved(shape, mean - shape.mean)
