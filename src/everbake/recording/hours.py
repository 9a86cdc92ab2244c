"""What each version did in each hour: counts, latencies, scores and losses, small and mergeable."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from everbake.core.rollout.planning import Baseline, LossBaseline
from everbake.statistics.running import Moments, moments

_SAMPLE = 200  # losses of an hour that are kept as they are
_STEP = math.log(1.1)  # of the latency classes: each is a tenth wider than the one before
_FASTEST = 1e-6
_ROUNDING = 1e-9
_LEAST = 100  # labelled answers, before they say how large a loss usually is
_HEAVY = 10.0  # kurtosis from which the largest losses are clipped
_HOUR = 3600.0


def hour_of(time: float) -> int:
    """The hour in which a moment lies."""
    return int(time // _HOUR)


@dataclass
class Hour:
    """One version in one hour.

    Attributes:
        requests: answered or failed.
        errors: failed.
        latencies: requests by class of latency.
        scores: moments of its numeric predictions.
        losses: moments of its losses.
        sample: some of its losses.
    """

    requests: int = 0
    errors: int = 0
    latencies: dict[int, int] = field(default_factory=dict)
    scores: Moments = field(default_factory=Moments)
    losses: Moments = field(default_factory=Moments)
    sample: list[float] = field(default_factory=list)

    def count(self, seconds: float, *, failed: bool) -> None:
        """One request."""
        self.requests += 1
        self.errors += failed
        place = latency_class(seconds)
        self.latencies[place] = self.latencies.get(place, 0) + 1

    def lose(self, loss: float) -> None:
        """One labelled answer."""
        if len(self.sample) < _SAMPLE:
            self.sample.append(loss)
        self.losses = self.losses.add(loss)


def latency_class(seconds: float) -> int:
    """The class of a latency."""
    return max(0, math.ceil(math.log(max(seconds, _FASTEST) / _FASTEST) / _STEP))


def class_limit(place: int) -> float:
    """The longest latency in a class, in seconds."""
    return _FASTEST * math.exp(_STEP * place)


def baseline(hours: Iterable[Hour], declared: float | None) -> Baseline:
    """What a version did over several hours.

    Args:
        hours: these.
        declared: the budget for an answer in seconds, if there is one.
    """
    all_hours = list(hours)
    classes: dict[int, int] = {}
    losses, scores = Moments(), Moments()
    for hour in all_hours:
        for place, count in hour.latencies.items():
            classes[place] = classes.get(place, 0) + count
        losses, scores = losses.merge(hour.losses), scores.merge(hour.scores)
    requests = sum(hour.requests for hour in all_hours)
    return Baseline(
        requests=requests,
        errors=sum(hour.errors for hour in all_hours),
        over_budget=None if declared is None else _over(classes, declared),
        latency_p95=_quantile(classes, requests),
        loss=_losses(losses, sorted(loss for hour in all_hours for loss in hour.sample)),
        score_sd=math.sqrt(scores.variance) or None,
    )


def _over(classes: dict[int, int], budget: float) -> int:
    edge = latency_class(budget * (1 - _ROUNDING))
    return sum(count for place, count in classes.items() if place > edge)


def _losses(losses: Moments, sample: list[float]) -> LossBaseline | None:
    if losses.n < _LEAST:
        return None
    kurtosis, largest = _kurtosis(sample), sample[int(0.99 * len(sample))]
    if kurtosis > _HEAVY:
        losses = moments(min(loss, largest) for loss in sample)
    return LossBaseline(losses, kurtosis, largest)


def _quantile(classes: dict[int, int], requests: int) -> float | None:
    seen = 0
    for place in sorted(classes):
        seen += classes[place]
        if seen >= 0.95 * requests:
            return class_limit(place)
    return None


def _kurtosis(sample: list[float]) -> float:
    mean = math.fsum(sample) / len(sample)
    squares = [(x - mean) ** 2 for x in sample]
    variance = math.fsum(squares) / len(sample)
    return math.fsum(s * s for s in squares) / len(sample) / variance**2 if variance > 0 else 0.0


def encoded(hour: Hour) -> tuple[int, int, str, str, str]:
    """The stored form."""
    return (
        hour.requests,
        hour.errors,
        msgspec.json.encode({str(k): v for k, v in hour.latencies.items()}).decode(),
        msgspec.json.encode(hour.scores).decode(),
        msgspec.json.encode((hour.losses, hour.sample)).decode(),
    )


def decoded(requests: int, errors: int, latencies: str, scores: str, losses: str) -> Hour:
    """The hour behind its stored form."""
    moments, sample = msgspec.json.decode(losses, type=tuple[Moments, list[float]])
    classes = msgspec.json.decode(latencies, type=dict[int, int])
    known = msgspec.json.decode(scores, type=Moments)
    return Hour(requests, errors, classes, known, moments, sample)
