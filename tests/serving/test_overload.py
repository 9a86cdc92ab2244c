"""More requests than a worker takes: refused at once, and nothing else is held up."""

import contextlib
import socket

import pytest

HEAD = (
    b"POST /v1/models/line/predict HTTP/1.1\r\nhost: localhost\r\n"
    b"content-type: application/json\r\ncontent-length: 30\r\n\r\n"
)
BODY = b'{"rows": [{"feature": 9}]}    '


@pytest.fixture
def small(project):
    project.deploy(1, project.bundle(2.0))
    project.start("--requests", "3")
    return project


def connect(project):
    return socket.create_connection(project.listener.getsockname(), timeout=20)


def test_bodies_being_read_are_bounded_in_number(small):
    with contextlib.ExitStack() as stack, small.client() as client:
        open_ones = [stack.enter_context(connect(small)) for _ in range(3)]
        for one in open_ones:
            one.sendall(HEAD + BODY[:5])

        def refused():
            answer = client.post("/v1/models/line/predict", json={"rows": [{"feature": 9}]})
            return answer if answer.status_code != 200 else None

        answer = small.wait(refused)
        assert (answer.status_code, answer.json()["code"]) == (503, "EB519")
        assert answer.headers["retry-after"] == "1"
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").status_code == 200
        for one in open_ones:
            one.sendall(BODY[5:])
            assert one.recv(65536).startswith(b"HTTP/1.1 200 ")
        answer = client.post("/v1/models/line/predict", json={"rows": [{"feature": 9}]})
        assert answer.status_code == 200
