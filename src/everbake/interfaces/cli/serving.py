"""`everbake up`."""

import sys
from pathlib import Path

import click

from everbake.config.settings import load_settings
from everbake.errors import UsageError
from everbake.interfaces.cli.calling import json_option
from everbake.interfaces.render import document

_LOOPBACK = ("127.0.0.1", "localhost")


@click.command()
@click.option("--host", default="127.0.0.1", help="Address to listen at: this machine's own.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=None,
    help="Port (default 8322; 0 picks a free one).",
)
@click.option(
    "--workers", type=click.IntRange(1), default=None, help="Processes that answer (default 1)."
)
@json_option
@click.pass_obj
def up(
    project: Path,
    host: str,
    port: int | None,
    workers: int | None,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Serve predictions, watch folders, retrain when data arrive: until Ctrl-C.

    Prints one line `predictions http://...` once it answers; what happens goes to stderr.
    """
    if host not in _LOOPBACK:
        raise UsageError(
            "EB012",
            f"{host} is not an address of this machine alone",
            why="requests are not authenticated",
            mend="listen at 127.0.0.1, behind a proxy that authenticates",
        )
    from everbake.interfaces.up import Up, serve_until_told

    settings = load_settings(project)
    told = Up(
        project,
        "127.0.0.1",
        settings.port if port is None else port,
        settings.workers if workers is None else workers,
    )

    def ready(address: str) -> None:
        started = {"schema": 1, "predictions": address, "control": None}
        click.echo(document(started) if as_json else f"predictions {address}")
        sys.stdout.flush()

    serve_until_told(told, settings, ready, lambda text: click.echo(text, err=True, nl=False))
