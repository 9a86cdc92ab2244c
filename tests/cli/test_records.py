"""The recorder beside real workers: killed at many points, it records each request once."""

import json
import sqlite3
import threading
from contextlib import suppress

import psutil

from everbake import wiring

KILLS = 80  # scaled by the length of the tests


def recorder():
    """The process that records, once it is there."""
    for each in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if "everbake.interfaces.record" in each.cmdline():
                return each
    return None


def test_kill_9_of_the_recorder_counts_nothing_twice_and_forgets_nothing(line, waits, counted):
    line.json("ingest", "line", "old.csv")
    stop, answered, labelled = threading.Event(), [], []
    with line.up() as client:

        def ask():
            while not stop.is_set():
                rows = [{"feature": at % 7} for at in range(3)]
                reply = client.post("/v1/models/line/predict", json={"rows": rows})
                answered.extend(reply.json()["ids"])
                labels = [{"id": name, "label": 1.0} for name in reply.json()["ids"]]
                taken = client.post("/v1/models/line/labels", json={"labels": labels})
                if taken.status_code == 200:
                    labelled.extend(reply.json()["ids"])
                else:  # the recorder was killed: nothing is known of what it kept
                    assert (taken.status_code, taken.json()["code"]) == (503, "EB542")
                    assert taken.headers["retry-after"]

        asking = threading.Thread(target=ask)
        asking.start()
        for _ in range(counted(KILLS)):
            before = len(labelled)
            waits(lambda before=before: len(labelled) > before + 5)
            waits(recorder).kill()
        stop.set()
        asking.join()
        rows = [json.loads(each) for each in line.run("predictions", "line").stdout.splitlines()]
        waits(lambda: _counts(line.path)[2] == len(rows))
    assert sorted(row["id"] for row in rows) == sorted(answered)
    assert _counts(line.path) == (len(answered) // 3, 0, len(answered))
    known = wiring.records(line.path).labels("line", answered)
    assert set(labelled) <= set(known)


def _counts(project):
    with sqlite3.connect(project / ".everbake" / "records.sqlite") as connection:
        hours = connection.execute("SELECT sum(requests), sum(errors) FROM hours").fetchone()
        (answers,) = connection.execute("SELECT count(*) FROM answers").fetchone()
    return (*hours, answers)
