"""What facts say about rows that decide: each look at them, and the version that is the best.

A version on which the rows could not tell is pending. It is looked at again, by a run that trains
nothing, once twice as many rows can judge it.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Look:
    """A decision's place in the ledger of looks.

    Attributes:
        number: the how-manieth decision by these rows this is, from 1; of a pending candidate the
            how-manieth about it.
        level: the two-sided error that it may spend.
        rows: how many rows judged.
        digest: which rows: over the sorted hashes of their contents.
        judged: blob of their positions in the table.
    """

    number: int
    level: float
    rows: int
    digest: str
    judged: str


@dataclass(frozen=True)
class Pending:
    """A version that a run looks at again.

    Attributes:
        version: its number.
        bundle: what it answers with.
        runtime: how it answers.
        look: the number of this look.
        rows: how many rows judged it last; for this look there must be twice as many.
        judged: blob of their positions in the table.
    """

    version: int
    bundle: str
    runtime: str
    look: int
    rows: int
    judged: str | None = None


@dataclass(frozen=True)
class LookPostponed:
    """A pending candidate was not looked at: fewer rows can judge it than are wanted.

    Attributes:
        model: the model.
        run: the run.
        rows: that could judge it.
        seconds: wall-clock time of the job.
    """

    model: str
    run: str
    rows: int
    seconds: float


@dataclass(frozen=True)
class BestPinned:
    """A person said which version is the best so far: no candidate may fall behind it.

    Attributes:
        model: the model.
        version: the version.
        bundle: what it answers with.
        best_before: the version that was the best before.
        reason: why.
        request: the person's request.
    """

    model: str
    version: int
    bundle: str
    best_before: int | None
    reason: str
    request: str
