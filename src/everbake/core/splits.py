"""Which rows are held out to judge by, as it is declared."""

from dataclasses import dataclass
from difflib import get_close_matches

from everbake.core.spec import SplitSpec, declared, parse_span
from everbake.errors import RecipeError


def share(value: float, what: str) -> None:
    """Raise RecipeError unless a value is a share between 0 and 1."""
    if not 0.0 < value < 1.0:
        raise RecipeError(
            "EB204", f"{what} is {value}, not a share between 0 and 1", mend="write 0.2 for a fifth"
        )


def among(value: object, choices: tuple[str, ...], what: str) -> None:
    """Raise RecipeError unless a value is one of the choices; near misses are told."""
    if value not in choices:
        near = get_close_matches(str(value), choices, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"choose one of {', '.join(choices)}"
        raise RecipeError("EB204", f"{what} is {value!r}", mend=hint)


@declared
@dataclass(frozen=True)
class TimeSplit:
    """Hold out the newest rows: a share of them, or all of the last span, such as `"30d"`."""

    newest: float | str = 0.2

    def __post_init__(self) -> None:
        if isinstance(self.newest, str):
            parse_span(self.newest)
        else:
            share(self.newest, "TimeSplit")


@declared
@dataclass(frozen=True)
class HashSplit:
    """Hold a row out if the hash of its key (or of the row) is below `share`: for ever."""

    share: float = 0.2
    stratify: str | None = None

    def __post_init__(self) -> None:
        share(self.share, "HashSplit")


@declared
@dataclass(frozen=True)
class GroupSplit:
    """Hold out whole groups by the hash of `Table(group=)`: no group is on both sides."""

    share: float = 0.2

    def __post_init__(self) -> None:
        share(self.share, "GroupSplit")


Split = TimeSplit | HashSplit | GroupSplit


def describe_split(split: Split | None) -> SplitSpec:
    """The plain-data form of a split; by default a `HashSplit`."""
    if isinstance(split, TimeSplit):
        if isinstance(split.newest, str):
            return SplitSpec("time", None, parse_span(split.newest))
        return SplitSpec("time", split.newest)
    if isinstance(split, GroupSplit):
        return SplitSpec("group", split.share)
    hashed = split or HashSplit()
    return SplitSpec("hash", hashed.share, stratify=hashed.stratify)
