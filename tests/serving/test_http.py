"""What connections may do, over raw sockets to a real worker."""

import contextlib
import json
import resource
import signal
import socket
import time
from unittest.mock import Mock

import pytest

from everbake.serving import protocol

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


def predictions(found):
    assert found[0] == 200, found
    return json.loads(found[2])["predictions"]


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


def test_one_request_after_the_other_with_the_same_head(served):
    with connect(served) as connection, connection.makefile("rb") as stream:
        for n in (1, 2, 3, 1000, 4, 5):
            connection.sendall(request(rows(n)))
            assert predictions(read(stream)) == [2.0 * n]
        # In pieces, at each place.
        whole = request(rows(7))
        for at in range(1, len(whole), 7):
            connection.sendall(whole[:at])
            time.sleep(0.002)  # so that it may arrive alone; whether it does is all the same
            connection.sendall(whole[at:])
            assert predictions(read(stream)) == [14.0]
        # Several in one piece, of which the first is known.
        connection.sendall(request(rows(1)) + request(rows(2)) + request(rows(7)))
        assert [predictions(read(stream)) for _ in range(3)] == [[2.0], [4.0], [14.0]]
        # One behind the other, faster than they are answered.
        for n in (3, 4, 5):
            connection.sendall(request(rows(n)))
        assert [predictions(read(stream)) for _ in range(3)] == [[6.0], [8.0], [10.0]]


def test_what_is_wrong_behind_a_known_head_is_told(served):
    with connect(served) as connection, connection.makefile("rb") as stream:
        for _ in range(2):
            connection.sendall(request(rows(12)))
            assert predictions(read(stream)) == [24.0]
            connection.sendall(request(b'{"rows": [{"feature": ""}]}'))
            assert code(read(stream)) == (422, "EB515")
            connection.sendall(request(b'{"rows": [{"feature": 12}] '))
            assert code(read(stream)) == (400, "EB508")


def test_known_heads_follow_the_deployment(served):
    with connect(served) as connection, connection.makefile("rb") as stream:
        for _ in range(2):
            connection.sendall(request(rows(5)))
            assert predictions(read(stream)) == [10.0]
        generation = served.deploy(2, served.bundle(3.0))
        served.wait_for(generation)
        connection.sendall(request(rows(5)))
        assert predictions(read(stream)) == [15.0]
        generation = served.deploy(3, served.bundle(4.0, "native"))
        served.wait_for(generation)
        connection.sendall(request(rows(5)))
        assert predictions(read(stream)) == [20.0]


def test_a_head_with_a_key_keeps_it(served):
    keyed = request(rows(6), headers=b"content-type: application/json\r\neverbake-key: mary\r\n")
    with connect(served) as connection, connection.makefile("rb") as stream:
        for data in (keyed, keyed, request(rows(6))):
            connection.sendall(data)
            assert predictions(read(stream)) == [12.0]
    assert [row.key for row in served.logged()] == ["mary", "mary", None]


def test_who_has_stopped_writing_behind_a_known_head_is_answered(served):
    assert predictions(answer(served, request(rows(8)))) == [16.0]
    assert predictions(answer(served, request(rows(8)), end=True)) == [16.0]


def test_a_connection_that_nobody_uses_is_closed_but_none_with_a_request_under_way(project):
    project.deploy(1, project.bundle(2.0, "native"))  # the feature 556 takes it 1.2 s
    project.start("--idle", "0.5")
    with connect(project) as connection, connection.makefile("rb") as stream:
        connection.sendall(request(rows(1)))
        assert predictions(read(stream)) == [2.0]
        connection.sendall(request(rows(556)))
        assert predictions(read(stream)) == [1112.0]
        assert stream.read() == b""  # within the time that `connect` allows


def test_a_connection_that_says_nothing_is_closed(project):
    project.start("--idle", "0.5")
    with connect(project) as connection:
        assert connection.recv(1) == b""  # within the time that `connect` allows


@pytest.mark.parametrize("idle", ["0.2", "600"])
def test_who_does_not_read_holds_up_no_end(project, idle):
    project.deploy(1, project.bundle(2.0))
    project.listener = socket.create_server(("127.0.0.1", 0))
    project.listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # connections inherit it
    process = project.start("--arrive", "600", "--idle", idle)  # the grace is as long
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(project.listener.getsockname())
        connection.sendall(request(rows(*range(10_000))))
        connection.recv(1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def test_who_reads_slowly_gets_all_of_a_last_answer():
    bounded = protocol.BoundedProtocol.__new__(protocol.BoundedProtocol)
    bounded.transport, bounded.loop = Mock(), Mock()
    bounded._ending = None
    bounded.transport.get_write_buffer_size.side_effect = [9, 5, 5]
    bounded._close()
    bounded._close()  # is one with the first
    assert bounded.loop.call_later.call_count == 1
    for _ in range(2):
        assert not bounded.transport.abort.called
        _, look, left = bounded.loop.call_later.call_args.args
        look(left)
    assert bounded.transport.abort.called


def test_the_rest_of_a_refused_body_is_no_request_whatever_it_looks_like(served):
    known = request(rows(5))
    refused = request(known * 3, target=b"/v1/models/line/nothing", headers=TYPE)
    head = refused[: -len(known) * 3]
    with connect(served) as connection, connection.makefile("rb") as stream:
        for _ in range(2):
            connection.sendall(known)
            assert predictions(read(stream)) == [10.0]
        connection.sendall(head)
        assert code(read(stream)) == (404, "EB501")
        for _ in range(3):  # each alone, exactly as a request of its own would be
            connection.sendall(known)
            time.sleep(0.05)
        connection.sendall(request(rows(8)))
        assert predictions(read(stream)) == [16.0]


def test_who_answers_may_change_while_a_body_arrives(served):
    data = request(rows(5))
    for version, runtime in ((2, "native"), (3, "linear"), (4, "native")):
        with connect(served) as connection, connection.makefile("rb") as stream:
            connection.sendall(data[:-5])
            time.sleep(0.05)  # so that the head is read before the swap; all the same if it is not
            served.wait_for(served.deploy(version, served.bundle(float(version), runtime)))
            connection.sendall(data[-5:])
            assert predictions(read(stream)) == [5.0 * version]
