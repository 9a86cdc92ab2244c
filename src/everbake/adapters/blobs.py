"""Bytes under their SHA-256, in a folder."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from everbake.errors import HealthError, Retry


class FileBlobs:
    """One file a blob, in 256 folders. Written once, synced, never changed."""

    def __init__(self, root: Path) -> None:
        """Keep the blobs under `root`, which need not exist."""
        self._root = root

    def put(self, data: bytes) -> str:
        """Store durably; return the digest."""
        blob = hashlib.sha256(data).hexdigest()
        if not self.path(blob).exists():
            with self._incoming() as (handle, name):
                handle.write(data)
                self._settle(handle, name, blob)
        return blob

    def put_file(self, path: Path) -> str:
        """Store a copy of a file durably; return the digest."""
        state = hashlib.sha256()
        with path.open("rb") as source, self._incoming() as (handle, name):
            while chunk := source.read(1 << 20):
                state.update(chunk)
                handle.write(chunk)
            self._settle(handle, name, state.hexdigest())
        return state.hexdigest()

    def get(self, blob: str) -> bytes:
        """The bytes, checked against their digest."""
        try:
            data = self.path(blob).read_bytes()
        except FileNotFoundError as error:
            raise _damaged(self.path(blob), "the file is gone") from error
        if hashlib.sha256(data).hexdigest() != blob:
            raise _damaged(self.path(blob), "its bytes are not what they were")
        return data

    def path(self, blob: str) -> Path:
        """Where the bytes lie."""
        return self._root / blob[:2] / blob

    @contextmanager
    def _incoming(self) -> Iterator[tuple[BinaryIO, Path]]:
        """A new file beside the blobs; it is gone afterwards unless it was settled."""
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            number, name = tempfile.mkstemp(dir=self._root, prefix="incoming-")
        except OSError as error:
            raise _unwritable(self._root, error) from error
        try:
            with os.fdopen(number, "wb") as handle:
                yield handle, Path(name)
        except OSError as error:
            raise _unwritable(self._root, error) from error
        finally:
            Path(name).unlink(missing_ok=True)

    def _settle(self, handle: BinaryIO, name: Path, blob: str) -> None:
        handle.flush()
        os.fsync(handle.fileno())
        place = self.path(blob)
        place.parent.mkdir(exist_ok=True)
        name.replace(place)
        folder = os.open(place.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _damaged(path: Path, why: str) -> HealthError:
    return HealthError(
        "EB604",
        "a stored file is damaged",
        where=str(path),
        why=why,
        mend="restore it from a backup, or `everbake retrain` and let a new version serve",
    )


def _unwritable(path: Path, error: OSError) -> Retry:
    return Retry(
        "EB605",
        "nothing can be stored",
        where=str(path),
        why=error.strerror or str(error),
        mend="free the disk or make the folder writable, then repeat the command",
    )
