"""What the gate promises, and whether it judges rows as the simulations do."""

from collections import Counter

import numpy as np
from gate_simulation.looks import pending
from gate_simulation.power import equal_models, heavy
from gate_simulation.rows import KAPPA, TOLERANCE, refresh, seen, worse
from gate_simulation.segments import blocked, equal_segments, rejected_with_segments

from everbake import judge
from everbake.core.gate import Given, Rules, judge_rows
from everbake.core.gate.looks import level_of
from everbake.metrics import mean_absolute_error
from everbake.statistics.mean import Shape

SIZES = (50, 200, 1000, 10_000)


def report(out, size):
    """Print all statements."""
    print("\nPromises", flush=True)
    for kappa in (0.2, 0.5):
        for n in SIZES:
            found = seen(equal_models(kappa, n, size.runs(200_000)))
            hits = refresh(found.moved(-TOLERANCE))
            out.statement(
                f"P(promoted | worse by 5 %), one look, kappa {kappa:g}, n = {n}", hits, 3
            )
    for kappa in (0.35, 0.41):
        for n, runs in zip(SIZES, (40_000, 20_000, 10_000, 1000), strict=True):
            hits = heavy(n, size.runs(runs), kappa, TOLERANCE)
            out.statement(f"  the same, t6 errors, kappa {kappa:g}, n = {n}", hits, 4)
    for kappa in (0.2, 0.5):
        hits = pending(kappa, size.runs(20_000))["doubled rows at a_j", -TOLERANCE] > 0
        out.statement(f"  the same, all looks of a pending candidate, kappa {kappa:g}", hits, 4)
    for n in (1000, 2000, 10_000):
        hits = rejected_with_segments(n, size.runs(20_000 if n < 10_000 else 4000))
        out.statement(f"P(rejected | equal), kappa .2, 10 segments by Holm, n = {n}", hits, 6)
    _as_judged(out, size)


def acceptance(out):
    """Twenty thousand test sets of 200 rows, and as many of ten equal segments of 200 rows."""
    print("\n200 rows, kappa .2", flush=True)
    found = seen(equal_models(0.2, 200, 20_000))
    for name, effect, wanted, slack in (
        ("equal", 0.0, 94.0, 0.6),
        ("worse by 5 %", -0.05, 2.5, 0.4),
        ("worse by 10 %", -0.1, 0.0, 0.0),
    ):
        out.within(f"P(promoted | {name})", refresh(found.moved(effect)), wanted, slack)
    out.within("blocked by Holm, 10 equal segments", blocked(equal_segments(200, 20_000)), 5.0, 0.6)


def _as_judged(out, size):
    """The same rows through the public functions and through the rules of the simulations."""
    rng, runs = np.random.default_rng(9), size.runs(1000)
    for name, compared in (
        ("plain", _plain),
        ("third look", _third_look),
        ("ten segments", _segmented),
        ("the best model so far", _pinned),
    ):
        pairs = [compared(rng) for _ in range(runs)]
        odd = sum(theirs != ours for theirs, ours in pairs)
        counts = Counter(theirs for theirs, _ in pairs)
        told = ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items()))
        out.holds(f"judged as simulated, {name}: {runs} sets of rows", odd == 0, told)


def _differences(rng, n):
    return KAPPA * rng.normal(size=n) + rng.choice([0.0, -0.02, -0.05, 0.02])


def _judged(d, **options):
    """Through `everbake.judge`: absolute errors of 1 and of 1 - d, so the champion's gap is 1."""
    n = len(d)
    return judge(np.zeros(n), np.ones(n), 1 - d, metric=mean_absolute_error, **options).verdict


def _verdict(*found, hurt=False):
    """By the rules of the simulations; every interval must agree."""
    if hurt or any(worse(each) for each in found):
        return "rejected"
    return "promoted" if all(refresh(each) for each in found) else "inconclusive"


def _plain(rng):
    d = _differences(rng, int(rng.choice([50, 200, 1000])))
    return _judged(d), _verdict(seen(Shape.of(d)))


def _third_look(rng):
    d = _differences(rng, 400)
    return _judged(d, look=3), _verdict(seen(Shape.of(d), level_of(3)))


def _segmented(rng):
    d = _differences(rng, 1000) - rng.choice([0.0, 0.06]) * (np.arange(1000) < 100)
    names = np.repeat(list("abcdefghij"), 100)
    hurt = bool(blocked(Shape.of(d.reshape(10, 100))))
    return _judged(d, segments={"part": names}), _verdict(seen(Shape.of(d)), hurt=hurt)


def _pinned(rng):
    """Against the champion and the best model: the gap of each is 1."""
    old, best, new = np.abs(1 + KAPPA / np.sqrt(2) * rng.normal(size=(3, 400)))
    old, best = old / old.mean(), best / best.mean()
    new += rng.choice([-0.02, 0.0, 0.03])
    rules = Rules("mean_absolute_error", mean_absolute_error, "lower")
    given = Given(np.zeros(400), old, new, best=best, best_name="the best")
    found = [seen(Shape.of(other - new)) for other in (old, best)]
    return judge_rows(given, rules).verdict, _verdict(*found)
