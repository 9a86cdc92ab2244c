"""The prediction log as Delta tables: written by the recorder's process, read by anybody."""

import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from everbake.adapters.tables.disk import Trouble, synced
from everbake.core.tables import Cell, Row
from everbake.ports import Converted, Piece, Wanted

SMALL_FILES = 32  # so many files of a day below SMALL_BYTES are compacted
SMALL_BYTES = 64 * 2**20
GROUP_ROWS = 50_000  # of a row group; so many rows are read at a time, at most
_CONFIGURATION = {
    "delta.logRetentionDuration": "interval 1 days",
    # Well above any grace: until a file is deleted, the log has to say when it was taken out.
    "delta.deletedFileRetentionDuration": "interval 1 days",
    "delta.enableExpiredLogCleanup": "true",
    "delta.checkpointInterval": "25",
}
_KINDS = {
    "id": "string",
    "time": "time",
    "model": "string",
    "version": "int64",
    "role": "string",
    "key": "string",
    "latency": "float64",
    "error": "string",
    "features": "string",
    "prediction": "string",
    "score": "float64",
    "decision": "bool",
}
_TROUBLE = Trouble(
    "EB570",
    "the table of the prediction log cannot be written or read",
    "free or repair the disk; nothing that was answered is lost meanwhile",
)


