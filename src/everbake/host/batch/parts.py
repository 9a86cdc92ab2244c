"""Answers on their way to an output file: kept part by part, put together as they come.

A part is written under another name and renamed, so it is there whole or not at all; so is the
output. Whoever repeats the command reads the parts that are there instead of answering again, and
writes the same bytes.
"""

import errno
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from everbake.errors import ConflictError, Retry, UsageError

_ORDER = "order.json"
_WHOLE = "output.parquet"
_KEY = b"everbake"
_PATIENCE = 5.0  # seconds: a command that was killed takes a moment to be gone
_AGAIN = 0.05


class Stamp(msgspec.Struct, frozen=True):
    """What an output was made from; it stands in the output.

    Attributes:
        model: that answered.
        version: of the model.
        bundle: digest of the version.
        source: the file's name, without its folder.
        digest: SHA-256 of its bytes.
        keep: columns that were copied.
    """

    model: str
    version: int
    bundle: str
    source: str
    digest: str
    keep: tuple[str, ...]

    def encode(self) -> bytes:
        """The same bytes for the same stamp."""
        return msgspec.json.encode(self, order="deterministic")


class Parts:
    """The parts of one output, in a folder beside it."""

    def __init__(self, folder: Path) -> None:
        """Use a folder that `parts_of` has made."""
        self._folder = folder

    def stored(self) -> Iterator[pa.Table]:
        """The parts that are there, from the first on."""
        number = 0
        while (part := self._load(number)) is not None:
            yield part
            number += 1

    def _load(self, number: int) -> pa.Table | None:
        path = self._path(number)
        try:
            with pa.OSFile(str(path)) as file:
                return pa.ipc.open_file(file).read_all()
        except FileNotFoundError:
            return None
        except pa.ArrowInvalid:
            return None  # torn by a power cut: it is answered again

    def save(self, number: int, part: pa.Table) -> None:
        """Keep a part."""
        path = self._path(number)
        fresh = path.with_suffix(".new")
        with fresh.open("wb") as file:
            with pa.ipc.new_file(file, part.schema) as writer:
                writer.write_table(part)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)

    @contextmanager
    def output(self, schema: pa.Schema, stamp: Stamp) -> Iterator[pq.ParquetWriter]:
        """A writer of the whole output."""
        described = schema.with_metadata({_KEY: stamp.encode()})
        repeated = [f.name for f in schema if f.name != "id" and not pa.types.is_floating(f.type)]
        with (
            (self._folder / _WHOLE).open("wb") as file,
            pq.ParquetWriter(
                file,
                described,
                use_dictionary=repeated,
                column_encoding={"id": "DELTA_BYTE_ARRAY"},
            ) as writer,
        ):
            yield writer

    def finish(self, output: Path) -> None:
        """Put the whole output in its place, and take the parts away."""
        whole = self._folder / _WHOLE
        with whole.open("rb") as file:
            os.fsync(file.fileno())
        whole.replace(output)
        self.discard()

    def discard(self) -> None:
        """Take the parts away."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:08d}.arrow"


def folder_of(output: Path) -> Path:
    """Where the parts of an output lie while it is not whole."""
    return output.with_name(output.name + ".parts")


@contextmanager
def parts_of(output: Path, stamp: Stamp) -> Iterator[Parts]:
    """The parts of an output that were made from the same, held for this process alone.

    Raises:
        ConflictError: another command writes this output.
        Retry: nothing can be written there.
    """
    folder = folder_of(output)
    with storing(output):
        output.parent.mkdir(parents=True, exist_ok=True)
        with _held(folder, output):
            known = folder / _ORDER
            if not known.is_file() or known.read_bytes() != stamp.encode():
                for stale in folder.iterdir():
                    stale.unlink()
                fresh = known.with_suffix(".new")
                fresh.write_bytes(stamp.encode())
                fresh.replace(known)
            yield Parts(folder)


@contextmanager
def storing(output: Path) -> Iterator[None]:
    """Turn what the system says about writing into an error of four parts."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS):
            raise
        raise Retry(
            "EB605",
            "nothing can be stored",
            where=str(output),
            why=error.strerror or str(error),
            mend="free the disk or make the folder writable, then repeat the command: it goes on",
        ) from error


@contextmanager
def _held(folder: Path, output: Path) -> Iterator[None]:
    """The folder, made if missing, locked until the end."""
    until = time.monotonic() + _PATIENCE
    while (lock := _locked(folder)) is None:
        if time.monotonic() > until:
            raise ConflictError(
                "EB584",
                "another command writes this output",
                where=str(output),
                mend="wait for it, or give another output",
            )
        time.sleep(_AGAIN)
    try:
        yield
    finally:
        os.close(lock)


def _locked(folder: Path) -> int | None:
    """A descriptor of the folder that holds its lock; None if somebody else does."""
    folder.mkdir(exist_ok=True)
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return None  # the one who held it has finished and taken it away
    with suppress(OSError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(lock).st_ino == folder.stat().st_ino:
            return lock
    os.close(lock)
    return None


def finished(output: Path, stamp: Stamp) -> int | None:
    """The rows of an output that was made from the same; None if there is none.

    Raises:
        UsageError: there is a file that was not written by everbake.
    """
    try:
        with pq.ParquetFile(output) as file:
            described = (file.schema_arrow.metadata or {}).get(_KEY)
            rows: int = file.metadata.num_rows
    except FileNotFoundError:
        return None
    except (pa.ArrowInvalid, OSError):
        described = None
    if described is None:
        raise UsageError(
            "EB585",
            "the output is a file that everbake has not written",
            where=str(output),
            mend="give another output, or move the file away",
        )
    return rows if described == stamp.encode() else None
