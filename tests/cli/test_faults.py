"""Faults of models and processes under a real `everbake up`, with real hosts."""

import json
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import psutil
import pytest

from everbake.wiring import predictions

URL = "/v1/models/line/predict"
NATIVE = """
    import os
    import os
    import time
    from pathlib import Path

    asked = rows["feature"].tolist()
    if -1 in asked:
        (Path(os.environ["EVERBAKE_PROJECT"]) / "hung").write_text(str(os.getpid()))
        time.sleep(600)
    if -2 in asked:
        raise ValueError("no -2, please")
    return model.predict(rows[["feature"]]).clip(-1e9, 1e9)
"""


def native(line):
    """The seed example, with a champion that answers in a host."""
    recipe = line.path / "recipe.py"
    text = recipe.read_text()
    recipe.write_text(text.replace('    return model.predict(rows[["feature"]])\n', NATIVE))
    assert recipe.read_text() != text
    line.json("ingest", "line", "old.csv")


def ask(client, *features):
    return client.post(URL, json={"rows": [{"feature": f} for f in features]})


def test_a_model_that_hangs_is_killed_and_replaced(line, waits):
    native(line)
    line.environment = {"EVERBAKE_REQUEST_SECONDS": "3"}
    with line.up() as client:
        right = waits(lambda: ask(client, 5).json().get("predictions"))
        failed = ask(client, -1)
        assert failed.json()["code"] in {"EB521", "EB522"}
        hung = int(Path(line.path / "hung").read_text())
        waits(lambda: not psutil.pid_exists(hung))
        assert waits(lambda: ask(client, 5).json().get("predictions")) == right


def test_rows_over_which_the_model_raises_are_named(line):
    native(line)
    with line.up() as client:
        told = ask(client, 3, -2, 5).json()
        assert [value is None for value in told["predictions"]] == [False, True, False]
        error = {"row": 1, "code": "EB517", "detail": "ValueError: no -2, please"}
        assert told["errors"] == [error]
        assert ask(client, -2).status_code == 500


def test_bounds_are_settings(line, waits):
    line.environment = {
        "EVERBAKE_REQUEST_ROWS": "2",
        "EVERBAKE_REQUEST_BYTES": "2000",
        "EVERBAKE_ALLOW_HOSTS": "models.example",
    }
    line.json("ingest", "line", "old.csv")
    with line.up() as client:
        assert ask(client, 1, 2).status_code == 200
        assert ask(client, 1, 2, 3).json()["code"] == "EB510"
        padded = b'{"rows": [{"feature": 1}]}' + b" " * 3000
        padded = client.post(URL, content=padded, headers={"content-type": "application/json"})
        assert (
            padded.json()["code"] == "EB510"
        )  # it could be answered, and is too long all the same
        long = client.post(URL, content=b" " * 3000, headers={"content-type": "application/json"})
        assert long.json()["code"] == "EB510"
        metrics = client.get("/metrics").text
        assert 'everbake_data_arrived_timestamp_seconds{model="line"}' in metrics
        assert 'everbake_model_trained_timestamp_seconds{model="line",version="1"}' in metrics
        recorded = 'everbake_log_unrecorded_bytes{model="line"} 0.0'
        waits(lambda: recorded in client.get("/metrics").text)
        assert client.get("/healthz", headers={"host": "models.example"}).status_code == 200


@contextmanager
def everything_ends():
    """Takes processes; whatever happens, they and what they have started do not stay."""
    started = []
    try:
        yield started
    finally:
        for each in started:
            with suppress(psutil.NoSuchProcess):
                each.kill()