class DeltaPredictions:
    """`ports.PredictionTables` in Delta Lake, a folder a model.

    The commit that appends rows also moves the cursors of their segments, as transactions of the
    table's log: there is no state in which one happened and not the other.

    Args:
        root: holds the tables; need not exist.
        log: the folder of the prediction log.
    """

    def __init__(self, root: Path, log: Path) -> None:
        self._root = root
        self._log = log
        self._open: dict[str, Any] = {}

    def models(self) -> list[str]:
        """Those that have a table."""
        return sorted(path.parent.name for path in self._root.glob("*/_delta_log"))

    def cursor(self, model: str, segment: str) -> int:
        """Up to which byte a segment is converted."""
        with _TROUBLE.told(self._root / model):
            table = self._table(model)
            return 0 if table is None else int(table.transaction_version(segment) or 0)

    def append(
        self, model: str, rows: Mapping[str, Sequence[Cell]], cursors: Mapping[str, int]
    ) -> None:
        """Append rows and move the cursors of their segments in one commit."""
        from deltalake import CommitProperties, Transaction, write_deltalake

        folder = self._root / model
        with _TROUBLE.told(folder):
            table = self._table(model)
            if table is None:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            moves = [Transaction(segment, at) for segment, at in cursors.items()]
            write_deltalake(
                folder if table is None else table,
                _arrow(rows),
                mode="append",
                partition_by=["day"],
                configuration=_CONFIGURATION if table is None else None,
                writer_properties=_writing(),
                commit_properties=CommitProperties(app_transactions=moves, max_commit_retries=0),
            )
            table = self._table(model)
            _sync_commit(folder, table.version() if table is not None else 0)

    def pieces(self, model: str) -> list[Piece]:
        """The files that make up the table."""
        with _TROUBLE.told(self._root / model):
            return [
                Piece(_times(each)[1].timestamp(), int(each["size_bytes"]))
                for each in _files(self._table(model))
            ]

    def size(self, model: str) -> int:
        """Bytes on the disk, with files that are no longer part of the table."""
        with _TROUBLE.told(self._root / model):
            return sum(path.stat().st_size for path in (self._root / model).glob("day=*/*"))

    def drop(self, model: str, before: float) -> None:
        """Take out what was answered before a moment: a file that lies across it is rewritten."""
        end = datetime.fromtimestamp(max(0.0, before), UTC)
        day = end.date().isoformat()
        with _TROUBLE.told(self._root / model):
            table = self._table(model)
            files = _files(table)
            if any(str(each["partition.day"]) < day for each in files):
                table.delete(f"day < DATE '{day}'")
            today = [each for each in files if str(each["partition.day"]) == day]
            if any(_times(each)[0] < end for each in today):
                moment = end.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
                table.delete(
                    f"day = DATE '{day}' AND time < '{moment}'", writer_properties=_writing()
                )

    def tidy(self, model: str, grace_hours: int) -> None:
        """Make few files of many, and delete those that no state of so many hours needs."""
        with _TROUBLE.told(self._root / model):
            table = self._table(model)
            if table is None:
                return
            small: dict[str, int] = {}
            for each in _files(table):
                if each["size_bytes"] < SMALL_BYTES:
                    day = str(each["partition.day"])
                    small[day] = small.get(day, 0) + 1
            for day in [day for day, files in small.items() if files >= SMALL_FILES]:
                table.optimize.compact(
                    partition_filters=[("day", "=", day)],
                    target_size=2 * SMALL_BYTES,
                    max_concurrent_tasks=1,
                    writer_properties=_writing(),
                )
            # Full: what was killed over an append has left files that the log does not know.
            table.vacuum(grace_hours, dry_run=False, enforce_retention_duration=False, full=True)

    @contextmanager
    def reading(self, model: str) -> Iterator[Converted | None]:
        """The table as it is now; segments and files stay until this is left."""
        with self._locked(model, fcntl.LOCK_SH):
            folder = self._root / model
            if not (folder / "_delta_log").is_dir():
                yield None
                return
            from deltalake import DeltaTable

            with _TROUBLE.told(folder):
                table = DeltaTable(folder)
            yield _State(folder, table)

    @contextmanager
    def deleting(self, model: str) -> Iterator[bool]:
        """Whether nobody reads, nor will until this is left."""
        try:
            with self._locked(model, fcntl.LOCK_EX | fcntl.LOCK_NB):
                yield True
        except BlockingIOError:
            yield False

    @contextmanager
    def _locked(self, model: str, how: int) -> Iterator[None]:
        """The kernel lets go of it whenever its holder dies."""
        try:
            handle = os.open(self._log / model, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:  # without a log there is nothing to delete
            yield
            return
        try:
            fcntl.flock(handle, how)
            yield
        finally:
            os.close(handle)

    def _table(self, model: str) -> Any:  # noqa: ANN401 - a DeltaTable, which is imported late
        """The table as it is now; None before the first commit."""
        if model in self._open:
            self._open[model].update_incremental()
        elif (self._root / model / "_delta_log").is_dir():
            from deltalake import DeltaTable
            from deltalake.exceptions import TableNotFoundError

            with suppress(TableNotFoundError):  # killed over the first commit
                self._open[model] = DeltaTable(self._root / model)
        return self._open.get(model)


class _State:
    """`ports.Converted`: one version of a table."""

    def __init__(self, folder: Path, table: Any) -> None:  # noqa: ANN401 - as above
        self._folder = folder
        self._table = table

    def cursor(self, segment: str) -> int:
        """Up to which byte of a segment the table holds its rows."""
        return int(self._table.transaction_version(segment) or 0)

    def rows(self, wanted: Wanted, *, newest_first: bool = False) -> Iterator[Row]:
        """Rows in order of their time, window by window, each small enough to be sorted."""
        days: dict[str, list[dict[str, Any]]] = {}
        for each in _files(self._table):
            if _may_hold(str(each["partition.day"]), wanted):
                days.setdefault(str(each["partition.day"]), []).append(each)
        for day in sorted(days, reverse=newest_first):
            found = _dataset(self._folder, days[day])
            for window in _windows(found, _cut(_whole(day), wanted), newest_first):
                yield from _read(found, window, wanted, newest_first)


def _may_hold(day: str, wanted: Wanted) -> bool:
    begin, end = _whole(day)
    if wanted.since is not None and end.timestamp() <= wanted.since:
        return False
    if wanted.until is not None and begin.timestamp() >= wanted.until:
        return False
    if wanted.ids is None:
        return True
    # A shadow may have scored after midnight what was asked before.
    days = {begin.date(), begin.date() - timedelta(days=1)}
    return any((born := _born(name)) is None or born in days for name in wanted.ids)


def _born(name: str) -> date | None:
    """The day in a prediction id, whose first 12 digits are milliseconds since 1970."""
    try:
        return datetime.fromtimestamp(int(name[:12], 16) / 1000, UTC).date()
    except (ValueError, OverflowError, OSError):
        return None


_Window = tuple[datetime, datetime]


def _cut(span: _Window, wanted: Wanted) -> _Window:
    begin, end = span
    if wanted.since is not None:
        begin = max(begin, datetime.fromtimestamp(wanted.since, UTC))
    if wanted.until is not None:
        end = min(end, datetime.fromtimestamp(wanted.until, UTC))
    return begin, end


def _inside(window: _Window) -> Any:  # noqa: ANN401 - pyarrow has no types
    import pyarrow.compute as pc

    return (pc.field("time") >= window[0]) & (pc.field("time") < window[1])


def _windows(found: Any, window: _Window, newest_first: bool) -> Iterator[_Window]:  # noqa: ANN401, FBT001
    """The window in parts of so few rows that memory holds them."""
    rows = found.count_rows(filter=_inside(window))
    begin, end = window
    if rows == 0:
        return
    if rows <= GROUP_ROWS or end - begin <= timedelta(milliseconds=1):
        yield window
        return
    middle = begin + (end - begin) / 2
    halves = [(begin, middle), (middle, end)]
    for half in reversed(halves) if newest_first else halves:
        yield from _windows(found, half, newest_first)


def _read(found: Any, window: _Window, wanted: Wanted, newest_first: bool) -> Iterator[Row]:  # noqa: ANN401, FBT001
    import pyarrow.compute as pc

    test = _inside(window)
    if wanted.ids is not None:
        test &= pc.field("id").isin(sorted(wanted.ids))
    table = found.to_table(filter=test, batch_readahead=1, fragment_readahead=1)
    order = "descending" if newest_first else "ascending"
    table = table.sort_by([("time", order), ("id", order)])
    for batch in table.to_batches(max_chunksize=1000):
        for row in batch.to_pylist():
            yield row | {"time": row["time"].timestamp()}


def _dataset(folder: Path, files: Sequence[Mapping[str, Any]]) -> Any:  # noqa: ANN401 - as above
    """These files, each known by the times in it, so that few need to be opened."""
    import pyarrow.compute as pc
    import pyarrow.dataset as ds
    from pyarrow.fs import LocalFileSystem

    kind, place = ds.ParquetFileFormat(), LocalFileSystem()
    fragments = []
    for each in files:
        begin, end = _times(each)
        known = (pc.field("time") >= begin) & (pc.field("time") <= end)
        path = str(folder / each["path"])
        fragments.append(kind.make_fragment(path, place, partition_expression=known))
    return ds.FileSystemDataset(fragments, _schema(), kind, place)


def _times(file: Mapping[str, Any]) -> _Window:
    """The moments between which all in a file was answered."""
    begin, end = _whole(str(file["partition.day"]))
    low, high = file.get("min.time"), file.get("max.time")
    if low is None or high is None:
        return begin, end
    low, high = (t.replace(tzinfo=UTC) if t.tzinfo is None else t for t in (low, high))
    # The table's statistics are cut off to milliseconds.
    return low, high + timedelta(milliseconds=1)


def _whole(day: str) -> _Window:
    begin = datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC)
    return begin, begin + timedelta(days=1)


