"""What becomes of versions on which the rows could not tell: pure functions of what is known."""

from math import ceil, sqrt

from everbake.core.loop import ModelState
from everbake.core.spec import SplitSpec

FEWEST = 6  # rows, below which no difference is judged; a look at fewer could only be wasted
EXPIRY = 30 * 86_400.0  # seconds of data time, after which a newer undecided version takes over
_AGAIN = 8  # part of the rows that judged last, of which at least one more has to arrive


def rows_wanted(judged: int) -> int:
    """How many rows have to be there for the next look, after one at `judged` rows.

    Doubling, with the error of each look as in `core.gate.looks`, bounds the errors of all looks
    together, however long a version stays pending.

    >>> rows_wanted(2), rows_wanted(40)
    (6, 80)
    """
    return max(FEWEST, 2 * judged)


def due_after(split: SplitSpec, table_rows: int, judged: int) -> int:
    """The rows of the table from which on a version is looked at that `judged` rows have judged.

    Args:
        split: of its recipe: of rows that arrive, it says how many judge.
        table_rows: rows of the table at the last look.
        judged: rows that judged then.
    """
    return table_rows + _arriving(split, rows_wanted(judged) - judged)


def due_postponed(split: SplitSpec, table_rows: int, judged: int, there: int) -> int:
    """The same after it turned out that only `there` rows could judge, which were too few.

    Not each row that arrives can judge: its outcome may be unknown, or the model in use may have
    learned from it. So that each few rows do not start a run in vain, some more have to come.
    """
    missing = max(rows_wanted(judged) - there, judged // _AGAIN)
    return table_rows + _arriving(split, missing)


def _arriving(split: SplitSpec, wanted: int) -> int:
    """How many rows have to arrive so that so many of them judge, 98 times in 100 by chance."""
    wanted = max(1, wanted)
    if split.kind == "time" or not split.share:
        return wanted
    return ceil((wanted + 2 * sqrt(wanted)) / split.share)


def keeps_place(model: ModelState, recipe: str, verdict: str, data_time: float | None) -> bool:
    """Whether the pending candidate stays beside a new version that does not take over.

    It gives way to a winner that has to wait, to any version of a recipe that was edited since,
    and after 30 days to one that is undecided as well.

    Args:
        model: with a pending candidate.
        recipe: digest of the recipe that the new version came from.
        verdict: about the new version.
        data_time: how new its data are, in seconds since 1970.
    """
    if model.candidate_recipe not in (None, recipe):
        return False
    if verdict != "inconclusive":
        return verdict == "rejected"
    if model.candidate_since is None or data_time is None:
        return False
    return data_time - model.candidate_since < EXPIRY
