"""The commands that only look: they read the ledger, and import nothing heavy."""

from pathlib import Path
from typing import Any

import click

from everbake import wiring
from everbake.core.tables import Row
from everbake.engine.state import unknown_model
from everbake.errors import UsageError
from everbake.interfaces.cli.calling import json_option, split_name, tell
from everbake.interfaces.render import (
    decision_lines,
    document,
    light,
    look_lines,
    rollout_lines,
    table,
)
from everbake.ports import Reader
from everbake.views import lists, looks, outcomes

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
    heads = ("version", "state", "data", "runtime", "run", "time")
    tell(
        told,
        lambda: table(
            heads,
            [
                (v["version"], _state(v), v["data_version"], v["runtime"], v["run"], v["time"])
                for v in told["versions"]
            ],
        ),
        as_json=as_json,
    )


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
@click.argument("name", metavar="NAME[@VERSION]")
@json_option
@click.pass_obj
def why(project: Path, name: str, as_json: bool) -> None:  # noqa: FBT001
    """The decision about a version (default: the newest), with its evidence."""
    reader = wiring.reader(project)
    model, version = split_name(name)
    known(reader, model)
    where: dict[str, str | int | float | None] = {"model": model}
    if version is not None:
        where["version"] = version
    found = reader.rows("versions", where, newest=1)
    if not found:
        what = f"{model} has no version" if version is None else f"{model} has no version {version}"
        raise UsageError("EB008", what, mend=f"everbake versions {model}")
    told = {
        "schema": outcomes.SCHEMA,
        "model": model,
        "decision": outcomes.decision_about(reader, model, int(found[0]["version"] or 0)),
        "looks": looks.looks(reader, model, int(found[0]["version"] or 0)),
        "pending": _pending(reader, found[0]),
        "rollout": _rollout(project, reader, found[0]),
    }
    tell(told, lambda: _why(told), as_json=as_json)


def _pending(reader: Reader, version: Row) -> dict[str, Any] | None:
    """When a version is looked at again, if it is the one that is pending."""
    model = reader.rows("models", {"model": version["model"]})[0]
    waits = looks.pending(reader, model)
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
    decision = told["decision"]
    lines = decision_lines(told["model"], decision)
    lines += [
        f"  ● {check['name']}: {check['detail']}"
        for check in decision["checks"]
        if check["state"] == "pass"
    ]
    evidence = decision["evidence"]
    if evidence:
        lines.append(
            f"  method {evidence['method']}, tolerance {evidence['tolerance']:.3g}, "
            f"differing rows {evidence['differing']}, seed {evidence['seed']}"
        )
        lines += [f"  note: {note}" for note in evidence["notes"]]
    lines += look_lines(told["looks"])
    if told["pending"] is not None:
        lines.append(f"  {told['pending']['next']}")
    if told["rollout"] is not None:
        lines += rollout_lines(told["rollout"])
    return "\n".join(lines)


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
