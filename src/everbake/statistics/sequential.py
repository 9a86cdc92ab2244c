"""Tests that may be looked at after every request: rates of two arms, and one rate alone.

All evidence is kept as the logarithm of an e-process: non-negative, of expectation at most 1 under
the null at any stopping time, so that it reaches 1/a with probability at most a (Ville 1939;
Ramdas, Gruenwald, Vovk and Shafer 2023). Plain arithmetic: whoever looks often imports no numpy.

The two-arm test looks at events only: given that a request failed, it was the challenger's with
probability pi * r / (pi * r + 1 - pi), r the ratio of the two rates, whatever the common level is
at that moment (Lindon and Malek 2022). An incident that hits both arms moves nothing.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

GRID = (1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 8.0, 16.0)  # ratios that the mixture bets on, evenly
LEAST_SHARE, MOST_SHARE = 0.001, 0.999  # beyond these, a share tells nothing about one arm
PRIOR = 1_000.0  # concentration of the sample-ratio prior
_LOG_RATIO = 20.0
_STEPS = 100


@dataclass(frozen=True)
class Events:
    """Events of one stage of traffic.

    Attributes:
        share: probability that a unit of this stage went to the challenger.
        total: events of both arms.
    """

    share: float
    total: int


def log_worse(stages: Sequence[Events], challenger: int, ratio: float = 1.0) -> float:
    """Ln E+ against "the challenger's rate is at most `ratio` times the champion's".

    Args:
        stages: the events of each stage.
        challenger: events of the challenger, over all stages.
        ratio: r0.
    """
    return _log_mean_exp(
        challenger * math.log(h)
        - sum(s.total * math.log(_g(s.share, ratio * h) / _g(s.share, ratio)) for s in stages)
        for h in GRID
    )


def log_better(stages: Sequence[Events], challenger: int, ratio: float = 1.0) -> float:
    """Ln E- against "the challenger's rate is at least `ratio` times the champion's"."""
    return _log_mean_exp(
        -challenger * math.log(h)
        - sum(s.total * math.log(_g(s.share, ratio / h) / _g(s.share, ratio)) for s in stages)
        for h in GRID
    )


def log_below(cap: float, n: int, events: int) -> float:
    """Ln E against "the challenger's rate is at least `cap`", from the challenger alone.

    Needed where almost nothing fails: no event in many requests is evidence, too.
    """
    if cap >= 1.0:
        return 0.0
    return _log_mean_exp(
        -events * math.log(h) + (n - events) * math.log((1 - cap / h) / (1 - cap)) for h in GRID
    )


def ratio_interval(stages: Sequence[Events], challenger: int, alpha: float) -> tuple[float, float]:
    """The ratios that no look so far excludes: a confidence sequence at 1 - alpha."""
    bar = math.log(2 / alpha)
    # E+ falls and E- grows with the ratio that it is held against.
    low = _crossing(lambda x: log_worse(stages, challenger, math.exp(x)) >= bar)
    high = _crossing(lambda x: log_better(stages, challenger, math.exp(x)) < bar)
    return (
        0.0 if low is None else math.exp(low),
        math.inf if high is None or high >= _LOG_RATIO else math.exp(high),
    )


def rate_interval(events: int, n: int, alpha: float) -> tuple[float, float]:
    """The rates that no look so far excludes (Robbins 1970, mixture over Beta(1/2, 1/2))."""
    if n == 0:
        return 0.0, 1.0
    bar = math.log(1 / alpha)
    mixture = _log_beta(0.5 + events, 0.5 + n - events) - _log_beta(0.5, 0.5)

    def excluded(p: float) -> bool:
        hits = events * math.log(p) if events else 0.0
        misses = (n - events) * math.log1p(-p) if n - events else 0.0
        return mixture - hits - misses >= bar

    seen = events / n
    low = 0.0 if events == 0 else _edge(excluded, 0.0, seen)
    high = 1.0 if events == n else _edge(excluded, 1.0, seen)
    return low, high


def log_ratio_mismatch(stages: Iterable[tuple[float, int, int]]) -> float:
    """Ln E against "the challenger got its share of the units".

    Dirichlet-multinomial mixture around the planned share (Lindon and Malek 2022); stages multiply.

    Args:
        stages: for each the share, the challenger's units, the champion's units.
    """
    return sum(
        _log_beta(PRIOR * share + b, PRIOR * (1 - share) + a)
        - _log_beta(PRIOR * share, PRIOR * (1 - share))
        - b * math.log(share)
        - a * math.log1p(-share)
        for share, b, a in stages
        if LEAST_SHARE <= share <= MOST_SHARE
    )


def _g(share: float, ratio: float) -> float:
    return share * ratio + 1 - share


def _log_mean_exp(terms: Iterable[float]) -> float:
    values = list(terms)
    most = max(values)
    return most + math.log(math.fsum(math.exp(v - most) for v in values) / len(values))


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _crossing(holds: Callable[[float], bool]) -> float | None:
    """Where a condition that holds on the left stops to hold; None if it holds nowhere."""
    left, right = -_LOG_RATIO, _LOG_RATIO
    if not holds(left):
        return None
    if holds(right):
        return right
    for _ in range(_STEPS):
        middle = (left + right) / 2
        left, right = (middle, right) if holds(middle) else (left, middle)
    return left


def _edge(excluded: Callable[[float], bool], outside: float, inside: float) -> float:
    """Where the excluded rates begin, between an excluded end and what was seen."""
    for _ in range(_STEPS):
        middle = (outside + inside) / 2
        outside, inside = (middle, inside) if excluded(middle) else (outside, middle)
    return (outside + inside) / 2
