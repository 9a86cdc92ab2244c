"""Requests a second and latencies of the prediction server, over raw keep-alive connections.

python benchmarks/bench_serving_load.py                        a worker of its own, the model y = 2x
python benchmarks/bench_serving_load.py --features 30          the same with 30 inputs
python benchmarks/bench_serving_load.py --url URL --model line --row '{"feature": 9}'
"""

import argparse
import asyncio
import hashlib
import json
import multiprocessing
import socket
import statistics
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import uvloop

from everbake.core.bundle import Bundle, Input
from everbake.runtimes.columns import pack
from everbake.runtimes.linear import LinearFile, Numbers
from everbake.serving.run import serve
from everbake.serving.service import Service, Sources, Worker


class Memory:
    """A ledger with one deployment, and the blobs that it needs."""

    def __init__(self, features):
        self.blobs = {}
        columns = tuple(f"feature_{n}" for n in range(features)) if features > 1 else ("feature",)
        ones, zeros = pack([1.0] * features), pack([0.0] * features)
        numbers = Numbers(columns, zeros, ones, zeros, pack([2.0] * features))
        file = LinearFile(columns, numbers, (), pack([0.0]), "identity", "scalar")
        data = self.put(msgspec.msgpack.encode(file))
        inputs = tuple(Input(name, "float64", nullable=False, needed=True) for name in columns)
        empty = dict.fromkeys(Bundle.__dataclass_fields__, "")
        known = {
            "model": "line",
            "runtime": "linear",
            "runtime_data": data,
            "inputs": inputs,
            "params": {},
            "data_version": 1,
            "seed": 0,
            "rows": 5,
            "refit": False,
            "seconds": 0.0,
            "peak_memory": 0,
        }
        self.bundle = self.put(Bundle(**(empty | known)).encode())

    def put(self, data):
        digest = hashlib.sha256(data).hexdigest()
        self.blobs[digest] = data
        return digest

    def get(self, blob):
        return self.blobs[blob]

    def version(self):
        return 1

    def head(self):
        return 1, "00" * 32

    def rows(self, table, where=None, *, newest=None):  # noqa: ARG002
        row = {"model": "line", "version": 1, "bundle": self.bundle, "generation": 1}
        return [row | {"previous_bundle": None}]


def worker(listener, folder, features):
    memory = Memory(features)
    serve(Service(Sources(memory, memory, None), Worker(Path(folder), 0)), listener)


class Connection(asyncio.Protocol):
    """Sends a request as soon as the last one is answered."""

    def __init__(self, request, until, latencies):
        self.request = request
        self.until = until
        self.latencies = latencies
        self.received = b""
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport
        self.ask()

    def ask(self):
        self.sent = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data):
        self.received += data
        head, found, body = self.received.partition(b"\r\n\r\n")
        if not found or len(body) < int(head.lower().split(b"content-length: ")[1].split()[0]):
            return
        now = time.perf_counter()
        self.latencies.append(now - self.sent)
        self.received = b""
        if not head.startswith(b"HTTP/1.1 200"):
            self.done.set_exception(RuntimeError((head + body).decode()))
        elif now > self.until:
            self.done.set_result(None)
        else:
            self.ask()
            return
        self.transport.close()

    def connection_lost(self, exc):
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("closed by the server"))


async def load(host, port, request, connections, seconds):
    latencies = []
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    pairs = [
        await loop.create_connection(
            lambda: Connection(request, started + seconds, latencies), host, port
        )
        for _ in range(connections)
    ]
    await asyncio.gather(*(protocol.done for _, protocol in pairs))
    return latencies, time.perf_counter() - started


def measure(host, port, told, row):
    body = json.dumps({"rows": [row]}).encode()
    head = f"POST /v1/models/{told.model}/predict HTTP/1.1\r\nhost: {host}:{port}\r\n"
    head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    work = load(host, port, head.encode() + body, told.connections, told.seconds)
    latencies, seconds = uvloop.run(work)
    cuts = statistics.quantiles(latencies, n=100)
    result = {
        "requests": len(latencies),
        "requests_per_second": round(len(latencies) / seconds),
        "p50_ms": round(cuts[49] * 1000, 3),
        "p99_ms": round(cuts[98] * 1000, 3),
    }
    print(json.dumps(result))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url")
    parser.add_argument("--model", default="line")
    parser.add_argument("--row", type=json.loads)
    parser.add_argument("--features", type=int, default=1)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=3.0)
    told = parser.parse_args()
    if told.url is not None:
        address = urlsplit(told.url)
        measure(address.hostname, address.port, told, told.row or {"feature": 9})
        return
    names = [f"feature_{n}" for n in range(told.features)] if told.features > 1 else ["feature"]
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as server:
        context = multiprocessing.get_context("fork")
        process = context.Process(target=worker, args=(server, folder, told.features))
        process.start()
        try:
            row = told.row or {name: 1.25 + n for n, name in enumerate(names)}
            measure("127.0.0.1", server.getsockname()[1], told, row)
        finally:
            process.terminate()
            process.join()


if __name__ == "__main__":
    main()
