"""What facts say about batches that break the contract, and wait for a person."""

from dataclasses import dataclass


@dataclass(frozen=True)
class BatchQuarantined:
    """A batch broke the contract; its bytes wait, whole, for a person.

    Attributes:
        model: the model.
        quarantine: id of the waiting batch.
        digest: of the raw bytes.
        rows: rows read, 0 where they could not be counted.
        findings: what breaks the contract, with file, row and column, as JSON.
        findings_count: how many there are; `findings` lists the first of them.
        sources: names of the files.
        blobs: the raw bytes, one blob a file.
    """

    model: str
    quarantine: str
    digest: str
    rows: int
    findings: str
    findings_count: int
    sources: tuple[str, ...]
    blobs: tuple[str, ...]


@dataclass(frozen=True)
class BatchRejected:
    """A person threw a quarantined batch away (its bytes stay until they are collected)."""

    model: str
    quarantine: str
    reason: str


@dataclass(frozen=True)
class BatchAccepted:
    """A person accepted a quarantined batch whose rows had arrived meanwhile, as `version`."""

    model: str
    quarantine: str
    version: int
    reason: str
