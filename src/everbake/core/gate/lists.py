"""Ranked lists in the gate: read as lists where the metric wants such, and told by user.

An outcome is a dict of gains then, an answer a tuple of items; a row is a user.
"""

import re
from dataclasses import replace

from everbake.core.decision import Check, Decision, Segment
from everbake.core.gate.answers import effective
from everbake.core.gate.given import Given
from everbake.core.gate.rules import Rules
from everbake.core.ranking import listed, wanted

_LEARNED = re.compile(r"(?<=learned from )(\d+) more row(s?)\b")
_ROW = re.compile(r"\b(?:held-out )?row(s?)\b")


def of_lists(rules: Rules) -> bool:
    """Whether the metric is known to judge ranked lists."""
    return effective(rules).cut is not None


def read_lists(given: Given, rules: Rules) -> Given:
    """The same with lists as lists, whatever they were given as.

    Raises:
        UsageError: something is no list of items, or no collection of wanted ones.
    """
    if not of_lists(rules):
        return given
    return replace(
        given,
        y=wanted(given.y),
        candidate=listed(given.candidate),
        champion=None if given.champion is None else listed(given.champion),
        best=None if given.best is None else listed(given.best),
    )


def by_user(decision: Decision, rules: Rules) -> Decision:
    """The decision in words for users, where the rows that were judged are users."""
    if not of_lists(rules):
        return decision
    return replace(
        decision,
        because=_by_user(decision.because),
        checks=tuple(_check(each) for each in decision.checks),
        segments=tuple(_segment(each) for each in decision.segments),
    )


def _check(check: Check) -> Check:
    return replace(check, detail=_by_user(check.detail))


def _segment(segment: Segment) -> Segment:
    return replace(segment, detail=_by_user(segment.detail))


def _by_user(text: str) -> str:
    return _ROW.sub(r"user\1", _LEARNED.sub(r"\1 more event\2", text))
