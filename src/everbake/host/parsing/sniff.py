"""Finds out what kind of file a path holds: by its name, else by its first bytes."""

import codecs
import csv
import errno
import gzip
import io
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from everbake.errors import DataError

Format = Literal["csv", "parquet", "jsonl"]

_SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
}
_DELIMITERS = ",;\t|"
_SAMPLE = 1 << 20
_BLOCK = 1 << 22
_MAGIC_GZIP = b"\x1f\x8b"
_MAGIC_PARQUET = b"PAR1"
_BOMS = ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


@dataclass(frozen=True)
class Source:
    """A file that has been looked at.

    Attributes:
        path: where it is.
        name: what to call it.
        format: how to read it.
        zipped: whether gzip lies around it.
        encoding: of its text.
        delimiter: between its fields, if it is CSV.
        header: its columns, if it is CSV.
        stamp: device, inode, size and time of change, to see that it stayed the same.
    """

    path: str
    name: str
    format: Format
    zipped: bool = False
    encoding: str = "utf-8"
    delimiter: str = ","
    header: tuple[str, ...] = ()
    stamp: tuple[int, ...] = ()


def sniff(path: str, name: str) -> Source:
    """Look at a file.

    Raises:
        DataError: it is empty (EB105), gone (EB107) or cannot be read (EB108).
    """
    with readable(name):
        stamp = _stamp(path)
        with Path(path).open("rb") as file:
            zipped = file.read(2) == _MAGIC_GZIP
        with opened(path, zipped) as file:
            start = file.read(_SAMPLE)
    if not start.strip(b"\xef\xbb\xbf\xff\xfe\x00 \t\r\n"):
        raise DataError(
            "EB105", "the file is empty", where=name, mend="give a file with a header and rows"
        )
    source = Source(path, name, _format(name, path, start), zipped, stamp=stamp)
    return source if source.format == "parquet" else _text(source, start)


def check_unchanged(source: Source) -> None:
    """Make sure that the file is still the one that was looked at.

    Raises:
        DataError: it was removed (EB107) or changed (EB109) meanwhile.
    """
    with readable(source.name):
        stamp = _stamp(source.path)
    if stamp != source.stamp:
        raise DataError(
            "EB109",
            "the file changed while it was read",
            where=source.name,
            why="somebody is still writing it",
            mend="write it under another name and rename it once it is whole",
        )


@contextmanager
def readable(name: str) -> Iterator[None]:
    """Turn what the system says about opening or reading a file into an error of four parts."""
    try:
        yield
    except FileNotFoundError as error:
        raise DataError(
            "EB107",
            "the file is gone",
            where=name,
            why="it was removed or renamed before it was read to its end",
            mend="ingest it again once it is back",
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DataError(
            "EB108",
            "the file cannot be read",
            where=name,
            why=getattr(error, "strerror", None) or str(error),
            mend="check its permissions, and that it is a whole file",
        ) from error


@contextmanager
def opened(path: str, zipped: bool) -> Iterator[IO[bytes]]:  # noqa: FBT001 - a property of the file
    """The file's bytes, unpacked."""
    with gzip.open(path, "rb") if zipped else Path(path).open("rb") as file:
        yield file  # type: ignore[misc]


def _stamp(path: str) -> tuple[int, ...]:
    found = Path(path).stat()
    if not stat.S_ISREG(found.st_mode):  # it is read more than once
        raise OSError(errno.EINVAL, "it is no regular file")
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def _format(name: str, path: str, start: bytes) -> Format:
    if start[:4] == _MAGIC_PARQUET:
        return "parquet"
    for candidate in (name, path):
        suffix = Path(candidate.removesuffix(".gz")).suffix.lower()
        if suffix in _SUFFIXES:
            return _SUFFIXES[suffix]
    body = start.removeprefix(codecs.BOM_UTF8).lstrip()
    return "jsonl" if body[:1] == b"{" else "csv"


def _text(source: Source, start: bytes) -> Source:
    encoding = _encoding(source, start)
    if b"\0" in start and encoding != "utf-16":
        raise _no_text(source.name)
    if source.format == "jsonl":
        return Source(**{**vars(source), "encoding": encoding})
    sample = start.decode(encoding, errors="replace").removeprefix("\ufeff")
    try:
        delimiter = _delimiter(sample, source.name)
        header = _header(sample, delimiter)
    except csv.Error as error:
        raise _no_text(source.name) from error
    return Source(
        **{**vars(source), "encoding": encoding, "delimiter": delimiter, "header": header}
    )


def _encoding(source: Source, start: bytes) -> str:
    """UTF-8 if every byte of the file is, else latin-1, in which any byte is a letter."""
    for bom, encoding in _BOMS:
        if start.startswith(bom):
            return encoding
    decoder = codecs.getincrementaldecoder("utf-8")()
    with readable(source.name), opened(source.path, source.zipped) as file:
        try:
            while block := file.read(_BLOCK):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "latin-1"
    return "utf-8"


def _delimiter(sample: str, name: str) -> str:
    """The delimiter that splits the header into most fields; a comma if none does."""
    if name.lower().removesuffix(".gz").endswith(".tsv"):
        return "\t"

    # the first of equals, so a comma if none splits
    return max(_DELIMITERS, key=lambda delimiter: len(_header(sample, delimiter)))


def _header(sample: str, delimiter: str) -> tuple[str, ...]:
    lines = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter)
    return next((tuple(line) for line in lines if line), ())


def _no_text(name: str) -> DataError:
    return DataError(
        "EB108",
        "the file is no CSV, Parquet or JSON lines",
        where=name,
        why="its first bytes are neither text nor Parquet",
        mend="give a text file or a Parquet file",
    )
