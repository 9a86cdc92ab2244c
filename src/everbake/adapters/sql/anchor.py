"""The anchors: position and hash of an entry, in files outside the database.

The head's anchor is replaced after each commit and before its acknowledgement. So a chain may be
ahead of it by the one entry whose writer was killed in between, and never behind it.
"""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import msgspec

from everbake.core.facts import Entry, Promoted, RolledBack
from everbake.core.run_facts import Concluded
from everbake.errors import HealthError
from everbake.ports import Anchor

HEAD = "head"


class _Place(msgspec.Struct):
    n: int
    hash: str


class Chain(Protocol):
    """What is asked of a chain to hold it against its anchor."""

    def head(self) -> tuple[int, str]:
        """Position and hash of the last entry."""

    def hash_at(self, n: int) -> str | None:
        """The hash of the entry at a position."""


class Anchors:
    """The anchor files of one ledger.

    Args:
        folder: where `head.json` lies.
        outside: where an anchor a version lies, beside the model files.
    """

    def __init__(self, folder: Path, outside: Path) -> None:
        self._head = folder / "head.json"
        self._outside = outside

    def read(self) -> list[Anchor]:
        """All anchors, the head's first if there is one."""
        found = [_read(HEAD, self._head)] if self._head.exists() else []
        files = sorted(self._outside.glob("*.json")) if self._outside.is_dir() else []
        return found + [_read(file.stem, file) for file in files]

    def move(self, entry: Entry) -> None:
        """Anchor an entry that was committed, durably."""
        fact = entry.fact
        if isinstance(fact, Concluded | Promoted | RolledBack) and fact.version is not None:
            _write(self._outside / f"{fact.model}@{fact.version}.json", entry.n, entry.hash)
        self.move_head((entry.n, entry.hash))

    def move_head(self, head: tuple[int, str]) -> None:
        """Anchor a head, durably."""
        _write(self._head, *head)

    def check(self, chain: Chain) -> None:
        """Hold the chain's end against the head's anchor; mend what a kill in between left.

        Raises:
            HealthError: entries are missing at the end, or are not those that were written.
        """
        anchor = _read(HEAD, self._head) if self._head.exists() else Anchor(HEAD, 0, "")
        head = chain.head()
        ahead = head[0] - anchor.n
        same = anchor.n == 0 or chain.hash_at(anchor.n) == anchor.hash
        if not same or ahead not in (0, 1):
            raise HealthError(
                "EB402",
                "the ledger does not end where its anchor says",
                where=str(self._head),
                why=_cause(anchor.n, head[0]),
                mend="everbake audit verify",
            )
        if ahead == 1:
            self.move_head(head)


def _cause(anchored: int, last: int) -> str:
    if last < anchored:
        return f"the last entry is number {last}, the anchor was set at number {anchored}"
    if last > anchored + 1:
        return f"entries {anchored + 2} to {last} were appended without moving the anchor"
    return f"entry {anchored} is not the one that was written"


def _read(name: str, file: Path) -> Anchor:
    try:
        place = msgspec.json.decode(file.read_bytes(), type=_Place)
    except (OSError, msgspec.DecodeError) as error:
        raise HealthError(
            "EB402",
            "an anchor of the ledger cannot be read",
            where=str(file),
            why=str(error),
            mend="restore the file from a backup, then: everbake audit verify",
        ) from error
    return Anchor(name, place.n, place.hash)


def _write(file: Path, n: int, linked: str) -> None:
    """Replace a file so that it is the old one or the new one after whatever happens."""
    file.parent.mkdir(parents=True, exist_ok=True)
    waiting = file.with_name(f"{file.name}.new")
    try:
        with waiting.open("wb") as stream:
            stream.write(msgspec.json.encode(_Place(n, linked)))
            stream.flush()
            os.fsync(stream.fileno())
        waiting.replace(file)
    except OSError:
        _remove((waiting,))
        raise
    _sync_folder(file.parent)


def _remove(files: Iterable[Path]) -> None:
    for file in files:
        with suppress(OSError):  # the failure that brought us here is the one to tell
            file.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
