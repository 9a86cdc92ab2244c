"""How a command reaches the owner: by being it for a moment, or by asking it."""

import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from everbake import wiring
from everbake.errors import ConflictError
from everbake.interfaces.render import document

F = TypeVar("F", bound=Callable[..., Any])

_AGAIN = 0.02
_ENDED = "EB416"  # the owner ended before it answered
_SLOW = 1.0  # seconds after which a terminal is told that work goes on

json_option = click.option("--json", "as_json", is_flag=True, help="JSON on stdout.")
timeout_option = click.option(
    "--lock-timeout", type=float, default=30.0, help="Seconds to wait for another command."
)
no_wait_option = click.option("--no-wait", is_flag=True, help="Print the run's id and leave.")
reason_option = click.option("--reason", default="", help="Why; kept for ever.")


def call(project: Path, command: str, asked: object, *, timeout: float) -> dict[str, Any]:
    """The outcome of a command.

    Raises:
        ConflictError: another command holds the project for longer than `timeout` seconds.
    """
    arguments = msgspec.json.encode(asked)
    until = time.monotonic() + timeout
    with progress(command):
        while True:
            with wiring.owning(project, _narrate) as owner:
                if owner is not None:
                    from everbake.engine.commands import perform

                    return perform(owner, command, arguments)
            outcome = _asked(project, command, arguments)
            if outcome is not None:
                return outcome
            if time.monotonic() > until:
                raise _locked(project, timeout)
            time.sleep(_AGAIN)


def _asked(project: Path, command: str, arguments: bytes) -> dict[str, Any] | None:
    from everbake.engine.channel import ask

    try:
        return ask(wiring.places(project).socket, command, arguments)
    except ConflictError as error:
        if error.code != _ENDED:
            raise
        return None  # the same request again, to whoever is the owner then: nothing is done twice


def _locked(project: Path, timeout: float) -> ConflictError:
    return ConflictError(
        "EB401",
        "another everbake command works on this project",
        where=str(project.absolute()),
        why=f"it did not end within {timeout:g} s",
        mend="wait for it, or give --lock-timeout more seconds",
    )


def _narrate(text: str) -> None:
    if sys.stderr.isatty():
        click.echo(text, err=True, nl=False)


@contextmanager
def progress(what: str) -> Iterator[None]:
    """On a terminal, say that work goes on once it has taken a second."""
    if not sys.stderr.isatty():
        yield
        return
    done = threading.Event()

    def show() -> None:
        if done.wait(_SLOW):
            return
        from rich.console import Console

        with Console(stderr=True).status(f"everbake {what}"):
            done.wait()

    shown = threading.Thread(target=show, name="progress", daemon=True)
    shown.start()
    try:
        yield
    finally:
        done.set()
        shown.join()


def tell(outcome: Mapping[str, Any], text: Callable[[], str], *, as_json: bool) -> None:
    """Results on stdout: JSON for scripts, text for people."""
    click.echo(document(outcome) if as_json else text())


def exit_code(outcome: Mapping[str, Any]) -> int:
    """What a command that may have started a run ends with."""
    if outcome.get("quarantined"):
        return 3
    run, decision = outcome.get("run"), outcome.get("decision")
    if run is None or run["state"] == "running":
        return 0
    if run["state"] == "failed":
        return 8
    if run["state"] == "waiting":
        return 5
    verdicts = {"promoted": 0, "rejected": 4, "inconclusive": 5}
    return verdicts[decision["verdict"]] if decision else 0


def split_name(text: str) -> tuple[str, int | None]:
    """Model and version in `NAME` or `NAME@V`."""
    name, at, version = text.partition("@")
    if at and not version.isdigit():
        raise click.UsageError(f"{text!r} is neither NAME nor NAME@VERSION")
    return name, int(version) if at else None
