"""The clock of the machine."""

import time


class SystemClock:
    """The time as the machine has it."""

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        time.sleep(seconds)
