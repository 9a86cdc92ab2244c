"""A year of nightly retraining: what each rule promotes, and where the champion ends.

Qualities are in units of the champion's gap. Each model has an error of its own on a set of rows,
`kappa / sqrt(2 n)`; a set that is used again remembers the errors of the champion.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from gate_simulation.rows import (
    EQUAL_WITHIN,
    KAPPA,
    TOLERANCE,
    Seen,
    always,
    by_known_sd,
    moved,
    normal_shapes,
    refresh,
    seen,
)
from scipy.stats import norm

from everbake.core.gate.looks import level_of

DAYS, NOISE, RUNS = 365, 0.005, 3000
_FAR = 2 * float(norm.sf(3.29))  # the level at which the best model so far is replaced
CANDIDATES = {
    "never better": lambda champion, z: champion - np.abs(z),
    "retraining noise": lambda _champion, z: z,
    "drifting": lambda champion, z: champion + z,
}


@dataclass(frozen=True)
class Rule:
    """Whether to promote by what is seen; on which rows; against a pin or not."""

    promotes: Callable[[Seen], Any]
    n: int = 1000
    reused: bool = False
    pinned: bool = False
    level: Callable[[int], float] = always
    interval: Callable[..., Seen] = seen


def _gain(found):
    return found.lower > 0


def _not_much_worse(found):
    return found.lower >= -TOLERANCE


def _above(found):
    return found.difference > 0


# promotions, those of no better model, drift in % of the gap: for each of CANDIDATES
YEAR = {
    "(a) D > 0, reused rows": (
        Rule(_above, reused=True),
        ((2.9, 2.9, -0.52), (5.6, 2.0, 1.09), (71.6, 10.5, 31.3)),
    ),
    "(b) L > 0 at 95 %, reused rows": (
        Rule(_gain, reused=True),
        ((0.36, 0.36, -0.05), (1.0, 0.03, 0.81), (1.6, 0.02, 1.5)),
    ),
    "(b') L > 0 at a_j, reused rows": (
        Rule(_gain, reused=True, level=level_of),
        ((0.01, 0.01, 0), (0.16, 0, 0.13), (0.17, 0, 0.14)),
    ),
    "L > 0 at 95 %, fresh rows": (
        Rule(_gain),
        ((3.0, 3.0, -0.54), (3.1, 0.7, 1.11), (22.5, 1.5, 13.8)),
    ),
    "L >= -m only, fresh rows": (
        Rule(_not_much_worse),
        ((365, 365, -145.5), (365, 183, 0), (365, 182, 0.1)),
    ),
    "refresh, fresh rows, no pin": (
        Rule(refresh),
        ((363, 363, -143.6), (361, 182, 0), (364, 181, 1.0)),
    ),
    "refresh and pin, fresh rows": (
        Rule(refresh, pinned=True),
        ((13.2, 13.2, -3.74), (360, 181, 0.01), (326, 153, 12.4)),
    ),
    "refresh and pin, n = 200, sd known": (
        Rule(refresh, n=200, pinned=True, interval=by_known_sd),
        ((17.3, 17.3, -5.56), (317, 159, 0.06), (294, 136, 13.7)),
    ),
    "refresh and pin, n = 200": (
        Rule(refresh, n=200, pinned=True),
        ((None, None, None), (None, None, None), (None, None, None)),
    ),
    "refresh and pin, n = 100,000": (
        Rule(refresh, n=100_000, pinned=True),
        ((8.2, 8.2, -1.23), (191, 98, 0.53), (326, 144, 25.1)),
    ),
}
PARTS = ("promotions", "of no better model", "drift")
# L >= -m only, also against the pin: where the champion ends that never gets better
ONLY_NOT_MUCH_WORSE = {200: -5.6, 1000: -5.3, 100_000: -5.0}
RATCHET = ("refresh, fresh rows, no pin", "refresh and pin, fresh rows")


def report(out, size, names=tuple(YEAR), candidates=tuple(CANDIDATES)):
    """Print the table."""
    out.heading("365 decisions, kappa .2: promotions, of no better model, drift in % of the gap")
    for name in names:
        rule, published = YEAR[name]
        for candidate, figures in zip(CANDIDATES, published, strict=True):
            if candidate in candidates:
                values = year(rule, candidate, max(RUNS, size.runs(RUNS)))
                _line(out, f"{name}: {candidate}", values, figures)
    if size.peers:
        for n, drift in ONLY_NOT_MUCH_WORSE.items():
            rule = Rule(_not_much_worse, n=n, pinned=True)
            _, _, end = year(rule, "never better", size.runs(RUNS))
            out.means(f"L >= -m only, with pin, n = {n}: never better", [end], [drift], RUNS, 0.1)


def _line(out, name, values, figures):
    """Promotions, those of no better model, drift: each with the digits of the reference."""
    for what, value, figure in zip(PARTS, values, figures, strict=True):
        digits = 1 if figure is None else len(f"{figure:g}".partition(".")[2])
        digits = 2 if abs(figure or 0) < 1 and figure is not None else digits
        out.means(f"{name}: {what}", [value], [figure], RUNS, 10.0**-digits)


def year(rule, candidate, runs):
    """Promotions, those of a model that is no better, and the champion's end in % of the gap."""
    rng = np.random.default_rng([11, rule.n, list(CANDIDATES).index(candidate)])
    own = KAPPA / sqrt(2 * rule.n)
    champion, best, is_best = np.zeros(runs), np.zeros(runs), np.ones(runs, dtype=bool)
    luck = own * rng.normal(size=runs)
    promotions, false = np.zeros(runs), np.zeros(runs)
    for day in range(1, DAYS + 1):
        new = CANDIDATES[candidate](champion, NOISE * rng.normal(size=runs))
        fresh, others = own * rng.normal(size=(2, runs))
        luck = luck if rule.reused else others
        shown = new + fresh
        level = rule.level(day)
        promoted, _ = _judged(rng, rule, shown - champion - luck, level)
        if rule.pinned:
            of_best = np.where(is_best, luck, own * rng.normal(size=runs))
            passed, shape = _judged(rng, rule, shown - best - of_best, level)
            promoted &= passed
            moves = promoted & (rule.interval(shape, _FAR).lower > EQUAL_WITHIN)
            best = np.where(moves, new, best)
            is_best = np.where(promoted, moves, is_best)
        promotions += promoted
        false += promoted & (new <= champion)
        champion, luck = np.where(promoted, new, champion), np.where(promoted, fresh, luck)
    return promotions, false, 100 * champion


def _judged(rng, rule, difference, level):
    shape = normal_shapes(rng, rule.n, len(difference), KAPPA)
    shape = moved(shape, difference - shape.mean)
    return rule.promotes(rule.interval(shape, level)), shape
