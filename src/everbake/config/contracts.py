"""The contracts as files in the project's folder `contracts`, one a model."""

import os
from collections.abc import Callable
from pathlib import Path

from everbake.config.contract_file import (
    declared,
    pinned_edits,
    read,
    render,
    rewrite,
    undated,
)
from everbake.core.contract import Contract
from everbake.core.dataset import Special
from everbake.errors import Retry, UsageError


class ContractFiles:
    """`contracts/<model>.toml`: written after each batch, edited by people in between."""

    def __init__(self, folder: Path) -> None:
        """Keep the files in `folder`, which need not exist."""
        self._folder = folder

    def read(
        self, model: str, special: Special, latest: Contract | None, at: Callable[[int], Contract]
    ) -> Contract | None:
        """The latest contract, with what people changed in the file pinned in it."""
        path = self._path(model)
        if not path.is_file():
            return latest
        written = read(_text(path), str(path))
        if latest is None:
            return declared(written, special)
        if written.follows == 0:
            return pinned_edits(undated(written, latest), latest, where=str(path))
        return pinned_edits(written, at(written.follows), latest, str(path))

    def write(self, model: str, contract: Contract, version: int) -> None:
        """Write what holds after a data version."""
        path = self._path(model)
        fresh = path.with_suffix(f".{os.getpid()}.part")
        try:
            self._folder.mkdir(exist_ok=True)
            text = render(contract, version)
            if path.is_file():
                text = rewrite(_text(path), contract, version)
            fresh.write_text(text, encoding="utf-8")
            fresh.replace(path)
        except OSError as error:
            raise Retry(
                "EB605",
                "nothing can be stored",
                where=str(path),
                why=error.strerror or str(error),
                mend="free the disk or make the folder writable, then repeat the command",
            ) from error

    def _path(self, model: str) -> Path:
        return self._folder / f"{model}.toml"


def _text(path: Path) -> str:
    """What people wrote, without the byte-order mark that some editors put before it."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(
            "EB110",
            "the contract is no TOML",
            where=str(path),
            why=f"byte {error.start} is no UTF-8",
            mend="save it as UTF-8",
        ) from error
