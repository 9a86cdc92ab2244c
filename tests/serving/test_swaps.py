"""Versions change under load: nothing fails, nothing is lost, and it is acknowledged."""

import collections
import json
import os
import signal
import threading

import httpx
import pytest

from everbake.adapters.blobs import FileBlobs
from everbake.wiring import predictions

URL = "/v1/models/line/predict"
FACTORS = {1: 2.0, 2: 3.0, 3: 5.0}


class Load:
    """Connections that ask all the time and check every answer."""

    def __init__(self, project, connections=6):
        self.project = project
        self.versions = collections.Counter()
        self.ids = []
        self.failures = []
        self.end = threading.Event()
        names = [threading.Thread(target=self.ask, args=(n,)) for n in range(connections)]
        self.threads = names

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.end.set()
        for thread in self.threads:
            thread.join(30)
        assert not self.failures, (self.failures[:3], self.project.errors())

    def ask(self, number):
        client = self.project.client()
        while not self.end.is_set():
            if number == 0:  # one that connects for each request
                client.close()
                client = self.project.client()
            try:
                self.check(client.post(URL, json={"rows": [{"feature": 2}]}))
            except httpx.HTTPError as error:
                self.failures.append(repr(error))
        client.close()

    def check(self, answer):
        if answer.status_code != 200:
            self.failures.append(answer.text)
            return
        content = answer.json()
        if content["predictions"] != [2 * FACTORS[content["version"]]]:
            self.failures.append(answer.text)
        self.versions[content["version"]] += 1
        self.ids += content["ids"]


@pytest.mark.parametrize("runtime", ["linear", "native"])
def test_no_request_fails_over_swaps_and_rollbacks(project, runtime):
    bundles = {version: project.bundle(factor, runtime) for version, factor in FACTORS.items()}
    project.deploy(1, bundles[1])
    for worker in (0, 1):
        project.start(worker=worker)
    with Load(project) as load:
        for version in (1, 2, 3, 2, 3, 1):
            generation = project.deploy(version, bundles[version])
            for worker in (0, 1):
                project.wait_for(generation, worker)
            before = load.versions[version]
            project.wait(lambda v=version, b=before: load.versions[v] > b + 20)
    project.stop()
    logged = [row["id"] for row in predictions(project.path, "line")]
    assert len(logged) == len(set(logged))
    assert set(logged) == set(load.ids)
    assert project.errors() == ""


def test_acknowledges_what_answers(served, client):
    acknowledged = served.acknowledged()
    assert acknowledged["generation"] == 1
    assert acknowledged["models"] == {"line": {"version": 1, "generation": 1}}
    assert acknowledged["errors"] == {}
    served.wait_for(served.deploy(2, served.bundle(3.0)))
    assert client.post(URL, json={"rows": [{"feature": 9}]}).json()["version"] == 2


def test_a_damaged_version_leaves_the_old_one_answering(served, client):
    digest = served.bundle(3.0)
    good = FileBlobs(served.path / "blobs").path(digest).read_bytes()
    data = json.loads(good)["runtime_data"]
    whole = FileBlobs(served.path / "blobs").path(data).read_bytes()
    FileBlobs(served.path / "blobs").path(data).write_bytes(whole[:-1] + b"\x00")
    generation = served.deploy(2, digest)
    errors = served.wait(lambda: served.acknowledged()["errors"])
    assert "version 2" in errors["line"]
    assert "damaged" in errors["line"]
    assert served.acknowledged()["generation"] == 0
    assert served.acknowledged()["failed"] == {"line": generation}
    assert client.post(URL, json={"rows": [{"feature": 9}]}).json()["predictions"] == [18.0]
    assert client.get("/readyz").status_code == 200
    FileBlobs(served.path / "blobs").path(data).write_bytes(whole)  # it is tried again by itself
    served.wait_for(generation)
    assert client.post(URL, json={"rows": [{"feature": 9}]}).json()["predictions"] == [27.0]


def test_one_broken_model_does_not_hold_up_another(served, client):
    served.deploy(1, served.blob(b"no bundle"), "other")
    generation = served.deploy(2, served.bundle(3.0))
    served.wait(lambda: served.acknowledged()["models"]["line"]["generation"] == generation)
    assert list(served.acknowledged()["errors"]) == ["other"]


def test_killed_worker_has_logged_all_that_it_answered(served):
    load = Load(served)
    for thread in load.threads:
        thread.start()
    served.wait(lambda: sum(load.versions.values()) > 200)
    (process,) = served.processes
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    load.end.set()
    served.start(worker=1)  # whoever still waits is answered by another worker
    for thread in load.threads:
        thread.join(30)
    logged = {row["id"] for row in predictions(served.path, "line")}
    assert set(load.ids) <= logged


def test_ends_in_peace(served):
    with Load(served, connections=1) as load:
        served.wait(lambda: sum(load.versions.values()) > 5)
        load.end.set()
    (process,) = served.processes
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert served.acknowledged() is None
    assert served.errors() == ""
