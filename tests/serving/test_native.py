"""Models that answer in a host: batches, failures, hangs, and coming back."""

import threading

import pytest

URL = "/v1/models/line/predict"


@pytest.fixture
def served(project):
    project.deploy(1, project.bundle(2.0, "native"))
    project.start()
    return project


def ask(client, *features):
    return client.post(URL, json={"rows": [{"feature": f} for f in features]})


def at_once(served, features):
    """One request a feature, all at the same time."""
    answers = {}
    barrier = threading.Barrier(len(features))

    def run(feature):
        with served.client() as client:
            barrier.wait()
            answers[feature] = ask(client, feature)

    threads = [threading.Thread(target=run, args=(f,)) for f in features]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return answers


def test_answers(served, client):
    assert ask(client, 9, 1).json()["predictions"] == [18.0, 2.0]
    assert len(served.logged()) == 1


def test_a_failing_row_is_nobody_elses(served, client):
    answers = at_once(served, [555, 1, 2, 666, 3])
    assert [answers[f].json()["predictions"] for f in (555, 1, 2, 3)] == [[1110], [2], [4], [6]]
    assert answers[666].status_code == 500
    assert answers[666].json()["code"] == "EB517"
    assert answers[666].json()["row"] == 0
    assert "666 is no good" in answers[666].json()["detail"]
    assert ask(client, 9).status_code == 200


def test_the_other_rows_of_the_request_are_answered(served, client):
    answer = ask(client, 1, 666, 2)
    assert answer.status_code == 200
    told = answer.json()
    assert told["predictions"] == [2, None, 4]
    error = {"row": 1, "code": "EB517", "detail": "ValueError: 666 is no good"}
    assert told["errors"] == [error]
    assert "errors" not in ask(client, 1, 2).json()
    first, failed, second = told["ids"]
    good, bad = sorted(served.frames()[:2], key=lambda one: one.error is not None)
    assert (good.ids, good.predictions) == ([first, second], [2, 4])
    assert [row["feature"] for row in good.rows] == [1, 2]
    assert (bad.ids, bad.error) == ([failed], "EB517")
    assert ask(client, 666, 666).status_code == 500


def test_nan_is_not_answered_and_not_logged(served, client):
    problem = ask(client, 1, 999)
    assert problem.status_code == 500
    assert problem.json()["code"] == "EB518"
    assert problem.json()["row"] == 1
    assert served.logged() == []


def test_a_dead_host_is_started_again(served, client):
    assert ask(client, 777).json()["code"] == "EB521"
    served.wait(lambda: ask(client, 9).status_code == 200)
    assert ask(client, 9).json()["predictions"] == [18.0]
    assert client.get("/healthz").status_code == 200


def test_a_version_whose_process_does_not_start(served, client):
    served.deploy(2, served.bundle(0.0, "native"))
    errors = served.wait(lambda: served.acknowledged()["errors"])
    assert "EB529" in errors["line"]
    assert ask(client, 9).json()["version"] == 1


def test_a_hanging_model_gives_504_and_is_started_again(served, client):
    problem = ask(client, 888)
    assert problem.status_code in {503, 504}
    assert problem.json()["code"] in {"EB521", "EB522"}
    served.wait(lambda: ask(client, 9).status_code == 200)


def test_too_many_waiting_are_refused_at_once(served):
    def refused():
        # While the host hangs over the first one that it got, eight may wait.
        answers = at_once(served, [888, *range(1, 30)])
        told = [a for a in answers.values() if a.json().get("code") == "EB519"]
        assert all((a.status_code, a.headers["retry-after"]) == (503, "1") for a in told)
        return bool(told)

    served.wait(refused, 60)
    served.wait(lambda: at_once(served, [9])[9].status_code == 200)


def test_protocols_without_a_word_for_it_refuse_a_request_of_which_a_row_fails(served, client):
    rows = [{"feature": 1.0}, {"feature": 666.0}]
    scored = client.post("/invocations", json={"dataframe_records": rows})
    assert scored.status_code == 500
    assert "666 is no good" in scored.json()["message"]
    tensor = {"name": "feature", "datatype": "FP64", "shape": [2], "data": [1.0, 666.0]}
    inferred = client.post("/v2/models/line/infer", json={"inputs": [tensor]})
    assert inferred.status_code == 500
    assert "666 is no good" in inferred.json()["error"]
