"""What the errors of a database file and of its disk mean to people."""

import errno
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from everbake.errors import ConflictError, EverbakeError, HealthError, Retry

_NEEDED = 1 << 16  # bytes, without which SQLite cannot even open its files
_FULL = {errno.ENOSPC, errno.EDQUOT}
_READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM}
_BROKEN = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_FORBIDDEN = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn what SQLite or the file system says about a ledger into our errors."""
    try:
        yield
    except sqlite3.Error as error:
        raise _meaning(error, path) from error
    except OSError as error:
        raise _file_meaning(error, path) from error


def _meaning(error: sqlite3.Error, path: Path) -> EverbakeError:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # without the details
    # Opening a file in WAL mode makes a small one beside it: on a full disk, an I/O error.
    if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and _is_full(path)):
        return disk_full(path)
    if code in _FORBIDDEN:
        return _read_only(path, str(error))
    if code in _BUSY:
        return Retry(
            "EB408",
            "the ledger is busy",
            where=str(path),
            why="another process has been writing to it for five seconds",
            mend="try again; everbake doctor says who has the project open",
        )
    what = "the ledger is not a database, or damaged"
    if code not in _BROKEN:
        what = "the ledger cannot be read or written"
    return HealthError(
        "EB404",
        what,
        where=str(path),
        why=str(error),
        mend=f"put a backup in its place ({path.name}.before-*), then: everbake audit verify",
    )


def _is_full(path: Path) -> bool:
    return shutil.disk_usage(path.parent).free < _NEEDED


def _file_meaning(error: OSError, path: Path) -> EverbakeError:
    if error.errno in _FULL:
        return disk_full(path)
    if error.errno in _READ_ONLY:
        return _read_only(path, str(error))
    return HealthError(
        "EB404",
        "the ledger cannot be read or written",
        where=str(path),
        why=str(error),
        mend="everbake doctor",
    )


def disk_full(where: Path | str) -> Retry:
    """The disk is full, and there is no reserve, or no more."""
    return Retry(
        "EB406",
        "the disk is full",
        where=str(where),
        why="nothing more can be recorded; what was acknowledged is safe",
        mend="free some space on that disk; everbake goes on by itself",
    )


def ended() -> ConflictError:
    """The owner has let go of its ledger; threads that still work for it find that out here."""
    return ConflictError(
        "EB416",
        "the owner ended before it answered",
        mend="repeat the command: what was done is not done twice",
    )


def _read_only(path: Path, why: str) -> HealthError:
    return HealthError(
        "EB405",
        "the ledger cannot be opened for writing",
        where=str(path),
        why=why,
        mend=f"make {path.parent} and the files in it writable for the user that runs everbake",
    )
