"""Rows of a Parquet file, streamed by row groups."""

import re
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from everbake.core.dataset import Finding
from everbake.host.parsing.raw import BATCH_ROWS, Complaints, Raw, RawBatch
from everbake.host.parsing.sniff import Source, readable

_INDEX = re.compile(r"__index_level_\d+__")


class ParquetRows:
    """The rows of one Parquet file with the types it declares."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.complaints = Complaints(source.name)
        self.notices: list[Finding] = []
        self._all: tuple[str, ...] = ()
        try:
            with readable(source.name), _opened(source.path) as file:
                self._all = tuple(file.schema_arrow.names)
                self.schema = file.schema_arrow
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            self.complaints.row(None, f"the file is no whole Parquet file: {error}")

    @property
    def names(self) -> tuple[str, ...]:
        """The columns, without those in which pandas keeps an index."""
        return tuple(name for name in self._all if not _INDEX.fullmatch(name))

    def batches(self) -> Iterator[RawBatch]:
        """The rows, `BATCH_ROWS` at a time."""
        if not self._all:
            return
        for name in self._all:
            if _INDEX.fullmatch(name):
                detail = f"column {name!r} is an index of pandas and was left out"
                self.notices.append(Finding(None, name, "index", detail, self.source.name))
        start = 0
        try:
            with readable(self.source.name), _opened(self.source.path) as file:
                for batch in file.iter_batches(BATCH_ROWS, columns=list(self.names)):
                    batch.validate(full=True)  # text that is no UTF-8 would fail much later
                    columns = {name: Raw(batch.column(name), "typed") for name in self.names}
                    yield RawBatch(start, batch.num_rows, columns)
                    start += batch.num_rows
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            self.complaints.row(start + 1, f"cannot be read from here: {error}")

    def row_number(self, position: int) -> int:
        """Rows are never skipped here."""
        return position + 1


def _opened(path: str) -> pq.ParquetFile:
    """Not pre-buffered: that would keep every row group that was read."""
    return pq.ParquetFile(path, pre_buffer=False)
