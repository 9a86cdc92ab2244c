"""A compiled model that answers in the worker itself: microseconds a row."""

import asyncio
from collections.abc import Callable

from everbake.runtimes.columns import RowRefusedError
from everbake.runtimes.kinds import load
from everbake.serving.decode import Row
from everbake.serving.problems import Place, ProblemError

# A row takes microseconds: so many of them hold up the other requests by a millisecond or so.
MOST_AT_ONCE = 256


class CompiledAnswers:
    """Answers from a data file.

    Args:
        kind: of the runtime.
        data: the file.
    """

    def __init__(self, kind: str, data: bytes) -> None:
        self._runtime = load(kind, data)

    @property
    def alive(self) -> bool:
        """It has nothing to lose."""
        return True

    @property
    def at_once(self) -> Callable[[list[Row]], list[object]] | None:
        """It asks nobody else."""
        return self._at_once

    def _at_once(self, rows: list[Row]) -> list[object]:
        try:
            return self._runtime.answer(rows)
        except RowRefusedError as refused:
            place = Place(refused.row, refused.column)
            raise ProblemError("EB516", str(refused), place) from None

    @property
    def waiting(self) -> int:
        """It answers at once."""
        return 0

    async def answer(self, rows: list[Row]) -> list[object]:
        """One prediction a row; many rows are answered beside the event loop.

        Raises:
            ProblemError: the model cannot answer a row.
        """
        if len(rows) > MOST_AT_ONCE:
            return await asyncio.to_thread(self._at_once, rows)
        return self._at_once(rows)

    async def close(self) -> None:
        """Nothing is open."""
