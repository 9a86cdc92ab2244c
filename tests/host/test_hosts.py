"""Hosts of many versions at a time: only idle ones are ended."""

import functools
import json
import os
from pathlib import Path

import pytest

from everbake.adapters.blobs import FileBlobs
from everbake.adapters.hosting import hosts as hosting
from everbake.adapters.hosting.hosts import KEPT, Hosts
from everbake.adapters.hosting.process import HostProgram
from everbake.wire import JobLimits, receive_frame, send_frame

HERE = Path(__file__).parent
LIMITS = JobLimits(memory_bytes=1 << 30, seconds=60, threads=1)


@pytest.fixture
def hosts(tmp_path, monkeypatch):
    program = functools.partial(
        HostProgram, jobs="sample_jobs:JOBS", sessions="sample_jobs:SESSIONS"
    )
    monkeypatch.setattr(hosting, "HostProgram", program)
    paths = [str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    made = Hosts(tmp_path / "snapshots", tmp_path, FileBlobs(tmp_path / "blobs"))
    yield made
    made.close()


def snapshot(tmp_path, number):
    text = json.dumps({"recipe.py": f"ANSWER = {number}\n"})
    return FileBlobs(tmp_path / "blobs").put(text.encode())


def test_a_host_with_an_open_session_is_never_ended_for_another(hosts, tmp_path):
    sessions = [
        hosts.get(snapshot(tmp_path, number), "recipe.py").open(
            "upper", b"", LIMITS, work=tmp_path / str(number)
        )
        for number in range(KEPT + 3)
    ]
    for session in sessions:
        with session:
            send_frame(session, b"ready")
            assert receive_frame(session) == b"READY"


def test_idle_hosts_are_ended_beyond_a_number(hosts, tmp_path):
    asked = [hosts.get(snapshot(tmp_path, number), "recipe.py") for number in range(KEPT + 3)]
    alive = [host._live is not None for host in asked]
    assert alive == [False] * 3 + [True] * KEPT
    hosts.get(snapshot(tmp_path, 3), "recipe.py")
    assert [host._live is not None for host in asked] == alive
