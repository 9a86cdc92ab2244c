"""A decision as HTML that stands alone: no script, no request, and a table behind the drawing."""

import json
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from html import escape
from typing import Any

from everbake.core.drawing.forest import Bar, Forest
from everbake.core.drawing.marks import MARKS
from everbake.core.drawing.reading import Point, Reading, reading_of
from everbake.core.drawing.style import STYLE
from everbake.core.drawing.svg import NARROW, Caption, as_svg, described
from everbake.core.drawing.words import between, count, signed


def as_html(decision: Mapping[str, Any]) -> str:
    """A decision's JSON as a fragment of HTML. Whatever came from outside is escaped.

    Args:
        decision: `Decision.to_dict()`, or what `everbake why --json` prints of it.
    """
    reading = reading_of(decision)
    key = f"everbake-{sha256(json.dumps(decision, default=str).encode()).hexdigest()[:12]}"
    parts = [
        f"<style>{STYLE}</style>",
        *_head(reading),
        *_picture(reading, key),
        *_checks(reading.checks),
        *_facts(reading),
    ]
    label = escape(_finding(reading))
    return "\n".join(
        [f'<section class="everbake-decision" aria-label="{label}">', *parts, "</section>"]
    )


def _finding(reading: Reading) -> str:
    return f"{reading.verdict.capitalize()}: {reading.headline}"


def _head(reading: Reading) -> Iterator[str]:
    mark = f'<span class="{reading.shape}">{MARKS[reading.shape]} {reading.verdict.capitalize()}'
    yield f"<h3>{mark}</span> {escape(reading.headline)}</h3>"
    because, rest = reading.because.partition(" ")[::2]
    yield f"<p><b>{escape(because)}</b> {escape(rest)}</p>"
    yield f"<p>{escape(reading.measured)}</p>"


def _picture(reading: Reading, key: str) -> Iterator[str]:
    forest, metric = reading.forest, reading.metric
    caption = Caption(key, _finding(reading), described(forest))
    if forest.worth_drawing:
        yield f"<figure>{as_svg(forest, caption)}{as_svg(forest, caption, NARROW)}"
        yield f"<figcaption>{escape(_legend(forest, metric))}</figcaption></figure>"
    if forest.bars:
        yield "<details><summary>The numbers as a table</summary>"
        yield _table(forest.bars)
        yield "</details>"


def _legend(forest: Forest, metric: str) -> str:
    told = [f"Each line is an interval of the difference in {metric}; right of 0 is better."]
    if forest.tolerance > 0:
        told.append(f"Shaded: losses beyond {signed(-forest.tolerance)}, to be ruled out.")
    if forest.equal > 0:
        told.append(f"Dotted: a loss of {signed(-forest.equal)}, which counts as equal.")
    return " ".join(told)


def _table(bars: Sequence[Bar]) -> str:
    heads = ("compared", "rows", "difference", "interval", "state", "in words")
    rows = "".join(_row(bar) for bar in bars)
    head = "".join(f'<th scope="col">{each}</th>' for each in heads)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _row(bar: Bar) -> str:
    cells = (
        "" if bar.n is None else count(bar.n),
        "" if bar.estimate is None else signed(bar.estimate),
        "" if bar.interval is None else between(bar.interval),
        f"{MARKS[bar.shape]} {bar.word}",
        bar.detail,
    )
    told = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
    return f'<tr><th scope="row">{escape(bar.name)}</th>{told}</tr>'


def _checks(checks: Sequence[Point]) -> Iterator[str]:
    if not checks:
        return
    yield "<h4>Checks</h4><ul>"
    for each in checks:
        mark = f'<span class="{each.shape}">{MARKS[each.shape]} {escape(each.word)}</span>'
        yield f"<li>{mark} <b>{escape(each.name)}</b> {escape(each.detail)}</li>"
    yield "</ul>"


def _facts(reading: Reading) -> Iterator[str]:
    told = [(name, "; ".join(phrases)) for name, phrases in reading.facts]
    told += [("note", note) for note in reading.notes]
    if told:
        yield "<h4>Evidence</h4><dl>"
        yield from (f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in told)
        yield "</dl>"
