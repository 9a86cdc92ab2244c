"""`everbake why`: the decision about a version, as a person reads it."""

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import click

from everbake import wiring
from everbake.core.drawing import MARKS, PLAIN_MARKS, Style, as_lines
from everbake.core.tables import Row
from everbake.errors import UsageError
from everbake.interfaces.cli.calling import json_option, split_name, tell
from everbake.interfaces.cli.looking import known
from everbake.interfaces.render import look_lines, rollout_lines
from everbake.ports import Reader
from everbake.views import decisions, looks, outcomes

_COLOURS = {"pass": "green", "warn": "yellow", "fail": "red"}


@click.command()
@click.argument("name", metavar="NAME[@VERSION]")
@json_option
@click.pass_obj
def why(project: Path, name: str, as_json: bool) -> None:  # noqa: FBT001
    """The decision about a version (default: the newest), with its evidence.

    Verdict and reason, the difference between both models in its interval, the segments, what else
    was checked, and what was compared with what.
    """
    reader = wiring.reader(project)
    model, version = split_name(name)
    row = version_row(reader, model, version)
    told = {
        "schema": outcomes.SCHEMA,
        "model": model,
        "decision": decisions.explained(reader, row),
        "looks": looks.looks(reader, model, int(row["version"] or 0)),
        "pending": _pending(reader, row),
        "rollout": _rollout(project, reader, row),
    }
    tell(told, lambda: writable(_why(told)), as_json=as_json)


def version_row(reader: Reader, model: str, version: int | None) -> Row:
    """The row of a version, or of the newest one.

    Raises:
        UsageError: there is no such model, or no such version of it.
    """
    known(reader, model)
    where: Row = {"model": model} if version is None else {"model": model, "version": version}
    found = reader.rows("versions", where, newest=1)
    if not found:
        what = f"{model} has no version" if version is None else f"{model} has no version {version}"
        raise UsageError("EB008", what, mend=f"everbake versions {model}")
    return found[0]


def _pending(reader: Reader, version: Row) -> dict[str, Any] | None:
    """When a version is looked at again, if it is the one that is pending."""
    waits = looks.pending(reader, reader.rows("models", {"model": version["model"]})[0])
    return waits if waits and waits["version"] == version["version"] else None


def _rollout(project: Path, reader: Reader, version: Row) -> dict[str, Any] | None:
    """Where the version's rollout stands, if it has had one."""
    from everbake.engine.rollouts import assessed
    from everbake.views import rollouts

    row = rollouts.newest(reader, str(version["model"]), int(version["version"] or 0))
    if row is None:
        return None
    now = None
    if row["state"] == "open":
        now = assessed(row, wiring.records(project), wiring.clock().now())
    return rollouts.told(reader, row, now)


def _why(told: dict[str, Any]) -> str:
    lines = as_lines(told["decision"], style())
    again = look_lines(told["looks"])
    again += [f"  {told['pending']['next']}"] if told["pending"] is not None else []
    lines += ["", *again] if again else []
    if told["rollout"] is not None:
        lines += ["", *rollout_lines(told["rollout"])]
    return "\n".join(lines)


def style() -> Style:
    """How stdout can show things: its width, its characters, colours on a terminal alone."""
    columns = shutil.get_terminal_size((80, 24)).columns
    colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return Style(columns, _fine(), _painted) if colours else Style(columns, _fine())


def _fine() -> bool:
    try:
        "".join([*MARKS.values(), "├─┼┤◄►│┊·…"]).encode(_encoding())
    except UnicodeEncodeError:
        return False
    return True


def writable(text: str) -> str:
    """A text that stdout can take: marks in plain letters, and what else it lacks escaped."""
    if not _fine():
        text = text.translate({ord(MARKS[state]): PLAIN_MARKS[state] for state in MARKS})
    return text.encode(_encoding(), "backslashreplace").decode(_encoding())


def _encoding() -> str:
    return sys.stdout.encoding or "utf-8"


def _painted(text: str, shape: str) -> str:
    return click.style(text, fg=_COLOURS.get(shape), bold=True)
