"""Whether a request may still wait for a host: bounded in number and in time."""

from dataclasses import dataclass

# What waits goes out together in one call, which takes about as long again as the wait for it:
# with both, an accepted request takes no more than 40 ms longer than on an idle host.
_PATIENCE = 0.02
_BURST = 0.1  # seconds of idleness that are remembered
_SLOWER = 1.25  # by which a row may be found to cost more than at the call before
_CALLS = 2  # before what they took says what a row costs: the first one starts cold


@dataclass(frozen=True)
class Queued:
    """What waits.

    Attributes:
        requests: how many.
        rows: in all of them.
    """

    requests: int
    rows: int


class Pace:
    """How fast a host answers, from the calls that it has answered.

    A burst upon an idle host waits, however long it takes: it is over soon. Work uses up the
    idleness before it. Without any left, more comes than the host can do; then a request is
    refused that would wait for long behind others, measured by what its own rows cost. What a row
    costs is told by the cheapest of the recent calls: one that was held up says nothing.

    Args:
        most: requests that may wait.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._row = 0.0  # seconds
        self._calls = 0
        self._rest = _BURST  # idleness that no work has used up yet
        self._ended: float | None = None
        self._call: tuple[float, int] | None = None

    def admits(self, queued: Queued, rows: int, now: float) -> bool:
        """Whether a request of so many rows may wait."""
        if queued.requests >= self._most:
            return False
        rest = self._rested(now)
        if rest >= _BURST or not queued.requests or self._calls < _CALLS:
            return True
        row = self._row
        wait = self._left(row, now) + queued.rows * row
        return wait <= rest + max(_PATIENCE, 2 * rows * row)

    def _rested(self, now: float) -> float:
        idle = 0.0 if self._ended is None else now - self._ended
        return min(_BURST, self._rest + idle)

    def _left(self, row: float, now: float) -> float:
        """Seconds until the call at work is answered."""
        if self._call is None:
            return 0.0
        began, rows = self._call
        return max(0.0, began + rows * row - now)

    def begin(self, rows: int, now: float) -> None:
        """A call goes out."""
        self._rest = self._rested(now)
        self._ended = None
        self._call = (now, rows)

    def end(self, now: float) -> None:
        """It was answered."""
        if self._call is None:
            return
        began, rows = self._call
        self._call = None
        cost = (now - began) / rows
        self._row = min(cost, _SLOWER * self._row) if self._calls else cost
        self._calls += 1
        self._rest = max(0.0, self._rest - (now - began))
        self._ended = now
