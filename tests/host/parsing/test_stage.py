"""Staged files: many rows, many files, and what is left when something fails."""

import errno

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from everbake.errors import Retry
from everbake.host.parsing import row_hashes, stage

ROWS = 300_000


@pytest.fixture
def many(bench):
    numbers = pa.array(range(ROWS), pa.int64())
    table = pa.table({"y": numbers, "x": numbers.cast(pa.float64())})
    bench.file("rows.parquet", table)
    return table


def test_long_batches_become_several_files_in_order(bench, many, monkeypatch):
    monkeypatch.setattr(stage, "_FILE_ROWS", 100_000)
    parsed = bench.parse("rows.parquet", first_row=7)
    assert [file.rows for file in parsed.files] == [100_000] * 3
    staged = bench.rows(parsed)
    assert staged.select(["y", "x"]).equals(many)
    assert staged["__row"].to_pylist() == list(range(7, 7 + ROWS))
    hashes = row_hashes(many).view("int64")
    assert staged["__hash"].to_numpy().tolist() == hashes.tolist()
    for file in parsed.files:
        path = bench.stage / file.path
        assert path.stat().st_size == file.size
        metadata = pq.read_metadata(path)
        groups = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
        assert max(groups) <= 131_072


def test_the_digest_does_not_depend_on_the_order_of_rows(bench, many):
    parsed = bench.parse("rows.parquet")
    bench.file("turned.parquet", many.take(pa.array(range(ROWS - 1, -1, -1))))
    assert bench.parse("turned.parquet").digest == parsed.digest
    bench.file("twice.parquet", pa.concat_tables([many, many.slice(0, 1)]))
    assert bench.parse("twice.parquet").digest != parsed.digest


def test_a_late_break_leaves_no_file_of_a_long_batch(bench, many, monkeypatch):
    monkeypatch.setattr(stage, "_FILE_ROWS", 100_000)
    contract = bench.parse("rows.parquet").contract
    late = pa.table({"y": pa.array([1]), "x": pa.array([None], pa.float64())})
    bench.file("rows.parquet", pa.concat_tables([many, late]))
    parsed = bench.parse("rows.parquet", contract=contract)
    assert [(f.code, f.row) for f in parsed.findings] == [("null", ROWS + 1)]
    assert bench.staged() == []


def test_a_full_disk_is_told_and_leaves_nothing(bench, many, monkeypatch):
    write = pq.ParquetWriter.write_table
    calls = []

    def full(self, table, **options):
        calls.append(table.num_rows)
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, table, **options)

    monkeypatch.setattr(pq.ParquetWriter, "write_table", full)
    with pytest.raises(Retry) as told:
        bench.parse("rows.parquet")
    assert told.value.code == "EB605"
    assert told.value.why == "No space left on device"
    assert bench.staged() == []


def test_a_long_text_file_is_held_in_pieces(bench, monkeypatch):
    held = []
    add = stage.Stage.add

    def watched(self, columns, count):
        add(self, columns, count)
        held.append(pa.total_allocated_bytes())

    monkeypatch.setattr(stage.Stage, "add", watched)
    rows = 40_000
    bench.file("rows.csv", "x,y,s\n" + f"1.2345678,2.3456789,{'long ' * 500}\n" * rows)
    parsed = bench.parse("rows.csv")
    assert parsed.rows == rows
    assert (bench.folder / "rows.csv").stat().st_size > 100e6
    assert max(held) < 250e6
    assert len(held) > 5
