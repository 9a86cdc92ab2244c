"""Arriving files become a data version, or a quarantined batch. Nothing in between."""

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from everbake.core.batch_facts import BatchAccepted, BatchQuarantined
from everbake.core.contract import Contract, Parsed
from everbake.core.facts import DataArrived, Entry, digest, expected
from everbake.core.loop import ModelState
from everbake.errors import UsageError
from everbake.ports import Batch, Ports

if TYPE_CHECKING:
    from everbake.core.tables import Row


def data_id(model: str, batch: str) -> str:
    """The id of the fact of a batch: the same rows are the same fact."""
    return digest("data", model, batch)


def adopt(model: str, version: int, ports: Ports) -> list[Entry]:
    """Record the table's commits behind a data version that have no fact yet.

    A commit without a fact is left behind by a process that died between the two.
    """
    return [_recorded(fact, ports) for fact in ports.tables.orphans(model, version)]


def ingest(batch: Batch, model: ModelState, ports: Ports) -> Entry:
    """Read, check and commit a batch.

    Returns:
        The entry of its `DataArrived` (an older one, for rows that arrived before), or of its
        `BatchQuarantined`.

    Raises:
        DataError: the files hold no batch at all: empty, unreadable, gone.
    """
    contract = _contract(model, ports)
    stage = ports.tables.stage(model.model)
    parsed = ports.training.parse(batch, stage, contract, model.rows)
    if parsed.contract is None:
        return quarantine(batch, parsed, ports)
    return arrive(parsed, _arrived(batch, parsed, model, ports), ports)


def contract_of(model: ModelState) -> Contract | None:
    """The contract after the newest data version."""
    if model.contract is None:
        return None
    return msgspec.json.decode(model.contract, type=Contract)


def _contract(model: ModelState, ports: Ports) -> Contract | None:
    """The contract after the newest data version, with what people wrote into its file."""

    def at(version: int) -> Contract:
        key: Row = {"model": model.model, "version": version}
        rows = ports.ledger.rows("data_versions", key)
        if not rows:
            raise UsageError(
                "EB111",
                f"the contract follows data version {version}, which there is not",
                where=f"contracts/{model.model}.toml",
                mend=f"write follows = {model.data_version}",
            )
        fact = expected(ports.ledger.find(str(rows[0]["fact"])), DataArrived)
        return msgspec.json.decode(fact.contract, type=Contract)

    special = model.spec.table.special
    return ports.contracts.read(model.model, special, contract_of(model), at)


def _arrived(batch: Batch, parsed: Parsed, model: ModelState, ports: Ports) -> DataArrived:
    return DataArrived(
        model=batch.model,
        version=model.data_version + 1,
        digest=parsed.digest,
        rows=parsed.rows,
        first_row=model.rows,
        table_version=0,
        contract=msgspec.json.encode(parsed.contract, order="deterministic").decode(),
        sources=batch.names,
        notices=tuple(notice.detail for notice in parsed.notices),
        quarantine=batch.quarantine,
        reason=batch.reason,
        newest=_newest(parsed, model, ports),
    )


def _newest(parsed: Parsed, model: ModelState, ports: Ports) -> float | None:
    """The newest time among the rows that are there and those that come."""
    if model.data_fact is None:
        return parsed.newest
    before = expected(ports.ledger.find(model.data_fact), DataArrived).newest
    times = [time for time in (before, parsed.newest) if time is not None]
    return max(times, default=None)


def arrive(parsed: Parsed, arrived: DataArrived, ports: Ports) -> Entry:
    """Commit a staged batch to the table and record it, unless its rows are there already."""
    entry_id = data_id(arrived.model, arrived.digest)
    known = ports.ledger.find(entry_id)
    if known is not None:
        _settle(arrived, known, ports)
        return known
    return _recorded(ports.tables.commit(parsed.files, arrived), ports)


def _settle(arrived: DataArrived, known: Entry, ports: Ports) -> None:
    """A quarantined batch whose rows have arrived by another way waits no longer."""
    there = expected(known, DataArrived)
    if arrived.quarantine is None or there.quarantine == arrived.quarantine:
        return
    fact = BatchAccepted(arrived.model, arrived.quarantine, there.version, arrived.reason)
    ports.ledger.record(settled_id(arrived.model, arrived.quarantine), fact)


def settled_id(model: str, quarantine: str) -> str:
    """The id of the fact that settles a quarantined batch without its rows arriving."""
    return digest("settled", model, quarantine)


def _recorded(committed: DataArrived, ports: Ports) -> Entry:
    """Record a commit. The contract's file comes first: with the fact, the batch is done."""
    contract = msgspec.json.decode(committed.contract, type=Contract)
    ports.contracts.write(committed.model, contract, committed.version)
    return ports.ledger.record(data_id(committed.model, committed.digest), committed)


def quarantine(batch: Batch, parsed: Parsed, ports: Ports) -> Entry:
    """Keep the raw bytes of a batch that breaks the contract, and what breaks it."""
    blobs = tuple(ports.blobs.put_file(Path(source)) for source in batch.sources)
    raw = digest(*blobs)
    earlier = ports.ledger.rows("quarantine", {"model": batch.model, "digest": raw})
    settled = sum(row["state"] != "waiting" for row in earlier)
    name = digest("quarantine", batch.model, raw, str(settled))[:12]
    fact = BatchQuarantined(
        model=batch.model,
        quarantine=name,
        digest=raw,
        rows=parsed.rows,
        findings=msgspec.json.encode(parsed.findings, order="deterministic").decode(),
        findings_count=sum(count.count for count in parsed.counts),
        sources=batch.names,
        blobs=blobs,
    )
    return ports.ledger.record(digest("quarantined", batch.model, name), fact)
