"""What one metric says at this moment, with its row for readers; and figures in words."""

from dataclasses import dataclass
from math import isfinite

from everbake.core.decision import Check, CheckState


@dataclass(frozen=True)
class Finding:
    """One metric of a rollout.

    Attributes:
        check: the row for readers.
        harm: why the canary has to go, or empty.
        passed: the canary was shown to be acceptable, now or at an earlier look.
    """

    check: Check
    harm: str = ""
    passed: bool = False


def state(*, failed: bool, passed: bool) -> CheckState:
    """How a row is marked."""
    if failed:
        return "fail"
    return "pass" if passed else "unknown"


def verb(name: str) -> str:
    """As in "errors are" and "latency is"."""
    return f"{name} are" if name.endswith("s") else f"{name} is"


def percent(share: float) -> str:
    """As in "4.12 %"."""
    return f"{100 * share:.3g} %"


def count(n: int) -> str:
    """As in "12,345"."""
    return f"{n:,}"


def bounds(interval: tuple[float, float]) -> str:
    """As in "[0.897, 8.37]"; an end that is not known is "unbounded"."""
    low, high = interval
    return f"[{low:.3g}, {high:.3g}]" if isfinite(high) else f"[{low:.3g}, unbounded]"


def share_bounds(interval: tuple[float, float]) -> str:
    """As in "[1.2 %, 3.4 %]"."""
    return f"[{percent(interval[0])}, {percent(interval[1])}]"


def evidence(value: float, needed: float) -> str:
    """As in "ln E 2.73 of 3.91"."""
    told = f"{value:.2f}" if isfinite(value) else "none"
    return f"ln E {told} of {needed:.2f}"
