"""New files in watched folders, once whoever writes them has finished."""

import errno
import fcntl
import glob
import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_LEASE: int | None = getattr(fcntl, "F_SETLEASE", None)  # Linux only

Stamp = tuple[int, int]  # size, modification time in nanoseconds


@dataclass(frozen=True)
class Watched:
    """A model's pattern, such as `data/*.csv`, relative to the project."""

    model: str
    pattern: str


class Folders:
    """Looks for files that match, and remembers which ones were taken.

    The memory is only there to save work: a file that is taken twice is the same batch.
    """

    def __init__(self, project: Path, memory: Path) -> None:
        """Watch below `project`; remember in the file `memory`."""
        self._project = project
        self._memory = memory
        self._taken: dict[str, Stamp] = _remembered(memory)
        self._seen: dict[str, Stamp] = {}

    def look(self, watched: Iterable[Watched]) -> list[tuple[str, Path]]:
        """The files that are ready now: unchanged since the last look, and open to no writer."""
        found = {
            (each.model, path): _stamp(path)
            for each in watched
            for path in self._matching(each.pattern)
        }
        fresh = {
            key: stamp
            for key, stamp in found.items()
            if stamp is not None and self._taken.get(_key(*key)) != stamp
        }
        settled = [key for key, stamp in fresh.items() if self._seen.get(_key(*key)) == stamp]
        self._seen = {_key(*key): stamp for key, stamp in fresh.items()}
        if not settled:
            return []
        written = _open_for_writing()
        return [
            (model, path)
            for model, path in sorted(settled)
            if str(path) not in written and not _has_writer(path)
        ]

    def took(self, model: str, path: Path) -> None:
        """A file was taken (or refused): not again, unless it changes."""
        stamp = self._seen.get(_key(model, path))
        if stamp is None:
            return
        self._taken[_key(model, path)] = stamp
        fresh = self._memory.with_suffix(".part")
        with suppress(OSError):  # on a full disk the memory is of this process alone
            fresh.write_text(json.dumps(self._taken))
            fresh.replace(self._memory)

    def _matching(self, pattern: str) -> list[Path]:
        names = glob.glob(pattern, root_dir=self._project, recursive=True)  # noqa: PTH207 - patterns may be absolute
        return [(self._project / name).resolve() for name in sorted(names)]


def _key(model: str, path: Path) -> str:
    return f"{model}\0{path}"


def _stamp(path: Path) -> Stamp | None:
    with suppress(OSError):
        state = path.stat()
        if path.is_file():
            return state.st_size, state.st_mtime_ns
    return None


def _remembered(memory: Path) -> dict[str, Stamp]:
    try:
        return {key: (size, when) for key, (size, when) in json.loads(memory.read_text()).items()}
    except (OSError, ValueError):
        return {}


def _open_for_writing() -> set[str]:
    """The files that a process of ours holds open for writing (Linux only)."""
    found: set[str] = set()
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):
            if descriptor.lstat().st_mode & 0o200:
                found.add(str(descriptor.readlink()))
    return found


def _has_writer(path: Path) -> bool:
    """Whether the kernel refuses a read lease: somebody has it open for writing.

    Seen across containers and users, where leases may be taken (as its owner, on a local disk).
    """
    if _LEASE is None:
        return False
    try:
        with path.open("rb") as file:
            fcntl.fcntl(file, _LEASE, fcntl.F_RDLCK)
            fcntl.fcntl(file, _LEASE, fcntl.F_UNLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    return False
