"""What connections may do, over raw sockets to a real worker."""

import contextlib
import json
import resource
import socket

import pytest

IDLE = 2000
TYPE = b"content-type: application/json\r\n"
GOOD = b'{"rows": [{"feature": 9}]}'


def request(body=GOOD, *, method=b"POST", target=b"/v1/models/line/predict", headers=TYPE):
    host = b"" if b"host:" in headers else b"host: localhost\r\n"
    length = b"content-length: %d\r\n\r\n" % len(body)
    return method + b" " + target + b" HTTP/1.1\r\n" + host + headers + length + body


def rows(*features):
    return json.dumps({"rows": [{"feature": f} for f in features]}).encode()


def connect(project):
    return socket.create_connection(project.listener.getsockname(), timeout=20)


def read(stream):
    """Status, headers and body of the next answer."""
    status = int(stream.readline().split()[1])
    headers = {}
    while (line := stream.readline().strip()) != b"":
        name, _, value = line.partition(b":")
        headers[name.decode()] = value.strip().decode()
    return status, headers, stream.read(int(headers["content-length"]))


def answer(project, data, *, end=False):
    """The answer to bytes, and whether the connection is left open after it."""
    with connect(project) as connection, connection.makefile("rb") as stream:
        connection.sendall(data)
        if end:
            connection.shutdown(socket.SHUT_WR)
        return read(stream)


def code(found):
    return found[0], json.loads(found[2])["code"]


@pytest.fixture
def slow(project):
    """A native model; the features 555 and 556 take it 0.2 s and 1.2 s."""
    project.deploy(1, project.bundle(2.0, "native"))
    project.start("--arrive", "1")
    return project


def test_pipelined_requests_are_answered_in_order(slow):
    with connect(slow) as connection, connection.makefile("rb") as stream:
        connection.sendall(b"".join(request(rows(n)) for n in (555, 1, 2, 3)))
        found = [json.loads(read(stream)[2])["predictions"] for _ in range(4)]
        assert found == [[1110.0], [2.0], [4.0], [6.0]]
        connection.sendall(request(rows(9)))
        assert read(stream)[0] == 200


def test_a_request_behind_a_slow_one_is_not_late_for_it(slow):
    behind = request(rows(7))
    with connect(slow) as connection, connection.makefile("rb") as stream:
        connection.sendall(request(rows(556)) + behind[:-5])  # longer than one has to arrive
        assert read(stream)[0] == 200
        connection.sendall(behind[-5:])
        assert json.loads(read(stream)[2])["predictions"] == [14.0]
    with connect(slow) as connection, connection.makefile("rb") as stream:
        connection.sendall(request(rows(556)) + behind[:-5])
        assert read(stream)[0] == 200
        assert code(read(stream)) == (408, "EB525")


def test_who_has_stopped_writing_is_still_answered(slow):
    status, headers, body = answer(slow, request(rows(555)), end=True)
    assert (status, json.loads(body)["predictions"]) == (200, [1110.0])
    assert headers["connection"] == "close"
    with connect(slow) as connection, connection.makefile("rb") as stream:
        connection.sendall(request(rows(555)) + request(rows(1)))
        connection.shutdown(socket.SHUT_WR)
        assert [read(stream)[0], read(stream)[0]] == [200, 200]
        assert stream.read() == b""


def test_who_stops_in_the_middle_is_let_go(served, client):
    for begun in (request()[:40], request()[:-3]):
        with connect(served) as connection:
            connection.sendall(begun)
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(65536) == b""
    assert client.get("/healthz").status_code == 200
    assert served.errors() == ""


