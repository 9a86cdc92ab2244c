"""A version with a threshold decides: beside the score, in each protocol and in the log."""

import json
import struct

import pytest

V1 = "/v1/models/line/predict"
V2 = "/v2/models/line"


def ask(client, *features):
    return client.post(V1, json={"rows": [{"feature": f} for f in features]}).json()


def infer(client, *features, **more):
    tensor = {"name": "feature", "shape": [len(features)], "datatype": "FP64", "data": features}
    return client.post(f"{V2}/infer", json={"inputs": [tensor], **more})


@pytest.fixture(params=["linear", "native"])
def deciding(request, project):
    """A model that doubles, and decides "positive" from 10 on."""
    project.deploy(1, project.bundle(2.0, request.param, cut=10.0, example={"feature": 1.0}))
    project.start()
    return project


def test_a_decision_stands_beside_each_score(deciding):
    with deciding.client() as client:
        for _ in range(3):  # the usual way, then with a head that is known
            told = ask(client, 4.9, 5.0, 7)
            assert list(told) == ["model", "version", "predictions", "decisions", "ids"]
            assert told["predictions"] == [9.8, 10.0, 14.0]
            assert told["decisions"] == [False, True, True]
        many = ask(client, *range(300))
        assert many["decisions"] == [2 * n >= 10 for n in range(300)]
    assert [one.decisions for one in deciding.logged()[:3]] == [[False, True, True]] * 3


def test_a_version_without_a_threshold_gives_scores_alone(served, client):
    told = ask(client, 9)
    assert "decisions" not in told
    assert [output["name"] for output in infer(client, 9).json()["outputs"]] == ["predict"]
    assert served.logged()[0].decisions is None


def test_a_row_that_failed_is_not_decided(project):
    project.deploy(1, project.bundle(2.0, "native", cut=10.0))
    project.start()
    with project.client() as client:
        told = ask(client, 9, 666, 1)
    assert told["predictions"] == [18.0, None, 2.0]
    assert told["decisions"] == [True, None, False]
    failed, logged = sorted(project.frames(), key=lambda one: one.error is None)
    assert (failed.decisions, logged.decisions) == (None, [True, False])
    assert logged.predictions == [18.0, 2.0]


def test_a_tensor_of_decisions_follows_that_of_scores(deciding):
    with deciding.client() as client:
        about = client.get(V2).json()["outputs"]
        assert about[1] == {"name": "decision", "datatype": "BOOL", "shape": [-1]}
        scores, decisions = infer(client, 4, 6).json()["outputs"]
        assert (scores["name"], scores["data"]) == ("predict", [8.0, 12.0])
        expected = {"name": "decision", "datatype": "BOOL", "shape": [2], "data": [False, True]}
        assert decisions == expected
        (alone,) = infer(client, 4, 6, outputs=[{"name": "decision"}]).json()["outputs"]
        assert alone == expected
        answer = infer(client, 4, 6, parameters={"binary_data_output": True})
        length = int(answer.headers["inference-header-content-length"])
        assert len(json.loads(answer.content[:length])["outputs"]) == 2
        assert answer.content[length:] == struct.pack("<2d2B", 8.0, 12.0, 0, 1)


def test_mlflow_answers_scores_alone(deciding):
    with deciding.client() as client:
        told = client.post("/invocations", json={"inputs": [{"feature": 6}]}).json()
    assert list(told) == ["predictions", "ids"]
    assert told["predictions"] == [12.0]


def test_the_document_tells_of_decisions(deciding):
    with deciding.client() as client:
        schemas = client.get("/v1/models/line/openapi.json").json()["components"]["schemas"]
    answer = schemas["Answer"]
    assert answer["required"] == ["model", "version", "predictions", "decisions", "ids"]
    assert answer["properties"]["decisions"]["items"] == {"type": ["boolean", "null"]}
    assert "at least 10" in answer["properties"]["decisions"]["description"]


def test_each_version_decides_by_its_own_threshold(project):
    project.deploy(1, project.bundle(2.0, cut=10.0))
    project.start()
    with project.client() as client:
        assert ask(client, 6)["decisions"] == [True]
        project.wait_for(project.deploy(2, project.bundle(2.0, cut=13.0)))
        assert ask(client, 6)["decisions"] == [False]
        project.wait_for(project.deploy(1, project.bundle(2.0, cut=10.0)))
        assert ask(client, 6)["decisions"] == [True]


def test_a_challenger_decides_by_its_own_threshold(project):
    project.deploy(1, project.bundle(2.0, cut=10.0))
    project.start()
    beside = project.bundle(2.0, cut=13.0)
    with project.client() as client:
        project.wait_for(project.roll(2, beside, share=0.5))
        told = [ask(client, 6) for _ in range(40)]
        assert {(t["version"], *t["decisions"]) for t in told} == {(1, True), (2, False)}
        project.wait_for(project.roll(2, beside, kind="shadow", share=0.0))
        assert ask(client, 6)["decisions"] == [True]
        shadows = project.wait(lambda: [one for one in project.logged() if one.role == "shadow"])
    assert [one.decisions for one in shadows] == [[False]]
