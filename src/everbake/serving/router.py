"""Who answers for which model now."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from everbake.serving.decode import RequestDecoder, Row


class Answers(Protocol):
    """A version that is ready to answer."""

    async def answer(self, rows: list[Row]) -> list[object]:
        """One prediction a row.

        Raises:
            ProblemError: these rows cannot be answered.
        """

    @property
    def alive(self) -> bool:
        """Whether it can still answer anything."""

    async def close(self) -> None:
        """Answer what waits, then let go of everything."""


@dataclass(frozen=True)
class Loaded:
    """A bundle in memory.

    Attributes:
        bundle: its digest.
        decoder: of its requests.
        answers: its model.
    """

    bundle: str
    decoder: RequestDecoder
    answers: Answers


@dataclass(frozen=True)
class Live:
    """What answers for a model.

    Attributes:
        version: its number.
        generation: of the deployment.
        loaded: the bundle.
    """

    version: int
    generation: int
    loaded: Loaded


@dataclass
class Router:
    """Looked at by every request, changed only by whole assignments.

    Attributes:
        read: whether the ledger has been read at all.
        live: what answers, by model.
        known: all models of the project.
        waiting: deployed models that nothing answers for yet, with the reason if there is one.
    """

    read: bool = False
    live: Mapping[str, Live] = field(default_factory=dict)
    known: frozenset[str] = frozenset()
    waiting: Mapping[str, str] = field(default_factory=dict)
