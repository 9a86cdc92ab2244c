"""`everbake compare`: in what two versions differ, and by how much."""

import os
import textwrap
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click

from everbake import wiring
from everbake.core.drawing import Style, as_lines
from everbake.core.redact import HIDDEN, kept
from everbake.core.tables import Row
from everbake.errors import UsageError, UserCodeError
from everbake.interfaces.cli.calling import json_option, progress, split_name, tell
from everbake.interfaces.cli.differing import difference_lines, entry
from everbake.interfaces.cli.explaining import style, version_row, writable
from everbake.views import decisions, outcomes
from everbake.views.differences import differences

_LINES = 60  # of code differences, unless all are asked for
_NO_ROW = "no row is left that neither of them has learned from"


@click.command()
@click.argument("one", metavar="NAME@A")
@click.argument("other", metavar="NAME@B")
@click.option("--full", is_flag=True, help="All of the code that differs, however long.")
@json_option
@click.pass_obj
def compare(project: Path, one: str, other: str, full: bool, as_json: bool) -> None:  # noqa: FBT001
    """What differs between two versions of a model, and by how much B is better or worse than A.

    First data, code, packages, parameters and declaration. Then both answer the same rows, from
    which neither has learned, each by its own code; the gate of B judges. Nothing is recorded, and
    nothing changes.
    """
    reader = wiring.reader(project)
    pair = _pair(project, one, other)
    model = str(pair[0]["model"])
    most = None if full else _LINES
    decision, why_not = None, ""
    with progress("compare"):
        differs = differences(reader, wiring.blobs(project), pair, most)
        try:
            decision = wiring.compare(project, model, pair)
            why_not = "" if decision else _NO_ROW
        except UserCodeError as error:
            why_not = f"{error.where} gives no answers: {error.what}"
    told = {
        "schema": outcomes.SCHEMA,
        "model": model,
        **{key: _side(project, row) for key, row in zip("ab", pair, strict=True)},
        "differs": _redacted(differs),
        "decision": decisions.beside(reader, decision, pair),
        "why_not": why_not,
    }
    tell(told, partial(_text, told, style()), as_json=as_json)


def _pair(project: Path, one: str, other: str) -> tuple[Row, Row]:
    """The rows of both versions.

    Raises:
        UsageError: they are not two versions of one model.
    """
    reader = wiring.reader(project)
    (model, first), (same, second) = split_name(one), split_name(other)
    if model != same or first is None or second is None:
        raise UsageError(
            "EB017",
            f"{one} and {other} are not two versions of one model",
            mend=f"everbake compare {model}@1 {model}@2",
        )
    return version_row(reader, model, first), version_row(reader, model, second)


def _side(project: Path, version: Row) -> dict[str, Any]:
    reader = wiring.reader(project)
    decided = outcomes.decision(reader, str(version["run"]))
    return {**decisions.side(reader, version), "state": version["state"], "decision": decided}


def _redacted(differs: dict[str, Any]) -> dict[str, Any]:
    """The same, without what looks like a secret in somebody's code or parameters."""
    code = [{**each, "diff": kept(each["diff"], os.environ)} for each in differs["code"]]
    params = {
        name: [_shown(name, value) for value in pair] for name, pair in differs["params"].items()
    }
    return {**differs, "code": code, "params": params}


def _shown(name: str, value: object) -> object:
    """A parameter's value, unless its name or its form says that it is a secret."""
    told = f"{name}={value}"
    return value if kept(told, os.environ) == told else HIDDEN


def _text(told: dict[str, Any], look: Style) -> str:
    arrow = "→" if look.fine else "->"
    lines = [f"{told['a']['name']} {arrow} {told['b']['name']}", ""]
    lines += difference_lines(told["differs"], arrow, look)
    return writable("\n".join([*lines, "", *_amount(told, look)]))


def _amount(told: Mapping[str, Any], look: Style) -> list[str]:
    """By how much; or why that cannot be told, with what was decided about each."""
    if told["decision"] is not None:
        said = f"What the gate of {told['b']['name']} says, without any consequence:"
        return [said, "", *as_lines(told["decision"], look)]
    lines = [*entry("by how much", told["why_not"], look), "", "The decisions on record:"]
    for key in ("a", "b"):
        lines += ["", *_recorded(told[key], look)]
    return lines


def _recorded(side: Mapping[str, Any], look: Style) -> list[str]:
    decided = side["decision"]
    if decided is None:
        return [f"{side['name']}: none"]
    head = f"{side['name']} {decided['verdict']}: {decided['because']}"
    return textwrap.wrap(head, look.width)
