import json
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import msgspec
import pytest

from everbake.adapters.blobs import FileBlobs
from everbake.core.bundle import Bundle, Input, Threshold
from everbake.core.frames import SUFFIX, Answered, FrameReader, payloads
from everbake.runtimes.columns import pack
from everbake.runtimes.linear import LinearFile, Numbers

WORKER = Path(__file__).with_name("worker.py")
INPUTS = (
    Input("feature", "float64", nullable=False, needed=True),
    Input("note", "string", nullable=True, needed=False),
)


def linear_data(factor: float) -> bytes:
    numbers = Numbers(("feature",), pack([0.0]), pack([1.0]), pack([float("nan")]), pack([factor]))
    file = LinearFile(("feature",), numbers, (), pack([0.0]), "identity", "scalar")
    return msgspec.msgpack.encode(file)


def cut_at(value) -> Threshold | None:
    """The threshold of a version whose mistakes cost the same."""
    if value is None:
        return None
    prices = {"false_positive": 1.0, "false_negative": 1.0, "ideal": 0.5}
    found = {"cost": None, "cost_at_ideal": None, "seed": 0}
    return Threshold(
        value, method="ideal", folds=0, plan="rows", rows=0, positives=0, **prices, **found
    )


def bundle_of(runtime, factor, data, inputs=INPUTS, example=None, cut=None) -> Bundle:
    return Bundle(
        model="line",
        recipe="r",
        snapshot="s",
        source="recipe.py",
        environment="e",
        data_version=1,
        data_digest="d",
        params={"factor": factor},
        seed=0,
        runtime=runtime,
        runtime_data=data,
        why_runtime="Because.",
        artifact="a",
        artifact_format="skops",
        inputs=inputs,
        trained_rows="t",
        rows=5,
        refit=False,
        seconds=0.0,
        peak_memory=0,
        python="3.11",
        example=example or {},
        threshold=cut_at(cut),
    )


@dataclass
class Project:
    """A folder that a worker serves, and the worker."""

    path: Path
    deployments: dict = field(default_factory=dict)
    models: set = field(default_factory=set)
    generation: int = 0
    processes: list = field(default_factory=list)
    listener: socket.socket | None = None

    def blob(self, data: bytes) -> str:
        return FileBlobs(self.path / "blobs").put(data)

    def bundle(self, factor=2.0, runtime="linear", inputs=INPUTS, example=None, cut=None) -> str:
        data = self.blob(linear_data(factor)) if runtime == "linear" else None
        return self.blob(bundle_of(runtime, factor, data, inputs, example, cut).encode())

    def deploy(self, version: int, bundle: str, model: str = "line") -> int:
        before = self.deployments.get(model, {})
        self.generation += 1
        self.models.add(model)
        self.deployments[model] = {
            "model": model,
            "version": version,
            "bundle": bundle,
            "previous": before.get("version"),
            "previous_bundle": before.get("bundle"),
            "generation": self.generation,
            "time": 0.0,
        }
        self.write()
        return self.generation

    def roll(self, version: int, bundle: str, kind="canary", unit="request", share=0.5) -> int:
        """A version begins its rollout beside the champion."""
        self.generation += 1
        self.deployments["line"] |= {
            "challenger": version,
            "challenger_bundle": bundle,
            "kind": kind,
            "unit": unit,
            "salt": "salt",
            "share": share,
            "generation": self.generation,
        }
        self.write()
        return self.generation

    def write(self) -> None:
        fresh = self.path / "ledger.new"
        content = {
            "deployments": list(self.deployments.values()),
            "models": [{"model": m} for m in sorted(self.models)],
        }
        fresh.write_text(json.dumps(content))
        fresh.replace(self.path / "ledger.json")

    def start(self, *options: str, worker: int = 0) -> subprocess.Popen:
        if self.listener is None:
            self.listener = socket.create_server(("127.0.0.1", 0))
        fd = self.listener.fileno()
        command = [sys.executable, "-W", "error", str(WORKER), "--project", str(self.path)]
        command += ["--fd", str(fd), "--worker", str(worker), *options]
        errors = (self.path / f"errors-{worker}").open("ab")
        with errors:
            process = subprocess.Popen(command, pass_fds=(fd,), stderr=errors)
        self.processes.append(process)
        self.wait(lambda: self.acknowledged(worker) is not None)
        return process

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=20, trust_env=False)

    def acknowledgement(self, worker: int = 0) -> Path:
        return self.path / ".everbake" / "serving" / f"{worker}.json"

    def acknowledged(self, worker: int = 0):
        path = self.acknowledgement(worker)
        return json.loads(path.read_bytes()) if path.exists() else None

    def wait(self, condition, seconds: float = 20.0):
        end = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < end, self.errors()
            time.sleep(0.01)
        return found

    def wait_for(self, generation: int, worker: int = 0) -> None:
        self.wait(lambda: (self.acknowledged(worker) or {}).get("generation") == generation)

    def logged(self, model: str = "line") -> list[Answered]:
        """What was answered."""
        return [one for one in self.frames(model) if one.error is None]

    def frames(self, model: str = "line") -> list[Answered]:
        found = []
        for path in sorted((self.path / ".everbake" / "log" / model).glob("*" + SUFFIX)):
            with path.open("rb") as stream:
                frames = [payload for payload, _ in payloads(stream.read)]
            reader = FrameReader()
            found += [answered for f in frames[1:] if (answered := reader.read(f)) is not None]
        return found

    def errors(self) -> str:
        return "".join(p.read_text() for p in self.path.glob("errors-*"))

    def stop(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes.clear()
        if self.listener is not None:
            self.listener.close()


@pytest.fixture
def project(tmp_path):
    made = Project(tmp_path)
    made.write()
    yield made
    made.stop()


@pytest.fixture
def served(project):
    """The linear model, times two, answering."""
    project.deploy(1, project.bundle(2.0))
    project.start()
    return project


@pytest.fixture
def client(served):
    with served.client() as connected:
        yield connected


@pytest.fixture
def native_bundle() -> Bundle:
    return bundle_of("native", 2.0, None)
