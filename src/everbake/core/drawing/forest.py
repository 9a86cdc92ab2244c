"""Intervals one below the other on one line, and where each of them lies."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite, isnan

from everbake.core.drawing.marks import Shape
from everbake.core.drawing.scale import Scale, scale_over


@dataclass(frozen=True)
class Bar:
    """One comparison: an estimate in its interval.

    Attributes:
        name: what was compared: all rows, a segment.
        n: on how many rows.
        estimate: the difference; above 0 the candidate is better. None where there is none.
        interval: of the difference, None where there is none.
        shape: of its state.
        word: its state in a word or two.
        detail: a sentence more about it.
        part: whether it is about some of the rows only.
    """

    name: str
    n: int | None
    estimate: float | None
    interval: tuple[float, float] | None
    shape: Shape
    word: str
    detail: str = ""
    part: bool = False

    @property
    def values(self) -> tuple[float, ...]:
        """All that there is to show of it."""
        ends = self.interval or ()
        return ends if self.estimate is None else (self.estimate, *ends)


@dataclass(frozen=True)
class Forest:
    """Bars on one line, with the marks that they are held against.

    Attributes:
        bars: from top to bottom.
        tolerance: the loss that has to be ruled out; 0: none.
        equal: the loss that counts as equal; 0: none.
    """

    bars: tuple[Bar, ...]
    tolerance: float = 0.0
    equal: float = 0.0

    @property
    def worth_drawing(self) -> bool:
        """Whether some value is known, finite and not 0: ties need no picture."""
        return any(isfinite(v) and v != 0 for bar in self.bars for v in bar.values)


@dataclass(frozen=True)
class Placed:
    """Where a bar lies; all places are between 0 and 1.

    Attributes:
        bar: the bar.
        estimate: place of the estimate, None without one.
        ends: places of the interval, None without one.
        cut: whether the interval goes on beyond the left and the right end of the line.
    """

    bar: Bar
    estimate: float | None
    ends: tuple[float, float] | None
    cut: tuple[bool, bool] = (False, False)


@dataclass(frozen=True)
class Layout:
    """A forest with all its places.

    Attributes:
        scale: the line.
        zero: place of no difference.
        tolerance: place of the loss that has to be ruled out, None without one.
        equal: place of the loss that counts as equal, None without one.
        bars: as they are placed.
    """

    scale: Scale
    zero: float
    tolerance: float | None
    equal: float | None
    bars: tuple[Placed, ...]


def laid_out(forest: Forest) -> Layout:
    """The places of everything. Whatever is not a number is left out."""
    scale = scale_over(_needed(forest), _others(forest))
    return Layout(
        scale=scale,
        zero=scale.place(0.0),
        tolerance=_mark(forest.tolerance, scale),
        equal=_mark(forest.equal, scale),
        bars=tuple(_placed(bar, scale) for bar in forest.bars),
    )


def _needed(forest: Forest) -> Iterator[float]:
    """What a reader must see: the marks, the whole, and whoever is hurt."""
    yield -forest.tolerance
    yield -forest.equal
    for bar in forest.bars:
        if not bar.part:
            yield from bar.values
        elif bar.estimate is not None and bar.shape == "fail":
            yield bar.estimate


def _others(forest: Forest) -> Iterator[float]:
    for bar in forest.bars:
        if bar.part:
            yield from bar.values


def _mark(loss: float, scale: Scale) -> float | None:
    return scale.place(-loss) if isfinite(loss) and loss > 0 else None


def _placed(bar: Bar, scale: Scale) -> Placed:
    estimate = None
    if bar.estimate is not None and not isnan(bar.estimate):
        estimate = scale.place(bar.estimate)
    if bar.interval is None or any(map(isnan, bar.interval)):
        return Placed(bar, estimate, None)
    low, high = sorted(bar.interval)
    cut = not scale.reaches(low), not scale.reaches(high)
    return Placed(bar, estimate, (scale.place(low), scale.place(high)), cut)
