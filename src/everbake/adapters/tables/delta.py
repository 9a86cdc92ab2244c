"""Versioned tables in Delta Lake, on the local disk. Parquet files come staged; no Arrow here."""

import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
from deltalake import CommitProperties, DeltaTable, Field, Schema, Transaction
from deltalake.exceptions import TableNotFoundError
from deltalake.schema import PrimitiveType
from deltalake.transaction import AddAction, create_table_with_add_actions

from everbake.adapters.tables.disk import Trouble, synced
from everbake.core.contract import Contract, StagedFile
from everbake.core.dataset import HASH, ROW
from everbake.core.facts import DataArrived
from everbake.errors import ConflictError, Stop

APP = "everbake"  # the transaction identifier whose version is the data version
FACT = "everbake.fact"  # the key under which a commit carries its fact
SMALL_FILES = 32  # so many files below SMALL_BYTES are compacted into one
SMALL_BYTES = 16 * 2**20
_TYPES = {
    "int64": "long",
    "float64": "double",
    "bool": "boolean",
    "string": "string",
    "timestamp": "timestamp",
}
# Old log entries must never expire: they are what makes a pinned version readable.
_CONFIGURATION = {
    "delta.logRetentionDuration": "interval 36500 days",
    "delta.deletedFileRetentionDuration": "interval 36500 days",
    "delta.enableExpiredLogCleanup": "false",
    "delta.checkpointInterval": "25",
}
_TROUBLE = Trouble(
    "EB602",
    "the table cannot be written or read",
    "free or repair the disk, then repeat the command",
)


class DeltaTables:
    """One Delta table a model, in a folder each."""

    def __init__(self, root: Path) -> None:
        """Keep the tables under `root`, which need not exist."""
        self._root = root
        self._open: dict[str, DeltaTable] = {}
        self._lock = threading.RLock()  # a run reads while the next batch arrives

    def stage(self, model: str) -> Path:
        """An empty directory on the table's file system."""
        folder = self._folder(model) / "_incoming"
        with self._at(model):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        return folder

    def commit(self, files: Sequence[StagedFile], arrived: DataArrived) -> DataArrived:
        """Append staged files as one commit that carries the fact."""
        with self._at(arrived.model):
            actions = [self._settle(file, arrived) for file in files]
            table = self._table(arrived.model)
            if table is None:
                table = self._create(arrived, actions)
            else:
                self._append(table, arrived, actions)
            committed = replace(arrived, table_version=table.version())
            self._compact(table)
        return committed

    def orphans(self, model: str, after: int) -> list[DataArrived]:
        """The facts of commits behind data version `after`."""
        with self._at(model):
            table = self._table(model)
            if table is None or (table.transaction_version(APP) or 0) <= after:
                return []
            found = []
            for commit in table.history():
                if FACT not in commit:
                    continue
                fact = msgspec.json.decode(commit[FACT], type=DataArrived)
                if fact.version <= after:
                    break
                found.append(replace(fact, table_version=commit["version"]))
            return found[::-1]

    def files(self, arrived: DataArrived) -> list[str]:
        """The Parquet files that hold all rows up to a data version."""
        with self._at(arrived.model):
            table = self._table(arrived.model)
            if table is None:
                raise Stop(
                    "EB603",
                    f"the table of {arrived.model} is gone",
                    where=str(self._folder(arrived.model)),
                    mend="restore the folder from a backup",
                )
            if table.transaction_version(APP) != arrived.version:
                # The newest files may be compacted; an older version is read as it was.
                table = DeltaTable(self._folder(arrived.model), version=arrived.table_version)
            # Not `file_uris`: those are percent-encoded where the folder's name needs it.
            folder = self._folder(arrived.model)
            paths = table.get_add_actions(flatten=True)["path"].to_pylist()
            return [str(folder / path) for path in paths]

    @contextmanager
    def _at(self, model: str) -> Iterator[None]:
        """One thread at a time; what goes wrong is told in four parts."""
        with self._lock, _TROUBLE.told(self._folder(model)):
            yield

    def _folder(self, model: str) -> Path:
        return self._root / model

    def _table(self, model: str) -> DeltaTable | None:
        """The table as it is now; None before the first commit."""
        table = self._open.get(model)
        if table is not None:
            table.update_incremental()
            return table
        if not (self._folder(model) / "_delta_log").is_dir():
            return None
        try:
            table = DeltaTable(self._folder(model))
        except TableNotFoundError:
            return None
        self._open[model] = table
        return table

    def _settle(self, file: StagedFile, arrived: DataArrived) -> AddAction:
        """Move a staged file to where the table's files lie. Unreferenced, it is not there."""
        folder = self._folder(arrived.model)
        name = f"v{arrived.version:08d}-{arrived.digest[:12]}-{Path(file.path).name}"
        source = folder / "_incoming" / file.path
        synced(source)
        source.replace(folder / name)
        stats = msgspec.json.encode({"numRecords": file.rows}).decode()
        return AddAction(name, file.size, {}, 0, data_change=True, stats=stats)

    def _create(self, arrived: DataArrived, actions: list[AddAction]) -> DeltaTable:
        folder = self._folder(arrived.model)
        create_table_with_add_actions(
            table_uri=str(folder),
            schema=Schema(_fields(arrived)),
            add_actions=actions,
            mode="error",
            partition_by=[],
            configuration=dict(_CONFIGURATION),
            commit_properties=_properties(arrived),
        )
        synced(folder / "_delta_log")
        table = DeltaTable(folder)
        self._open[arrived.model] = table
        return table

    def _append(self, table: DeltaTable, arrived: DataArrived, actions: list[AddAction]) -> None:
        if (table.transaction_version(APP) or 0) >= arrived.version:
            raise ConflictError(
                "EB601",
                f"the table of {arrived.model} holds data version {arrived.version} already",
                mend="everbake audit verify",
            )
        known = {field.name for field in table.schema().fields}
        extra = [field for field in _fields(arrived) if field.name not in known]
        if extra:
            table.alter.add_columns(extra)
        table.create_write_transaction(
            actions=list(actions),
            mode="append",
            schema=table.schema(),
            partition_by=[],
            commit_properties=_properties(arrived),
        )
        table.update_incremental()
        synced(self._folder(arrived.model) / "_delta_log")

    @staticmethod
    def _compact(table: DeltaTable) -> None:
        sizes = table.get_add_actions(flatten=True)["size_bytes"]
        small = sum(size < SMALL_BYTES for size in sizes.to_pylist())
        if small >= SMALL_FILES:
            table.optimize.compact(target_size=SMALL_BYTES, max_concurrent_tasks=1)


def _fields(arrived: DataArrived) -> list[Field]:
    contract = msgspec.json.decode(arrived.contract, type=Contract)
    columns = [(column.name, _TYPES[column.type]) for column in contract.schema]
    columns += [(ROW, "long"), (HASH, "long")]
    return [Field(name, PrimitiveType(kind), nullable=True) for name, kind in columns]


def _properties(arrived: DataArrived) -> CommitProperties:
    body = msgspec.json.encode(arrived, order="deterministic").decode()
    return CommitProperties(
        custom_metadata={FACT: body},
        app_transactions=[Transaction(APP, arrived.version)],
        max_commit_retries=0,
    )
