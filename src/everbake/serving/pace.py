"""Whether a request may still wait for a host: bounded in number and in time."""

import math
from dataclasses import dataclass

# What waits goes out together in one call, behind one that may just have begun: an accepted
# request takes twice as long as its call, 20 ms or so, and twice that where the host has to share
# its processor.
_PATIENCE = 0.01  # seconds of work that may wait
_BURST = 0.15  # seconds in which a burst has to be over
_PAUSE = 0.003  # seconds: a shorter one may only be the time until a worker gets to read
_CALM = 0.5  # seconds without a refusal, after which too much work is over
_SLOWER = 1.1  # by which a call may be found to take longer than it should
_FADING = 0.98  # of what earlier calls count, at each new one
_PRIOR = 0.1  # weight of the call without rows that takes no time
_CALLS = 3  # before it is known how long calls take: the first one starts cold


@dataclass(frozen=True)
class Queued:
    """What waits.

    Attributes:
        requests: how many.
        rows: in all of them.
    """

    requests: int
    rows: int


class Cost:
    """How long a call takes: so much for itself, and so much for each of its rows.

    A straight line through the recent calls, by least squares; the older ones fade. A call without
    rows, that took no time, is always among them, with little weight: where all calls had about as
    many rows, it is their rows that are taken to cost. A call that was held up counts as one that
    took little longer than usual, or than expected of its rows; where nobody can say, with more
    rows than any call before it, it counts as it is.
    """

    def __init__(self) -> None:
        self._calls = self._most = 0
        self._weight = self._rows = self._seconds = self._squares = self._products = 0.0

    @property
    def known(self) -> bool:
        """Whether enough calls were seen."""
        return self._calls >= _CALLS

    @property
    def row(self) -> float:
        """Seconds of one more row."""
        if not self._weight:
            return 0.0
        weight = self._weight + _PRIOR
        spread = weight * self._squares - self._rows**2
        return max(0.0, (weight * self._products - self._rows * self._seconds) / spread)

    @property
    def fixed(self) -> float:
        """Seconds of a call beside its rows."""
        return max(0.0, self._seconds - self.row * self._rows) / (self._weight + _PRIOR)

    def of(self, rows: float) -> float:
        """Seconds of a call with so many rows."""
        return self.fixed + self.row * rows

    def learn(self, rows: int, seconds: float) -> None:
        """A call was answered."""
        self._calls += 1
        if self._calls == 1:
            return
        if rows <= self._most:
            usual = self._rows / self._weight
            seconds = min(seconds, _SLOWER * self.of(max(rows, usual)))
        self._most = max(self._most, rows)
        self._weight = _FADING * self._weight + 1.0
        self._rows = _FADING * self._rows + rows
        self._seconds = _FADING * self._seconds + seconds
        self._squares = _FADING * self._squares + rows * rows
        self._products = _FADING * self._products + rows * seconds


class Pace:
    """Whether more may wait for a host, by the calls that it has answered.

    A burst upon an idle host waits, as it is over soon. Where the host has not been idle for a
    while, more comes than it can do: then, and until nobody was refused for a while, only a little
    work may wait, or as much as the request behind it brings itself.

    Args:
        most: requests that may wait.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._cost = Cost()
        self._busy = -math.inf  # since when the host has not been idle
        self._ended = -math.inf  # when a call was answered last
        self._refused = -math.inf  # when a request was, last
        self._call: tuple[float, int] | None = None

    def admits(self, queued: Queued, rows: int, now: float) -> bool:
        """Whether a request of so many rows may wait."""
        if queued.requests >= self._most:
            return False
        idle = self._call is None and not queued.requests and now - self._ended >= _PAUSE
        if idle and now - self._refused >= _CALM:
            self._busy = now
        if not queued.requests or not self._cost.known:
            return True
        row = self._cost.row
        if queued.rows * row <= max(_PATIENCE, rows * row, self._busy + _BURST - now):
            return True
        self._refused = now
        return False

    @property
    def fixed(self) -> float:
        """Seconds of a call that its requests share."""
        return self._cost.fixed

    def begin(self, rows: int, now: float) -> None:
        """A call goes out."""
        self._call = (now, rows)

    def end(self, now: float) -> None:
        """It was answered."""
        if self._call is None:
            return
        began, rows = self._call
        self._call, self._ended = None, now
        self._cost.learn(rows, now - began)
