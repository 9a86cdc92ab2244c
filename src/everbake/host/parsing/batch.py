"""Reads some files as one batch: checks them against the contract, stages their rows."""

import hashlib
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from everbake.core.contract import (
    SHOWN_FINDINGS,
    Checked,
    ColumnRule,
    Contract,
    Parsed,
    ParseOrder,
    check,
    follow,
    widen,
)
from everbake.core.dataset import (
    ColumnSummary,
    FindingCount,
    Shape,
    Summary,
)
from everbake.errors import DataError
from everbake.host.parsing.cast import cast
from everbake.host.parsing.csv_rows import CsvRows
from everbake.host.parsing.guess import Guess
from everbake.host.parsing.json_rows import JsonRows
from everbake.host.parsing.parquet_rows import ParquetRows
from everbake.host.parsing.raw import Raw, Rows
from everbake.host.parsing.sniff import Source, check_unchanged, readable, sniff
from everbake.host.parsing.stage import Stage
from everbake.host.parsing.tally import Place, fresh, newest_of, tally, watches

if TYPE_CHECKING:
    from collections.abc import Callable

_READERS: "dict[str, Callable[[Source], Rows]]" = {
    "csv": CsvRows,
    "parquet": ParquetRows,
    "jsonl": JsonRows,
}


@dataclass(frozen=True)
class _Read:
    """What one file held."""

    rows: int
    columns: tuple[ColumnSummary, ...]
    reader: Rows
    newest: float | None = None


def rows_of(source: Source) -> Rows:
    """The rows of a file, however it is written."""
    return _READERS[source.format](source)


def parse(order: ParseOrder) -> Parsed:
    """Read, check and stage the files of one batch.

    Raises:
        DataError: a file is empty (EB105), has no rows (EB106), is gone (EB107), cannot be read
            (EB108) or changed meanwhile (EB109).
        Retry: the rows cannot be staged (EB605).
    """
    began = time.perf_counter()
    # A file that is named twice is one file.
    by_stamp = {source.stamp: source for source in map(sniff, order.sources, order.names)}
    sources = tuple(by_stamp.values())
    known = replace(order.contract or Contract((), order.special), special=order.special)
    readers = [rows_of(source) for source in sources]
    broken = [reader for reader in readers if _check_names(reader)]
    if broken:
        parsed = _refused(sources, 0, Checked((), ()), broken)
    else:
        parsed = _read_all(order, known, sources)
    return replace(parsed, seconds=time.perf_counter() - began)


def _read_all(order: ParseOrder, known: Contract, sources: tuple[Source, ...]) -> Parsed:
    draft = _draft(order, known, sources)
    if not draft.schema:
        raise DataError(
            "EB106",
            "there are no columns",
            where=", ".join(order.names),
            why="no row has a field",
            mend="give rows with the fields that the recipe uses",
        )
    stage = Stage(order.stage, draft.schema, order.first_row)
    try:
        reads = [_read(source, draft, stage) for source in sources]
        for source in sources:
            check_unchanged(source)
        parsed = _judged(order, known, sources, reads)
        if parsed.findings:
            stage.discard()
            return parsed
        files, digest = stage.finish()
    except BaseException:
        stage.discard()
        raise
    return replace(parsed, files=files, digest=digest, columns=draft.schema)


def _draft(order: ParseOrder, known: Contract, sources: tuple[Source, ...]) -> Contract:
    """The contract with a typed rule for every column that is to be staged."""
    if known.rows and order.mode == "check":
        return known
    guesses = _guesses(sources, {column.name for column in known.schema})
    typed = [
        rule if rule.type is not None else replace(rule, type=guesses[rule.name].settled())
        for rule in known.columns
        if rule.type is not None or rule.name in guesses
    ]
    new = [
        ColumnRule(name, guess.settled())
        for name, guess in guesses.items()
        if known.rule(name) is None
    ]
    rules = [*typed, *new]
    if not known.rows:  # the table's columns stand in the order of the first file
        place = {name: i for i, name in enumerate(guesses)}
        rules.sort(key=lambda rule: place.get(rule.name, len(place)))
    return replace(known, columns=tuple(rules))


def _guesses(sources: tuple[Source, ...], settled: set[str]) -> dict[str, Guess]:
    """A guess at the type of every column; of those that are `settled`, just their place."""
    guesses: dict[str, Guess] = {}
    for source in sources:
        reader = rows_of(source)
        for name in reader.names:
            guesses.setdefault(name, Guess())
        if isinstance(reader, ParquetRows):
            for name in reader.names:
                guesses[name].narrow_to(reader.schema.field(name).type)
        elif set(reader.names) - settled or not reader.names:
            _narrow(guesses, reader, settled)
    return guesses


def _narrow(guesses: dict[str, Guess], reader: Rows, settled: set[str]) -> None:
    for batch in reader.batches():
        for name, raw in batch.columns.items():
            guess = guesses.setdefault(name, Guess())
            if name not in settled:
                guess.narrow(raw)


