"""A forest of intervals as an SVG: no script, no font, no request; it fits any width.

All places are percent of the width, so that letters keep their size on a narrow screen. Without the
page's style it is drawn in the colour of the text around it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal, TypeVar

from everbake.core.drawing.forest import Bar, Forest, Layout, Placed, laid_out
from everbake.core.drawing.marks import MARKS
from everbake.core.drawing.words import count, signed

T = TypeVar("T")

_ROW, _FOOT = 46, 48  # pixels
_CAP = 6  # pixels from the middle of a bar to the end of its caps

_LETTERS = 'font-size="14" fill="currentColor"'
# Around (0, 0), 13 pixels across.
_SHAPES = {
    "pass": '<circle r="6.5" fill="currentColor"/>',
    "warn": '<path d="M-7.5,6 L0,-7.5 L7.5,6 Z" fill="currentColor"/>',
    "fail": '<rect x="-6" y="-6" width="12" height="12" fill="currentColor"/>',
    "unknown": '<circle class="hollow" r="5.5" fill="none" stroke="currentColor"'
    ' stroke-width="2.5"/>',
}


@dataclass(frozen=True)
class Frame:
    """Where names and bars stand.

    Attributes:
        name: class of the drawing.
        names: percent of the width for names.
        plot: where the line begins and how wide it is, in percent.
        label: pixels from a row's top to the foot of its name.
        bar: pixels from a row's top to the middle of its bar.
        lines: whether rows and state stand below a name, or behind it.
        display: how it is displayed where nothing else says so.
    """

    name: str
    names: int
    plot: tuple[int, int]
    label: int
    bar: int
    lines: Literal["below", "behind"]
    display: Literal["inline", "none"]


WIDE = Frame("wide", 38, (39, 59), 18, 18, "below", "inline")
NARROW = Frame("narrow", 100, (2, 96), 15, 32, "behind", "none")


@dataclass(frozen=True)
class Caption:
    """What somebody hears who does not see the drawing.

    Attributes:
        key: makes its ids different from those of other drawings on the page.
        title: the finding.
        text: the figures.
    """

    key: str
    title: str
    text: str


def as_svg(forest: Forest, caption: Caption, frame: Frame = WIDE) -> str:
    """The drawing."""
    layout = laid_out(forest)
    bottom = _ROW * len(layout.bars)
    height = bottom + _FOOT
    title, text = (f"{caption.key}-{frame.name}-{part}" for part in ("title", "text"))
    whole = f'class="{frame.name}" display="{frame.display}" width="100%" height="{height}"'
    told = f'role="img" aria-labelledby="{title}" aria-describedby="{text}"'
    begin, width = frame.plot
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {whole} {told} {_LETTERS}>',
            f'<title id="{title}">{escape(caption.title)}</title>',
            f'<desc id="{text}">{escape(caption.text)}</desc>',
            f'<svg x="{begin}%" width="{width}%" height="{height}" overflow="visible">',
            *_marks(layout, bottom),
            *(part for at, placed in _rows(layout.bars) for part in _bar(placed, at + frame.bar)),
            *_axis(layout, bottom),
            "</svg>",
            f'<svg width="{frame.names}%" height="{height}">',
            *(part for at, bar in _rows(forest.bars) for part in _name(bar, at, frame)),
            "</svg>",
            "</svg>",
        ]
    )


def _rows(bars: Sequence[T]) -> Iterator[tuple[int, T]]:
    """Each bar with the pixel at which its row begins."""
    return ((_ROW * row, bar) for row, bar in enumerate(bars))


def described(forest: Forest) -> str:
    """The drawing in words: every bar with its figures.

    >>> described(Forest((Bar("all rows", 9, 0.5, (0.25, 0.75), "pass", "better"),)))
    'all rows: +0.5, between +0.25 and +0.75, better.'
    """
    return " ".join(f"{bar.name}: {_told(bar)}, {bar.word}." for bar in forest.bars)


def _told(bar: Bar) -> str:
    if bar.estimate is None:
        return "no difference can be told"
    if bar.interval is None:
        return signed(bar.estimate)
    low, high = bar.interval
    return f"{signed(bar.estimate)}, between {signed(low)} and {signed(high)}"


def _name(bar: Bar, top: int, frame: Frame) -> Iterator[str]:
    """The name of a bar, and its rows and state."""
    told = escape(bar.word if bar.n is None else f"n = {count(bar.n)}, {bar.word}")
    mark = f'<tspan class="{bar.shape}">{MARKS[bar.shape]}</tspan>'
    name = f'{mark} <tspan font-weight="600">{escape(bar.name)}</tspan>'
    y = top + frame.label
    if frame.lines == "behind":
        yield f'<text class="name" y="{y}">{name} {told}</text>'
        return
    yield f'<text class="name" y="{y}">{name}</text>'
    yield f'<text x="18" y="{y + 17}" font-size="13">{told}</text>'


def _marks(layout: Layout, height: int) -> Iterator[str]:
    if layout.tolerance is not None:
        yield (
            f'<rect class="loss" width="{_percent(layout.tolerance)}" height="{height}"'
            ' fill="currentColor" fill-opacity="0.09"/>'
        )
    if layout.equal is not None:
        yield _upright(layout.equal, height, "1 4")
    yield _upright(layout.zero, height, "5 4")


def _upright(place: float, height: int, dashes: str) -> str:
    x = _percent(place)
    return (
        f'<line x1="{x}" x2="{x}" y1="0" y2="{height}" stroke="currentColor"'
        f' stroke-width="1.5" stroke-dasharray="{dashes}"/>'
    )


def _bar(placed: Placed, y: int) -> Iterator[str]:
    yield f'<g class="{placed.bar.shape}">'
    if placed.ends is not None:
        left, right = map(_percent, placed.ends)
        yield (
            f'<line x1="{left}" x2="{right}" y1="{y}" y2="{y}" stroke="currentColor"'
            ' stroke-width="4"/>'
        )
        for end, cut, way in zip((left, right), placed.cut, (-1, 1), strict=True):
            yield _at(end, y, _arrow(way) if cut else _cap())
    if placed.estimate is not None:
        yield _at(_percent(placed.estimate), y, _SHAPES[placed.bar.shape])
    yield "</g>"


def _at(x: str, y: int, shape: str) -> str:
    """A shape in pixels at a place in percent."""
    return f'<svg x="{x}" y="{y}" overflow="visible">{shape}</svg>'


def _cap() -> str:
    return f'<line y1="-{_CAP}" y2="{_CAP}" stroke="currentColor" stroke-width="2.5"/>'


def _arrow(way: int) -> str:
    return f'<path d="M{7 * way},0 L{-4 * way},-7 L{-4 * way},7 Z" fill="currentColor"/>'


def _axis(layout: Layout, top: int) -> Iterator[str]:
    low, high = signed(layout.scale.low, 2), signed(layout.scale.high, 2)
    yield f'<text x="{_percent(layout.zero)}" y="{top + 18}" text-anchor="middle">0</text>'
    yield f'<text y="{top + 38}">worse {low}</text>'
    yield f'<text x="100%" y="{top + 38}" text-anchor="end">{high} better</text>'


def _percent(place: float) -> str:
    """A place between 0 and 1.

    >>> _percent(0.12345)
    '12.35%'
    """
    return f"{100 * place:.2f}%"
