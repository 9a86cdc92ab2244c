"""A compiled model that answers in the worker itself: microseconds a row."""

import asyncio
from collections.abc import Callable

from everbake.runtimes.columns import RowRefusedError
from everbake.runtimes.kinds import load
from everbake.serving.decode import Row
from everbake.serving.problems import Place, ProblemError
from everbake.serving.router import FEW, Given


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
    def waiting(self) -> int:
        """It answers at once."""
        return 0

    def ask(self, rows: list[Row], told: Callable[[Given], None]) -> None:
        """Tells before this returns."""
        try:
            given: Given = self._predictions(rows)
        except ProblemError as problem:
            given = problem
        told(given)

    def _predictions(self, rows: list[Row]) -> list[object]:
        try:
            return self._runtime.answer(rows)
        except RowRefusedError as refused:
            place = Place(refused.row, refused.column)
            raise ProblemError("EB516", str(refused), place) from None

    async def answer(self, rows: list[Row]) -> list[object]:
        """One prediction a row; many rows are answered beside the event loop.

        Raises:
            ProblemError: the model cannot answer a row.
        """
        if len(rows) > FEW:
            return await asyncio.to_thread(self._predictions, rows)
        return self._predictions(rows)

    async def close(self) -> None:
        """Nothing is open."""
