"""One host a snapshot of code: started when it is first needed, kept warm."""

import os
import threading
from pathlib import Path

import msgspec

from everbake.adapters.hosting.process import HostProcess, HostProgram
from everbake.ports import Blobs

KEPT = 4  # idle hosts are ended beyond this, the one that was asked for longest ago first


class Hosts:
    """The hosts of a project, by snapshot."""

    def __init__(self, snapshots: Path, project: Path, blobs: Blobs) -> None:
        """Unpack snapshots under `snapshots`; user code runs as if it stood in `project`."""
        self._snapshots = snapshots
        self._project = project
        self._blobs = blobs
        self._hosts: dict[tuple[str, str], HostProcess] = {}
        self._guard = threading.Lock()

    def get(self, snapshot: str, source: str) -> HostProcess:
        """The host of a snapshot, started; it imports `source` meanwhile."""
        with self._guard:
            key = (snapshot, source)
            host = self._hosts.pop(key, None)
            if host is None:
                module = source.removesuffix(".py").replace("/", ".")
                folder = self._unpacked(snapshot)
                environment = {"EVERBAKE_PROJECT": str(self._project)}
                program = HostProgram(module=module, folder=str(self._project))
                host = HostProcess(folder, program=program, environment=environment)
            self._hosts[key] = host
            host.start()
            idle = [each for each, other in self._hosts.items() if not other.busy and each != key]
            for each in idle[: max(0, len(idle) - KEPT + 1)]:
                self._hosts.pop(each).close()
            return host

    def close(self) -> None:
        """End all hosts."""
        with self._guard:
            while self._hosts:
                self._hosts.popitem()[1].close()

    def _unpacked(self, snapshot: str) -> Path:
        """The snapshot's files in a folder, which is there whole or not at all."""
        folder = self._snapshots / snapshot[:32]
        if folder.is_dir():
            return folder
        fresh = folder.with_name(f".{folder.name}.{os.getpid()}.{threading.get_ident()}")
        files = msgspec.json.decode(self._blobs.get(snapshot), type=dict[str, str])
        for name, text in files.items():
            place = fresh / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
        fresh.replace(folder)
        return folder
