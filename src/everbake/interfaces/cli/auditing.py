"""Is everything as it should be: the chain of facts, the project, the machine."""

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from everbake import wiring
from everbake.codes import codes
from everbake.config.settings import load_settings
from everbake.core.drawing import MARKS
from everbake.errors import UsageError
from everbake.interfaces.cli.calling import json_option, progress, tell
from everbake.interfaces.render import table
from everbake.views.moments import moment

_LOW_DISK = 100 * 2**20


@click.group(invoke_without_command=True)
@click.option("--limit", type=int, default=50, help="How many facts (default 50).")
@json_option
@click.pass_context
def audit(ctx: click.Context, limit: int, as_json: bool) -> None:  # noqa: FBT001
    """Every fact, the newest last; `audit verify` checks that none was edited."""
    if ctx.invoked_subcommand is not None:
        return
    from everbake.core.facts import name_of

    reader = wiring.reader(ctx.obj)
    last, _ = reader.head()
    entries = list(reader.facts(max(0, last - limit)))
    told = {
        "schema": 1,
        "facts": [
            {
                "n": entry.n,
                "time": moment(entry.time),
                "fact": name_of(entry.fact),
                "model": entry.fact.model,
                "id": entry.id,
            }
            for entry in entries
        ],
    }
    heads = ("n", "time", "fact", "model", "id")
    rows = [[fact[head] for head in heads] for fact in told["facts"]]  # type: ignore[attr-defined]
    tell(told, lambda: table(heads, rows), as_json=as_json)


@audit.command()
@json_option
@click.pass_obj
def verify(project: Path, as_json: bool) -> int:  # noqa: FBT001
    """Walk the chain, derive every table again, compare, and hold the head against its anchors."""
    with progress("audit verify"):
        found = wiring.verify(project)
    told = {
        "schema": 1,
        "intact": found.intact,
        "facts": found.facts,
        "head": found.head,
        "findings": msgspec.to_builtins(found.findings),
    }
    tell(told, lambda: _verified(told), as_json=as_json)
    return 0 if found.intact else 6


def _verified(told: dict[str, Any]) -> str:
    if told["intact"]:
        return f"● intact: {told['facts']} facts, head {told['head'][:16]}"
    lines = [f"■ not intact: {len(told['findings'])} findings in {told['facts']} facts"]
    lines += [f"  {f['table']} {f['row']}: {f['detail']}" for f in told["findings"][:50]]
    return "\n".join(lines)


@click.command()
@json_option
@click.pass_obj
def doctor(project: Path, as_json: bool) -> int:  # noqa: FBT001
    """Is everything in this project as it should be?"""
    with progress("doctor"):
        checks = [_python(), _disk(project), *_settings(project), *_ledger(project)]
    checks.append(_owner(project))
    told = {"schema": 1, "checks": checks}
    tell(told, lambda: _doctored(checks), as_json=as_json)
    return 6 if any(check["state"] == "fail" for check in checks) else 0


def _doctored(checks: list[dict[str, str]]) -> str:
    return "\n".join(f"{MARKS[c['state']]} {c['name']:<9} {c['detail']}" for c in checks)


def _check(name: str, state: str, detail: str) -> dict[str, str]:
    return {"name": name, "state": state, "detail": detail}


def _python() -> dict[str, str]:
    return _check("python", "pass", f"{sys.version.split()[0]} at {sys.executable}")


def _disk(project: Path) -> dict[str, str]:
    free = shutil.disk_usage(project.absolute()).free
    state = "pass" if free > _LOW_DISK else "fail"
    writable = os.access(project.absolute(), os.W_OK)
    if not writable:
        return _check("disk", "fail", "the project's folder cannot be written")
    return _check("disk", state, f"{free / 2**30:.1f} GiB free")


def _settings(project: Path) -> list[dict[str, str]]:
    from everbake.errors import EverbakeError

    try:
        settings = load_settings(project)
    except EverbakeError as error:
        return [_check("settings", "fail", str(error))]
    kind = settings.ledger.split(":", 1)[0]
    return [_check("settings", "pass", f"ledger {kind}, port {settings.port}")]


def _ledger(project: Path) -> list[dict[str, str]]:
    from everbake.errors import EverbakeError

    try:
        found = wiring.verify(project)
        models = wiring.reader(project).rows("models")
    except EverbakeError as error:
        return [_check("ledger", "fail", str(error))]
    detail = f"{found.facts} facts" if found.intact else f"{len(found.findings)} findings"
    checks = [_check("ledger", "pass" if found.intact else "fail", detail)]
    for model in models:
        stuck = model["running"] is not None
        state = "warn" if stuck else "pass"
        what = f"run {model['running']} waits to go on" if stuck else "no run is unfinished"
        checks.append(_check(str(model["model"]), state, what))
    return checks


def _owner(project: Path) -> dict[str, str]:
    from everbake.engine.channel import listening

    up = listening(wiring.places(project).socket)
    return _check("owner", "pass", "`everbake up` is running" if up else "nobody serves just now")


@click.command()
@json_option
@click.pass_obj
def where(project: Path, as_json: bool) -> None:  # noqa: FBT001
    """Where everything lies."""
    there = wiring.places(project)
    told = {
        "schema": 1,
        "project": str(there.project),
        "contracts": str(there.project / "contracts"),
        "ledger": str(there.ledger),
        "blobs": str(there.blobs),
        "tables": str(there.tables),
        "anchors": str(there.anchors),
        "log": str(there.log),
        "predictions": str(there.predictions),
        "settings": str(there.project / "everbake.toml"),
    }
    rows = [(name, path) for name, path in told.items() if name != "schema"]
    tell(told, lambda: table(("what", "where"), rows), as_json=as_json)


@click.command()
@click.argument("code")
@json_option
def error(code: str, as_json: bool) -> None:  # noqa: FBT001
    """What an error CODE means, and what to do about it."""
    entry = codes().get(code.upper())
    if entry is None:
        raise UsageError("EB003", f"there is no error {code!r}", mend="codes look like EB107")
    told = {"schema": 1, "code": code.upper(), "title": entry.title, "text": entry.explanation}
    tell(told, lambda: f"{code.upper()}  {entry.title}\n\n{entry.explanation}", as_json=as_json)


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """A completion script; for bash: eval "$(everbake completion bash)"."""
    from click.shell_completion import BashComplete, FishComplete, ZshComplete

    from everbake.interfaces.cli import cli

    kinds = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}
    click.echo(kinds[shell](cli, {}, "everbake", "_EVERBAKE_COMPLETE").source())
