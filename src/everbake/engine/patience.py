"""Trying again, where trying again makes sense."""

from collections.abc import Callable
from typing import TypeVar

from everbake.errors import Retry
from everbake.ports import Clock

T = TypeVar("T")

PAUSES = (0.1, 0.5, 2.5)  # seconds between the attempts


def patiently(attempt: Callable[[], T], clock: Clock) -> T:
    """The result of `attempt`, which is tried again with back-off when it raises `Retry`.

    Raises:
        Retry: the last attempt's, when none succeeded. Every other error passes at once.
    """
    for pause in PAUSES:
        try:
            return attempt()
        except Retry:
            clock.sleep(pause)
    return attempt()
