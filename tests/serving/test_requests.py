"""Requests over HTTP to a real server: what is answered and what is refused, and how."""

import asyncio
import json
import socket

import httpx
import pytest

URL = "/v1/models/line/predict"
JSON = {"content-type": "application/json"}


def post(client, body, **headers):
    content = body if isinstance(body, bytes | str) else json.dumps(body)
    return client.post(URL, content=content, headers={**JSON, **headers})


def check_problem(answer, status, code, row=None, column=None):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["code"] == code
    assert problem["type"] == f"urn:everbake:error:{code}"
    assert problem["title"]
    assert (problem["row"], problem["column"]) == (row, column)
    return problem


def test_answers_and_logs(served, client):
    answer = post(
        client, {"rows": [{"feature": 9}, {"feature": 1.5, "note": "x"}]}, **{"Everbake-Key": "k1"}
    )
    assert answer.status_code == 200
    content = answer.json()
    assert list(content) == ["model", "version", "predictions", "ids"]
    assert content["model"] == "line"
    assert content["version"] == 1
    assert content["predictions"] == [18.0, 3.0]
    (logged,) = served.logged()
    assert logged.ids == content["ids"]
    assert logged.rows == [{"feature": 9, "note": None}, {"feature": 1.5, "note": "x"}]
    assert logged.predictions == [18.0, 3.0]
    assert logged.version == 1
    assert logged.key == "k1"


def test_ids_are_unique_and_sort_by_time(client):
    drawn = []
    for _ in range(20):
        drawn += post(client, {"rows": [{"feature": 1}] * 5}).json()["ids"]
    assert len(set(drawn)) == 100
    assert drawn == sorted(drawn)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"rows": []}, (400, "EB509", None, None)),
        ("", (400, "EB508", None, None)),
        ('{"rows": [{"feature": 1}', (400, "EB508", None, None)),
        (b'{"rows": [{"feature": 1, "note": "\xff"}]}', (400, "EB508", None, None)),
        ("[" * 100_000, (422, "EB511", None, None)),
        ('{"rows": [{"feature": ' + "[" * 100_000, (400, "EB508", None, None)),
        ('{"rows": [{"feature": NaN}]}', (400, "EB508", None, None)),
        ([1], (422, "EB511", None, None)),
        ({}, (422, "EB511", None, None)),
        ({"rows": {"feature": 1}}, (422, "EB511", None, None)),
        ({"rows": [{"feature": 1}, 5]}, (422, "EB511", 1, None)),
        ({"row": [{"feature": 1}]}, (422, "EB513", None, None)),
        ({"rows": [{"feature": 1}, {"note": "x"}]}, (422, "EB512", 1, "feature")),
        ({"rows": [{"feature": 1, "featur": 2}]}, (422, "EB513", 0, "featur")),
        ({"rows": [{"feature": None}]}, (422, "EB514", 0, "feature")),
        ({"rows": [{"feature": 1}] * 9 + [{"feature": "1"}]}, (422, "EB515", 9, "feature")),
        ({"rows": [{"feature": True}]}, (422, "EB515", 0, "feature")),
        ({"rows": [{"feature": 1, "note": 5}]}, (422, "EB515", 0, "note")),
        ('{"rows": [{"feature": 1e999}]}', (422, "EB515", None, None)),
        ({"rows": [{"feature": 1}] * 10_001}, (413, "EB510", None, None)),
    ],
)
def test_refuses_what_it_cannot_read(served, client, body, problem):
    if body == "[" * 100_000:  # neither kind of answer is wrong for this one
        assert post(client, body).json()["code"] in {"EB508", "EB511"}
    else:
        check_problem(post(client, body), *problem)
    assert post(client, {"rows": [{"feature": 9}]}).json()["predictions"] == [18.0]
    assert len(served.logged()) == 1


def test_names_the_near_miss(client):
    problem = check_problem(
        post(client, {"rows": [{"feture": 1, "feature": 1}]}), 422, "EB513", 0, "feture"
    )
    assert 'did you mean "feature"?' in problem["detail"]


def test_a_huge_name_is_not_repeated(client):
    answer = post(client, {"rows": [{"feature": 1, "a" * 5_000_000: 1}]})
    check_problem(answer, 422, "EB513", 0, "a" * 100)
    assert len(answer.content) < 1000


