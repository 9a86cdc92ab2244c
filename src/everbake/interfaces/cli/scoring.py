"""Answers to whole files, written as Parquet."""

import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import msgspec

from everbake import wiring
from everbake.core.bundle import Bundle
from everbake.core.contract import Contract
from everbake.core.work import BatchAsked, BatchFile, BatchReport
from everbake.errors import UsageError
from everbake.interfaces.cli.calling import tell
from everbake.ports import Reader

_SUFFIXES = (".parquet", ".pq", ".csv", ".tsv", ".jsonl", ".ndjson", ".json")
_OWN = ("id", "version", "prediction", "decision")


@dataclass(frozen=True)
class Asked:
    """The words of a command that answers whole files."""

    files: tuple[str, ...]
    output: str
    keep: tuple[str, ...]
    threads: int | None


def score_files(
    project: Path, found: tuple[Bundle, int, str], asked: Asked, *, as_json: bool
) -> None:
    """Answer the files with a version, and tell where the answers are."""
    bundle, version, blob = found
    _refuse_own_names(asked.keep)
    began = time.perf_counter()
    order = BatchAsked(
        version,
        blob,
        _contract(wiring.reader(project), bundle),
        tuple(dict.fromkeys(asked.keep)),
        _planned(asked.files, asked.output),
        asked.threads or os.cpu_count() or 1,
    )
    report = wiring.answer_files(project, bundle, order, _narrate)
    for each in report.files:
        for notice in each.notices:
            click.echo(f"notice: {notice}", err=True)
    told = {
        "schema": 1,
        "model": bundle.model,
        "version": version,
        "rows": sum(each.rows for each in report.files),
        "files": [asdict(each) for each in report.files],
        "output": asked.output,
        "seconds": round(time.perf_counter() - began, 3),
    }
    tell(told, lambda: _text(report, told), as_json=as_json)


def _text(report: BatchReport, told: dict[str, Any]) -> str:
    lines = []
    for each in report.files:
        line = f"{each.output}: {each.rows:,} rows of {each.name} by version {told['version']}"
        if each.resumed == each.rows:
            line += " (complete already, left alone)"
        elif each.resumed:
            line += f" ({each.resumed:,} of them were answered before)"
        lines.append(line)
    return "\n".join([*lines, f"{told['rows']:,} rows in {told['seconds']:.1f} s"])


def _narrate(text: str) -> None:
    click.echo(text, err=True, nl=False)


def _contract(reader: Reader, bundle: Bundle) -> Contract:
    """The rules of the model's table, as they are now."""
    row = reader.rows("models", {"model": bundle.model})[0]
    return msgspec.json.decode(str(row["contract"]), type=Contract)


def _planned(files: Sequence[str], output: str) -> tuple[BatchFile, ...]:
    """Every file with the output that belongs to it.

    Raises:
        UsageError: there is no such file, or two would have one output.
    """
    named = [name for given in files for name in _listed(given)]
    if output.endswith(".parquet"):
        if len(named) != 1:
            raise UsageError(
                "EB586",
                f"{len(named)} files have one output",
                where=output,
                mend="give a folder: -o FOLDER",
            )
        outputs = [output]
    else:
        outputs = [str(Path(output) / f"{_stem(name)}.parquet") for name in named]
    sources = {str(Path(name).resolve()) for name in named}
    for name, place in zip(named, outputs, strict=True):
        if outputs.count(place) > 1 or str(Path(place).resolve()) in sources:
            raise UsageError(
                "EB586",
                "an output has the name of another, or of an input",
                where=f"{place} for {name}",
                mend="give another output, or fewer files at a time",
            )
    return tuple(
        BatchFile(str(Path(name).absolute()), name, str(Path(place).absolute()))
        for name, place in zip(named, outputs, strict=True)
    )


def _listed(given: str) -> list[str]:
    """The file, or the files of rows in the folder."""
    place = Path(given)
    if not place.is_dir():
        if not place.exists():
            raise UsageError("EB586", "there is no such file", where=given, mend="give a file")
        return [given]
    found = [str(p) for p in sorted(place.iterdir()) if _rows_in(p)]
    if not found:
        raise UsageError(
            "EB586",
            "there is no file of rows in the folder",
            where=given,
            mend=f"give a folder with files that end in {', '.join(_SUFFIXES)}",
        )
    return found


def _rows_in(path: Path) -> bool:
    return path.is_file() and path.name.lower().removesuffix(".gz").endswith(_SUFFIXES)


def _stem(name: str) -> str:
    return Path(Path(name).name.removesuffix(".gz")).stem


def _refuse_own_names(keep: Sequence[str]) -> None:
    for name in keep:
        if name in _OWN or name.startswith("prediction_"):
            raise UsageError(
                "EB586",
                f"a kept column may not be called {name!r}",
                why="the output has a column of this name",
                mend="rename it in the file",
            )