def start(line, ended, *words, port=0):
    """`everbake up` in a process that may be killed, with its address."""
    command = [sys.executable, "-P", "-m", "everbake", "up", "--port", str(port), "--json", *words]
    with (line.path / "up.err").open("a") as narration:
        process = subprocess.Popen(
            command, cwd=line.path, stdout=subprocess.PIPE, stderr=narration, text=True
        )
    with process.stdout:
        told = process.stdout.readline()
    assert told, (line.path / "up.err").read_text()
    ended += [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    return process, json.loads(told)["predictions"]


def workers_of(process):
    return [
        each
        for each in psutil.Process(process.pid).children()
        if "everbake.interfaces.serve" in each.cmdline()
    ]


class Load:
    """Asks all the time over connections of its own, and keeps every id it was given."""

    def __init__(self, url, *, tolerant=False, threads=4):
        self.url = url
        self.tolerant = tolerant
        self.ids = []
        self.failures = []
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self._run) for _ in range(threads)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join(60)

    def _run(self):
        while not self.over.is_set():
            with httpx.Client(base_url=self.url, timeout=30, trust_env=False) as client:
                try:
                    while not self.over.is_set():
                        self._ask(client)
                except httpx.HTTPError as error:
                    if not self.tolerant:
                        self.failures.append(repr(error))

    def _ask(self, client):
        answer = ask(client, 3, 4)
        if answer.status_code == 200:
            self.ids += answer.json()["ids"]
        elif not self.tolerant or answer.status_code != 503:
            self.failures.append(answer.text)


def check_log(line, load):
    """No answered prediction is missing from the log, none is there twice."""
    logged = [row["id"] for row in predictions(line.path, "line")]
    assert load.failures == []
    assert len(logged) == len(set(logged))
    assert set(load.ids) <= set(logged)


def test_predictions_go_on_without_the_owner_and_the_next_one_takes_over(line, waits):
    line.json("ingest", "line", "old.csv")
    with everything_ends() as ended:
        first, url = start(line, ended, "--workers", "2")
        old = workers_of(first)
        with httpx.Client(base_url=url, timeout=30, trust_env=False) as client, Load(url) as load:
            ready = client.get("/readyz").json()
            assert ready["owner"] == "here"
            assert [each["lags"] for each in ready["workers"]] == [False, False]
            first.kill()
            first.wait()
            waits(lambda: client.get("/readyz").json()["owner"] == "gone")
            before = len(load.ids)
            waits(lambda: len(load.ids) > before + 50)
            # The lock is free: a command becomes the owner, and the workers follow what it does.
            line.json("ingest", "line", "new.csv")
            assert ask(client, 1).json()["version"] == 2
            second, again = start(line, ended, port=int(url.rpartition(":")[2]))
            assert again == url
            waits(lambda: not any(map(psutil.pid_exists, [each.pid for each in old])))
            before = len(load.ids)
            waits(lambda: len(load.ids) > before + 50)
        with httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
            ready = client.get("/readyz").json()
        assert ready["owner"] == "here"
        assert [each["worker"] for each in ready["workers"]] == ["0"]
        second.terminate()
        assert second.wait(60) == 0
        assert not any(each.is_running() for each in ended)
        assert list((line.path / ".everbake" / "serving").glob("*.json")) == []
    check_log(line, load)


@pytest.mark.parametrize("whom", ["worker", "host"])
def test_kill_9_under_load_loses_no_answered_prediction(line, waits, counted, whom):
    if whom == "host":
        native(line)
    else:
        line.json("ingest", "line", "old.csv")
    with ExitStack() as stack:
        ended = stack.enter_context(everything_ends())
        process, url = start(line, ended, "--workers", "2")
        load = stack.enter_context(Load(url, tolerant=True))
        for _ in range(counted(20)):
            before = len(load.ids)
            waits(lambda b=before: len(load.ids) > b + 50)
            workers = waits(lambda: found if len(found := workers_of(process)) == 2 else None)
            victim = workers[0] if whom == "worker" else workers[0].children()[0]
            ended += workers[1].children(recursive=True) + workers
            victim.kill()
            if whom == "worker":
                waits(lambda v=victim: not v.is_running())
            else:
                waits(lambda w=workers[0], v=victim: [e for e in w.children() if e.pid != v.pid])
        before = len(load.ids)
        waits(lambda: len(load.ids) > before + 50)
        load.over.set()
        process.terminate()
        assert process.wait(60) == 0
    check_log(line, load)
