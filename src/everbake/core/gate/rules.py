"""What the gate is asked to apply."""

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from numbers import Real
from typing import Literal, get_args

from everbake.core.metrics import AtLeast, AtMost, Better, metric_name, metric_of
from everbake.errors import UsageError

Rule = Literal["refresh", "challenge"]
_FAIR = 0.5  # a bound of less confidence lies on the wrong side of the value
IfInconclusive = Literal["keep", "reject", "promote", "lean"]


@dataclass(frozen=True)
class Rail:
    """A guardrail: an absolute limit on the candidate's value of one metric."""

    kind: Literal["at_least", "at_most"]
    name: str
    metric: Callable[..., float]
    limit: float

    def holds(self, value: float) -> bool:
        """Whether `value` keeps the limit."""
        return value >= self.limit if self.kind == "at_least" else value <= self.limit


@dataclass(frozen=True)
class Rules:
    """The metric that decides, and how.

    Attributes:
        name: the metric's name.
        metric: `(y_true, y_pred)` or `(y_true, y_pred, rows)` -> float.
        better: which way is better.
        rule: "refresh" (not worse) or "challenge" (a gain must be shown).
        tolerance: share of the champion's gap whose loss must be ruled out.
        equal_within: share of the gap that counts as equal.
        min_gain: a challenge that cannot gain more than this is rejected (units of the metric).
        if_inconclusive: what to do when the data cannot tell.
        guardrails: absolute limits on the candidate.
        segments: columns, or pairs of columns, whose values divide the rows into segments.
        all_must_pass: whether every segment must be shown to be no worse, too.
        confidence: one-sided, with which a guardrail must be met; None: the value alone counts.
        seed: seed of every resampling; None derives it from the rows.
    """

    name: str
    metric: Callable[..., float]
    better: Better
    rule: Rule = "refresh"
    tolerance: float = 0.05
    equal_within: float = 0.01
    min_gain: float = 0.0
    if_inconclusive: IfInconclusive = "keep"
    guardrails: tuple[Rail, ...] = ()
    segments: tuple[str | tuple[str, str], ...] = ()
    all_must_pass: bool = False
    confidence: float | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        _among(self.better, get_args(Better), "better")
        _among(self.rule, get_args(Rule), "rule")
        _among(self.if_inconclusive, get_args(IfInconclusive), "if_inconclusive")
        number(self.tolerance, "tolerance")
        number(self.equal_within, "equal_within")
        number(self.min_gain, "min_gain")
        if not 0 <= self.equal_within <= self.tolerance:
            raise UsageError(
                "EB052",
                f"equal_within is {self.equal_within}, tolerance {self.tolerance}",
                mend="0 <= equal_within <= tolerance",
            )
        if self.min_gain and self.rule != "challenge":
            raise UsageError(
                "EB052",
                f"min_gain is {self.min_gain}, and the rule is {self.rule!r}",
                why="only a challenge has to gain anything",
                mend='rule="challenge"',
            )
        if self.confidence is None:
            return
        number(self.confidence, "confidence")
        if not _FAIR <= self.confidence < 1:
            raise UsageError(
                "EB052",
                f"confidence is {self.confidence}",
                mend="a number from 0.5 to below 1, such as 0.95",
            )


def rail(guardrail: AtLeast | AtMost | Rail) -> Rail:
    """The rail that a guardrail stands for."""
    if not isinstance(guardrail, AtLeast | AtMost | Rail):
        raise UsageError(
            "EB052",
            f"{guardrail!r} is not a guardrail",
            mend="write AtLeast(metric, limit) or AtMost(metric, limit)",
        )
    if not callable(guardrail.metric):
        raise UsageError(
            "EB052",
            f"the metric of a guardrail is {guardrail.metric!r}, not a function",
            mend="AtLeast(metric, limit): first the function, then the number",
        )
    number(guardrail.limit, f"the limit on {metric_name(guardrail.metric)}")
    if isinstance(guardrail, Rail):
        return guardrail
    kind: Literal["at_least", "at_most"] = "at_least"
    if isinstance(guardrail, AtMost):
        kind = "at_most"
    return Rail(kind, metric_name(guardrail.metric), guardrail.metric, guardrail.limit)


def direction(metric: Callable[..., float], better: Better | None) -> Better:
    """Which way is better: as told, or as known of the metric.

    Raises:
        UsageError: unknown, or against what is known.
    """
    name, known = metric_name(metric), metric_of(metric)
    if known is not None and better in {None, known.better}:
        return known.better
    if known is not None:
        raise UsageError(
            "EB051",
            f"{name} is better when {known.better}, not {better}",
            mend=f'leave better= out, or write better="{known.better}"',
        )
    if better is None:
        raise UsageError(
            "EB051",
            f"everbake does not know which way {name} is better",
            mend='write better="lower" or better="higher"',
        )
    return better


def number(value: object, what: str) -> None:
    """Complain of an option that is no finite number.

    Raises:
        UsageError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not isfinite(value):
        told = f"{what} is {value!r}, not a finite number"
        raise UsageError("EB052", told, mend="write a number such as 0.05")


def _among(value: str, choices: tuple[str, ...], what: str) -> None:
    if value not in choices:
        raise UsageError(
            "EB052", f"{what} is {value!r}", mend=f"choose one of {', '.join(choices)}"
        )
