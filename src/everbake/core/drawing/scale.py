"""From values to places on a line: the one scale that text and SVG share."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite

_FURTHEST = 3.0  # times the reach of what must be seen, up to which the rest is shown, too
_MARGIN = 0.04  # of the whole, left free at both ends
_LARGEST = sys.float_info.max


@dataclass(frozen=True)
class Scale:
    """A line that holds 0.

    Attributes:
        low: the value at its left end; finite, 0 or below.
        high: the value at its right end; finite, 0 or above, and above `low`.
    """

    low: float
    high: float

    def place(self, value: float) -> float:
        """Where a value lies: 0 at the left end, 1 at the right; what is further out, at an end.

        Args:
            value: finite or infinite, not NaN.

        >>> Scale(-1, 3).place(0), Scale(-1, 3).place(99)
        (0.25, 1.0)
        """
        if value <= self.low:
            return 0.0
        if value >= self.high:
            return 1.0
        unit = max(-self.low, self.high)  # so that neither a sum nor a share overflows
        left = self.low / unit
        return min(1.0, (value / unit - left) / (self.high / unit - left))

    def reaches(self, value: float) -> bool:
        """Whether a value lies on the line."""
        return self.low <= value <= self.high


def scale_over(needed: Iterable[float], others: Iterable[float]) -> Scale:
    """The line on which all of `needed` lies, and of `others` what is not much further out.

    A few wide intervals of small segments would press the rest together; they run out of the line.
    Values that are not finite do not count.

    >>> scale_over([-1.0, 1.0], [50.0]).reaches(2.9), scale_over([-1.0, 1.0], [50.0]).reaches(50)
    (True, False)
    """
    first = [0.0, *filter(isfinite, needed)]
    more = list(filter(isfinite, others))
    reach = max(map(abs, first)) or max(map(abs, more), default=0.0)
    if reach == 0:
        return Scale(-1.0, 1.0)
    edge = _FURTHEST * reach if any(first) else reach
    values = [value / reach for value in (*first, *(min(max(v, -edge), edge) for v in more))]
    low, high = min(values), max(values)
    free = _MARGIN * (high - low)
    return Scale(_finite((low - free) * reach), _finite((high + free) * reach))


def _finite(value: float) -> float:
    return min(max(value, -_LARGEST), _LARGEST)
