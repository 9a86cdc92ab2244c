"""The process entry over a real project folder."""

import os
import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest

from everbake.config.settings import Settings
from everbake.interfaces.up import goodbye
from everbake.serving import run

PARENT = """
import subprocess, sys, time
descriptor = int(sys.argv[sys.argv.index("--fd") + 1])
command = [sys.executable, "-m", "everbake.interfaces.serve", *sys.argv[1:]]
print(subprocess.Popen(command, pass_fds=[descriptor]).pid, flush=True)
time.sleep(600)
"""


def until(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123 - a zombie has ended, too
        return stat.read().rpartition(")")[2].split()[0] != "Z"


class Server:
    """Stands for uvicorn's, and keeps what it was told."""

    config = None

    def __init__(self, config):
        Server.config = config

    def run(self, sockets):
        pass


@pytest.mark.parametrize("seconds", [0.1, 10.0, 3600.0])
def test_the_grace_lasts_for_a_request_that_takes_all_its_time(monkeypatch, seconds):
    monkeypatch.setattr(run.uvicorn, "Server", Server)
    monkeypatch.setattr(run.signal, "signal", lambda *_: None)
    run.serve(None, None, seconds)
    grace = Server.config.timeout_graceful_shutdown
    assert 2 * seconds < grace < goodbye(Settings(request_seconds=seconds))


def test_an_empty_project_is_served_also_when_the_owner_is_gone(tmp_path):
    (tmp_path / ".everbake" / "serving").mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        options = ["--project", str(tmp_path), "--fd", str(listener.fileno()), "--worker", "3"]
        with subprocess.Popen(
            [sys.executable, "-c", PARENT, *options],
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=[listener.fileno()],
        ) as parent:
            pid = int(parent.stdout.readline())
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            with httpx.Client(base_url=url, trust_env=False, timeout=20) as client:
                assert client.get("/healthz").json() == {"status": "ok"}
                ready = client.get("/readyz").json()
                workers = [{"worker": "3", "generation": 0, "lags": False, "errors": {}}]
                expected = {"status": "ok", "models": {}, "owner": "here", "workers": workers}
                assert ready == expected
                answer = client.post("/v1/models/line/predict", json={"rows": [{}]})
                assert answer.json()["code"] == "EB502"
                serving = tmp_path / ".everbake" / "serving"
                assert (serving / "3.json").exists()
                os.kill(parent.pid, signal.SIGKILL)
                try:
                    until(lambda: client.get("/readyz").json()["owner"] == "gone")
                    until(lambda: not (serving / "3.json").exists())
                    assert (serving / f"gone-{pid}.json").exists()
                finally:
                    os.kill(pid, signal.SIGTERM)
                until(lambda: not is_running(pid))
                assert not (serving / f"gone-{pid}.json").exists()
