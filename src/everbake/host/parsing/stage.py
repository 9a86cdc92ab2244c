"""Writes the rows of a batch as Parquet files: the columns, their row numbers, their hashes."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from everbake.core.contract import StagedFile
from everbake.core.dataset import HASH, ROW, Column
from everbake.errors import Retry
from everbake.host.parsing.cast import ARROW
from everbake.host.parsing.raw import BATCH_ROWS
from everbake.host.parsing.rowhash import Hashes, batch_digest, row_hashes

_FILE_ROWS = 1_000_000
_BUFFER_BYTES = 128 << 20


class Stage:
    """A folder that fills with Parquet files of at most a million rows."""

    def __init__(self, folder: str, columns: tuple[Column, ...], first_row: int) -> None:
        self._folder = Path(folder)
        self._names = [column.name for column in columns]
        self._schema = pa.schema(
            [(column.name, ARROW[column.type]) for column in columns]
            + [(ROW, pa.int64()), (HASH, pa.int64())]
        )
        self._texts = [column.name for column in columns if column.type == "string"]
        self._next_row = first_row
        self._hashes: list[Hashes] = []
        self._buffer: list[pa.RecordBatch] = []
        self._writer: pq.ParquetWriter | None = None
        self._paths: list[tuple[Path, int]] = []

    def add(self, columns: list[pa.Array], rows: int) -> None:
        """Append rows; `columns` are in the order given at the start."""
        batch = pa.RecordBatch.from_arrays(columns, names=self._names)
        hashes = row_hashes(batch)
        self._hashes.append(np.sort(hashes))
        numbers = np.arange(self._next_row, self._next_row + rows)
        self._next_row += rows
        whole = [*columns, pa.array(numbers), pa.array(hashes.view(np.int64))]
        self._buffer.append(pa.RecordBatch.from_arrays(whole, schema=self._schema))
        buffered = sum(batch.num_rows for batch in self._buffer)
        if buffered >= BATCH_ROWS or sum(b.nbytes for b in self._buffer) > _BUFFER_BYTES:
            self._flush()

    def finish(self) -> tuple[tuple[StagedFile, ...], str]:
        """Write what is left; the files and the digest of the rows."""
        self._flush()
        self._close()
        files = tuple(
            StagedFile(path.name, path.stat().st_size, rows) for path, rows in self._paths
        )
        return files, batch_digest(self._hashes)

    def discard(self) -> None:
        """Remove everything that was written."""
        if self._writer is not None:
            with contextlib.suppress(OSError):  # a full disk cannot take the footer either
                self._writer.close()
            self._writer = None
        for path, _ in self._paths:
            path.unlink(missing_ok=True)
        self._paths.clear()

    def _flush(self) -> None:
        if not self._buffer:
            return
        table = pa.Table.from_batches(self._buffer)
        self._buffer = []
        with _writable(self._folder):
            while table.num_rows:
                room = _FILE_ROWS - (self._paths[-1][1] if self._writer else 0)
                self._write(table.slice(0, room))
                table = table.slice(room)

    def _write(self, table: pa.Table) -> None:
        if self._writer is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._folder / f"part-{len(self._paths):05d}.parquet"
            self._paths.append((path, 0))
            self._writer = pq.ParquetWriter(
                path, self._schema, compression="zstd", compression_level=1,
                use_dictionary=self._texts, write_statistics=True,
            )  # fmt: skip
        self._writer.write_table(table, row_group_size=BATCH_ROWS)
        path, rows = self._paths[-1]
        self._paths[-1] = (path, rows + table.num_rows)
        if self._paths[-1][1] >= _FILE_ROWS:
            self._close()

    def _close(self) -> None:
        if self._writer is None:
            return
        with _writable(self._folder):
            self._writer.close()
            with self._paths[-1][0].open("rb") as file:
                os.fsync(file.fileno())
        self._writer = None


@contextlib.contextmanager
def _writable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Retry(
            "EB605",
            "the rows cannot be staged",
            where=str(folder),
            why=error.strerror or str(error),
            mend="make room on the disk, or make the folder writable, and ingest again",
        ) from error
