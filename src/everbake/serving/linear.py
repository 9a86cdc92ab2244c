"""A compiled linear model that answers within the event loop: microseconds a row."""

from everbake.runtimes.linear import LinearRuntime, RowRefusedError
from everbake.serving.decode import Row
from everbake.serving.problems import Place, ProblemError


class LinearAnswers:
    """Answers from a data file.

    Args:
        data: the file.
    """

    def __init__(self, data: bytes) -> None:
        self._runtime = LinearRuntime.load(data)

    @property
    def alive(self) -> bool:
        """It has nothing to lose."""
        return True

    @property
    def waiting(self) -> int:
        """It answers at once."""
        return 0

    async def answer(self, rows: list[Row]) -> list[object]:
        """One prediction a row.

        Raises:
            ProblemError: the model cannot answer a row.
        """
        try:
            return self._runtime.answer(rows)
        except RowRefusedError as refused:
            place = Place(refused.row, refused.column)
            raise ProblemError("EB516", str(refused), place) from None

    async def close(self) -> None:
        """Nothing is open."""
