"""A decision as lines of text for a terminal."""

import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from everbake.core.drawing.bars import FINE, PLAIN, Glyphs, Line, drawn, legend
from everbake.core.drawing.forest import Bar, Forest
from everbake.core.drawing.reading import Point, Reading, reading_of

_NARROWEST, _WIDEST = 60, 110
_PARTS, _DETAILS, _CHECKS, _NOTES = 10, 3, 8, 3  # that are shown
_NAMES = 11  # columns of the names of facts


def _unpainted(text: str, shape: str) -> str:  # noqa: ARG001 - the shape is for those who paint
    return text


@dataclass(frozen=True)
class Style:
    """How lines are to look.

    Attributes:
        columns: of the terminal.
        fine: whether it can show more than ASCII.
        paint: gives a text the colour of a shape; what it says is said without, too.
    """

    columns: int = 80
    fine: bool = True
    paint: Callable[[str, str], str] = _unpainted

    @property
    def width(self) -> int:
        """The columns that are used."""
        return min(max(self.columns, _NARROWEST), _WIDEST)

    @property
    def glyphs(self) -> Glyphs:
        """The characters that are used."""
        return FINE if self.fine else PLAIN


def as_lines(decision: Mapping[str, Any], style: Style = Style()) -> list[str]:
    """A decision's JSON for a terminal.

    Args:
        decision: `Decision.to_dict()`, or what `everbake why --json` prints of it.
        style: how the lines are to look.
    """
    reading = reading_of(decision)
    parts = [
        _head(reading, style),
        _picture(reading, style),
        _checks(reading.checks, style),
        _facts(reading, style),
    ]
    return [line for part in parts for line in part]


def _head(reading: Reading, style: Style) -> Iterator[str]:
    word = f"{style.glyphs.marks[reading.shape]} {reading.verdict.upper()}"
    first, *more = _folded(f"{word}  {reading.headline}", style.width)
    yield style.paint(word, reading.shape) + first.removeprefix(word)
    yield from more
    yield ""
    yield from _wrapped(reading.because, style)
    yield ""
    yield from _wrapped(reading.measured, style)


def _picture(reading: Reading, style: Style) -> Iterator[str]:
    forest = reading.forest
    if not forest.worth_drawing:
        return
    shown, left_out = _first_parts(forest.bars)
    lines = drawn(Forest(shown, forest.tolerance, forest.equal), style.width, style.glyphs)
    yield from (_painted(line, style) for line in lines)
    if left_out:
        yield f"  and {left_out}"
    yield from _indented(legend(forest, style.glyphs), style)
    told = [bar for bar in shown if bar.part and bar.shape in {"fail", "warn"} and bar.detail]
    for bar in told[:_DETAILS]:
        mark = style.glyphs.marks[bar.shape]
        yield from _hanging(mark, f"{mark} {bar.name}: {bar.detail}", bar.shape, style)


def _first_parts(bars: Sequence[Bar]) -> tuple[tuple[Bar, ...], str]:
    """The bars that are shown, and how many segments of which state are not."""
    parts = [bar for bar in bars if bar.part]
    rest = parts[_PARTS:]
    words = dict.fromkeys(bar.word for bar in rest)
    told = [f"{sum(bar.word == word for bar in rest)} {word}" for word in words]
    shown = tuple(bar for bar in bars if not bar.part) + tuple(parts[:_PARTS])
    return shown, f"{len(rest)} more segments: {', '.join(told)}" if rest else ""


def _checks(checks: Sequence[Point], style: Style) -> Iterator[str]:
    if checks:
        yield ""
    for point in checks[:_CHECKS]:
        mark = style.glyphs.marks[point.shape]
        text = f"{mark} {point.word}  {point.name}: {point.detail}"
        yield from _hanging(mark, text, point.shape, style)
    if len(checks) > _CHECKS:
        yield f"  and {len(checks) - _CHECKS} more checks"


def _facts(reading: Reading, style: Style) -> Iterator[str]:
    told = [(name, "; ".join(phrases)) for name, phrases in reading.facts]
    told += [("note", note) for note in reading.notes[:_NOTES]]
    if told:
        yield ""
    for name, text in told:
        yield from _folded(
            text,
            style.width,
            name.ljust(_NAMES + 1),
            " " * (_NAMES + 1),
        )


def _indented(text: str, style: Style) -> list[str]:
    return _folded(text, style.width, "  ", "  ")


def _wrapped(text: str, style: Style) -> list[str]:
    return _folded(text, style.width)


def _folded(text: str, width: int, first: str = "", later: str = "") -> list[str]:
    """A text in lines; words with a hyphen stay whole."""
    return textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=later, break_on_hyphens=False
    )


def _hanging(mark: str, text: str, shape: str, style: Style) -> Iterator[str]:
    """A paragraph whose mark stands alone at the left."""
    first, *more = _folded(text, style.width, later="  ")
    yield style.paint(mark, shape) + first.removeprefix(mark)
    yield from more


def _painted(line: Line, style: Style) -> str:
    mark = style.paint(line.mark, line.shape) if line.shape else line.mark
    return f"{mark} {line.text}".rstrip()
