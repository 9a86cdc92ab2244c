"""A pending candidate: 50 rows a night, judged again and again until it is decided."""

from math import sqrt

import numpy as np
from gate_simulation.rows import always, refresh, seen, worse

from everbake.core.gate.looks import level_of
from everbake.statistics.mean import Shape

NIGHTS, ROWS, RUNS, CHUNK = 60, 50, 20_000, 500
DOUBLED = (1, 2, 4, 8, 16, 32)  # nights
THEN_ALL = (*DOUBLED, NIGHTS)  # as the reference has it: once more when the rows end
# kappa: P(promoted | equal) %, median rows, P(promoted | worse by 5 %) %
LOOKS = {
    0.2: {
        "every night at 95 %": (97.9, 100, 7.4),
        "doubled rows at 95 %": (98.2, 100, 6.1),
        "doubled rows at a_j": (98.9, 100, 3.4),
    },
    0.5: {
        "every night at 95 %": (93.8, 300, 13.3),
        "doubled rows at 95 %": (95.4, 400, 9.9),
        "doubled rows at a_j": (97.2, 800, 3.6),
    },
}
SCHEMES = {
    "every night at 95 %": (tuple(range(1, NIGHTS + 1)), always),
    "doubled rows at 95 %": (THEN_ALL, always),
    "doubled rows at a_j": (THEN_ALL, level_of),
    "doubled rows at a_j, to 1600": (DOUBLED, level_of),
}


def report(out, size):
    """Print the table."""
    out.heading("50 rows a night to 3000, P(promoted) %: equal, worse by 5 %; median rows")
    for kappa, published in LOOKS.items():
        found = pending(kappa, size.runs(RUNS))
        for name in SCHEMES:
            equal, rows, worse = published.get(name, (None, None, None))
            stops = found[name, 0.0]
            hits = [stops > 0, found[name, -0.05] > 0]
            out.shares(f"kappa {kappa:g}: {name}", hits, (equal, worse), RUNS)
            if rows:
                out.exact("  median rows", [float(np.median(stops[stops > 0]))], [rows])


def pending(kappa, runs):
    """The rows at which each scheme promotes candidates that are equal, and worse by 5 %; or 0."""
    rng = np.random.default_rng([17, round(10 * kappa)])
    parts = [
        _chunk(kappa * rng.normal(size=(CHUNK, NIGHTS, ROWS))) for _ in range(-(-runs // CHUNK))
    ]
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def _chunk(rows):
    """One part of `pending`: rows by night."""
    powers = [np.cumsum(np.sum(rows**power, axis=2), axis=1) for power in (1, 2, 3)]
    stops = {}
    for name, (nights, level) in SCHEMES.items():
        for effect in (0.0, -0.05):
            stops[name, effect] = _promoted_at(powers, nights, level, effect)
    return stops


def _promoted_at(powers, nights, level, effect):
    stops = np.zeros(len(powers[0]))
    open_ = np.ones(len(stops), dtype=bool)
    for look, night in enumerate(nights, 1):
        shape = _shape(ROWS * night, *(p[:, night - 1] for p in powers), effect)
        found = seen(shape, level(look))
        promoted = refresh(found)
        stops[open_ & promoted] = shape.n
        open_ &= ~(promoted | worse(found))
    return stops


def _shape(n, first, second, third, effect):
    """Of the sums of the first three powers of the rows, moved by `effect`."""
    mean = first / n
    variance = second / n - mean**2
    skew = (third / n - 3 * mean * second / n + 2 * mean**3) / variance**1.5
    return Shape(n, mean + effect, np.sqrt(variance) * sqrt(n / (n - 1)), skew)
