"""What each error code means: `everbake error CODE` prints it."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class CodeEntry:
    """One entry of the table of error codes: its title and its longer explanation."""

    title: str
    explanation: str


@cache
def codes() -> dict[str, CodeEntry]:
    """All codes, from the table `codes.txt`: a line each, code, title and explanation."""
    text = files("everbake").joinpath("codes.txt").read_text(encoding="utf-8")
    rows = [line.split(" | ", 2) for line in text.splitlines()]
    return {code: CodeEntry(title, explanation) for code, title, explanation in rows}
