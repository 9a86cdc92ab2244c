"""`everbake up` lives through what happens around it, and ends without losing anything."""

import errno
import socket
import subprocess
import sys
from collections import Counter

import pytest

from everbake.config.settings import Settings
from everbake.interfaces import up

SLOW = """
import os
import time
from pathlib import Path

import pandas as pd
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_squared_error

from everbake import Gate, Recipe, Table

PROJECT = Path(os.environ["EVERBAKE_PROJECT"])


def train(rows: pd.DataFrame) -> LinearRegression:
    (PROJECT / "training").touch()
    while not (PROJECT / "go").exists():
        time.sleep(0.01)
    return LinearRegression().fit(rows[["feature"]], rows["target"])


def predict(model: LinearRegression, rows: pd.DataFrame):
    return model.predict(rows[["feature"]])


recipe = Recipe(
    name="line",
    data=Table(label="target"),
    train=train,
    predict=predict,
    gate=Gate(mean_squared_error),
)
"""


def test_a_run_that_is_cut_short_by_the_end_goes_on_at_the_next_start(line, waits):
    line.write("recipe.py", SLOW)
    words = [sys.executable, "-P", "-m", "everbake", "ingest", "line", "old.csv"]
    with line.up():
        waiting = subprocess.Popen(words, cwd=line.path, stderr=subprocess.PIPE, text=True)
        waits((line.path / "training").exists)
    assert waiting.poll() is None  # it is the owner now, and goes on with the run
    narrated = (line.path / "up.err").read_text()
    assert not any(word in narrated for word in ("EB404", "EB416", "Traceback"))
    line.write("go", "")
    _, complaint = waiting.communicate(timeout=60)
    assert waiting.returncode == 0, complaint
    assert line.json("ingest", "line", "old.csv")["duplicate"]
    (run,) = line.json("runs", "line")["runs"]
    assert (run["state"], run["verdict"], run["version"]) == ("finished", "promoted", 1)
    assert line.json("audit", "verify")["intact"]


def test_a_run_that_was_cut_short_can_be_cancelled(line, waits):
    line.write("recipe.py", SLOW)
    words = [sys.executable, "-P", "-m", "everbake", "ingest", "line", "old.csv"]
    working = subprocess.Popen(words, cwd=line.path, stderr=subprocess.DEVNULL)
    waits((line.path / "training").exists)
    working.kill()
    working.wait()
    (run,) = line.json("runs", "line")["runs"]
    assert line.json("cancel", run["id"])["state"] == "failed"
    (run,) = line.json("runs", "line")["runs"]
    assert (run["state"], run["error"].split()[0]) == ("failed", "EB305")


def test_a_file_waits_for_a_recipe_that_is_mended(line, waits):
    text = (line.path / "recipe.py").read_text()
    good = text.replace('label="target"', 'label="target", path="incoming/*.csv"')
    line.write("recipe.py", good)
    line.json("ingest", "line", "old.csv")
    with line.up():
        line.write("recipe.py", good + "\ndef (:\n")
        line.write("incoming/new.csv", (line.path / "new.csv").read_text())
        waits(lambda: "new.csv waits" in (line.path / "up.err").read_text())
        line.write("recipe.py", good)
        waits(lambda: len(line.json("versions", "line")["versions"]) == 2)


def test_numbers_that_no_server_can_have_are_refused(line):
    for words in (("--workers", "0"), ("--port", "70000")):
        assert line.run("up", *words).returncode == 2


class Dead:
    """Stands for `Popen`; each process ends at once."""

    returncode = 1
    pid = 0

    def poll(self):
        return 1

    def terminate(self):
        pass

    def wait(self, timeout):
        self.waited = timeout


@pytest.fixture
def workers(tmp_path):
    """Makes a worker and a recorder that are looked after until the test ends."""
    made = []
    with socket.socket() as listener:

        def make(narrate):
            place = up.Up(tmp_path, "127.0.0.1", 0, 1)
            made.append(up.Workers(place, Settings(request_seconds=100), listener, narrate))
            return made[-1]

        yield make
        for each in made:
            each.stop()


def test_whoever_cannot_be_started_is_told_of_and_tried_again(workers, waits, monkeypatch):
    started, told = Counter(), []

    def spawn(command, **_):
        name = command[3].rpartition(".")[2]
        started[name] += 1
        if name == "serve" and started[name] in (2, 3):
            raise OSError(errno.EAGAIN, "too many processes")
        return Dead()

    monkeypatch.setattr(up.subprocess, "Popen", spawn)
    kept = workers(told.append)
    kept.start()
    kept.keep()
    waits(lambda: started["serve"] > 4 and started["record"] > 4)
    assert sum("too many processes" in text for text in told) == 1
    assert any("worker 0 ended (1)" in text for text in told)


def test_whoever_ends_is_started_anew_also_if_nobody_listens(workers, waits, monkeypatch):
    started = Counter()

    def spawn(command, **_):
        started[command[3].rpartition(".")[2]] += 1
        return Dead()

    def narrate(_):
        raise BrokenPipeError

    monkeypatch.setattr(up.subprocess, "Popen", spawn)
    kept = workers(narrate)
    kept.start()
    kept.keep()
    waits(lambda: started["serve"] > 2 and started["record"] > 2)


def test_workers_get_the_time_that_their_requests_may_take(workers, monkeypatch):
    ended = []
    monkeypatch.setattr(up.subprocess, "Popen", lambda *_, **__: ended.append(Dead()) or ended[-1])
    kept = workers(lambda _: None)
    kept.start()
    kept.stop()
    assert all(200 < each.waited <= up.goodbye(Settings(request_seconds=100)) for each in ended)
