"""The rows of a file as a version's inputs: typed, checked, and cut into equal parts."""

from collections.abc import Iterator
from dataclasses import replace
from difflib import get_close_matches

import pyarrow as pa
import pyarrow.parquet as pq

from everbake.core.bundle import Input
from everbake.core.contract import Contract
from everbake.core.dataset import ColumnType, Offence
from everbake.core.work import BatchOrder
from everbake.errors import DataError
from everbake.host.parsing.batch import rows_of
from everbake.host.parsing.cast import cast
from everbake.host.parsing.parquet_rows import ParquetRows
from everbake.host.parsing.raw import Raw, RawBatch
from everbake.host.parsing.sniff import Source, readable
from everbake.host.parsing.tally import Place, Watch, tally, watches

MOST_ROWS, FEWEST_ROWS = 131_072, 4_096
_CELLS = 1 << 22  # of one part, so that wide rows take no more memory than narrow ones
_BUFFER = 1 << 20  # bytes of a column read at a time: a row group may hold the whole file


def part_rows(columns: int) -> int:
    """Rows that are answered at a time: a power of two, and the same whenever it is asked.

    >>> part_rows(30), part_rows(1000)
    (131072, 4096)
    """
    wanted = 1 << (_CELLS // max(1, columns)).bit_length() - 1
    return max(FEWEST_ROWS, min(MOST_ROWS, wanted))


class Reading:
    """One file, read for one version.

    Attributes:
        notices: how many values of a column lie outside what the contract expects.
        inputs: the version's inputs that are there, known once `parts` has begun.
    """

    def __init__(self, source: Source, order: BatchOrder) -> None:
        """Look at the file's names.

        Raises:
            DataError: a column that is needed is not there.
        """
        self.source = source
        self.notices: dict[tuple[str, str], Offence] = {}
        self.inputs: tuple[Input, ...] = ()
        self._order = order
        self._reader = rows_of(source)
        self._refuse_unread()
        if source.format != "jsonl":
            self._settle()

    def parts(self, start: int) -> Iterator[pa.Table]:
        """The typed rows from row `start` on, `part_rows` at a time.

        Raises:
            DataError: a row cannot be read, or breaks the contract.
        """
        held: list[pa.RecordBatch] = []
        rows = 0
        for raw in self._raw(start):
            size = part_rows(len(self._order.inputs))
            batch = self._checked(raw)
            while rows + batch.num_rows >= size:
                room = size - rows
                yield pa.Table.from_batches([*held, batch.slice(0, room)]).combine_chunks()
                batch, held, rows = batch.slice(room), [], 0
            if batch.num_rows:
                held, rows = [*held, batch], rows + batch.num_rows
        self._refuse_unread()
        if held:
            yield pa.Table.from_batches(held).combine_chunks()

    def _raw(self, start: int) -> Iterator[RawBatch]:
        if isinstance(self._reader, ParquetRows):
            with readable(self.source.name):
                yield from self._groups(start)
            return
        for batch in self._reader.batches():
            self._refuse_unread()
            if not self.inputs:
                self._settle()
            if batch.start + batch.rows > start:
                yield _behind(batch, start)

    def _groups(self, start: int) -> Iterator[RawBatch]:
        """Row groups one after the other, without those before `start`."""
        names = [column for column, _ in self._columns]
        try:
            with pq.ParquetFile(self.source.path, pre_buffer=False, buffer_size=_BUFFER) as file:
                sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
                at = 0
                for group, size in enumerate(sizes):
                    if at + size > start:
                        yield from _group(file, group, names, at, start)
                    at += size
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise _unread(self.source.name, None, str(error)) from error

    def _settle(self) -> None:
        """Fix which columns are read, now that their names are known."""
        names = self._reader.names
        there = set(names)
        order = self._order
        for name in (*(each.name for each in order.inputs if each.needed), *order.asked.keep):
            if name not in there:
                raise _missing(self.source.name, name, names)
        for name in (*(each.name for each in order.inputs), *order.asked.keep):
            if names.count(name) > 1:
                raise _unread(self.source.name, None, f"there are two columns {name!r}")
        self.inputs = tuple(each for each in order.inputs if each.name in there)
        self._watches = _watches(self.inputs, order.asked.contract)
        self._columns = self._typed()

    def _typed(self) -> list[tuple[str, ColumnType | None]]:
        """Every column that is read with its type; None leaves a Parquet column as it is."""
        typed: dict[str, ColumnType | None] = {each.name: each.type for each in self.inputs}
        parquet = self.source.format == "parquet"
        for name in self._order.asked.keep:
            rule = self._order.asked.contract.rule(name)
            known = rule.type if rule is not None else None
            typed.setdefault(name, None if parquet else known or "string")
        return list(typed.items())

    def _checked(self, raw: RawBatch) -> pa.RecordBatch:
        place = Place(self.source.name, raw.start, self._reader.row_number)
        arrays = []
        for name, kind in self._columns:
            found = raw.columns.get(name) or Raw(pa.nulls(raw.rows), "typed")
            if kind is None:
                arrays.append(found.values)
                continue
            values, wrong = cast(found, kind)
            watch = self._watches.get(name)
            if watch is not None:
                for offence in tally(watch, found, values, wrong, place).offences:
                    self._mind(watch, offence)
            arrays.append(values)
        return pa.RecordBatch.from_arrays(arrays, [name for name, _ in self._columns])

    def _mind(self, watch: Watch, offence: Offence) -> None:
        """Refuse what a request would be refused for; count what is merely unusual."""
        if offence.code in ("range", "category"):
            key = (watch.name, offence.code)
            known = self.notices.get(key)
            self.notices[key] = offence if known is None else known.merged(offence)
            return
        nullable = next(each.nullable for each in self.inputs if each.name == watch.name)
        if offence.code == "null" and nullable:
            return
        first = offence.first[0]
        what = {
            "null": "the value is missing, and the contract allows no missing values here",
            "infinite": f"{first.value} is not finite",
            "type": f"{first.value!r} is not {watch.type}",
        }[offence.code]
        raise DataError(
            "EB580",
            what,
            where=f"{self.source.name}, row {first.row}, column {watch.name}",
            why=f"{offence.count} such values in this part of the file" * (offence.count > 1),
            mend="mend the row, then repeat the command",
        )

    def _refuse_unread(self) -> None:
        for finding in self._reader.complaints.findings:
            raise _unread(self.source.name, finding.row, finding.detail)


def _group(
    file: pq.ParquetFile, group: int, names: list[str], at: int, start: int
) -> Iterator[RawBatch]:
    for batch in file.iter_batches(MOST_ROWS, row_groups=[group], columns=names):
        for column in batch.columns:
            if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
                column.validate(full=True)  # text that is no UTF-8 would fail much later
        columns = {name: Raw(batch.column(name), "typed") for name in names}
        if at + batch.num_rows > start:
            yield _behind(RawBatch(at, batch.num_rows, columns), start)
        at += batch.num_rows


def _behind(batch: RawBatch, start: int) -> RawBatch:
    """The rows of a batch from row `start` of its file on."""
    skipped = max(0, start - batch.start)
    if not skipped:
        return batch
    columns = {name: Raw(r.values.slice(skipped), r.kind) for name, r in batch.columns.items()}
    return RawBatch(start, batch.rows - skipped, columns)


def _watches(inputs: tuple[Input, ...], contract: Contract) -> dict[str, Watch]:
    """What to look for in each input: the version's type, the contract's ranges."""
    known = {watch.name: watch for watch in watches(contract)}
    return {
        each.name: replace(known.get(each.name, Watch(each.name, each.type)), type=each.type)
        for each in inputs
    }


def _missing(source: str, column: str, names: tuple[str, ...]) -> DataError:
    near = get_close_matches(column, names, n=1)
    return DataError(
        "EB581",
        f"column {column!r} is missing",
        where=source,
        why=f"there is {near[0]!r}" if near else "",
        mend="name the columns as the training data did",
    )


def _unread(source: str, row: int | None, detail: str) -> DataError:
    return DataError(
        "EB582",
        "a row cannot be read" if row is not None else "the file cannot be read",
        where=source if row is None else f"{source}, row {row}",
        why=detail,
        mend="mend the file, then repeat the command",
    )
