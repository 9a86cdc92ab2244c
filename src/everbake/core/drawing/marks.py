"""The shapes that stand before a word: a state is a shape and a word, never a colour alone."""

from typing import Literal

Shape = Literal["pass", "warn", "fail", "unknown"]

MARKS = {"ok": "●", "pass": "●", "warn": "▲", "bad": "■", "fail": "■", "unknown": "○"}
PLAIN_MARKS = {"ok": "+", "pass": "+", "warn": "!", "bad": "x", "fail": "x", "unknown": "?"}

VERDICTS: dict[str, Shape] = {"promoted": "pass", "rejected": "fail", "inconclusive": "unknown"}
SEGMENTS: dict[str, Shape] = {"ok": "pass", "hurt": "fail", "open": "warn", "unknown": "unknown"}


def shape_of(state: object) -> Shape:
    """The shape of a check's state; a state that nobody knows yet is hollow.

    >>> shape_of("fail"), shape_of("news")
    ('fail', 'unknown')
    """
    known: dict[object, Shape] = {"pass": "pass", "warn": "warn", "fail": "fail"}
    return known.get(state, "unknown")
