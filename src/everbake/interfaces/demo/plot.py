"""The two lines of errors as an SVG, drawn here: no script, no font, no request."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from everbake.interfaces.demo.result import Result
from everbake.interfaces.demo.wording import figure, finding

WIDTH, HEIGHT = 1000, 430
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 190, 64, 44
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_TICKS = 5  # about that many lines across
_RAISED = 24  # how far the marks of events reach above the uppermost line across
_APART = 20  # units between two labels at the end of the lines


@dataclass(frozen=True)
class Series:
    """One line.

    Attributes:
        name: what it is called in its label.
        kind: its class in the page's style, and the shape of its points.
        values: one a month.
    """

    name: str
    kind: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class _Scale:
    """From months and errors to places on the page."""

    count: int
    top: float

    def x(self, at: int) -> float:
        width = WIDTH - _LEFT - _RIGHT
        return _LEFT + (width * at / (self.count - 1) if self.count > 1 else width / 2)

    def y(self, value: float) -> float:
        return HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * value / self.top


def chart(result: Result) -> str:
    """The plot: errors a month, with the two things that went wrong."""
    lines = _series(result)
    highest = max((value for line in lines for value in line.values), default=0.0)
    ticks = ticks_to(highest)
    scale = _Scale(len(result.predicted), ticks[-1])
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="plot-title plot-text">',
        f'<title id="plot-title">{escape(finding(result))}</title>',
        f'<desc id="plot-text">{escape(_described(result))}</desc>',
        *_grid(ticks, scale),
        *_months(result, scale),
        *_events(result, scale),
        *(part for line in lines for part in _line(line, scale)),
        *_labels(lines, scale),
        "</svg>",
    ]
    return "\n".join(parts)


def _series(result: Result) -> tuple[Series, Series]:
    errors = [each for _, each in result.predicted]
    start = result.months[0].title
    return (
        Series(f"frozen in {start}", "frozen", tuple(each.frozen for each in errors)),
        Series("kept fresh", "fresh", tuple(each.fresh for each in errors)),
    )


def ticks_to(highest: float) -> list[float]:
    """Round numbers from 0 to at least `highest`.

    >>> ticks_to(137.0)
    [0.0, 50.0, 100.0, 150.0]
    """
    rough = max(highest, 1e-9) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(each * power for each in _STEPS if each * power >= rough)
    return [step * i for i in range(math.ceil(highest / step) + 1)]


def _described(result: Result) -> str:
    told = [
        f"{month.title} {figure(errors.frozen)} frozen, {figure(errors.fresh)} fresh"
        for month, errors in result.predicted
    ]
    return "Mean absolute error in rentals an hour: " + "; ".join(told) + "."


def _grid(ticks: Sequence[float], scale: _Scale) -> list[str]:
    parts = [_text("axis", _LEFT - 48, 20, "rentals an hour off, on average")]
    for tick in ticks:
        y = scale.y(tick)
        parts.append(_rule("grid", (_LEFT, y), (WIDTH - _RIGHT, y)))
        parts.append(_text("axis end", _LEFT - 10, y + 5, f"{tick:g}"))
    return parts


def _months(result: Result, scale: _Scale) -> list[str]:
    return [
        _text("axis middle", scale.x(at), HEIGHT - _BOTTOM + 24, month.title[:3])
        for at, (month, _) in enumerate(result.predicted)
    ]


def _events(result: Result, scale: _Scale) -> list[str]:
    """A dashed line where a batch was held back, and where a candidate of an edit was judged."""
    names = [month.name for month, _ in result.predicted]
    held = "batch quarantined" if result.held.quarantine else "broken batch taken"
    told = {result.held.month: held, result.tried.month: f"edit {result.tried.judgement.verdict}"}
    parts = []
    for name, text in told.items():
        x = scale.x(names.index(name))
        parts.append(_rule("event", (x, _TOP - _RAISED), (x, HEIGHT - _BOTTOM)))
        parts.append(_text("note", x + 6, _TOP - _RAISED + 10, f"▼ {text}"))
    return parts


def _line(line: Series, scale: _Scale) -> list[str]:
    places = [(scale.x(at), scale.y(value)) for at, value in enumerate(line.values)]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return [
        f'<polyline class="{line.kind}" points="{path}"/>',
        *(_point(line.kind, x, y) for x, y in places),
    ]


def _point(kind: str, x: float, y: float) -> str:
    """Circles and squares: the lines differ in more than their colour."""
    if kind == "fresh":
        return f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="4.5"/>'
    return f'<rect class="{kind}" x="{x - 4.5:.1f}" y="{y - 4.5:.1f}" width="9" height="9"/>'


def _labels(lines: Sequence[Series], scale: _Scale) -> list[str]:
    """The name of each line at its end, moved apart where the ends meet."""
    x = WIDTH - _RIGHT + 14
    ends = sorted(((scale.y(line.values[-1]) + 5, line) for line in lines), key=_height)
    (upper, first), (lower, second) = ends
    lower = max(lower, upper + _APART)
    return [
        _text(f"label {first.kind}", x, upper, first.name),
        _text(f"label {second.kind}", x, lower, second.name),
    ]


def _rule(kind: str, start: tuple[float, float], end: tuple[float, float]) -> str:
    (x1, y1), (x2, y2) = start, end
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(kind: str, x: float, y: float, text: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _height(end: tuple[float, Series]) -> float:
    return end[0]
