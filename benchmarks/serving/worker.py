"""The process entry of a prediction worker with its log or without: `with|at-once|tick ARGUMENTS`.

No setting switches the log off, so the class that writes it is replaced here, and nothing else.
There are two ways to have no log, and the faster one is what the log is held against: `at-once`
lets every answer go by itself; `tick` lets all answers of one turn of the event loop go together,
as the log does, which spares wake-ups on the other side.
"""

import asyncio
import sys

from everbake.core.frames import Answered
from everbake.interfaces import serve
from everbake.serving import service
from everbake.serving.segments import Told


class AtOnce:
    """A prediction log that keeps nothing and is done at once."""

    def __init__(self, *_: object, **__: object) -> None:
        """Nothing is opened."""

    def write(self, model: str, answered: Answered, told: Told) -> None:  # noqa: ARG002
        """Forget an answer."""
        told(None)

    async def close(self) -> None:
        """Nothing waits."""


class Tick(AtOnce):
    """A prediction log that keeps nothing and is done at the end of a turn of the event loop."""

    def __init__(self, *_: object, **__: object) -> None:
        self._told: list[Told] = []

    def write(self, model: str, answered: Answered, told: Told) -> None:  # noqa: ARG002
        """Forget an answer, later."""
        if not self._told:
            asyncio.get_running_loop().call_soon(self._release)
        self._told.append(told)

    def _release(self) -> None:
        released, self._told = self._told, []
        for told in released:
            told(None)


def main() -> None:
    """Serve."""
    log = {"at-once": AtOnce, "tick": Tick}.get(sys.argv[1])
    if log is not None:
        service.PredictionLog = log
    serve.main(sys.argv[2:])


if __name__ == "__main__":
    main()
