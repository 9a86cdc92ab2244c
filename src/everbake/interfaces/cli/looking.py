"""The commands that only look: they read the ledger, and import nothing heavy."""

from pathlib import Path
from typing import Any

import click

from everbake import wiring
from everbake.engine.state import unknown_model
from everbake.errors import UsageError
from everbake.interfaces.cli.calling import json_option, tell
from everbake.interfaces.render import document, light, table
from everbake.ports import Reader
from everbake.views import lists, outcomes

_SHOWN = 50
limit_option = click.option(
    "--limit",
    type=click.IntRange(1),
    default=None,
    help=f"How many (default {_SHOWN}, with --json {lists.MOST}).",
)


def known(reader: Reader, model: str) -> None:
    """Raise UsageError unless there is a model of this name."""
    if not reader.rows("models", {"model": model}):
        raise unknown_model(reader, model)


@click.command()
@click.argument("name", required=False)
@json_option
@click.pass_obj
def status(project: Path, name: str | None, as_json: bool) -> None:  # noqa: FBT001
    """Is each model fresh, good and safe?"""
    reader = wiring.reader(project)
    if name is not None:
        known(reader, name)
    told = lists.status(reader, name)
    tell(told, lambda: _status(told), as_json=as_json)


def _status(told: dict[str, Any]) -> str:
    if not told["models"]:
        return "no model yet: everbake init, then everbake ingest NAME FILE"
    lines = []
    for model in told["models"]:
        champion = "none" if model["champion"] is None else f"version {model['champion']}"
        candidate = "" if model["candidate"] is None else f", candidate {model['candidate']}"
        waits = model["pending"]
        if waits is not None:
            candidate += f" ({waits['next']})"
        lines.append(f"{model['name']}  {model['stage']}, champion {champion}{candidate}")
        if model["best"] != model["champion"]:
            lines[-1] += f", best so far version {model['best']}"
        lines += [f"  {light(name, model[name])}" for name in ("fresh", "good", "safe")]
    return "\n".join(lines)


@click.command()
@click.argument("name")
@json_option
@limit_option
@click.pass_obj
def versions(project: Path, name: str, as_json: bool, limit: int | None) -> None:  # noqa: FBT001
    """The versions of NAME, the newest first."""
    reader = wiring.reader(project)
    known(reader, name)
    told = lists.versions(reader, name, limit or (lists.MOST if as_json else _SHOWN))
    heads = ("version", "state", "data", "learned", "runtime", "run", "time")
    columns = ("runtime", "run", "time")
    lines = [
        (v["version"], _state(v), v["data_version"], _learned(v), *(v[name] for name in columns))
        for v in told["versions"]
    ]
    tell(told, lambda: table(heads, lines), as_json=as_json)


def _learned(version: dict[str, Any]) -> str:
    """From how many rows, and whether it was made by teaching another version some of them."""
    rows, base = version["rows"], version["base"]
    return f"{rows} rows" if base is None else f"version {base} + {version['new_rows']} rows"


def _state(version: dict[str, Any]) -> str:
    """The state of a version, and what comes next for one that is pending."""
    waits, best = version["pending"], version["best"] and version["state"] != "champion"
    more = [waits["next"]] if waits else []
    more += ["best so far"] if best else []
    return f"{version['state']} ({', '.join(more)})" if more else str(version["state"])


@click.command()
@click.argument("name")
@json_option
@limit_option
@click.pass_obj
def runs(project: Path, name: str, as_json: bool, limit: int | None) -> None:  # noqa: FBT001
    """The runs of NAME, the newest first."""
    reader = wiring.reader(project)
    known(reader, name)
    told = lists.runs(reader, name, limit or (lists.MOST if as_json else _SHOWN))
    keys = ("id", "cause", "data_version", "state", "step", "verdict", "version", "seconds")
    tell(
        told,
        lambda: table(
            [key.replace("_version", "") for key in keys],
            [[run[key] for key in keys] for run in told["runs"]],
        ),
        as_json=as_json,
    )


@click.command()
@click.argument("run")
@json_option
@click.pass_obj
def logs(project: Path, run: str, as_json: bool) -> None:  # noqa: FBT001
    """What the jobs of RUN printed (secrets taken out)."""
    reader = wiring.reader(project)
    found = reader.rows("runs", {"run": run})
    if not found:
        raise UsageError("EB009", f"there is no run {run!r}", mend="everbake runs NAME")
    blob = found[0]["log"]
    text = wiring.blobs(project).get(str(blob)).decode(errors="replace") if blob else ""
    if as_json:
        state, error = found[0]["state"], found[0]["error"]
        told = {"schema": outcomes.SCHEMA, "run": run, "state": state, "error": error, "log": text}
        click.echo(document(told))
        return
    if found[0]["error"]:
        click.echo(f"run {run} failed: {found[0]['error']}", err=True)
    if not blob:
        click.echo(f"run {run} is at step {found[0]['step']}: no output yet", err=True)
    click.echo(text, nl=False)
