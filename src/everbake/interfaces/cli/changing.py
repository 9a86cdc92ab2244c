"""The commands that change something; all of them go through the owner."""

import shutil
import stat
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import click

from everbake import wiring
from everbake.engine.commands import Files, Retraining, RunName
from everbake.engine.release import Request
from everbake.errors import DataError, Retry
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
    with readable(project, files) as sources:
        names = tuple("standard input" if file == "-" else file for file in files)
        asked = Files(name, sources, names, not no_wait)
        outcome = call(project, "ingest", asked, timeout=lock_timeout)
    tell(outcome, lambda: outcome_text(outcome), as_json=as_json)
    return exit_code(outcome)


@contextmanager
def readable(project: Path, files: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Paths that the owner can open; standard input is kept in a file meanwhile."""
    if "-" not in files:
        yield tuple(_absolute(file) for file in files)
        return
    with ExitStack() as stack:
        spool = _spooled(wiring.places(project).state, stack)
        yield tuple(spool if file == "-" else _absolute(file) for file in files)


def _spooled(state: Path, stack: ExitStack) -> str:
    """A file with what standard input holds; gone when the stack unwinds."""
    try:
        state.mkdir(parents=True, exist_ok=True)
        spool = stack.enter_context(
            tempfile.NamedTemporaryFile(dir=state, prefix="stdin-")  # noqa: SIM115 - the stack does
        )
        shutil.copyfileobj(sys.stdin.buffer, spool)
        spool.flush()
    except OSError as error:
        raise Retry(
            "EB605",
            "nothing can be stored",
            where=str(state),
            why=error.strerror or str(error),
            mend="free the disk or make the folder writable, then repeat the command",
        ) from error
    return spool.name


def _absolute(file: str) -> str:
    path = Path(file).absolute()
    if why := _unreadable(path):
        raise DataError(
            "EB107",
            "a file cannot be read",
            where=file.encode(errors="backslashreplace").decode(),
            why=why,
            mend="give files that exist",
        )
    return str(path)


def _unreadable(path: Path) -> str:
    """Why a path names no file that can be read; empty if it does."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return "there is no such file"
    except OSError as error:
        return error.strerror or str(error)
    if not stat.S_ISREG(mode):
        return "it is a folder" if stat.S_ISDIR(mode) else "it is no regular file; `-` reads a pipe"
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return "its name is no UTF-8: rename it"
    return "its name has a line break: rename it" if "\n" in path.name else ""


@click.command()
@click.argument("name")
@click.option("--full", is_flag=True, help="From scratch, also where the recipe has an `update`.")
@json_option
@no_wait_option
@timeout_option
@click.pass_obj
def retrain(
    project: Path,
    name: str,
    full: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
    no_wait: bool,  # noqa: FBT001
    lock_timeout: float,
) -> int:
    """Train and judge a candidate for NAME on the data that are there."""
    asked = Retraining(name, uuid.uuid4().hex, not no_wait, full)
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
    if command == "pin":
        return f"{model}@{outcome['best']} is the best so far: no candidate may fall behind it"
    if command in ("pause", "resume"):
        return f"{model}: {command}d; champion {now if now is not None else 'none yet'}"
    if outcome["rollout"] is not None:
        return (
            f"{model}: a rollout begins, and version {now} serves meanwhile: everbake why {model}"
        )
    held = "; promotion is held until `everbake resume`" if command == "rollback" else ""
    if now == before:
        return f"{model}@{now} serves on, and the rollout has ended{held}"
    return f"{model}@{now} serves now (before: {before}){held}"


promote = _shifting(
    "promote", "Make a version of NAME the champion: the pending candidate, if none is named."
)
rollback = _shifting(
    "rollback",
    "Bring an older champion of NAME back, at once, and hold automatic promotion.",
)
pin = _shifting(
    "pin",
    "Say which version of NAME is the best so far, behind which no candidate may fall: the "
    "champion, if none is named.",
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
