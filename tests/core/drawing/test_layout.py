"""From values to places: whatever the values are, everything lies on the line and in order."""

import re
from math import inf, isfinite, isnan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everbake.core.drawing.bars import FINE, PLAIN, drawn, strip
from everbake.core.drawing.forest import Bar, Forest, laid_out
from everbake.core.drawing.scale import Scale, scale_over
from everbake.core.drawing.svg import Caption, as_svg
from everbake.core.drawing.words import width_of

numbers = st.floats()  # with NaN, infinities and the smallest and largest there are
losses = st.floats(min_value=0, allow_nan=False)
bars = st.builds(
    Bar,
    name=st.text(max_size=8).map(lambda text: "".join(c for c in text if c.isprintable())),
    n=st.none() | st.integers(0, 10**9),
    estimate=st.none() | numbers,
    interval=st.none() | st.tuples(numbers, numbers),
    shape=st.sampled_from(["pass", "warn", "fail", "unknown"]),
    word=st.sampled_from(["ok", "not judged"]),
    part=st.booleans(),
)
forests = st.builds(
    Forest, bars=st.lists(bars, max_size=6).map(tuple), tolerance=losses, equal=losses
)


@given(forests)
def test_everything_lies_on_the_line(forest):
    layout = laid_out(forest)
    places = [layout.zero]
    places += [place for place in (layout.tolerance, layout.equal) if place is not None]
    for placed in layout.bars:
        places += [] if placed.estimate is None else [placed.estimate]
        places += placed.ends or ()
    assert all(0 <= place <= 1 for place in places)


@given(forests)
def test_an_estimate_lies_on_its_side_of_zero(forest):
    layout = laid_out(forest)
    for placed in layout.bars:
        value = placed.bar.estimate
        if value is None or isnan(value):
            assert placed.estimate is None
        elif value == 0:
            assert placed.estimate == layout.zero
        else:
            assert (placed.estimate >= layout.zero) == (value > 0) or placed.estimate == layout.zero


@given(forests)
def test_the_ends_of_an_interval_hold_what_lies_between_them(forest):
    for placed in laid_out(forest).bars:
        ends = placed.bar.interval
        if placed.ends is None:
            assert ends is None or any(map(isnan, ends))
            continue
        assert placed.ends[0] <= placed.ends[1]
        estimate = placed.bar.estimate
        if estimate is not None and min(ends) <= estimate <= max(ends):
            assert placed.ends[0] <= placed.estimate <= placed.ends[1]


@given(st.lists(numbers), st.lists(numbers), numbers, numbers)
def test_a_scale_keeps_the_order_of_values(needed, others, one, other):
    scale = scale_over(needed, others)
    assert isfinite(scale.low)
    assert isfinite(scale.high)
    assert scale.low <= 0 <= scale.high
    assert scale.low < scale.high
    assert all(scale.reaches(value) for value in needed if isfinite(value))
    if one <= other:
        assert scale.place(one) <= scale.place(other)


def test_what_must_be_seen_is_seen_and_what_is_far_out_is_cut():
    whole = Bar("all rows", 900, 0.1, (-0.1, 0.3), "pass", "not worse")
    wide = Bar("few", 20, 2.0, (-9.0, 13.0), "pass", "ok", part=True)
    layout = laid_out(Forest((whole, wide), tolerance=0.2))
    first, second = layout.bars
    assert first.cut == (False, False)
    assert second.cut == (True, True)
    assert layout.scale.high == pytest.approx(0.9, abs=0.1)  # three times the reach of the whole
    assert layout.tolerance < layout.zero < first.estimate < second.estimate


def test_a_hurt_segment_is_on_the_line_however_far_out():
    whole = Bar("all rows", 900, 0.0, (-0.1, 0.1), "pass", "not worse")
    hurt = Bar("few", 20, -5.0, (-9.0, -1.0), "fail", "hurt", part=True)
    layout = laid_out(Forest((whole, hurt)))
    assert layout.scale.reaches(-5.0)
    assert 0 < layout.bars[1].estimate < layout.zero


@given(forests, st.sampled_from([FINE, PLAIN]), st.integers(1, 90))
def test_every_strip_is_as_wide_as_it_was_asked_to_be(forest, glyphs, columns):
    layout = laid_out(forest)
    assert all(len(strip(placed, layout, columns, glyphs)) == columns for placed in layout.bars)


@given(forests, st.integers(60, 140))
def test_no_line_of_a_drawing_is_wider_than_the_terminal(forest, width):
    for line in drawn(forest, width, FINE):
        assert width_of(f"{line.mark} {line.text}") <= width


@given(forests)
def test_an_svg_is_drawn_of_anything(forest):
    drawing = as_svg(forest, Caption("key", "title", "text"))
    places = re.findall(r' (?:x|x1|x2|width)="([^"]*)%"', drawing)
    assert places
    assert all(0 <= float(place) <= 100 for place in places)


def test_a_strip_shows_zero_the_marks_and_the_interval_in_order():
    bar = Bar("all rows", 900, 0.5, (-0.25, 1.0), "pass", "open")
    forest = Forest((bar,), tolerance=1.0, equal=0.5)
    layout = laid_out(forest)
    text = strip(layout.bars[0], layout, 41, PLAIN)
    assert text.index(":") < text.index(".") < text.index("[") < text.index("|")
    assert text.index("|") < text.index("+") < text.index("]")


def test_an_interval_without_an_end_runs_out_of_the_line():
    bar = Bar("all rows", 9, 1.0, (-inf, 2.0), "warn", "open")
    layout = laid_out(Forest((bar,), tolerance=1.0))
    assert strip(layout.bars[0], layout, 41, PLAIN).startswith("<:-")


def test_ties_are_not_worth_a_picture():
    tie = Bar("all rows", 9, 0.0, (0.0, 0.0), "pass", "equal")
    assert not Forest((tie,), tolerance=0.1).worth_drawing
    assert Scale(-1.0, 1.0) == scale_over([0.0], [])
