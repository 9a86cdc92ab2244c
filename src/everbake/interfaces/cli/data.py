"""Data versions, the contract, and the quarantine."""

from pathlib import Path
from typing import Any

import click

from everbake import wiring
from everbake.engine.commands import Settling
from everbake.errors import UsageError
from everbake.interfaces.cli.calling import (
    call,
    exit_code,
    json_option,
    reason_option,
    tell,
    timeout_option,
)
from everbake.interfaces.cli.looking import known
from everbake.interfaces.render import finding_text, outcome_text, table
from everbake.views import lists, outcomes


@click.group()
def data() -> None:
    """Data versions, contract and quarantine of a model."""


@data.command("ls")
@click.argument("name")
@json_option
@click.pass_obj
def ls(project: Path, name: str, as_json: bool) -> None:  # noqa: FBT001
    """The data versions of NAME and what waits in quarantine."""
    reader = wiring.reader(project)
    known(reader, name)
    told = lists.data(reader, name)
    tell(told, lambda: _listed(told), as_json=as_json)


def _listed(told: dict[str, Any]) -> str:
    rows = [
        (v["version"], v["rows"], v["digest"][:12], v["time"], ", ".join(v["sources"]))
        for v in told["versions"]
    ]
    text = table(("version", "rows", "digest", "time", "sources"), rows)
    if told["quarantine"]:
        waiting = [
            (q["id"], q["rows"], q["state"], q["findings_count"], finding_text(q["findings"][0]))
            for q in told["quarantine"]
        ]
        text += "\n\n" + table(("quarantine", "rows", "state", "findings", "first"), waiting)
    return text


@data.command("show")
@click.argument("name")
@click.argument("batch", required=False)
@json_option
@click.pass_obj
def show(project: Path, name: str, batch: str | None, as_json: bool) -> None:  # noqa: FBT001
    """The contract of NAME, or what is wrong with a quarantined BATCH."""
    reader = wiring.reader(project)
    known(reader, name)
    if batch is None:
        told = lists.contract(reader, name)
        path = Path("contracts") / f"{name}.toml"
        tell(told, lambda: _contract(project, path), as_json=as_json)
        return
    entry = outcomes.quarantined(reader, name, batch)
    if entry is None:
        raise UsageError(
            "EB006", f"no quarantined batch {batch!r}", mend=f"everbake data ls {name}"
        )
    told = {"schema": outcomes.SCHEMA, "model": name, **entry}
    tell(told, lambda: "\n".join(_shown(entry)), as_json=as_json)


def _contract(project: Path, path: Path) -> str:
    if not (project / path).is_file():
        return "no contract yet: it is made from the first batch"
    return f"# {path}\n{(project / path).read_text(encoding='utf-8')}"


def _shown(entry: dict[str, Any]) -> list[str]:
    head = f"{entry['id']}: {entry['state']}, {entry['rows']} rows from {entry['sources']}"
    return [head, *(f"  {finding_text(finding)}" for finding in entry["findings"])]


@data.command("accept")
@click.argument("name")
@click.argument("batch")
@reason_option
@json_option
@timeout_option
@click.pass_obj
def accept(
    project: Path,
    name: str,
    batch: str,
    reason: str,
    as_json: bool,  # noqa: FBT001
    lock_timeout: float,
) -> int:
    """Take a quarantined BATCH after all; the contract is widened by what it needs."""
    asked = Settling(name, batch, reason)
    outcome = call(project, "accept", asked, timeout=lock_timeout)
    tell(outcome, lambda: outcome_text(outcome), as_json=as_json)
    return exit_code({**outcome, "quarantined": False})


@data.command("reject")
@click.argument("name")
@click.argument("batch")
@reason_option
@json_option
@timeout_option
@click.pass_obj
def reject(
    project: Path,
    name: str,
    batch: str,
    reason: str,
    as_json: bool,  # noqa: FBT001
    lock_timeout: float,
) -> int:
    """Throw a quarantined BATCH away."""
    outcome = call(project, "reject", Settling(name, batch, reason), timeout=lock_timeout)
    tell(outcome, lambda: f"{name}: batch {batch} rejected", as_json=as_json)
    return 0
