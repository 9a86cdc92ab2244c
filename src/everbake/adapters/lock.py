"""The project's lock: who holds it is the owner."""

import fcntl
import os
from pathlib import Path

from everbake.errors import ConflictError, Retry


class ProjectLock:
    """An exclusive lock on a file of the project. It ends with the process, however that ends."""

    def __init__(self, path: Path) -> None:
        """Prepare; nothing is locked yet."""
        self._path = path
        self._handle = -1

    def take(self) -> bool:
        """Try to get the lock; False if another process has it."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.parent.chmod(0o700)
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _unwritable(self._path, error) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        except OSError as error:
            os.close(handle)
            raise ConflictError(
                "EB407",
                "the project cannot be locked",
                where=str(self._path),
                why=error.strerror or str(error),
                mend="move the project to a local disk, or set ledger to a PostgreSQL database",
            ) from error
        self._handle = handle
        return True

    def give_back(self) -> None:
        """Let go of the lock."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def _unwritable(path: Path, error: OSError) -> Retry:
    return Retry(
        "EB405",
        "the project cannot be written",
        where=str(path.parent),
        why=error.strerror or str(error),
        mend="make the folder writable (or free the disk), then repeat the command",
    )
