"""What both kinds of tables ask of the disk."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from everbake.errors import Retry


def synced(path: Path) -> None:
    """Wait until a file or a folder is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@dataclass(frozen=True)
class Trouble:
    """How an error of the table library is told.

    Attributes:
        code: of the error.
        what: cannot be done.
        mend: what to do.
    """

    code: str
    what: str
    mend: str

    @contextmanager
    def told(self, folder: Path) -> Iterator[None]:
        """Turn what the library raises into an error of four parts."""
        # Imported here: who only asks whether there is a table does not wait for the library.
        from deltalake.exceptions import DeltaError

        try:
            yield
        except (DeltaError, OSError) as error:
            why = str(error).split("\n", 1)[0]
            raise Retry(self.code, self.what, where=str(folder), why=why, mend=self.mend) from error
