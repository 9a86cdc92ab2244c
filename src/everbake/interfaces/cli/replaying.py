"""Any version answers what was asked, and is held against what was answered."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from everbake import wiring
from everbake.core.bundle import Bundle
from everbake.core.spec import parse_span
from everbake.errors import DataError, RecipeError, UsageError
from everbake.interfaces.cli.calling import json_option, progress, split_name, tell
from everbake.interfaces.cli.predicting import bundle_of
from everbake.ports import Wanted
from everbake.serving.replay import Tally
from everbake.serving.replay import replay as replayed
from everbake.views.predictions import labelled

_SPAN = re.compile(r"\d+(\.\d+)? ?[a-z]+")


@click.command()
@click.argument("name", metavar="NAME[@VERSION]")
@click.option(
    "--since", required=True, help="From then on: a time (2024-05-01T12:00), or a span (7d)."
)
@click.option("--until", default=None, help="Up to then: likewise.")
@json_option
@click.pass_obj
def replay(project: Path, name: str, since: str, until: str | None, as_json: bool) -> None:  # noqa: FBT001
    """Let a version answer the logged requests of NAME, beside what was answered at the time.

    Where labels are there, both are judged by the recipe's metric. Nothing is recorded.
    """
    model, version = split_name(name)
    bundle, number, _ = bundle_of(project, model, version)
    begin, end = _moment(since), _moment(until) if until is not None else None
    _refuse_private(bundle)
    with progress("replay"), wiring.passing(project, "replay") as folder:
        spool = folder / "labelled.jsonl"
        tally = _tally(project, bundle, (begin, end), spool)
        decision = wiring.judge_replay(project, bundle, spool) if tally.labelled else None
    told = {
        "schema": 1,
        "model": model,
        "version": number,
        "since": begin,
        "until": end,
        "requests": tally.requests,
        "rows": tally.rows,
        "labelled": tally.labelled,
        "differs": tally.share,
        "mean_difference": tally.mean_difference,
        "missing": tally.missing,
        "refused": tally.refused,
        "metric": decision["metric"] if decision else None,
        "sentence": _sentence(number, tally, decision),
    }
    tell(told, lambda: _text(told, tally), as_json=as_json)


def _tally(project: Path, bundle: Bundle, window: tuple[str, str | None], spool: Path) -> Tally:
    """Answer what was logged in the window.

    Raises:
        DataError: nothing was, or it lacks a column in every row.
    """
    from everbake.serving.local import answering

    opener = wiring.native_opener(project)
    logged = wiring.predictions(project, bundle.model, _wanted(*window))
    entries = labelled(_within(logged, *window), wiring.records(project), bundle.model)
    with (
        spool.open("wb") as file,
        answering(bundle, wiring.blobs(project), opener) as answer,
    ):
        tally = replayed(entries, bundle.inputs, answer, file)
    if not tally.requests:
        raise DataError(
            "EB588",
            "nothing was asked in that time",
            where=bundle.model,
            mend=f"everbake predictions {bundle.model} shows what was",
        )
    if not tally.rows and tally.missing:
        raise DataError(
            "EB589",
            "the log lacks columns that the version needs",
            where=", ".join(sorted(tally.missing)),
            why="requests named the columns of the version that served then",
            mend="replay a version with the same columns",
        )
    return tally


def _wanted(begin: str, end: str | None) -> Wanted:
    """What may lie within; to the millisecond, as the times are written."""
    until = None if end is None else datetime.fromisoformat(end).timestamp() + 0.001
    return Wanted(since=datetime.fromisoformat(begin).timestamp(), until=until)


def _within(
    entries: Iterator[dict[str, Any]], begin: str, end: str | None
) -> Iterator[dict[str, Any]]:
    """The entries of a window; their times are ISO texts in UTC, which sort as they are."""
    for entry in entries:
        if entry["time"] >= begin and (end is None or entry["time"] < end):
            yield entry


def _moment(text: str) -> str:
    """A time as the log writes it: of an ISO text, or a span ago."""
    try:
        if _SPAN.fullmatch(text):
            stamp = datetime.fromtimestamp(wiring.clock().now() - parse_span(text), UTC)
        else:
            read = datetime.fromisoformat(text)
            stamp = read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError, RecipeError) as error:
        raise UsageError(
            "EB587",
            f"{text!r} is neither a time nor a span",
            why="a time without a zone is UTC",
            mend="--since 2024-05-01T12:00, or --since 7d",
        ) from error
    return stamp.isoformat(timespec="milliseconds")


def _refuse_private(bundle: Bundle) -> None:
    """Refuse a version whose inputs the log does not hold in clear."""
    private = {each.name for each in bundle.inputs if each.needed and each.private}
    if private:
        raise DataError(
            "EB590",
            "the version needs private columns, which the log does not hold",
            where=", ".join(sorted(private)),
            why="Table(private=) keeps them out of the log",
            mend="compare the versions on data that you hold: everbake predict NAME@V FILE -o OUT",
        )


def _sentence(version: int, tally: Tally, decision: dict[str, Any] | None) -> str:
    """What came of it, in words."""
    if not tally.rows:
        return f"Version {version} answers none of the {tally.requests} logged rows."
    said = (
        f"Version {version} answers {tally.differing} of {tally.rows} rows"
        f" ({tally.share:.1%}) otherwise than they were answered"
    )
    if decision is None:
        return f"{said}; no label is there yet."
    metric = decision["metric"]
    if metric["interval"] is None or metric["candidate"] is None:
        because = str(decision["because"]).removeprefix("Because ").rstrip(".")
        return f"{said}; on {metric['n']} labelled rows: {because}."
    low, high = metric["interval"]
    verdict = "better" if low > 0 else "worse" if high < 0 else "no difference can be told"
    return (
        f"{said}; on {metric['n']} labelled rows its {metric['name']} is"
        f" {metric['candidate']:.6g}, that of the answers given {metric['champion']:.6g}:"
        f" {verdict} (improvement {metric['difference']:.4g}, interval {low:.4g} to {high:.4g})."
    )


def _text(told: dict[str, Any], tally: Tally) -> str:
    lines = [str(told["sentence"])]
    for column, rows in tally.missing.items():
        lines.append(f"left out: {rows} rows without column {column!r}")
    if tally.refused:
        lines.append(f"left out: {tally.refused} rows that the version refuses: {tally.refusal}")
    if told["mean_difference"] is not None:
        lines.append(f"mean difference of the answers: {told['mean_difference']:.6g}")
    return "\n".join(lines)
