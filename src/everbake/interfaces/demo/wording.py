"""The demo in words: lines while it runs, a table and a finding at its end."""

import shutil
import textwrap
from collections.abc import Sequence

from everbake.core.drawing import MARKS
from everbake.interfaces.demo.result import Held, Judgement, Replayed, Result
from everbake.interfaces.demo.year import MODEL
from everbake.interfaces.render import finding_text

_SAME = 1.05  # errors nearer to each other than that are told as equal
_NARROWEST, _GAP = 30, 2
_SHAPES = {
    "promoted": MARKS["ok"],
    "taken": MARKS["ok"],
    "inconclusive": MARKS["unknown"],
    "quarantined": MARKS["warn"],
}

_NONE = "-"
HEADS = ("month", "rows", "verdict", "because", "error, frozen", "error, fresh")
Line = tuple[str, str, str, str, str, str]


def figure(value: float) -> str:
    """Rentals, to a tenth."""
    return f"{value:.1f}"


def month_line(month: Replayed) -> str:
    """One month in one line."""
    judged = month.judgement
    text = f"{month.name}  {month.rows:>4} rows  {_name(judged):<9} {marked(judged.verdict):<14}"
    if month.errors is None:
        return text.rstrip()
    frozen, fresh = figure(month.errors.frozen), figure(month.errors.fresh)
    return f"{text}  predicted before: off by {fresh} fresh, {frozen} frozen"


def _name(judged: Judgement) -> str:
    return MODEL if judged.version is None else f"{MODEL}@{judged.version}"


def marked(verdict: str) -> str:
    """A verdict with its shape: the word alone says it, too."""
    return f"{_SHAPES.get(verdict, MARKS['bad'])} {verdict}"


def held_lines(held: Held) -> list[str]:
    """The broken batch."""
    if held.quarantine is None:
        return [f"{held.month}  the broken batch was taken: it meets the contract"]
    head = f"{held.month}  {held.rows:>4} rows  quarantined: {held.count} findings, such as"
    found = [f"           {finding_text(finding)}" for finding in held.findings]
    return [head, *found, "           the sensor is mended, and the month is sent again"]


def tried_lines(month: str, what: str, judged: Judgement) -> list[str]:
    """The edit of the recipe, and what it led to."""
    return [
        f"{month}  {what}",
        f"           {_name(judged)} {judged.verdict}: {judged.because}",
        "           the edit is undone, and the same rows are learned from again",
    ]


def table_lines(result: Result) -> list[Line]:
    """The rows of the table: one a month, and one for each thing that went wrong."""
    lines: list[Line] = []
    for month in result.months:
        if month.name == result.held.month:
            lines.append(_held_line(result.held))
        if month.name == result.tried.month:
            edited = result.tried.judgement
            because = f"{edited.because} (The edit: {result.tried.what}.)"
            lines.append(
                (month.name, str(month.rows), marked(edited.verdict), because, _NONE, _NONE)
            )
        lines.append(_line(month))
    return lines


def _held_line(held: Held) -> Line:
    verdict = "quarantined" if held.quarantine is not None else "taken"
    found = "; ".join(f"{f['column']}: {f['detail']}" for f in held.findings)
    because = f"{held.count} findings: {found}"
    return (held.month, str(held.rows), marked(verdict), because, _NONE, _NONE)


def _line(month: Replayed) -> Line:
    judged, errors = month.judgement, month.errors
    frozen = figure(errors.frozen) if errors else _NONE
    fresh = figure(errors.fresh) if errors else _NONE
    return (month.name, str(month.rows), marked(judged.verdict), judged.because, frozen, fresh)


def legend(result: Result) -> str:
    """What the last two columns are."""
    return (
        "error: mean absolute error in rentals an hour on the month's rows, predicted before they "
        f"arrived; frozen: the model of {result.months[0].title}, never trained again; fresh: "
        "whichever model served"
    )


def table_text(result: Result) -> str:
    """The table for a terminal: the reasons are folded, nothing is cut off."""
    lines = table_lines(result)
    words = [max(map(len, head.split())) for head in HEADS]
    widths = [max(words[i], *(len(line[i]) for line in lines)) for i in range(len(HEADS))]
    at = HEADS.index("because")
    others = sum(widths) - widths[at] + _GAP * (len(HEADS) - 1)
    room = shutil.get_terminal_size((120, 24)).columns - others
    widths[at] = min(widths[at], max(_NARROWEST, room))
    return "\n".join(text for line in [HEADS, *lines] for text in _folded(line, widths))


def _folded(line: Sequence[str], widths: Sequence[int]) -> list[str]:
    cells = [textwrap.wrap(cell, width) or [""] for cell, width in zip(line, widths, strict=True)]
    right = (False, True, False, False, True, True)
    return [
        (" " * _GAP)
        .join(
            _placed(cell[i] if i < len(cell) else "", width, to_the_right)
            for cell, width, to_the_right in zip(cells, widths, right, strict=True)
        )
        .rstrip()
        for i in range(max(map(len, cells)))
    ]


def _placed(text: str, width: int, to_the_right: bool) -> str:  # noqa: FBT001 - a column's property
    return text.rjust(width) if to_the_right else text.ljust(width)


def finding(result: Result) -> str:
    """The one sentence that the year comes down to."""
    frozen, fresh = result.frozen, result.fresh
    first, last = result.predicted[0][0].title, result.predicted[-1][0].title
    start = result.months[0].title
    span = f"from {first} to {last}"
    figures = f"{figure(fresh)} rentals an hour on average {span}"
    if frozen > fresh * _SAME:
        return (
            f"Kept fresh, the model was off by {figures}; "
            f"frozen in {start}, by {figure(frozen)}: {frozen / fresh:.1f} times as much"
        )
    if fresh > frozen * _SAME:
        return (
            f"Keeping the model fresh did not pay: it was off by {figures}; "
            f"frozen in {start}, by only {figure(frozen)}"
        )
    return (
        f"Keeping the model fresh made no difference: it was off by {figures}; "
        f"frozen in {start}, by {figure(frozen)}"
    )


def summary(result: Result) -> str:
    """What was done to find that out."""
    rows = sum(month.rows for month in result.months)
    verdicts = [month.judgement.verdict for month in result.months]
    told = ", ".join(f"{verdicts.count(each)} {each}" for each in dict.fromkeys(verdicts))
    return (
        f"{len(result.months)} months and {rows:,} rows in {result.seconds:.0f} s; "
        f"candidates: {told}; {result.answered:,} rows predicted over HTTP before they arrived"
    )
