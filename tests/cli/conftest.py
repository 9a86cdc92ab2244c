"""A project in a folder of its own, used as a person would: through the command line."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import pytest

ROOT = Path(__file__).parents[2]
BOUND = 60.0


@dataclass
class Project:
    """A project's folder and the words one types in it."""

    path: Path
    environment: dict = field(default_factory=dict)

    def run(self, *words, given=None):
        """The finished process of a command."""
        return subprocess.run(
            [sys.executable, "-P", "-m", "everbake", *map(str, words)],
            cwd=self.path,
            env={**os.environ, **self.environment},
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def json(self, *words, given=None, code=0):
        """What a command prints as JSON."""
        done = self.run(*words, "--json", given=given)
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return json.loads(done.stdout)

    def write(self, name, text):
        """A file in the project."""
        place = self.path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        return place

    @contextmanager
    def up(self, *words):
        """`everbake up`, from its line on stdout to Ctrl-C."""
        with (self.path / "up.err").open("w") as narration:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "everbake", "up", "--port", "0", "--json", *words],
                cwd=self.path,
                env={**os.environ, **self.environment},
                stdout=subprocess.PIPE,
                stderr=narration,
                text=True,
            )
        try:
            line = process.stdout.readline()
            assert line, (self.path / "up.err").read_text()
            with httpx.Client(base_url=json.loads(line)["predictions"], timeout=30) as client:
                yield client
            process.send_signal(signal.SIGINT)
            assert process.wait(BOUND) == 0, (self.path / "up.err").read_text()
        finally:
            if process.poll() is None:
                end(process)
            process.stdout.close()


def end(process):
    """Kill `up` and its workers, which would outlive it."""
    for each in psutil.Process(process.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            each.kill()
    process.kill()
    process.wait()


def wait(condition, bound=BOUND):
    """What a condition gives once it is true."""
    until = time.monotonic() + bound
    while not (found := condition()):
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)
    return found


@pytest.fixture
def line(tmp_path):
    """The seed example in a fresh folder."""
    return Project(Path(shutil.copytree(ROOT / "examples" / "line", tmp_path / "line")))


@pytest.fixture
def waits():
    """The function `wait`."""
    return wait


@pytest.fixture
def project(tmp_path):
    """An empty project."""
    (tmp_path / "project").mkdir()
    return Project(tmp_path / "project")


@pytest.fixture(scope="session")
def made():
    """Makes an empty project in a folder."""

    def make(folder):
        (folder / "project").mkdir()
        return Project(folder / "project")

    return make


@pytest.fixture(scope="module")
def paused(tmp_path_factory):
    """The seed example with its first batch (and 200 rows of it), paused: data, but no runs."""
    folder = tmp_path_factory.mktemp("paused") / "line"
    made = Project(Path(shutil.copytree(ROOT / "examples" / "line", folder)))
    rows = "".join(f"{i},{2 * i}\n" for i in range(200))
    made.write("first.csv", "feature,target\n" + rows)
    made.json("ingest", "line", "first.csv")
    made.json("pause", "line", "--reason", "the tests look at data only")
    return made


@pytest.fixture(scope="session")
def started():
    """Makes the seed example with a first champion in a folder."""

    def start(folder):
        made = Project(Path(shutil.copytree(ROOT / "examples" / "line", folder / "line")))
        made.json("ingest", "line", "old.csv")
        return made

    return start
