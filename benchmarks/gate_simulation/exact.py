"""Figures without chance: every table of right and wrong is gone through; rows needed."""

from itertools import product
from math import ceil, log, sqrt

import numpy as np
from gate_simulation.rows import Seen, refresh
from scipy import stats

from everbake.statistics.mean import mean_interval, t_interval
from everbake.statistics.power import normal_rows, rows_for
from everbake.statistics.proportions import share_interval, wilson_bounds

# coverage % of t, Tango, Bonett-Price; P(L > 0) % by Tango, and with McNemar's test
TABLES = {
    (0.005, 0.005, 20): ((100, 100, 100), (0, 0)),
    (0.005, 0.005, 50): ((99.98, 99.98, 100), (0.01, 0)),
    (0.005, 0.005, 100): ((99.79, 99.79, 100), (0.10, 0)),
    (0.005, 0.005, 1000): ((95.66, 95.66, 97.56), (2.17, 1.09)),
    (0.005, 0.005, 10_000): ((94.98, 94.98, 95.21), (2.51, 1.97)),
    (0.008, 0.002, 20): ((18.21, 100, 100), (0, 0)),
    (0.008, 0.002, 50): ((39.5, 100, 100), (0.06, 0)),
    (0.008, 0.002, 100): ((63.2, 99.89, 100), (0.72, 0.01)),
    (0.008, 0.002, 1000): ((94.16, 94.66, 96.58), (47.1, 36.1)),
    (0.008, 0.002, 10_000): ((94.89, 95.06, 95.12), (100, 100)),
    (0.05, 0.05, 20): ((98.6, 98.6, 99.8), (0.68, 0.02)),
    (0.05, 0.05, 50): ((95.3, 95.3, 98.7), (2.37, 0.44)),
    (0.05, 0.05, 100): ((95.7, 95.7, 96.9), (2.16, 1.10)),
    (0.05, 0.05, 1000): ((95.0, 95.0, 95.2), (2.51, 1.97)),
}
# accuracy .90, 4 % of the rows differ: P(promoted) % at n = 50, 200, 1000, 10,000
ACCURACY = {
    0.0: (0.7, 4.2, 11.7, 69.7),
    -0.005: (0.4, 1.9, 2.4, 2.1),
    0.01: (1.8, 14.8, 65.5, 100.0),
}
SIZES = (50, 200, 1000, 10_000)
# 1 % of the rows differ, 90 % of them by +1, 10 % by -9: false L > 0 % by t, with padded rows.
# The reference has 23.4 at n = 300 (4000 replications), which is 3.3 standard errors too many.
SPARSE = {300: (None, 4.5), 1000: (36.0, 32.4), 3000: (9.6, 4.7)}
SIMULATED = 4000  # replications of the published figures of the largest size
# The reference rounds .4448 to .45 and .9947 to 1 where .44 and .99 stand here.
# guardrail accuracy >= .80: P(pass) by the value and by the bound, truth .75 .78 .80 .82 .85
TRUTHS = (0.75, 0.78, 0.80, 0.82, 0.85)
RAILS = {
    50: ((0.26, 0.44, 0.58, 0.72, 0.88), (0.01, 0.02, 0.05, 0.09, 0.22)),
    200: ((0.06, 0.28, 0.54, 0.80, 0.98), (0.0, 0.01, 0.04, 0.16, 0.55)),
    1000: ((0.0, 0.07, 0.52, 0.95, 1.0), (0.0, 0.0, 0.05, 0.49, 0.99)),
}
# rows by the normal approximation to rule out 1, 2, 5, 10 % of the gap
ROWS = {
    0.1: (785, 197, 32, 8),
    0.2: (3140, 785, 126, 32),
    0.5: (19_623, 4906, 785, 197),
    1.5: (176_600, 44_150, 7064, 1766),
}
EXACT_ROWS = {(0.2, 0.05): 128, (0.2, 0.1): 34, (0.5, 0.05): 787, (0.2, 0.2): 10}


def report(out, size):
    """Print all tables of this file."""
    _coverage(out, most=10_000 if size.peers else 1000)
    _accuracy(out, most=10_000 if size.peers else 1000)
    _sparse(out)
    _rails(out)
    _rows_needed(out)
    _fixed_sets(out)


def likely(n, chances, mass=1e-9):
    """Tables (b, c) that are likely enough under any of the `chances`, and their masses."""
    tails = [stats.binom.ppf([mass, 1 - mass], n, p) for pair in chances for p in pair]
    lows = [int(min(tail[0] for tail in tails[i::2])) for i in (0, 1)]
    highs = [int(max(tail[1] for tail in tails[i::2])) + 1 for i in (0, 1)]
    pairs = np.array(
        list(product(*(range(a, min(z, n) + 1) for a, z in zip(lows, highs, strict=True))))
    )
    pairs = pairs[pairs.sum(axis=1) <= n]
    whole = np.column_stack([pairs, n - pairs.sum(axis=1)])
    masses = np.array([stats.multinomial.pmf(whole, n, [p, q, 1 - p - q]) for p, q in chances])
    kept = masses.max(axis=0) > mass / 100
    return pairs[kept].tolist(), masses[:, kept]


