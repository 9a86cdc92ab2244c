"""Quantiles of a stream in bounded memory: counts in bins that grow by 4 %.

A sketch in the manner of DDSketch (Masson, Rim and Lee 2019): each quantile is right within 2 %,
whatever the distribution, and sketches of parts add up to the sketch of the whole.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, exp, log

_GROWTH = log(1.04)
_SMALLEST, _LARGEST = 1e-9, 1e15
_LAST = ceil(log(_LARGEST / _SMALLEST) / _GROWTH)


@dataclass(frozen=True)
class Sketch:
    """Counts by bin, in order; bin 0 is zero, negative bins hold negative values."""

    bins: tuple[tuple[int, int], ...] = ()

    def merge(self, other: "Sketch") -> "Sketch":
        """Of the values of both."""
        if not self.bins or not other.bins:
            return self if self.bins else other
        counts = Counter(dict(self.bins))
        counts.update(dict(other.bins))
        return Sketch(tuple(sorted(counts.items())))

    def quantile(self, q: float) -> float | None:
        """The value that a share `q` lies at or below; None without values."""
        left = q * sum(count for _, count in self.bins)
        for index, count in self.bins:
            left -= count
            if left <= 0:
                return _value(index)
        return None


def sketch(values: Iterable[float]) -> Sketch:
    """The sketch of all values."""
    return Sketch(tuple(sorted(Counter(map(_bin, values)).items())))


def _bin(value: float) -> int:
    size = abs(value)
    if size < _SMALLEST:
        return 0
    index = min(1 + max(0, ceil(log(size / _SMALLEST) / _GROWTH)), _LAST)
    return index if value > 0 else -index


def _value(index: int) -> float:
    if index == 0:
        return 0.0
    size = _SMALLEST * exp((abs(index) - 1.5) * _GROWTH)
    return size if index > 0 else -size
