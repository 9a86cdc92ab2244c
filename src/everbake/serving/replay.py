"""Logged requests answered once more by another version, and what differs."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import IO, Any

import msgspec

from everbake.core.bundle import Input
from everbake.errors import DataError, UserCodeError

Row = dict[str, Any]
Answer = Callable[[list[Row]], list[Any]]

_CHUNK = 10_000  # rows in memory at a time
_SAME = 1e-9  # as in the parity of a compiled runtime: of max(1, |p|)


@dataclass
class Tally:
    """What has come of the rows so far.

    Attributes:
        requests: rows that were logged.
        rows: those that the version has answered again.
        labelled: those of them whose label is there.
        differing: those that are answered otherwise.
        missing: how many rows lack a column that the version needs, by column.
        refused: rows that the version does not answer.
        refusal: why, of the first one.
        shift: sum of the differences, where both answers are numbers.
        numbers: how many these are.
    """

    requests: int = 0
    rows: int = 0
    labelled: int = 0
    differing: int = 0
    missing: dict[str, int] = field(default_factory=dict)
    refused: int = 0
    refusal: str = ""
    shift: float = 0.0
    numbers: int = 0

    def compare(self, then: object, now: object) -> None:
        """Take in one row's answer at the time and its answer now."""
        self.rows += 1
        if _number(then) and _number(now):
            self.shift += now - then  # type: ignore[operator]
            self.numbers += 1
        self.differing += not same(then, now)

    @property
    def share(self) -> float | None:
        """The share of rows that are answered otherwise."""
        return self.differing / self.rows if self.rows else None

    @property
    def mean_difference(self) -> float | None:
        """By how much the answers differ in the mean; None if they are no numbers."""
        return self.shift / self.numbers if self.numbers else None


class Labelled(msgspec.Struct, frozen=True):
    """A row whose label is there, with both answers and what was decided by the first."""

    label: Any
    then: Any
    now: Any
    features: Row
    decision: bool | None


def replay(
    entries: Iterable[Row], inputs: tuple[Input, ...], answer: Answer, spool: IO[bytes]
) -> Tally:
    """Answer logged rows again; leave those with a label in `spool`, one JSON object a line.

    Raises:
        HealthError: the version's process has ended.
    """
    tally = Tally()
    encoder = msgspec.json.Encoder()
    known = {each.name for each in inputs}
    needed = [each.name for each in inputs if each.needed]
    for chunk in _chunks(entries):
        tally.requests += len(chunk)
        able = [entry for entry in chunk if _has_all(entry, needed, tally)]
        rows = [{n: v for n, v in entry["features"].items() if n in known} for entry in able]
        for entry, row, now in zip(able, rows, _answered(answer, rows, tally), strict=True):
            if now is None:
                continue
            then = entry["prediction"]
            tally.compare(then, now)
            if entry["label"] is not None:
                tally.labelled += 1
                labelled = Labelled(entry["label"], then, now, row, entry.get("decision"))
                spool.write(encoder.encode(labelled) + b"\n")
    return tally


def _chunks(entries: Iterable[Row]) -> Iterator[list[Row]]:
    """What was answered at the time: a shadow's answers were not."""
    answered = (entry for entry in entries if entry["role"] != "shadow")
    while chunk := list(islice(answered, _CHUNK)):
        yield chunk


def _has_all(entry: Row, needed: list[str], tally: Tally) -> bool:
    lacking = [name for name in needed if name not in entry["features"]]
    for name in lacking:
        tally.missing[name] = tally.missing.get(name, 0) + 1
    return not lacking


def _answered(answer: Answer, rows: list[Row], tally: Tally) -> list[Any]:
    """An answer for each row, None where the version refuses it; such rows are searched for."""
    if not rows:
        return []
    try:
        return answer(rows)
    except (DataError, UserCodeError) as error:
        if len(rows) == 1:
            tally.refused += 1
            tally.refusal = tally.refusal or str(error)
            return [None]
    half = len(rows) // 2
    return _answered(answer, rows[:half], tally) + _answered(answer, rows[half:], tally)


def same(then: object, now: object) -> bool:
    """Whether two answers are the same, but for the rounding of sums.

    >>> same(0.1 + 0.2, 0.3), same([0.5, 0.5], [0.4, 0.6]), same("a", "a")
    (True, False, True)
    """
    if isinstance(then, list) and isinstance(now, list):
        return len(then) == len(now) and all(map(same, then, now))
    if _number(then) and _number(now):
        return bool(abs(now - then) <= _SAME * max(1.0, abs(then)))  # type: ignore[operator, arg-type]
    return then == now


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
