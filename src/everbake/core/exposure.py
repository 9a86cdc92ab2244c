"""How a version that was promoted takes over, as a recipe declares it."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from everbake.core.spec import PartSpec, declared, parse_span
from everbake.errors import RecipeError

_LEAST, _MOST = 0.001, 0.999  # shares beyond these tell nothing about one of the two


@declared
@dataclass(frozen=True)
class Replace:
    """Take over at once."""

    def described(self) -> tuple[PartSpec, ...]:
        """The parts: none."""
        return ()


@declared
@dataclass(frozen=True)
class Shadow:
    """Score what the champion has answered once more, without anybody seeing it.

    Attributes:
        dwell: at least so long.
        least: at least so many requests.
        limit: undecided after so long.
        most: undecided after so many requests.
        margin: what the loss may grow by, in its own units; a tenth of its standard deviation if
            left out.
        segments: columns by which the differences are split.
    """

    dwell: str = "24h"
    least: int = 1_000
    limit: str = "14d"
    most: int = 1_000_000
    margin: float | None = None
    segments: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "segments", tuple(self.segments))
        _check_amounts("Shadow", self.least, self.most)
        _check_margins("Shadow", margin=self.margin)
        self.described()

    def __rshift__(self, after: "Shadow | Canary | Rollout") -> "Rollout":
        """This first, then the other."""
        return _chained(self, after)

    def described(self) -> tuple[PartSpec, ...]:
        """The part as plain data."""
        return (
            PartSpec(
                kind="shadow",
                shares=(0.0,),
                unit="request",
                dwell=(parse_span(self.dwell),),
                least=(self.least,),
                limit=parse_span(self.limit),
                most=self.most,
                latency=None,
                error_rate=0.01,
                margins=(0.005, 0.01),
                relative=0.25,
                margin=self.margin,
                segments=self.segments,
            ),
        )


@declared
@dataclass(frozen=True)
class Canary:
    """Let the version answer a share of the requests, and look at every one of them.

    Attributes:
        share: of the requests, or several shares one after the other, such as `(0.01, 0.1, 0.5)`.
        unit: `"request"` assigns each request anew; `"key"` keeps every caller that sends
            `Everbake-Key` with one version, and requests without one with the champion.
        dwell: at least so long at the last share.
        dwell_before: at least so long at each share before it.
        least: at least so many requests of the version at the last share.
        least_before: and at each share before it.
        limit: undecided after so long.
        most: undecided after so many requests.
        latency: what an answer may take, such as `"50ms"`; else what the champion kept for 95 %
            of its answers in the week before.
        error_rate: of the champion, where it has answered too little to know.
        error_margin: share of requests by which errors may grow.
        latency_margin: share of requests by which slow answers may grow.
        relative: share of a rate by which it may grow.
        margin: what the loss may grow by, in its own units; a tenth of its standard deviation if
            left out.
    """

    share: float | tuple[float, ...] = 0.1
    unit: Literal["key", "request"] = "request"
    dwell: str = "24h"
    dwell_before: str = "1h"
    least: int = 1_000
    least_before: int = 200
    limit: str = "14d"
    most: int = 1_000_000
    latency: str | None = None
    error_rate: float = 0.01
    error_margin: float = 0.005
    latency_margin: float = 0.01
    relative: float = 0.25
    margin: float | None = None

    def __post_init__(self) -> None:
        shares = self.share if isinstance(self.share, tuple | list) else (self.share,)
        object.__setattr__(self, "share", tuple(shares))
        if self.unit not in ("key", "request"):
            raise RecipeError(
                "EB204", f"Canary(unit) is {self.unit!r}", mend='write "request" or "key"'
            )
        _check_shares(tuple(shares))
        _check_amounts("Canary", self.least, self.most)
        _check_margins(
            "Canary",
            error_margin=self.error_margin,
            latency_margin=self.latency_margin,
            relative=self.relative,
            margin=self.margin,
        )
        if not 0 < self.error_rate < 1:
            raise RecipeError(
                "EB204",
                f"Canary(error_rate) is {self.error_rate}",
                mend="a share between 0 and 1, such as 0.01",
            )
        self.described()

    def __rshift__(self, after: "Shadow | Canary | Rollout") -> "Rollout":
        """This first, then the other."""
        return _chained(self, after)

    def described(self) -> tuple[PartSpec, ...]:
        """The part as plain data."""
        shares = self.share if isinstance(self.share, tuple) else (self.share,)
        before = len(shares) - 1
        return (
            PartSpec(
                kind="canary",
                shares=shares,
                unit=self.unit,
                dwell=(parse_span(self.dwell_before),) * before + (parse_span(self.dwell),),
                least=(self.least_before,) * before + (self.least,),
                limit=parse_span(self.limit),
                most=self.most,
                latency=None if self.latency is None else parse_span(self.latency),
                error_rate=self.error_rate,
                margins=(self.error_margin, self.latency_margin),
                relative=self.relative,
                margin=self.margin,
            ),
        )


@dataclass(frozen=True)
class Rollout:
    """Several parts, one after the other: `Shadow() >> Canary()`."""

    parts: tuple[Shadow | Canary, ...]

    def __rshift__(self, after: "Shadow | Canary | Rollout") -> "Rollout":
        """These first, then the other."""
        return _chained(self, after)

    def described(self) -> tuple[PartSpec, ...]:
        """The parts as plain data."""
        return tuple(spec for part in self.parts for spec in part.described())


def _chained(first: Shadow | Canary | Rollout, after: Shadow | Canary | Rollout) -> Rollout:
    before = first.parts if isinstance(first, Rollout) else (first,)
    behind = after.parts if isinstance(after, Rollout) else (after,)
    return Rollout((*before, *behind))


def _check_shares(shares: tuple[object, ...]) -> None:
    known = [each for each in shares if isinstance(each, int | float) and _LEAST <= each <= _MOST]
    rising = all(low < high for low, high in pairwise(known))
    if not shares or len(known) < len(shares) or not rising:
        raise RecipeError(
            "EB204",
            f"Canary(share) is {shares}",
            why=f"shares grow, and lie between {_LEAST} and {_MOST}",
            mend="Canary(share=0.1) or Canary(share=(0.01, 0.1, 0.5))",
        )


def _check_amounts(kind: str, least: int, most: int) -> None:
    if not 0 < least <= most:
        raise RecipeError(
            "EB204", f"{kind}(least) is {least}, {kind}(most) {most}", mend="0 < least <= most"
        )


def _check_margins(kind: str, **margins: float | None) -> None:
    for name, margin in margins.items():
        if margin is not None and margin <= 0:
            raise RecipeError(
                "EB204",
                f"{kind}({name}) is {margin}",
                why="what may be lost is more than nothing, or no evidence would ever suffice",
                mend="a number above 0",
            )
