"""Who answers for which model now."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from everbake.core.rollout.assignment import arm_of_key
from everbake.core.rollout_facts import Exposure
from everbake.serving.decode import RequestDecoder, Row
from everbake.serving.problems import ProblemError

Role = Literal["champion", "canary", "shadow"]


# A compiled model answers a row in microseconds: so many hold up other requests by a millisecond.
FEW = 256


@dataclass(frozen=True, slots=True)
class Failed:
    """Stands in the place of a prediction that could not be made.

    Attributes:
        why: what the version's own code raised over this row.
    """

    why: str


Given = list[object] | ProblemError


class Answers(Protocol):
    """A version that is ready to answer."""

    def ask(self, rows: list[Row], told: Callable[[Given], None]) -> None:
        """Have few rows answered.

        Args:
            rows: at most `FEW` of them.
            told: is called once, maybe before this returns: with one prediction a row, a `Failed`
                where only other rows could be answered, or with why none could.
        """

    async def answer(self, rows: list[Row]) -> list[object]:
        """The same for any number of rows, for who waits for it.

        Raises:
            ProblemError: these rows cannot be answered.
        """

    @property
    def alive(self) -> bool:
        """Whether it can still answer anything."""

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
        threshold: from which score it decides "positive", if it decides.
    """

    bundle: str
    decoder: RequestDecoder
    answers: Answers
    example: Row | None = None
    threshold: float | None = None


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
        generation: of the deployment; 0 where no deployment has picked who answers.
        loaded: the champion's bundle.
        challenger: a version in its rollout, if there is one.
    """

    version: int
    generation: int
    loaded: Loaded
    challenger: Challenger | None = None

    def alone(self) -> "Live":
        """The champion as who names its version gets it: what it answers judges no challenger."""
        return Live(self.version, 0, self.loaded)

    @property
    def shadowed(self) -> bool:
        """Whether what the champion answers is to be scored once more."""
        return self.challenger is not None and self.challenger.exposure.kind == "shadow"

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
