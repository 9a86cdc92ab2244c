"""What differs between two versions, as lines of text."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from everbake.core.drawing import Style

_BATCHES, _PACKAGES = 6, 12  # that are listed
_NAMES = 12  # columns of the names of what differs
_NAMED = {"params": "parameter", "declared": "declared", "columns": "column"}
_PLAIN = ("seed", "runtime", "commit")
_SIGNS = {"+": "pass", "-": "fail"}
_NOTHING = "data, code, packages and parameters are the same"

Json = Mapping[str, Any]
Told = tuple[str, str]


def difference_lines(differs: Json, arrow: str, look: Style) -> Iterator[str]:
    """One entry for each thing that differs, then the code line by line.

    Args:
        differs: as `views.differences` tells them.
        arrow: stands between what was and what is.
        look: how the lines are to look.
    """
    arrow = f" {arrow} "
    found = [*_data(differs["data"], arrow), *_code(differs), *_values(differs, arrow)]
    found += _packages(differs["packages"], arrow)
    for name, text in found or [("nothing", _NOTHING)]:
        yield from entry(name, text, look)
    for each in differs["code"]:
        yield from _lines(each, look)


def entry(name: str, text: str, look: Style) -> list[str]:
    """A name with a text beside it, over as many lines as it takes."""
    below = " " * _NAMES
    return textwrap.wrap(
        text,
        look.width,
        initial_indent=name.ljust(_NAMES),
        subsequent_indent=below,
        break_on_hyphens=False,
    )


def _change(pair: Sequence[object], arrow: str) -> str:
    return arrow.join("none" if each is None else str(each) for each in pair)


def _data(data: Json | None, arrow: str) -> Iterator[Told]:
    if data is None:
        return
    both = data["versions"][:1] if len(set(data["versions"])) == 1 else data["versions"]
    yield "data", f"up to data version {_change(both, arrow)}"
    yield "", f"learned from {_change([f'{rows:,}' for rows in data['rows']], arrow)} rows"
    if data["refit"][0] != data["refit"][1]:
        yield "", f"trained once more on all rows: {_change(data['refit'], arrow)}"
    yield from _batches("+", data["added"])
    yield from _batches("-", data["removed"])


def _batches(sign: str, batches: Sequence[Json]) -> Iterator[Told]:
    for each in batches[:_BATCHES]:
        sources = ", ".join(each["sources"])
        yield "", f"{sign} data version {each['version']}: {each['rows']:,} rows, {sources}"
    if len(batches) > _BATCHES:
        yield "", f"{sign} {len(batches) - _BATCHES} more data versions"


def _code(differs: Json) -> Iterator[Told]:
    for each in differs["code"]:
        yield "code", f"{each['file']} {each['change']}: +{each['added']} -{each['removed']} lines"
    if differs["code"] and differs["same_code"]:
        yield "", "only layout, comments and docstrings: it does the same"


def _values(differs: Json, arrow: str) -> Iterator[Told]:
    for key, name in _NAMED.items():
        for what, pair in differs[key].items():
            yield name, f"{what}: {_change(pair, arrow)}"
    for name in _PLAIN:
        if differs[name]:
            yield name, _change(differs[name], arrow)


def _packages(packages: Sequence[Json], arrow: str) -> Iterator[Told]:
    for each in packages[:_PACKAGES]:
        yield "package", f"{each['name']}: {_change([each['a'], each['b']], arrow)}"
    if len(packages) > _PACKAGES:
        yield "", f"and {len(packages) - _PACKAGES} more packages (--json lists them)"


def _lines(change: Json, look: Style) -> Iterator[str]:
    """The lines of one file that differ; a sign stands before each, colours only repeat it."""
    yield ""
    yield f"{change['file']}:"
    for line in change["diff"].splitlines():
        yield look.paint(line, _SIGNS[line[0]]) if line[:1] in _SIGNS else line
    if change["cut"]:
        yield f"... and {change['cut']} more lines: --full shows them"
