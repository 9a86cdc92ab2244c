"""Beginning: a recipe from a script, and a trial of it."""

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import click

from everbake import wiring
from everbake.core.decision import Check
from everbake.core.drawing import MARKS
from everbake.errors import ConflictError, UsageError
from everbake.interfaces.cli.calling import json_option, progress, tell


@click.command()
@click.argument("script", required=False, type=click.Path(path_type=Path))
@json_option
@click.pass_obj
def init(project: Path, script: Path | None, as_json: bool) -> None:  # noqa: FBT001
    """Write a proposal for recipe.py, made from SCRIPT's text. SCRIPT is not run or changed."""
    from everbake.views.proposal import blank, propose

    target = project / "recipe.py"
    if target.exists():
        raise ConflictError(
            "EB013", "there is a recipe already", where=str(target), mend="edit it, or move it away"
        )
    if script is None:
        proposal = blank(project.absolute().name)
    else:
        try:
            text = script.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(
                "EB011", "the script cannot be read", where=str(script), why=str(error)
            ) from error
        proposal = propose(text, script.name)
    project.mkdir(parents=True, exist_ok=True)
    target.write_text(proposal.text, encoding="utf-8")
    told = {
        "schema": 1,
        "model": proposal.name,
        "recipe": str(target),
        "complete": proposal.complete,
        "notes": list(proposal.notes),
    }
    tell(told, lambda: _proposed(told), as_json=as_json)


def _proposed(told: dict[str, Any]) -> str:
    lines = [f"wrote {told['recipe']}", *(f"  ▲ {note}" for note in told["notes"])]
    lines.append(f"next: everbake check, then everbake ingest {told['model']} FILE")
    return "\n".join(lines)


@click.command()
@click.argument("name", required=False)
@json_option
@click.pass_obj
def check(project: Path, name: str | None, as_json: bool) -> int:  # noqa: FBT001
    """Import the recipe, train twice on a sample, predict and score; change nothing."""
    with progress("check"):
        found = wiring.check(project, name)
    for model, checks in found:
        report = {"schema": 1, "model": model, "checks": [asdict(check) for check in checks]}
        tell(report, partial(_checked, model, checks), as_json=as_json)
    failed = any(check.state == "fail" for _, checks in found for check in checks)
    return 6 if failed else 0


def _checked(model: str, checks: tuple[Check, ...]) -> str:
    width = max(10, *(len(each.name) for each in checks))
    lines = [f"  {MARKS[each.state]} {each.name:<{width}} {each.detail}" for each in checks]
    return "\n".join([model, *lines])
