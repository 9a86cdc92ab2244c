"""What the gate promises, and whether it judges rows as the simulations do."""

import numpy as np

from everbake import judge
from everbake.statistics.mean import Shape

from .looks import pending
from .power import bounds_of_equal, heavy
from .rows import TOLERANCE, normal_shapes, refresh, refreshed
from .segments import blocked, equal_segments, rejected_with_segments

SIZES = (50, 200, 1000, 10_000)


def report(out, size):
    """Print all statements."""
    print("\nPromises", flush=True)
    for kappa in (0.2, 0.5):
        for n in SIZES:
            low, high = bounds_of_equal(kappa, n, size.runs(200_000))
            hits = refresh(low - TOLERANCE, high - TOLERANCE)[0]
            out.statement(f"P(promoted | worse by 5 %), one look, kappa {kappa:g}, n = {n}", hits, 3)
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
    low, high = bounds_of_equal(0.2, 200, 20_000)
    for name, effect, wanted, slack in (
        ("equal", 0.0, 94.0, 0.6),
        ("worse by 5 %", -0.05, 2.5, 0.4),
        ("worse by 10 %", -0.1, 0.0, 0.0),
    ):
        out.within(f"P(promoted | {name})", refresh(low + effect, high + effect)[0], wanted, slack)
    out.within("blocked by Holm, 10 equal segments", blocked(equal_segments(200, 20_000)), 5.0, 0.6)


def _as_judged(out, size):
    """The same rows through `everbake.judge` and through the rule of the simulations."""
    rng, odd, seen = np.random.default_rng(9), 0, {}
    runs = min(size.runs(1000), 4000)
    for _ in range(runs):
        n = int(rng.choice([50, 200, 1000]))
        d = 0.2 * rng.normal(size=n) + rng.choice([0.0, -0.02, -0.05, 0.02])
        # absolute errors of 1 and of 1 - d: the champion's gap is 1
        decision = judge(np.zeros(n), np.ones(n), 1 - d, metric=mean_absolute_error)
        promoted, rejected = refreshed(Shape.of(d))
        verdict = "promoted" if promoted else "rejected" if rejected else "inconclusive"
        odd += decision.verdict != verdict
        seen[verdict] = seen.get(verdict, 0) + 1
    told = ", ".join(f"{count} {verdict}" for verdict, count in sorted(seen.items()))
    out.holds(f"everbake.judge agrees on {runs} sets of rows", odd == 0, f"{odd} differ ({told})")


def mean_absolute_error(y, p):
    """The metric without a library."""
    return float(np.mean(np.abs(y - p)))