def test_idle_connections_keep_nobody_out(served, client):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        with contextlib.ExitStack() as stack:
            for _ in range(min(IDLE, hard - 500)):
                stack.enter_context(connect(served))
            found = client.post("/v1/models/line/predict", json={"rows": [{"feature": 9}]})
            assert found.json()["predictions"] == [18.0]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"rows": [{"feature": 1, "feature": 2}]}', (422, "EB560")),
        (b'{"rows": [{"feature": 1}, {"feature": 2, "note": "x", "note": "y"}]}', (422, "EB560")),
        (b'{"rows": [{"feature": 1, "f\\u0065ature": 2}]}', (422, "EB560")),
        (b'{"rows": [{"feature": 1}], "rows": [{"feature": 2}]}', (422, "EB560")),
        (b'{"rows": [{"feature": 1, "feature": "x"}]}', (422, "EB560")),
        (b'{"rows": [{"feature": "NaN"}]}', (422, "EB515")),
        (b'{"rows": [{"feature": Infinity}]}', (400, "EB508")),
        (b'{"rows": [{"feature": "Infinity"}]}', (422, "EB515")),
        (b'{"rows": [{"feature": 1, "note": "\xc3\x28"}]}', (400, "EB508")),
        (b"\x1f\x8b\x08\x00", (400, "EB508")),
    ],
)
def test_bodies_that_can_be_read_in_two_ways_or_in_none(served, body, expected):
    found = answer(served, request(body))
    assert code(found) == expected
    if expected[1] == "EB560":
        assert json.loads(found[2])["column"] in {"feature", "note", "rows"}


def test_quotes_within_texts_are_no_names(served):
    body = json.dumps({"rows": [{"feature": 1, "note": 'say "feature": "feature"'}]}).encode()
    assert answer(served, request(body))[0] == 200
    assert served.logged()[0].rows[0]["note"] == 'say "feature": "feature"'


def test_whole_numbers_beyond_2_to_the_53_become_the_nearest_float(served):
    body = b'{"rows": [{"feature": 9007199254740993}, {"feature": 123456789012345678901234567890}]}'
    predictions = json.loads(answer(served, request(body))[2])["predictions"]
    assert predictions == [2.0 * 9007199254740993, 2.0 * 123456789012345678901234567890]


def test_hosts_that_contradict_each_other(served):
    two = TYPE + b"host: localhost\r\nhost: evil.example\r\n"
    assert code(answer(served, request(headers=two))) == (400, "EB561")
    twice = TYPE + b"content-type: text/plain\r\n"
    assert code(answer(served, request(headers=twice))) == (400, "EB561")
    away = b"http://evil.example/v1/models/line/predict"
    assert code(answer(served, request(target=away))) == (421, "EB505")
    here = b"http://localhost:80/v1/models/line/predict"
    assert answer(served, request(target=here))[0] == 200
    foreign = TYPE + b"host: evil.example\r\n"
    assert code(answer(served, request(headers=foreign))) == (421, "EB505")
    assert answer(served, request(target=here, headers=foreign))[0] == 200  # the target rules


def test_an_upgrade_is_not_taken(served):
    upgrade = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMA\r\n"
    status, headers, body = answer(served, request(headers=TYPE + upgrade))
    assert status == 200, body
    assert json.loads(body)["predictions"] == [18.0]
    assert "upgrade" not in headers


def test_other_sites_get_no_permission(served):
    origin = b"origin: https://evil.example\r\n"
    _, headers, _ = answer(served, request(headers=TYPE + origin))
    assert not any(name.startswith("access-control") for name in headers)
    asks = origin + b"access-control-request-method: POST\r\n"
    found = answer(served, request(b"", method=b"OPTIONS", headers=asks))
    assert code(found) == (405, "EB504")
    assert not any(name.startswith("access-control") for name in found[1])
    simple = b"content-type: text/plain\r\n" + origin
    assert code(answer(served, request(headers=simple))) == (415, "EB506")


def test_head_has_no_body(served):
    with connect(served) as connection, connection.makefile("rb") as stream:
        connection.sendall(request(b"", method=b"HEAD", target=b"/healthz"))
        connection.sendall(request())
        assert stream.readline().startswith(b"HTTP/1.1 200 ")
        while stream.readline().strip():
            pass
        assert read(stream)[0] == 200
