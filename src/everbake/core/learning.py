"""How a candidate comes to know its rows, as it is recorded and declared."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Learning:
    """How the candidate of a run comes to know its rows.

    Attributes:
        base: the version that is taught the new rows; None: the candidate is trained from scratch.
        bundle: and its bundle.
        because: why from scratch, where the recipe has an `update`.
    """

    base: int | None = None
    bundle: str | None = None
    because: str = ""


FROM_SCRATCH = Learning()
