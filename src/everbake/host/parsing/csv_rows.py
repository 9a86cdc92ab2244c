"""Rows of a CSV file, streamed as text."""

import bisect
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.csv

from everbake.core.dataset import Finding
from everbake.host.parsing.raw import Complaints, Raw, RawBatch
from everbake.host.parsing.sniff import Source, opened, readable

_BLOCK = 8 << 20  # bytes parsed at a time; no row may be longer
_TAIL = 16  # bytes: a quote and the end of a line, in any encoding
_MANY = 100_000  # skipped rows whose place is remembered


class CsvRows:
    """The rows of one CSV file: all columns text, empty fields missing."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.complaints = Complaints(source.name)
        self.notices: list[Finding] = []
        self._skipped: list[int] = []
        self._index_first = len(source.header) > 1 and not source.header[0].strip()

    @property
    def names(self) -> tuple[str, ...]:
        """The columns of the header, without a nameless first one, which is pandas' index."""
        return self.source.header[1:] if self._index_first else self.source.header

    def batches(self) -> Iterator[RawBatch]:
        """The rows, a few megabytes at a time."""
        if self._index_first:
            detail = "the first column has no name, so it was left out as an index"
            self.notices.append(Finding(None, None, "index", detail, self.source.name))
        start = 0
        try:
            with readable(self.source.name), self._reader() as reader:
                if tuple(reader.schema.names) != self.source.header:
                    self.complaints.row(None, "the header is no line of fields")
                    return
                last = ""
                for batch in reader:
                    yield self._raw(batch, start)
                    start += batch.num_rows
                    last = _last_cell(batch) or last
            if "\n" in last and not self._ends_quoted():
                detail = "a quote that opens here is never closed"
                self.complaints.row(self.row_number(start - 1), detail)
        except pa.ArrowInvalid as error:
            if "Empty CSV" not in str(error):
                self.complaints.row(self.row_number(start), f"cannot be read from here: {error}")

    def row_number(self, position: int) -> int:
        """The row's number in the file, rows that were skipped included."""
        passed = bisect.bisect_right(
            range(len(self._skipped)), position, key=lambda i: self._skipped[i] - 1 - i
        )
        return position + passed + 1

    def _ends_quoted(self) -> bool:
        """Whether the file ends behind a quote: a cell of several lines can end in no other way."""
        tail = b""
        with opened(self.source.path, self.source.zipped) as file:
            while block := file.read(_BLOCK):
                tail = (tail + block)[-_TAIL:]
        return tail.decode(self.source.encoding, "replace").rstrip("\r\n").endswith('"')

    def _raw(self, batch: pa.RecordBatch, start: int) -> RawBatch:
        offset = 1 if self._index_first else 0
        columns = {name: Raw(batch.column(i + offset), "text") for i, name in enumerate(self.names)}
        return RawBatch(start, batch.num_rows, columns)

    def _reader(self) -> pa.csv.CSVStreamingReader:
        header = self.source.header
        compression = "gzip" if self.source.zipped else None
        return pa.csv.open_csv(
            pa.input_stream(self.source.path, compression=compression),
            # without threads Arrow tells the number of a row that it cannot parse
            read_options=pa.csv.ReadOptions(
                use_threads=False, block_size=_BLOCK, encoding=self.source.encoding
            ),
            parse_options=pa.csv.ParseOptions(
                delimiter=self.source.delimiter,
                newlines_in_values=True,
                invalid_row_handler=self._skip,
            ),
            convert_options=pa.csv.ConvertOptions(
                column_types=dict.fromkeys(header, pa.string()),
                strings_can_be_null=True,
                null_values=[""],
            ),
        )

    def _skip(self, row: pa.csv.InvalidRow) -> str:
        number = None if row.number is None else row.number - 1  # the header is Arrow's row 1
        if number is not None and len(self._skipped) < _MANY:
            self._skipped.append(number)
        detail = f"{row.actual_columns} fields where the header has {row.expected_columns}"
        self.complaints.row(number, detail)
        return "skip"


def _last_cell(batch: pa.RecordBatch) -> str:
    cells = batch.column(batch.num_columns - 1)
    return cells[-1].as_py() or "" if len(cells) else ""