def test_refuses_other_content_types_and_encodings(client):
    rows = '{"rows": [{"feature": 9}]}'
    plain = client.post(URL, content=rows, headers={"content-type": "text/plain"})
    check_problem(plain, 415, "EB506")
    assert client.post(URL, content=rows).json()["code"] == "EB506"
    check_problem(post(client, rows, **{"content-encoding": "gzip"}), 415, "EB507")
    charset = {"content-type": "Application/JSON; charset=utf-8"}
    assert client.post(URL, content=rows, headers=charset).status_code == 200


def test_unknown_addresses_models_and_methods(served, client):
    check_problem(client.get("/nowhere"), 404, "EB501")
    check_problem(client.post("/v1/models/a/b/predict", json={}), 404, "EB501")
    problem = check_problem(client.post("/v1/models/lines/predict", json={}), 404, "EB502")
    assert 'did you mean "line"?' in problem["detail"]
    for method in ("GET", "PUT", "DELETE"):
        answer = client.request(method, URL)
        check_problem(answer, 405, "EB504")
        assert answer.headers["allow"] == "POST"
    assert client.post("/healthz").headers["allow"] == "GET, HEAD"
    assert client.head("/healthz").status_code == 200


def test_model_without_champion(served, client):
    served.models.add("young")
    served.write()
    path = "/v1/models/young/predict"
    served.wait(lambda: client.post(path, json={}).status_code == 503)
    check_problem(client.post(path, json={}), 503, "EB503")


def test_only_known_hosts_are_answered(client):
    rows = {"rows": [{"feature": 9}]}
    for host in ("localhost", "LOCALHOST:80", "[::1]:8322", "127.0.0.1", "models.example:1"):
        assert post(client, rows, host=host).status_code == 200
    for host in ("evil.example", "localhost.evil.example", "127.0.0.1.nip.io:8322", ""):
        check_problem(post(client, rows, host=host), 421, "EB505")


def test_large_bodies_are_refused_without_being_kept(served, client):
    check_problem(post(client, b"x" * (11 * 1024 * 1024)), 413, "EB510")

    def chunks():
        for _ in range(1600):
            yield b" " * 65536

    answer = client.post(URL, content=chunks(), headers=JSON)  # 100 MB of unknown length
    check_problem(answer, 413, "EB510")
    assert post(client, {"rows": [{"feature": 9}]}).status_code == 200


def raw(served, data: bytes) -> bytes:
    port = served.listener.getsockname()[1]
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    return received


def test_headers_are_bounded(served, client):
    head = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n"
    answer = raw(served, head + b"x-a: " + b"a" * 20_000 + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b'"EB523"' in answer
    many = b"".join(b"x-%d: %s\r\n" % (i, b"a" * 50) for i in range(400))
    assert raw(served, head + many + b"\r\n").startswith(b"HTTP/1.1 431 ")
    assert b'"EB524"' in raw(served, b"NONSENSE\r\n\r\n")
    assert client.get("/healthz").status_code == 200


def test_a_body_in_pieces_is_one_request(served):
    async def ask():
        async def pieces():
            for piece in (b'{"rows": [{"fea', b'ture": 9}', b"]}"):
                yield piece
                await asyncio.sleep(0)

        async with httpx.AsyncClient(base_url=served.url, trust_env=False) as client:
            return await client.post(URL, content=pieces(), headers=JSON)

    assert asyncio.run(ask()).json()["predictions"] == [18.0]


def test_ready_names_what_is_missing(project):
    project.deploy(1, project.bundle(), "good")
    project.deploy(1, project.blob(b"{}"), "broken")
    project.start()
    with project.client() as client:
        assert client.get("/healthz").status_code == 200
        problem = check_problem(client.get("/readyz"), 503, "EB526")
        assert "broken" in problem["detail"]
        assert "good" not in problem["detail"]
        answer = client.post("/v1/models/broken/predict", json={})
        check_problem(answer, 503, "EB521")
        rows = {"rows": [{"feature": 9}]}
        assert client.post("/v1/models/good/predict", json=rows).json()["predictions"] == [18.0]
        project.deploy(2, project.bundle(3.0), "broken")
        project.wait(lambda: client.get("/readyz").status_code == 200)


def test_a_request_that_does_not_arrive_is_given_up(project):
    project.deploy(1, project.bundle())
    project.start("--arrive", "0.3")
    head = b"POST /v1/models/line/predict HTTP/1.1\r\nhost: localhost\r\n"
    body = b"content-type: application/json\r\ncontent-length: 50\r\n\r\n{"
    port = project.listener.getsockname()[1]
    for begun in (head, head + body):
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            connection.sendall(begun)
            assert connection.recv(65536).startswith(b"HTTP/1.1 408 ")
            assert connection.recv(65536) == b""
