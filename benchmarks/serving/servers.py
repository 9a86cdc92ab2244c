"""The measured servers: everbake's own, and the peers in their environments."""

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from serving import fitted
from serving.environments import LOCKS, python_of
from serving.processes import SERVER, end, pinned

PEERS = {
    "MLServer 1.7.1": "mlserver",
    "MLflow 3.17.2 models serve": "mlflow",
    "FastAPI + uvicorn + pandas": "fastapi",
}
_READY = 90.0
# One thread: the server has one core.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Server:
    """A running server and the one request that it is asked."""

    name: str
    process: subprocess.Popen[str]
    url: str
    body: str

    def ask(self) -> dict:
        """The answer to the request."""
        kind = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url, self.body.encode(), kind)  # noqa: S310 - our own
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return json.load(answer)


def free_port() -> int:
    """A port that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@contextmanager
def started(words: list[str], folder: Path, extra: dict[str, str]) -> Iterator[subprocess.Popen]:
    """A process on the server's core, ended when left; what it says goes to a file."""
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            words,
            cwd=folder,
            env=os.environ | ONE_THREAD | extra,
            stdout=log,
            stderr=log,
            text=True,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            end(process)


@contextmanager
def peer(name: str, kind: str, folder: Path, cache: Path) -> Iterator[Server]:
    """A peer that serves model `kind`; it trains it itself, with the shared code."""
    program = PEERS[name]
    python = python_of(program, cache)
    folder.mkdir()
    # The peers' programs import `fitted`; what everbake needs is not for them.
    extra = {"PYTHONPATH": str(Path(fitted.__file__).parent)}
    port = free_port()
    made = subprocess.run(
        [python, LOCKS / f"{program}_model.py", kind, folder, str(port)],
        env=os.environ | extra,
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise RuntimeError(f"{name}: {made.stderr[-500:]}")
    told = json.loads(made.stdout.strip().splitlines()[-1])
    extra["PATH"] = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    words = pinned(SERVER, python, *told["command"])
    with started(words, folder, extra) as process:
        url = f"http://127.0.0.1:{port}{told['path']}"
        server = Server(name, process, url, json.dumps(told["body"]))
        wait_for_answer(server)
        yield server


def wait_for_answer(server: Server) -> None:
    """Return once the server answers its request."""
    until = time.monotonic() + _READY
    while True:
        try:
            server.ask()
        except (OSError, urllib.error.URLError) as error:
            if server.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{server.name} does not answer: {error}") from error
            time.sleep(0.2)
        else:
            return
