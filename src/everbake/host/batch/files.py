"""The job that answers files: one after the other, read ahead by one part, written behind by one.

The threads that read and write spend their time in Arrow; the model answers in the main thread,
whose settings for OpenMP count.
"""

import hashlib
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from msgspec.structs import replace

from everbake.core.dataset import Offence
from everbake.core.work import BatchDone, BatchFile, BatchOrder, BatchReport
from everbake.errors import DataError, UserCodeError
from everbake.host.batch.answering import Answerer, answered, answerer, with_decision
from everbake.host.batch.parts import Parts, Stamp, finished, folder_of, parts_of, storing
from everbake.host.batch.reading import Reading
from everbake.host.calling import recipe_of
from everbake.host.parsing.sniff import Source, check_unchanged, readable, sniff
from everbake.host.protocol import JobContext

T = TypeVar("T")

_EVERY = 2.0  # seconds between two lines of progress
_PREFIX = 16  # hexadecimal digits before the row in an id


def answer_files(order: BatchOrder, context: JobContext) -> BatchReport:
    """Answer every file; all are looked at before the first is answered.

    Raises:
        DataError: a file cannot be read, lacks a column, or a row breaks the contract.
        UserCodeError: the version's own code fails.
        Retry: the answers cannot be stored.
    """
    sources = [sniff(file.source, file.name) for file in order.asked.files]
    for source in sources:
        Reading(source, order)
    answer = answerer(order, recipe_of(context.recipe, order.model))
    done = [
        _Task(order, context, file, source, answer).done()
        for file, source in zip(order.asked.files, sources, strict=True)
    ]
    return BatchReport(tuple(done))


@dataclass
class _Task:
    """One file on its way to its output."""

    order: BatchOrder
    context: JobContext
    file: BatchFile
    source: Source
    answer: Answerer
    rows: int = 0
    resumed: int = 0
    notices: tuple[str, ...] = ()
    _told: float = field(default_factory=time.monotonic)

    def done(self) -> BatchDone:
        """Answer the file, unless its answers are there."""
        output, stamp = Path(self.file.output), self._stamp()
        rows = finished(output, stamp)
        # Whoever was killed once the output was in its place has left its parts.
        if rows is None or folder_of(output).exists():
            with parts_of(output, stamp) as parts:
                rows = finished(output, stamp)  # the one who held it may have made it
                if rows is None:
                    self._fill(parts, stamp)
                    parts.finish(output)
                else:
                    parts.discard()
        if rows is not None:
            self.rows = self.resumed = rows
        return BatchDone(self.file.name, self.file.output, self.rows, self.resumed, self.notices)

    def _stamp(self) -> Stamp:
        with readable(self.source.name), Path(self.source.path).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        name = Path(self.file.source).name
        order = self.order
        return Stamp(
            order.model, order.asked.version, order.asked.blob, name, digest, order.asked.keep
        )

    def _fill(self, parts: Parts, stamp: Stamp) -> None:
        try:
            self._write(parts, stamp)
            check_unchanged(self.source)
        except DataError:
            parts.discard()  # a file that is mended is another file
            raise

    def _write(self, parts: Parts, stamp: Stamp) -> None:
        named = _Named(stamp)
        answers = self._answers(parts)
        first = next(answers, None)
        if first is None:
            raise DataError(
                "EB106", "there are no rows", where=self.source.name, mend="give at least one row"
            )
        with (
            storing(Path(self.file.output)),
            parts.output(named.table(first, 0).schema, stamp) as writer,
            ThreadPoolExecutor(1) as behind,  # innermost: nobody closes what it still writes
        ):
            written = behind.submit(named.append, writer, first, 0)
            at = first.num_rows
            for part in answers:
                written.result()
                written = behind.submit(named.append, writer, part, at)
                at += part.num_rows
            written.result()
        self.rows = at

    def _answers(self, parts: Parts) -> Iterator[pa.Table]:
        """All parts with their answers: those that are kept, then those that are made now."""
        at = number = 0
        schema: pa.Schema | None = None
        for part in parts.stored():
            schema = part.schema
            yield part
            at += part.num_rows
            number += 1
        self.resumed = at
        reading = Reading(self.source, self.order)
        kept: Future[None] | None = None
        with storing(Path(self.file.output)), ThreadPoolExecutor(1) as behind:
            for rows in _ahead(reading.parts(at)):
                part = self._answered(reading, rows, at)
                schema = schema or part.schema
                if part.schema != schema:
                    part = _as_before(part, schema, self.source.name)
                if kept is not None:
                    kept.result()
                kept = behind.submit(parts.save, number, part)
                yield part
                at += part.num_rows
                number += 1
                self._tell(at)
            if kept is not None:
                kept.result()
        self.notices = tuple(
            _noticed(self.source.name, name, offence)
            for (name, _), offence in sorted(reading.notices.items())
        )

    def _answered(self, reading: Reading, rows: pa.Table, at: int) -> pa.Table:
        inputs = rows.select([each.name for each in reading.inputs])
        columns = answered(self.answer, inputs, self.source.name, at)
        columns = with_decision(columns, self.order.threshold)
        return pa.table(columns | {name: rows.column(name) for name in self.order.asked.keep})

    def _tell(self, at: int) -> None:
        now = time.monotonic()
        if now - self._told >= _EVERY:
            self._told = now
            self.context.log(f"{self.source.name}: {at:,}{self._share(at)} rows")

    def _share(self, at: int) -> str:
        if self.source.format != "parquet":
            return ""
        total = pq.read_metadata(self.source.path).num_rows
        return f" of {total:,} ({at / total:.0%})"


class _Named:
    """Adds what tells one answer from all others."""

    def __init__(self, stamp: Stamp) -> None:
        whatever_is_kept = replace(stamp, keep=())
        self._prefix = hashlib.sha256(whatever_is_kept.encode()).hexdigest()[:_PREFIX]
        self._version = stamp.version
        self._keep = stamp.keep

    def table(self, part: pa.Table, at: int) -> pa.Table:
        """A part of the output: ids, predictions, version, copied columns."""
        numbers = pa.array(np.arange(at + 1, at + part.num_rows + 1)).cast(pa.string())
        ids = pc.binary_join_element_wise(self._prefix, numbers, "-")
        version = pa.repeat(pa.scalar(self._version, pa.int64()), part.num_rows)
        predictions = part.drop_columns(list(self._keep))
        named = {"id": ids} | dict(zip(predictions.column_names, predictions.columns, strict=True))
        named["version"] = version
        return pa.table(named | {name: part.column(name) for name in self._keep})

    def append(self, writer: pq.ParquetWriter, part: pa.Table, at: int) -> None:
        """Write a part as one row group."""
        writer.write_table(self.table(part, at), row_group_size=part.num_rows)


def _ahead(items: Iterator[T]) -> Iterator[T]:
    """The same, while a thread fetches the next one."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield item


def _as_before(part: pa.Table, schema: pa.Schema, source: str) -> pa.Table:
    """A part in the types of the first one: whole numbers may stand among fractions."""
    try:
        return part.cast(schema)
    except (pa.ArrowInvalid, ValueError) as error:
        raise UserCodeError(
            "EB583",
            "predict gives answers of several types",
            where=source,
            why=str(error),
            mend="let predict give answers of one type",
        ) from error


def _noticed(source: str, name: str, offence: Offence) -> str:
    first = offence.first[0]
    what = {"range": "outside the range", "category": "not among the categories"}[offence.code]
    return (
        f"{source}, column {name}: {offence.count} values {what} of the contract,"
        f" the first {first.value} in row {first.row}"
    )