def _coverage(out, most):
    out.heading("Right or wrong, exact coverage %: t, Tango, Bonett-Price", "enumeration")
    for (p, q, n), (coverage, gains) in TABLES.items():
        if n > most:
            continue
        pairs, (masses,) = likely(n, [(p, q)])
        found = [share_interval(b, c, n) for b, c in pairs]
        bounds = (
            [t_interval(np.repeat([1.0, -1.0, 0.0], [b, c, n - b - c])) for b, c in pairs],
            [(i.lower, i.upper) for i in found],
            [_bonett_price(b, c, n) for b, c in pairs],
        )
        held = [_share(masses, [low <= p - q <= high for low, high in pair]) for pair in bounds]
        name = f"p {p:g} and {q:g}, n = {n}"
        out.exact(name, held, coverage)
        claims = [
            _share(masses, [i.lower > 0 for i in found]),
            _share(masses, [i.lower > 0 and not i.gain_barred for i in found]),
        ]
        out.exact("  L > 0 by Tango, and with McNemar", claims, gains)


def _share(masses, flags):
    return 100 * float(masses @ np.array(flags))


def _bonett_price(b, c, n):
    """Bonett and Price 2012: a peer, Wald's interval with one pair added to each side."""
    p, q = (b + 1) / (n + 2), (c + 1) / (n + 2)
    half = 1.959963984540054 * sqrt((p + q - (p - q) ** 2) / (n + 2))
    return max(p - q - half, -1), min(p - q + half, 1)


def _accuracy(out, most):
    out.heading(
        "Accuracy .90, 4 % differ: P(promoted) % at n = 50, 200, 1000, 10,000", "enumeration"
    )
    sizes = [n for n in SIZES if n <= most]
    chances = [(0.02 + better / 2, 0.02 - better / 2) for better in ACCURACY]
    shares = []
    for n in sizes:
        pairs, masses = likely(n, chances, 1e-6)
        found = [share_interval(b, c, n) for b, c in pairs]
        columns = np.array([(i.difference, i.lower, i.upper) for i in found]).T
        shares.append(100 * masses @ refresh(Seen(*columns), 0.005, 0.001))
    for better, mine in zip(ACCURACY, np.array(shares).T, strict=True):
        published = ACCURACY[better]
        name = f"better by {better:g}"
        out.exact(name, mine[:3], published[:3])
        if len(sizes) > len(published) - 1:
            out.shares("  n = 10,000", [(mine[3], 10**9)], published[3:], SIMULATED)


def _sparse(out):
    out.heading("1 % differ, 90 % +1 and 10 % -9: false L > 0 % by t, with padded rows")
    for n, published in SPARSE.items():
        shares = np.zeros(2)
        for differing in range(1, int(stats.binom.ppf(1 - 1e-7, n, 0.01)) + 1):
            for bad in range(differing + 1):
                d = np.append(
                    np.repeat([-9.0, 1.0], [bad, differing - bad]), np.zeros(n - differing)
                )
                mass = stats.binom.pmf(differing, n, 0.01) * stats.binom.pmf(bad, differing, 0.1)
                shares += mass * np.array([t_interval(d)[0] > 0, mean_interval(d).lower > 0])
        out.shares(f"n = {n}", [(100 * share, 10**9) for share in shares], published, SIMULATED)


def _rails(out):
    out.heading("Guardrail accuracy >= .80, P(pass): truth .75 .78 .80 .82 .85", "exact")
    for n, (value, bound) in RAILS.items():
        hits = np.arange(n + 1)
        passes = hits / n >= 0.8 - 1e-12, np.array([wilson_bounds(h, n)[0] >= 0.8 for h in hits])
        for kind, flags, published in zip(("value", "bound"), passes, (value, bound), strict=True):
            mine = [float(stats.binom.pmf(hits, n, truth) @ flags) for truth in TRUTHS]
            out.exact(f"{kind}, n = {n}", mine, published)


def _rows_needed(out):
    out.heading("Rows needed to rule out 1, 2, 5, 10 % of the gap", "closed form")
    for kappa, published in ROWS.items():
        mine = [normal_rows(kappa, delta) for delta in (0.01, 0.02, 0.05, 0.1)]
        out.exact(f"normal, kappa {kappa:g}", mine, published)
    mine = [rows_for(*pair) for pair in EXACT_ROWS]
    out.exact("noncentral t, (.2, 5) (.2, 10) (.5, 5) (.2, 20 %)", mine, list(EXACT_ROWS.values()))


def _fixed_sets(out):
    out.heading(
        "A fixed test set, 32 decisions, not chosen", "Renggli et al. 2019, Bennett's bound"
    )
    p, error, delta, looks = 0.1, 0.01, 1e-4, 32
    u = error / p
    scale = p * ((1 + u) * log(1 + u) - u)
    mine = [ceil((log(4 / delta) + adaptive) / scale) for adaptive in (log(looks), looks * log(2))]
    out.exact("rows if not adaptive, if fully adaptive", mine, (29_048, 67_706))
