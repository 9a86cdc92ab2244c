"""Processes that have no purpose without the one that started them."""

import os
import threading
import time

_GLANCE = 0.05


def die_with(parent: int) -> None:
    """End at once when the parent has: nothing that was acknowledged is lost by that.

    Watched by a thread: the signal that Linux offers for this comes when the parent's thread
    ends, not its process, and other systems offer none.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_GLANCE)
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()
