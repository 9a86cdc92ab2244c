"""Who answers for which model now."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from everbake.core.rollout.assignment import arm_of_key
from everbake.core.rollout_facts import Exposure
from everbake.serving.decode import RequestDecoder, Row

Role = Literal["champion", "canary", "shadow"]


@dataclass(frozen=True, slots=True)
class Failed:
    """Stands in the place of a prediction that could not be made.

    Attributes:
        why: what the version's own code raised over this row.
    """

    why: str


class Answers(Protocol):
    """A version that is ready to answer."""

    async def answer(self, rows: list[Row]) -> list[object]:
        """One prediction a row; a `Failed` where only other rows could be answered.

        Raises:
            ProblemError: these rows cannot be answered.
        """

    @property
    def alive(self) -> bool:
        """Whether it can still answer anything."""

    @property
    def at_once(self) -> Callable[[list[Row]], list[object]] | None:
        """The same for few rows, in the worker itself and without waiting; None for a host."""

    @property
    def waiting(self) -> int:
        """Requests that wait for it."""

    async def close(self) -> None:
        """Answer what waits, then let go of everything."""


@dataclass(frozen=True)
class Loaded:
    """A bundle in memory.

    Attributes:
        bundle: its digest.
        decoder: of its requests.
        answers: its model.
        example: a row that it can answer, if one is known.
    """

    bundle: str
    decoder: RequestDecoder
    answers: Answers
    example: Row | None = None


@dataclass(frozen=True)
class Challenger:
    """A version in its rollout, beside the champion.

    Attributes:
        version: its number.
        loaded: the bundle.
        exposure: what it gets to see.
    """

    version: int
    loaded: Loaded
    exposure: Exposure

    def gets(self, key: str | None, request: str) -> bool:
        """Whether it answers this request itself; one without a key stays with the champion."""
        exposure = self.exposure
        unit = key if exposure.unit == "key" else request
        if exposure.kind == "shadow" or unit is None:
            return False
        return arm_of_key(exposure.salt, unit, exposure.share)


@dataclass(frozen=True)
class Live:
    """What answers for a model.

    Attributes:
        version: the champion's number.
        generation: of the deployment.
        loaded: the champion's bundle.
        challenger: a version in its rollout, if there is one.
    """

    version: int
    generation: int
    loaded: Loaded
    challenger: Challenger | None = None

    @property
    def shadowed(self) -> bool:
        """Whether what the champion answers is to be scored once more."""
        return self.challenger is not None and self.challenger.exposure.kind == "shadow"

    @property
    def at_once(self) -> bool:
        """Whether all that may answer does so in the worker itself, without waiting for a host."""
        both = [self.loaded] if self.challenger is None else [self.loaded, self.challenger.loaded]
        return all(each.answers.at_once is not None for each in both)

    @property
    def alive(self) -> bool:
        """Whether all that should answer still does."""
        beside = self.challenger
        return self.loaded.answers.alive and (beside is None or beside.loaded.answers.alive)


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
