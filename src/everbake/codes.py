"""What each error code means: `everbake error CODE` prints it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class CodeEntry:
    """One entry of the table of error codes: its title and its longer explanation."""

    title: str
    explanation: str


CODES: dict[str, CodeEntry] = {}
