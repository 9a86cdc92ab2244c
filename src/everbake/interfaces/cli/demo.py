"""`everbake demo`."""

import signal
import socket
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from everbake.config.settings import load_settings
from everbake.interfaces.cli.calling import json_option, tell

if TYPE_CHECKING:
    import pyarrow as pa

    from everbake.interfaces.demo.loop import Loop
    from everbake.interfaces.demo.result import Result

_FOLDER, _REPORT = "everbake-demo", "report.html"


@click.command()
@click.option("--once", is_flag=True, help="End after the replay (always so without a terminal).")
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help=f"A new or empty folder (default: ./{_FOLDER}, with --once a temporary one that is kept).",
)
@json_option
@click.pass_obj
def demo(project: Path, once: bool, folder: Path | None, as_json: bool) -> None:  # noqa: FBT001
    """Watch the whole loop work on a year of real data: hourly bike rentals of 2011.

    Month by month, rows arrive, a candidate is trained, judged, promoted or not; each month is
    predicted over HTTP before it arrives, by the model kept fresh and by that of January. One batch
    comes broken, one edit of the recipe is bad. Then it goes on serving until Ctrl-C.
    """
    ends = once or as_json or not sys.stdout.isatty()
    where = (folder or _fresh_folder(project, ends=ends)).absolute()
    port = load_settings(where).port
    from everbake.interfaces.demo.loop import looping
    from everbake.interfaces.demo.replay import replay
    from everbake.interfaces.demo.year import read_year

    year = read_year()
    _say(f"everbake demo in {where}: {year.num_rows:,} hours of bike rentals arrive month by month")
    with looping(where, 0 if ends or not _is_free(port) else port, _narrate) as loop:
        result = replay(year, loop, _say)
        told = _concluded(year, result, loop, f"http://127.0.0.1:{port}" if ends else loop.address)
        tell(told, lambda: _text(result, told), as_json=as_json)
        if not ends:
            _serve_on(loop)


def _fresh_folder(project: Path, *, ends: bool) -> Path:
    """A folder that is not there yet."""
    if ends:
        return Path(tempfile.mkdtemp(prefix=f"{_FOLDER}-"))
    number, folder = 1, project / _FOLDER
    while folder.exists():
        number += 1
        folder = project / f"{_FOLDER}-{number}"
    return folder


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _say(text: str) -> None:
    click.echo(text, err=True)


def _narrate(text: str) -> None:
    click.echo(text, err=True, nl=False)


def _concluded(year: "pa.Table", result: "Result", loop: "Loop", address: str) -> dict[str, Any]:
    """Everything that the demo found out, with its report written."""
    from everbake.interfaces.demo.going_on import steps
    from everbake.interfaces.demo.page import page
    from everbake.interfaces.demo.wording import finding

    going_on = steps(year, loop, address)
    report = loop.project / _REPORT
    report.write_text(page(result, going_on), encoding="utf-8")
    return {
        "schema": 1,
        "project": str(loop.project),
        "report": str(report),
        "finding": finding(result),
        "frozen": result.frozen,
        "fresh": result.fresh,
        "seconds": result.seconds,
        "months": result.months,
        "quarantine": result.held,
        "edit": result.tried,
        "go_on": going_on,
    }


def _text(result: "Result", told: dict[str, Any]) -> str:
    from everbake.interfaces.demo.wording import legend, summary, table_text

    steps = [line for what, command in told["go_on"].items() for line in (f"# {what}", command)]
    lines = ["", table_text(result), legend(result), "", told["finding"], summary(result)]
    return "\n".join([*lines, f"plot: {told['report']}", "", "how to go on", *steps])


def _serve_on(loop: "Loop") -> None:
    """Serve, and look after the folder, until told to stop."""
    from everbake.interfaces.up import LOOK, Up, Watch

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    _say(f"\nserving at {loop.address} until Ctrl-C")
    watch = Watch(Up(loop.project, "127.0.0.1", 0, 1), loop.owner, _narrate)
    while not stop.wait(LOOK):
        watch.look()
