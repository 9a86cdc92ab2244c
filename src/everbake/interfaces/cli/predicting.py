"""Answers from the champion, and what the server has answered."""

import sys
from pathlib import Path
from typing import Any

import click

from everbake import wiring
from everbake.core.bundle import Bundle
from everbake.errors import ConflictError, DataError
from everbake.interfaces.cli.calling import json_option, progress, split_name, tell
from everbake.interfaces.cli.looking import known
from everbake.interfaces.render import document


@click.command()
@click.argument("name", metavar="NAME[@VERSION]")
@click.argument("files", metavar="FILE...|-", nargs=-1, required=True)
@click.option("-o", "--output", help="Write the answers there: NAME.parquet, or a folder.")
@click.option("--keep", multiple=True, metavar="COLUMN", help="With -o: copy this column, too.")
@click.option(
    "--threads", type=click.IntRange(1), default=None, help="With -o: how many (default: all)."
)
@json_option
@click.pass_obj
def predict(project: Path, /, name: str, files: tuple[str, ...], **options: Any) -> None:  # noqa: ANN401
    """Answer the rows in FILE (JSON lines, a JSON list, or CSV; - is standard input).

    The champion answers, or the VERSION that is named. Nothing is logged: the server does that.
    With -o, FILEs (Parquet, CSV, JSON lines, or folders of them) may be of any size: their rows
    are streamed, and the same command again goes on where it was stopped.
    """
    model, version = split_name(name)
    found = bundle_of(project, model, version)
    as_json, output = options["as_json"], options["output"]
    if output is not None:
        from everbake.interfaces.cli.scoring import Asked, score_files

        asked = Asked(files, output, options["keep"], options["threads"])
        score_files(project, found, asked, as_json=as_json)
        return
    if len(files) > 1 or options["keep"] or options["threads"]:
        raise click.UsageError("several files, --keep and --threads go with -o")
    _print_answers(project, found, files[0], as_json=as_json)


def _print_answers(
    project: Path, found: tuple[Bundle, int, str], file: str, *, as_json: bool
) -> None:
    from everbake.serving.deciding import decided
    from everbake.serving.local import answer_rows, read_rows

    bundle, number, _ = found
    rows = read_rows(_read(file), bundle.inputs, file)
    with progress("predict"):
        answers = answer_rows(bundle, rows, wiring.blobs(project), wiring.native_opener(project))
    told = {"schema": 1, "model": bundle.model, "version": number, "predictions": answers}
    shown = [f"{answer}" for answer in answers]
    if bundle.threshold is not None:
        told["decisions"] = decisions = decided(answers, bundle.threshold.value)
        shown = [
            f"{one} {'yes' if of_one else 'no'}"
            for one, of_one in zip(shown, decisions, strict=True)
        ]
    tell(told, lambda: "\n".join(shown), as_json=as_json)


def _read(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        why = error.strerror or str(error)
        raise DataError(
            "EB107", "a file cannot be read", where=file, why=why, mend="give a file"
        ) from error


def bundle_of(project: Path, model: str, version: int | None) -> tuple[Bundle, int, str]:
    """What answers, its number, and the blob it is described in."""
    reader = wiring.reader(project)
    known(reader, model)
    if version is None:
        found = reader.rows("deployments", {"model": model})
    else:
        found = reader.rows("versions", {"model": model, "version": version})
    if not found:
        what = f"{model} has no champion yet" if version is None else f"no version {version}"
        raise ConflictError("EB419", what, mend=f"everbake versions {model}")
    blob = str(found[0]["bundle"])
    return Bundle.decode(wiring.blobs(project).get(blob)), int(found[0]["version"] or 0), blob


@click.command()
@click.argument("name")
@click.option("--limit", type=int, default=None, help="Only the newest so many.")
@json_option
@click.pass_obj
def predictions(project: Path, name: str, limit: int | None, as_json: bool) -> None:  # noqa: ARG001, FBT001
    """What the server has answered for NAME, as JSON lines, oldest first, with labels."""
    from everbake.views.predictions import labelled

    known(wiring.reader(project), name)
    logged = wiring.predictions(project, name, limit=limit)
    for entry in labelled(logged, wiring.records(project), name):
        click.echo(document(entry))
