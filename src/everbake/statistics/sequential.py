"""Rates of two arms that may be looked at after every request: evidence that stays valid.

The evidence E is an e-process: non-negative, with an expectation of at most 1 under the null
hypothesis at whatever moment one stops. By Ville's inequality (1939) the chance that it ever
reaches 1/alpha is at most alpha, so nobody has to say beforehand when to look. All of it is kept
as ln E.

Requests are assigned to the canary at random with a known share pi. Given that a request failed,
it was the canary's with chance pi r / (pi r + 1 - pi), where r is the ratio of the two rates, and
whatever the level of failures that both arms share at that moment (Lindon and Malek 2022; a test
by betting in the sense of Waudby-Smith and Ramdas 2024). An incident that hits both arms, a daily
cycle and a ramp of the traffic can therefore cause no false verdict. A change of the share opens
another stage; counts are never reset.
"""

from collections.abc import Callable, Iterable, Sequence
from math import exp, fsum, inf, lgamma, log, log1p
from typing import NamedTuple

RATIOS = (1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 8.0, 16.0)
LEAST_SHARE, MOST_SHARE = 0.001, 0.999
_TRUST = 1000.0  # how firmly the prior of the traffic check stands by the declared share
_FAR = 20.0  # ln of the largest ratio looked for
_STEPS = 40  # 1e-12 of where one starts from
_HALF = 0.5


class Split(NamedTuple):
    """Units of one stage: `canary` of `both`, assigned to the canary with chance `share`."""

    share: float
    canary: int
    both: int


def judgeable(share: float) -> bool:
    """Whether so uneven a split can carry a verdict at all."""
    return LEAST_SHARE <= share <= MOST_SHARE


def log_mean_exp(logs: Sequence[float]) -> float:
    """`ln mean(exp(logs))`, with the largest taken out first."""
    top = max(logs)
    if top == -inf:
        return -inf
    return top + log(fsum(exp(value - top) for value in logs) / len(logs))


def worse(events: Iterable[Split], ratio: float = 1.0) -> float:
    """Evidence ln E+ against "the canary's rate is at most `ratio` times the champion's".

    Each term is a Bernoulli likelihood ratio of the arm label of an event, a supermartingale for
    every true ratio up to `ratio`; their mixture over `RATIOS` is one too (Robbins 1970). Stages
    whose share can carry no verdict are left out.
    """
    kept = [split for split in events if judgeable(split.share)]
    canary = sum(split.canary for split in kept)
    return log_mean_exp([canary * log(h) - _growth(kept, ratio, h) for h in RATIOS])


def better(events: Iterable[Split], ratio: float = 1.0) -> float:
    """Evidence ln E- against "the canary's rate is at least `ratio` times the champion's"."""
    kept = [split for split in events if judgeable(split.share)]
    canary = sum(split.canary for split in kept)
    return log_mean_exp([-canary * log(h) - _growth(kept, ratio, 1 / h) for h in RATIOS])


def _growth(events: Sequence[Split], ratio: float, factor: float) -> float:
    """What all events would pay under `factor * ratio` relative to `ratio`."""
    terms = (
        both * log((share * ratio * factor + 1 - share) / (share * ratio + 1 - share))
        for share, _, both in events
    )
    return sum(terms)


def under_cap(events: int, units: int, cap: float) -> float:
    """Evidence ln E against "the rate is at least `cap` at every moment", from the canary alone.

    Without it a canary under which almost nothing fails could never prove itself: zero events
    are evidence here. A cap of 1 or more cannot be disproved from above: E = 0.
    """
    if not 0 < cap < 1:
        return -inf
    good = units - events
    return log_mean_exp([-events * log(h) + good * (log1p(-cap / h) - log1p(-cap)) for h in RATIOS])


def ratio_interval(events: Sequence[Split], alpha: float = 0.05) -> tuple[float, float]:
    """The confidence sequence of the ratio of the rates: (0, inf) while nothing is known.

    All ratios that neither side disproves at alpha/2. E+ falls and E- rises in its ratio, so both
    ends are found by halving on the logarithm.
    """
    bar = log(2 / alpha)
    low, high = exp(-_FAR), exp(_FAR)
    lower, upper = 0.0, inf
    if worse(events, low) >= bar:
        lower = exp(_halve(lambda x: worse(events, exp(x)) < bar, -_FAR, _FAR))
    if better(events, high) >= bar:
        upper = exp(_halve(lambda x: better(events, exp(x)) >= bar, -_FAR, _FAR))
    return lower, upper


def rate_interval(events: int, units: int, alpha: float = 0.05) -> tuple[float, float]:
    """The confidence sequence of one rate: all p that a Beta(1/2, 1/2) mixture does not disprove.

    Robbins (1970): the likelihood under the mixture over that under p is a martingale.
    """
    if units == 0:
        return 0.0, 1.0
    good, bar = units - events, log(1 / alpha)
    mixture = _log_beta(_HALF + events, _HALF + good) - _log_beta(_HALF, _HALF)

    def refuted(p: float) -> bool:
        return mixture - _times_log(events, p) - _times_log(good, 1 - p) >= bar

    middle = events / units
    lower = 0.0 if events == 0 else _halve(lambda p: not refuted(p), 0.0, middle)
    upper = 1.0 if good == 0 else _halve(refuted, middle, 1.0)
    return lower, upper


def uneven_traffic(stages: Iterable[Split]) -> float:
    """Evidence ln E against "units are assigned with the declared shares" (sample-ratio mismatch).

    A Dirichlet-multinomial e-process around the declared share (Lindon and Malek 2022); stages
    multiply. The counts are of units of assignment: requests, or users where they are sticky.
    """
    return fsum(_uneven(split) for split in stages if judgeable(split.share))


def _uneven(split: Split) -> float:
    share, canary, both = split
    champion = both - canary
    a, b = _TRUST * share, _TRUST * (1 - share)
    posterior = _log_beta(a + canary, b + champion) - _log_beta(a, b)
    return posterior - canary * log(share) - champion * log1p(-share)


def _halve(above: Callable[[float], bool], low: float, high: float) -> float:
    """Where `above` turns from false to true between `low` and `high`."""
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if above(middle):
            high = middle
        else:
            low = middle
    return (low + high) / 2


def _times_log(count: int, p: float) -> float:
    if count == 0:
        return 0.0
    return count * log(p) if p > 0 else -inf


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
