"""Work in short steps: a processor that is shared is given back before its owner would take it."""

import time

_WORK = 0.0005  # seconds of work between two pauses
_PAUSE = 0.0001


class Breath:
    """Pauses a moment after each half a millisecond of work.

    A scheduler takes the processor away only at its next tick, which is up to 10 ms later: as
    long everybody would wait who is being answered on the same one.
    """

    def __init__(self) -> None:
        self._until = 0.0

    def __call__(self) -> None:
        """Called often, between pieces of work that take microseconds."""
        if time.perf_counter() > self._until:
            time.sleep(_PAUSE)
            self._until = time.perf_counter() + _WORK


def unhurried() -> None:
    """In its place where nobody is answered."""
