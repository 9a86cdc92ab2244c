"""The clock of the machine, and one for tests in which weeks pass in minutes."""

import os
import time
from collections.abc import Mapping

from everbake.errors import UsageError

TEST_CLOCK = "EVERBAKE_TEST_CLOCK"
TESTING = "EVERBAKE_TESTING"


class SystemClock:
    """The time as the machine has it."""

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        time.sleep(seconds)


class ScaledClock:
    """A time that began at another moment, and runs faster: the same in all processes.

    Args:
        began: when it began, as the machine has the time.
        origin: what it showed then, seconds since 1970.
        rate: its seconds in one of the machine's.
    """

    def __init__(self, began: float, origin: float, rate: float) -> None:
        self._began = began
        self._origin = origin
        self._rate = rate

    def now(self) -> float:
        """Seconds since 1970, by this clock."""
        return self._origin + (time.time() - self._began) * self._rate

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        time.sleep(seconds / self._rate)


def clock_of(environment: Mapping[str, str] = os.environ) -> SystemClock | ScaledClock:
    """The clock that the environment asks for: the machine's, outside of tests.

    Raises:
        UsageError: a test's clock is set, and this is no test.
    """
    told = environment.get(TEST_CLOCK)
    if told is None:
        return SystemClock()
    if environment.get(TESTING) != "1":
        raise UsageError(
            "EB014",
            f"{TEST_CLOCK} is set",
            why="it is for tests: all times would be wrong",
            mend=f"unset {TEST_CLOCK}",
        )
    began, origin, rate = (float(part) for part in told.split(","))
    return ScaledClock(began, origin, rate)
