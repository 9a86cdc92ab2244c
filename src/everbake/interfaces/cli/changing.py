"""The commands that change something; all of them go through the owner."""

import shutil
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from everbake import wiring
from everbake.engine.commands import Files, Retraining, RunName
from everbake.engine.release import Request
from everbake.errors import DataError
from everbake.interfaces.cli.calling import (
    call,
    exit_code,
    json_option,
    no_wait_option,
    reason_option,
    split_name,
    tell,
    timeout_option,
)
from everbake.interfaces.render import outcome_text


@click.command()
@click.argument("name")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@json_option
@no_wait_option
@timeout_option
@click.pass_obj
def ingest(
    project: Path,
    name: str,
    files: tuple[str, ...],
    as_json: bool,  # noqa: FBT001
    no_wait: bool,  # noqa: FBT001
    lock_timeout: float,
) -> int:
    """Take FILEs (CSV, Parquet, JSON lines; - is standard input) as one batch for NAME.

    The batch becomes a data version, and a candidate is trained on it, judged, and promoted if it
    is not worse. A batch that breaks the contract is quarantined whole.

    Exit codes: 0 promoted (or nothing to do), 3 quarantined, 4 rejected, 5 inconclusive, 8 failed.
    """
    with _readable(project, files) as sources:
        names = tuple("standard input" if file == "-" else file for file in files)
        asked = Files(name, sources, names, not no_wait)
        outcome = call(project, "ingest", asked, timeout=lock_timeout)
    tell(outcome, lambda: outcome_text(outcome), as_json=as_json)
    return exit_code(outcome)


@contextmanager
def _readable(project: Path, files: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Paths that the owner can open; standard input is kept in a file meanwhile."""
    if "-" not in files:
        yield tuple(_absolute(file) for file in files)
        return
    state = wiring.places(project).state
    state.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=state, prefix="stdin-") as spool:
        shutil.copyfileobj(sys.stdin.buffer, spool)
        spool.flush()
        yield tuple(spool.name if file == "-" else _absolute(file) for file in files)


def _absolute(file: str) -> str:
    path = Path(file).absolute()
    if not path.is_file():
        why = "it is a folder" if path.is_dir() else "there is no such file"
        raise DataError(
            "EB107", "a file cannot be read", where=file, why=why, mend="give files that exist"
        )
    return str(path)


@click.command()
@click.argument("name")
@json_option
@no_wait_option
@timeout_option
@click.pass_obj
def retrain(
    project: Path,
    name: str,
    as_json: bool,  # noqa: FBT001
    no_wait: bool,  # noqa: FBT001
    lock_timeout: float,
) -> int:
    """Train and judge a candidate for NAME on the data that are there."""
    asked = Retraining(name, uuid.uuid4().hex, not no_wait)
    outcome = call(project, "retrain", asked, timeout=lock_timeout)
    tell(outcome, lambda: outcome_text(outcome), as_json=as_json)
    return exit_code(outcome)


def _shifting(command: str, about: str) -> click.Command:
    """A command that decides who serves: they differ in name only."""

    def shift(
        project: Path,
        name: str,
        reason: str,
        as_json: bool,  # noqa: FBT001
        lock_timeout: float,
    ) -> int:
        model, version = split_name(name)
        asked = Request(model, version, reason, uuid.uuid4().hex)
        outcome = call(project, command, asked, timeout=lock_timeout)
        tell(outcome, lambda: _shifted(command, outcome), as_json=as_json)
        return 0

    shift.__doc__ = about
    decorators: list[Callable[[Any], Any]] = [
        click.command(command),
        click.argument("name", metavar="NAME[@VERSION]"),
        reason_option,
        json_option,
        timeout_option,
        click.pass_obj,
    ]
    made: Any = shift
    for decorate in reversed(decorators):
        made = decorate(made)
    done: click.Command = made
    return done


def _shifted(command: str, outcome: dict[str, Any]) -> str:
    model, now, before = outcome["model"], outcome["champion"], outcome["champion_before"]
    if command in ("pause", "resume"):
        return f"{model}: {command}d; champion {now if now is not None else 'none yet'}"
    held = "; promotion is held until `everbake resume`" if command == "rollback" else ""
    return f"{model}@{now} serves now (before: {before}){held}"


promote = _shifting(
    "promote", "Make a version of NAME the champion: the pending candidate, if none is named."
)
rollback = _shifting(
    "rollback",
    "Bring an older champion of NAME back, at once, and hold automatic promotion.",
)
pause = _shifting("pause", "Start no runs of NAME until it is resumed. Data still arrive.")
resume = _shifting("resume", "Start runs of NAME again, and let winners serve again.")


@click.command()
@click.argument("run")
@json_option
@timeout_option
@click.pass_obj
def cancel(project: Path, run: str, as_json: bool, lock_timeout: float) -> int:  # noqa: FBT001
    """Kill the job of RUN. The run ends as failed; the champion keeps serving."""
    outcome = call(project, "cancel", RunName(run), timeout=lock_timeout)
    tell(outcome, lambda: f"run {run} of {outcome['model']}: {outcome['state']}", as_json=as_json)
    return 0
