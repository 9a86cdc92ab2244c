"""Every error that everbake raises on purpose.

    EverbakeError                 what, where, why, mend; a code; an exit code
    |-- Retry                     the same step may succeed later: try again with back-off (exit 6)
    `-- Stop                      trying again cannot help: stop and tell
        |-- UsageError            the call is wrong (exit 2)
        |-- RecipeError           the recipe is wrong, or its code failed in `check` (exit 2)
        |-- DataError             the data is wrong (exit 3)
        |-- HealthError           a check found something (exit 6)
        |-- ConflictError         somebody else holds it, or it moved meanwhile (exit 7)
        `-- UserCodeError         a run failed in the user's code (exit 8)

The codes and their explanations are in :mod:`everbake.codes`; `everbake error CODE` prints
them.
"""

from typing import ClassVar

from typing_extensions import override


class EverbakeError(Exception):
    """An error in four parts.

    Args:
        code: `EBnnn`, a key of :mod:`everbake.codes`.
        what: what is wrong, in one clause.
        where: file, row, column, model or address; may be empty.
        why: the cause, if known; may be empty.
        mend: the command or edit that mends it.
    """

    exit_code: ClassVar[int] = 1

    def __init__(
        self, code: str, what: str, *, where: str = "", why: str = "", mend: str = ""
    ) -> None:
        super().__init__(code, what, where, why, mend)
        self.code = code
        self.what = what
        self.where = where
        self.why = why
        self.mend = mend

    @override
    def __str__(self) -> str:
        """`EB107 the file is gone in x.csv: why, then the mend`."""
        place = f" in {self.where}" if self.where else ""
        cause = f": {self.why}" if self.why else ""
        mend = f"\n  mend: {self.mend}" if self.mend else ""
        return f"{self.code} {self.what}{place}{cause}{mend}"


class Retry(EverbakeError):
    """The same step may succeed later: try again with back-off."""

    exit_code = 6


class Stop(EverbakeError):
    """Trying again cannot help: stop and tell."""


class UsageError(Stop):
    """The call is wrong."""

    exit_code = 2


class RecipeError(Stop):
    """The recipe is wrong, or cannot be imported."""

    exit_code = 2


class DataError(Stop):
    """The data is wrong and cannot be kept in quarantine either."""

    exit_code = 3


class HealthError(Stop):
    """A check of the project's own state found something."""

    exit_code = 6


class ConflictError(Stop):
    """Somebody else holds what is needed, or it moved meanwhile."""

    exit_code = 7


class UserCodeError(Stop):
    """A job failed in the user's code."""

    exit_code = 8
