"""Threads of the owner; whoever ends the owner waits for them."""

import threading
import time
from collections.abc import Callable

GOODBYE = 10.0  # seconds for threads to see that the owner has ended


class Threads:
    """Starts threads, and waits for those that are still there at the end."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._alive: set[threading.Thread] = set()

    def start(self, name: str, act: Callable[[], None]) -> threading.Thread:
        """Do it in a thread of its own."""

        def run() -> None:
            try:
                act()
            finally:
                with self._guard:
                    self._alive.discard(threading.current_thread())

        thread = threading.Thread(target=run, name=name, daemon=True)
        with self._guard:
            self._alive.add(thread)
        thread.start()
        return thread

    def join(self) -> None:
        """Return when all have ended, or after `GOODBYE` seconds."""
        until = time.monotonic() + GOODBYE
        with self._guard:
            alive = list(self._alive)
        for thread in alive:
            thread.join(max(0.0, until - time.monotonic()))
