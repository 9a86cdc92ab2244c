"""What a replay found out: plain values, from which report and plot are made."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any


@dataclass(frozen=True)
class Errors:
    """Mean absolute errors on the rows of one month, predicted before they arrived.

    Attributes:
        rows: how many these were.
        frozen: of the first model, never trained again.
        fresh: of whichever model served.
        served: the versions that answered over HTTP.
    """

    rows: int
    frozen: float
    fresh: float
    served: tuple[int, ...]


@dataclass(frozen=True)
class Judgement:
    """What a run came to.

    Attributes:
        verdict: promoted, rejected, inconclusive, or failed.
        because: the decision's sentence, or the error of a run that failed.
        version: of the candidate; None if there is none.
    """

    verdict: str
    because: str
    version: int | None


@dataclass(frozen=True)
class Replayed:
    """One month.

    Attributes:
        name: such as `2011-02`.
        title: such as `February`.
        rows: that arrived.
        judgement: of the candidate that was trained on them.
        champion: the version that serves from then on.
        errors: None for the first month, before which nothing could be predicted.
    """

    name: str
    title: str
    rows: int
    judgement: Judgement
    champion: int | None
    errors: Errors | None


@dataclass(frozen=True)
class Held:
    """The broken batch.

    Attributes:
        month: in which it arrived.
        rows: how many it held.
        quarantine: its id; None if it was not quarantined.
        count: things that are wrong with it.
        findings: the first of each kind.
        mended: the data version that its rows became once they were right.
    """

    month: str
    rows: int
    quarantine: str | None
    count: int
    findings: tuple[dict[str, Any], ...]
    mended: int | None


@dataclass(frozen=True)
class Tried:
    """The edit of the recipe.

    Attributes:
        month: before which it was made.
        what: was edited.
        judgement: of the candidate that it led to.
        undone: of the candidate after the edit was taken back.
    """

    month: str
    what: str
    judgement: Judgement
    undone: Judgement


@dataclass(frozen=True)
class Result:
    """Everything that a replay found out.

    Attributes:
        months: in order.
        held: what became of the broken batch.
        tried: what became of the edit.
        seconds: that it took.
    """

    months: tuple[Replayed, ...]
    held: Held
    tried: Tried
    seconds: float

    @cached_property
    def predicted(self) -> tuple[tuple[Replayed, Errors], ...]:
        """The months that were predicted before they arrived."""
        return tuple((month, month.errors) for month in self.months if month.errors is not None)

    @property
    def frozen(self) -> float:
        """Mean absolute error of the frozen model over all predicted rows."""
        return self._mean(lambda errors: errors.frozen)

    @property
    def fresh(self) -> float:
        """Mean absolute error of whichever model served, over the same rows."""
        return self._mean(lambda errors: errors.fresh)

    @property
    def answered(self) -> int:
        """Rows that were predicted over HTTP."""
        return sum(errors.rows for _, errors in self.predicted)

    def _mean(self, of: Callable[[Errors], float]) -> float:
        total = sum(of(errors) * errors.rows for _, errors in self.predicted)
        return total / self.answered
