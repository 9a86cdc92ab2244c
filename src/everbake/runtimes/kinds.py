"""The kinds of compiled runtimes: one table says which reads which data file."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from everbake.runtimes.linear import LinearRuntime
from everbake.runtimes.trees import TreesRuntime


class Runtime(Protocol):
    """A data file that answers."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The input columns, by name."""

    @property
    def categorical(self) -> tuple[str, ...]:
        """The input columns that are looked up as categories."""

    def answer(self, rows: Sequence[Mapping[str, object]]) -> list[object]:
        """One answer a row.

        Raises:
            RowRefusedError: the model cannot answer a row.
        """

    def answer_columns(self, columns: Mapping[str, object]) -> NDArray[np.generic]:
        """The answers to many rows, handed over column by column.

        Raises:
            RowRefusedError: the model cannot answer a row.
        """


KINDS: dict[str, Callable[[bytes], Runtime]] = {
    "linear": LinearRuntime.load,
    "trees": TreesRuntime.load,
}


def load(kind: str, data: bytes) -> Runtime:
    """The runtime of a data file.

    Raises:
        ValueError: the bytes are no data file of this kind.
    """
    return KINDS[kind](data)