def _read(source: Source, draft: Contract, stage: Stage) -> _Read:
    reader, watched = rows_of(source), watches(draft)
    newest: list[float] = []
    columns = [fresh(watch) for watch in watched]
    rows = 0
    for batch in reader.batches():
        place = Place(source.name, batch.start, reader.row_number)
        arrays = []
        for i, watch in enumerate(watched):
            raw = batch.columns.get(watch.name) or Raw(pa.nulls(batch.rows), "typed")
            values, wrong = cast(raw, watch.type)
            columns[i] = columns[i].merged(tally(watch, raw, values, wrong, place))
            arrays.append(values)
            if watch.name == draft.special.time:
                newest += newest_of(values)
        stage.add(arrays, batch.rows)
        rows += batch.rows
    _check_names(reader)
    present = set(reader.names)
    quiet = [c if c.name in present else replace(c, offences=()) for c in columns]
    return _Read(rows, tuple(quiet), reader, max(newest, default=None))


def _judged(
    order: ParseOrder, known: Contract, sources: tuple[Source, ...], reads: list[_Read]
) -> Parsed:
    rows = sum(read.rows for read in reads)
    if not rows and not any(read.reader.complaints.findings for read in reads):
        raise _no_rows(order)
    columns = list(reads[0].columns)
    for read in reads[1:]:
        columns = [mine.merged(its) for mine, its in zip(columns, read.columns, strict=True)]
    shapes = tuple(
        Shape(source.name, read.reader.names)
        for source, read in zip(sources, reads, strict=True)
        if read.rows
    )
    summary = Summary(rows, tuple(columns), shapes).veiled(order.special.private)
    if order.mode == "widen":
        contract, checked = widen(known, summary)
    else:
        checked = check(known, summary)
        contract = follow(known, summary)
    readers = [read.reader for read in reads]
    if checked.findings or any(reader.complaints.findings for reader in readers):
        return _refused(sources, rows, checked, readers)
    notices = [notice for reader in readers for notice in reader.notices]
    return Parsed(
        rows, "", (), (), (), (), (*notices, *checked.notices), contract, seconds=0.0,
        newest=max((read.newest for read in reads if read.newest is not None), default=None),
    )  # fmt: skip


def _refused(
    sources: tuple[Source, ...], rows: int, checked: Checked, readers: Iterable[Rows]
) -> Parsed:
    """What is told about a batch that is not staged."""
    complaints = [reader.complaints for reader in readers]
    findings = [*(f for c in complaints for f in c.findings), *checked.findings]
    place = {source.name: i for i, source in enumerate(sources)}
    findings.sort(key=lambda f: (f.row is not None, place.get(f.source, -1), f.row or 0))
    counts = [*(count for c in complaints for count in c.counts()), *checked.counts]
    return Parsed(
        rows=rows,
        digest=_digest_of_bytes(sources),
        files=(),
        columns=(),
        findings=tuple(findings[:SHOWN_FINDINGS]),
        counts=_added(counts),
        notices=checked.notices,
        contract=None,
        seconds=0.0,
    )


def _added(counts: Iterable[FindingCount]) -> tuple[FindingCount, ...]:
    totals: dict[tuple[str, str | None], int] = {}
    for count in counts:
        key = (count.code, count.column)
        totals[key] = totals.get(key, 0) + count.count
    return tuple(FindingCount(code, column, n) for (code, column), n in totals.items())


def _digest_of_bytes(sources: tuple[Source, ...]) -> str:
    """SHA-256 over the files' own digests, sorted: for rows that cannot be hashed as such."""
    digests = []
    for source in sources:
        with readable(source.name), Path(source.path).open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").digest())
    return hashlib.sha256(b"".join(sorted(digests))).hexdigest()


def _check_names(reader: Rows) -> bool:
    """Complain about names that no column may have; whether the file has any complaint now."""
    complaints, seen, folded = reader.complaints, set[str](), set[str]()  # Delta folds case
    for position, name in enumerate(reader.names, start=1):
        if not name.strip():
            complaints.column(name, "name", f"column {position} has no name")
        elif name in seen:
            complaints.column(name, "duplicate", f"there are two columns {name!r}")
        elif name.lower() in folded:
            detail = f"another column differs from {name!r} in upper and lower case only"
            complaints.column(name, "duplicate", detail)
        elif name.startswith("__"):
            detail = f"column {name!r}: names that begin with __ are kept for everbake"
            complaints.column(name, "name", detail)
        seen.add(name)
        folded.add(name.lower())
    return bool(complaints.findings)


def _no_rows(order: ParseOrder) -> DataError:
    return DataError(
        "EB106",
        "there are no rows",
        where=", ".join(order.names),
        why="the file has a header, but nothing below it",
        mend="give a file with at least one row",
    )