def _files(table: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - as above
    if table is None:
        return []
    import pyarrow as pa

    found: list[dict[str, Any]] = pa.table(table.get_add_actions(flatten=True)).to_pylist()
    return found


def _schema() -> Any:  # noqa: ANN401 - as above
    import pyarrow as pa

    types = {
        "string": pa.string(),
        "time": pa.timestamp("us", tz="UTC"),
        "int64": pa.int64(),
        "float64": pa.float64(),
        "bool": pa.bool_(),
    }
    return pa.schema([(name, types[kind]) for name, kind in _KINDS.items()])


def _arrow(rows: Mapping[str, Sequence[Cell]]) -> Any:  # noqa: ANN401 - as above
    """The rows as an Arrow table in order of their time, with their day."""
    import pyarrow as pa

    schema = _schema()
    columns = {
        name: pa.array(rows[name], type=pa.int64()).cast(schema.field(name).type)
        if kind == "time"
        else pa.array(rows[name], type=schema.field(name).type)
        for name, kind in _KINDS.items()
    }
    table = pa.table(columns, schema=schema)
    table = table.append_column("day", table["time"].cast(pa.date32()))
    return table.sort_by("time")


def _writing() -> Any:  # noqa: ANN401 - as above
    from deltalake import WriterProperties

    return WriterProperties(max_row_group_size=GROUP_ROWS, compression="ZSTD", compression_level=1)


def _sync_commit(folder: Path, version: int) -> None:
    """Wait for the disk: the segments are deleted once their rows stand in the table."""
    log = folder / "_delta_log"
    commit = log / f"{version:020d}.json"
    added = [
        folder / action["add"]["path"]
        for line in commit.read_bytes().splitlines()
        if "add" in (action := msgspec.json.decode(line))
    ]
    for path in [*added, *{path.parent for path in added}, commit, log]:
        synced(path)
