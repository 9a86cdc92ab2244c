"""How often segments block a candidate: Holm's correction, and "all must pass"."""

from dataclasses import replace

import numpy as np
from gate_simulation.rows import KAPPA, TOLERANCE, by_student, chunks, normal_shapes, seen, worse

from everbake.statistics.mean import Shape, hurt_probabilities
from everbake.statistics.multiplicity import holm

SEGMENTS, LEVEL = 10, 0.05
HURT = (0.0, 0.02, 0.05, 0.10, 0.20)
RUNS = 40_000
# rows of a segment: % blocked if one is hurt by HURT, by Holm, and if all must pass
BLOCKED = {
    50: ((4.8, 7.3, 23.0, 81.0, 100), (100, 100, 100, 100, 100)),
    200: ((5.0, 15.9, 83.2, 100, 100), (45.8, 68.0, 98.4, 100, 100)),
    1000: ((4.9, 73.3, 100, 100, 100), (0, 0.3, 97.5, 100, 100)),
}


def report(out, size):
    """Print all tables of this file."""
    out.heading("10 segments, kappa .2, % blocked: one hurt by 0, 2, 5, 10, 20 %")
    for n, (by_holm, all_pass) in BLOCKED.items():
        shape = equal_segments(n, size.runs(RUNS))
        hurt = [_one_hurt(shape, by) for by in HURT]
        by_t = [blocked(s, lambda s: hurt_probabilities(s)[0]) for s in hurt]
        out.shares(f"{n} rows: Holm .05, Student's p", by_t, by_holm, RUNS)
        out.shares("  the product's p", [blocked(s) for s in hurt], [None] * 5, RUNS)
        failed = [np.any(by_student(s, LEVEL).lower < -TOLERANCE, axis=1) for s in hurt]
        out.shares("  all must pass", failed, all_pass, RUNS)
        if n == 200:
            plain = np.any(larger_p(shape) <= LEVEL, axis=1)
            below = np.any(shape.mean < 0, axis=1)
            out.shares("  uncorrected; any below 0", [plain, below], (40, 99.9), RUNS, 1)


def equal_segments(n, runs):
    """Ten segments of `n` rows on which two equal models are compared."""
    return normal_shapes(np.random.default_rng([5, n]), n, (runs, SEGMENTS), KAPPA)


def _one_hurt(shape, by):
    mean = shape.mean.copy()
    mean[:, 0] -= by
    return replace(shape, mean=mean)


def larger_p(shape):
    """The product's p of being hurt: the larger of Student's and Hall's."""
    return np.maximum(*hurt_probabilities(shape))


def blocked(shape, p=larger_p):
    """Whether Holm's correction shows any segment to be hurt."""
    adjusted = holm(p(shape))
    return np.any(adjusted <= LEVEL, axis=-1)


def rejected_with_segments(n, runs):
    """Whether `n` rows reject an equal candidate, by all rows together or by a segment of them."""
    rng, hits = np.random.default_rng([6, n]), []
    for rows in chunks(lambda k: KAPPA * rng.normal(size=(k, n)), n, runs):
        by_segment = Shape.of(rows.reshape(len(rows), SEGMENTS, -1))
        hits.append(worse(seen(Shape.of(rows))) | blocked(by_segment))
    return np.concatenate(hits)
