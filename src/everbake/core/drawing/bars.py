"""A forest of intervals in text."""

from dataclasses import dataclass

from everbake.core.drawing.forest import Bar, Forest, Layout, Placed, laid_out
from everbake.core.drawing.marks import MARKS, PLAIN_MARKS
from everbake.core.drawing.words import count, fitted, signed, width_of

_NARROWEST, _WIDEST = 16, 60  # columns of the line
_NAMES = 30  # columns of names at most
_GAP = "  "


@dataclass(frozen=True)
class Glyphs:
    """The characters of a drawing.

    Attributes:
        marks: the shape of each state.
        line: the body of an interval.
        ends: its left and right end.
        cut: the ends of an interval that goes on.
        zero: no difference.
        tolerance: the loss that has to be ruled out.
        equal: the loss that counts as equal.
        crossing: an interval that holds 0.
        more: what stands for what was cut off.
    """

    marks: dict[str, str]
    line: str
    ends: tuple[str, str]
    cut: tuple[str, str]
    zero: str
    tolerance: str
    equal: str
    crossing: str
    more: str


FINE = Glyphs(MARKS, "─", ("├", "┤"), ("◄", "►"), "│", "┊", "·", "┼", "…")
PLAIN = Glyphs(PLAIN_MARKS, "-", ("[", "]"), ("<", ">"), "|", ":", ".", "|", "~")


@dataclass(frozen=True)
class Line:
    """A line of a drawing, in pieces, so that a colour can be given to its mark alone."""

    mark: str
    text: str
    shape: str = ""


def drawn(forest: Forest, width: int, glyphs: Glyphs) -> list[Line]:
    """The bars, below a line that says which side is worse."""
    layout = laid_out(forest)
    table = _Table.of(forest.bars, width)
    head = table.row("", "", _ends(layout, table.axis), "", "", glyphs)
    rows = [
        Line(
            glyphs.marks[placed.bar.shape],
            table.bar(placed.bar, strip(placed, layout, table.axis, glyphs), glyphs),
            placed.bar.shape,
        )
        for placed in layout.bars
    ]
    return [Line(" ", head), *rows]


def legend(forest: Forest, glyphs: Glyphs) -> str:
    """What the marks on the line are."""
    told = [f"{glyphs.zero} 0"]
    if forest.tolerance > 0:
        told.append(f"{glyphs.tolerance} {signed(-forest.tolerance)}: the loss to be ruled out")
    if forest.equal > 0:
        told.append(f"{glyphs.equal} {signed(-forest.equal)}: counts as equal")
    return (2 * _GAP).join(told)


def strip(placed: Placed, layout: Layout, columns: int, glyphs: Glyphs) -> str:
    """One interval on its line.

    Args:
        placed: the bar.
        layout: where the marks are.
        columns: of the line; at least 1.
        glyphs: the characters.
    """
    cells = [" "] * columns

    def at(place: float) -> int:
        return round(place * (columns - 1))

    if placed.ends is not None:
        left, right = map(at, placed.ends)
        cells[left : right + 1] = glyphs.line * (right + 1 - left)
    zero = glyphs.zero if cells[at(layout.zero)] == " " else glyphs.crossing
    marks = ((layout.equal, glyphs.equal), (layout.tolerance, glyphs.tolerance))
    for place, glyph in (*marks, (layout.zero, zero)):
        if place is not None:
            cells[at(place)] = glyph
    if placed.ends is not None:
        for side, column in enumerate(map(at, placed.ends)):
            cells[column] = (glyphs.cut if placed.cut[side] else glyphs.ends)[side]
    if placed.estimate is not None:
        cells[at(placed.estimate)] = glyphs.marks[placed.bar.shape]
    return "".join(cells)


@dataclass(frozen=True)
class _Table:
    """The widths of the columns."""

    name: int
    n: int
    axis: int
    value: int
    word: int

    @staticmethod
    def of(bars: tuple[Bar, ...], width: int) -> "_Table":
        """The names get what they need, the line what is left."""
        name = min(_NAMES, max([1, *(width_of(bar.name) for bar in bars)]))
        n = max((len(_n(bar)) for bar in bars), default=0)
        value = max((len(_value(bar)) for bar in bars), default=0)
        word = max((len(bar.word) for bar in bars), default=0)
        fixed = 2 + n + value + word + 4 * len(_GAP)
        axis = min(_WIDEST, max(_NARROWEST, width - fixed - name))
        return _Table(max(1, min(name, width - fixed - axis)), n, axis, value, word)

    def bar(self, bar: Bar, line: str, glyphs: Glyphs) -> str:
        return self.row(bar.name, _n(bar), line, _value(bar), bar.word, glyphs)

    def row(self, name: str, n: str, line: str, value: str, word: str, glyphs: Glyphs) -> str:
        cells = (
            fitted(name, self.name, glyphs.more),
            n.rjust(self.n),
            line,
            value.rjust(self.value),
            word,
        )
        return _GAP.join(cells).rstrip()


def _n(bar: Bar) -> str:
    return "" if bar.n is None else count(bar.n)


def _value(bar: Bar) -> str:
    return "" if bar.estimate is None else signed(bar.estimate)


def _ends(layout: Layout, columns: int) -> str:
    """What the two ends of the line are, and where 0 is, as far as there is room."""
    low, high = signed(layout.scale.low, 2), signed(layout.scale.high, 2)
    left, right = f"worse {low}", f"{high} better"
    if len(left) + len(right) >= columns:
        left, right = low, high
    cells = left + right.rjust(columns - len(left))
    zero = round(layout.zero * (columns - 1))
    if not cells[max(0, zero - 1) : zero + 2].strip():
        cells = f"{cells[:zero]}0{cells[zero + 1 :]}"
    return cells
