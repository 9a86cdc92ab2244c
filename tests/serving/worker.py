"""A worker over files in a folder: `ledger.json`, `blobs/`, and sessions played by threads."""

import argparse
import json
import socket
import struct
import threading
import time
from pathlib import Path

import msgspec

from everbake.adapters.blobs import FileBlobs
from everbake.adapters.system import SystemClock
from everbake.core.bundle import Bundle
from everbake.recording.reading import RecordReader
from everbake.serving.http import Bounds
from everbake.serving.native import Limits
from everbake.serving.run import serve
from everbake.serving.service import Service, Sources, Worker


class FileReader:
    def __init__(self, project: Path) -> None:
        self.path = project / "ledger.json"

    def version(self) -> int:
        return self.path.stat().st_mtime_ns

    def rows(self, table, where=None, *, newest=None):
        return json.loads(self.path.read_bytes()).get(table, [])

    def head(self) -> tuple[int, str]:
        return 7, "ab" * 32

    def find(self, entry_id):
        return None

    def facts(self, after=0):
        return iter(())


def session(bundle: Bundle) -> socket.socket:
    ours, theirs = socket.socketpair()
    threading.Thread(target=_play, args=(theirs, bundle), daemon=True).start()
    return ours


def _play(channel: socket.socket, bundle: Bundle) -> None:
    with channel, channel.makefile("rwb") as stream:
        while head := stream.read(4):
            request = msgspec.msgpack.decode(stream.read(*struct.unpack(">I", head)))
            answer = _answer([row["feature"] for row in request["rows"]], bundle.params)
            if answer is None:
                return
            body = msgspec.msgpack.encode(answer)
            stream.write(struct.pack(">I", len(body)) + body)
            stream.flush()


def _answer(values, params):
    """666 raises, 777 kills the process, 888 hangs, 999 predicts NaN, 555 and 556 are slow."""
    if 777 in values or not params["factor"]:
        return None
    if 888 in values:
        time.sleep(60)
    if 555 in values:
        time.sleep(0.2)
    if 556 in values:
        time.sleep(1.2)
    errors = {at: "ValueError: 666 is no good" for at, v in enumerate(values) if v == 666}
    predictions = [None if v == 666 else v * params["factor"] for v in values]
    predictions = [float("nan") if v == 999 else p for v, p in zip(values, predictions)]  # noqa: B905
    return {"predictions": predictions, "errors": errors}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--project", type=Path, required=True)
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--worker", type=int, default=0)
    parser.add_argument("--sync", default="none")
    parser.add_argument("--full", default="refuse")
    parser.add_argument("--body", type=int, default=10 * 1024 * 1024)
    parser.add_argument("--requests", type=int, default=1024)
    parser.add_argument("--file-limit", type=int)
    parser.add_argument("--arrive", type=float, default=10.0)
    parser.add_argument("--idle", type=float, default=75.0)
    told = parser.parse_args()
    if told.file_limit is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (told.file_limit, told.file_limit))
    sources = Sources(
        FileReader(told.project),
        RecordReader(told.project / ".everbake" / "records.sqlite"),
        FileBlobs(told.project / "blobs"),
        session,
        SystemClock(),
    )
    worker = Worker(
        told.project / ".everbake",
        told.worker,
        sync=told.sync,
        full=told.full,
        bounds=Bounds(hosts=("models.example",), body=told.body, requests=told.requests),
        limits=Limits(waiting=8, seconds=1.5),
    )
    serve(Service(sources, worker), socket.socket(fileno=told.fd), told.arrive, told.idle)


if __name__ == "__main__":
    main()
