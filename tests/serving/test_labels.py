"""Labels over HTTP, taken by a recorder beside the worker."""

import json
from contextlib import contextmanager
from functools import partial

import msgspec
import pytest

from everbake.core.contract import ColumnRule, Contract, Special
from everbake.core.spec import GateSpec, RecipeSpec, SplitSpec, Table
from everbake.recording.intake import Intake, take
from everbake.recording.recorder import Recorder
from everbake.recording.store import RecordStore

ADDRESS = "/v1/models/line/labels"
GATE = GateSpec("mean_squared_error", "lower", "refresh", 0.0, 0.0, 0.0, "keep")


class Ledger:
    def version(self):
        return 1

    def rows(self, table, where=None, *, newest=None):
        limits = (0, 2**30, 60.0, 1)
        spec = RecipeSpec(
            "line", Table(label="target"), GATE, SplitSpec("hash", 0.2), *(False, {}), 0, *limits
        )
        contract = Contract((ColumnRule("target", "float64"),), Special("target"))
        known = {"model": "line", "spec": _text(spec), "contract": _text(contract)}
        return [known] if table == "models" else []


def _text(value):
    return msgspec.json.encode(value).decode()


@contextmanager
def recording(project):
    """Somebody takes labels."""
    state, ledger = project.path / ".everbake", Ledger()
    store = RecordStore(state / "records.sqlite")
    recorder = Recorder(state / "log", store, ledger, lambda: 5.0)
    taking = partial(take, recorder=recorder, reader=ledger, now=lambda: 5.0)
    intake = Intake(state / "record.sock", taking)
    intake.start()
    yield store
    intake.close()
    store.close()


def counts(answer):
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["schema"], told["model"]) == (1, "line")
    return [told[n] for n in ("received", "joined", "waiting", "corrected", "duplicate")]


def predicted(client, rows):
    body = {"rows": [{"feature": float(at)} for at in range(rows)]}
    return client.post("/v1/models/line/predict", json=body).json()["ids"]


def test_labels_are_counted_by_what_became_of_them(served, client):
    first, second = predicted(client, 2)
    sent = [{"id": first, "label": 1}, {"id": second, "label": 2.5}, {"id": "x", "label": 3}]
    with recording(served) as store:
        assert counts(client.post(ADDRESS, json={"labels": sent})) == [3, 2, 1, 0, 0]
        sent[0]["label"] = 7
        assert counts(client.post(ADDRESS, json={"labels": sent})) == [3, 1, 0, 1, 2]
        assert store.rows("SELECT DISTINCT source FROM labels") == [("http",)]


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ({"id": "b", "label": "much"}, "label 2"),
        ({"id": "b", "label": None}, "label 2"),
        ({"id": "b"}, "label 2"),
        ({"label": 1}, "label 2"),
        ({"id": "b", "key": "c", "label": 1}, "label 2"),
        ({"id": ["b"], "label": 1}, "label 2"),
        ({"id": "b", "label": 1, "time": "soon"}, "label 2"),
        ({"id": "b", "label": 1, "sorce": "me"}, "did you mean 'source'?"),
        (7, "label 2"),
    ],
)
def test_one_wrong_label_refuses_the_whole_request(served, client, wrong, where):
    with recording(served) as store:
        answer = client.post(ADDRESS, json={"labels": [{"id": "a", "label": 1}, wrong]})
        assert (answer.status_code, answer.json()["code"]) == (422, "EB541")
        assert where in answer.json()["detail"]
        assert store.rows("SELECT * FROM labels") == []


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ('{"labels": []}', 400, "EB540"),
        ('{"labels": 1}', 422, "EB541"),
        ("[]", 422, "EB541"),
        ('{"labels": [], "model": "x"}', 422, "EB541"),
        ('{"labels": [', 400, "EB508"),
    ],
)
def test_what_is_no_list_of_labels_is_refused(served, client, body, status, code):
    json_type = {"content-type": "application/json"}
    with recording(served):
        answer = client.post(ADDRESS, content=body, headers=json_type)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_page_of_another_site_may_not_label(served, client):
    body = {"labels": [{"id": "a", "label": 1}]}
    host = client.base_url.netloc.decode()
    with recording(served) as store:
        for origin in ("http://evil.example", "null", f"http://{host}.evil.example"):
            answer = client.post(ADDRESS, json=body, headers={"origin": origin})
            assert (answer.status_code, answer.json()["code"]) == (403, "EB543")
        assert store.rows("SELECT * FROM labels") == []
        own = client.post(ADDRESS, json=body, headers={"origin": f"http://{host}"})
        assert counts(own) == [1, 0, 1, 0, 0]


def test_a_model_that_is_not_known_has_no_labels(served, client):
    answer = client.post("/v1/models/lime/labels", json={"labels": [{"id": "a", "label": 1}]})
    assert (answer.status_code, answer.json()["code"]) == (404, "EB502")
    assert client.get(ADDRESS).status_code == 405


def test_without_a_recorder_labels_are_refused_for_now(served, client):
    body = {"labels": [{"id": "a", "label": 1}]}
    for _ in range(2):
        answer = client.post(ADDRESS, json=body)
        assert (answer.status_code, answer.json()["code"]) == (503, "EB542")
        assert int(answer.headers["retry-after"]) > 0
        (served.path / ".everbake" / "record.sock").touch()  # and nobody behind it
    assert json.loads(client.get("/healthz").text)
    predicted(client, 1)
