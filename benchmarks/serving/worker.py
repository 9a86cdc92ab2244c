"""The process entry of a prediction worker with its log or without: `with|at-once|tick ARGUMENTS`.

No setting switches the log off, so the class that writes it is replaced here, and nothing else.
There are two ways to have no log, and the faster one is what the log is held against: `at-once`
lets every answer go by itself; `tick` lets all answers of one turn of the event loop go together,
as the log does, which spares wake-ups on the other side.
"""

import asyncio
import sys

from everbake.interfaces import serve
from everbake.serving import service


class AtOnce:
    """A prediction log that keeps nothing and is done at once."""

    def __init__(self, *_: object, **__: object) -> None:
        self._done: asyncio.Future[None] | None = None

    def append(self, *_: object, **__: object) -> "asyncio.Future[None]":
        """Forget an answer."""
        if self._done is None:
            self._done = asyncio.get_running_loop().create_future()
            self._done.set_result(None)
        return self._done

    async def close(self) -> None:
        """Nothing waits."""


class Tick:
    """A prediction log that keeps nothing and is done at the end of a turn of the event loop."""

    def __init__(self, *_: object, **__: object) -> None:
        self._turn: asyncio.Future[None] | None = None

    def append(self, *_: object, **__: object) -> "asyncio.Future[None]":
        """Forget an answer, later."""
        if self._turn is None:
            loop = asyncio.get_running_loop()
            self._turn = loop.create_future()
            loop.call_soon(self._release)
        return self._turn

    def _release(self) -> None:
        turn, self._turn = self._turn, None
        turn.set_result(None)

    async def close(self) -> None:
        """Nothing waits."""


def main() -> None:
    """Serve."""
    log = {"at-once": AtOnce, "tick": Tick}.get(sys.argv[1])
    if log is not None:
        service.PredictionLog = log
    serve.main(sys.argv[2:])


if __name__ == "__main__":
    main()
