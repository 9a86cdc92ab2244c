"""Heads of requests that are remembered."""

import pytest

from everbake.serving.heads import Head, Heads

PLAIN = b"POST /v1/models/line/predict HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n"
MEANT = Head("line", 2)


def test_a_head_means_the_same_each_time_and_only_with_a_body_of_its_length():
    heads = Heads()
    assert heads.find(PLAIN + b"{}") is None
    heads.remember(PLAIN + b"{}", MEANT)
    assert heads.find(PLAIN + b"[]") == (MEANT, b"[]")
    for other in (PLAIN, PLAIN + b"{", PLAIN + b"{}P", PLAIN[1:] + b"{}", b"", b"\r\n\r\n", b"{}"):
        assert heads.find(other) is None


@pytest.mark.parametrize(
    "begun",
    [
        b"\r\n\r\n" + PLAIN,  # an empty line ahead of the request
        PLAIN.replace(b"host: localhost\r\n", b"host: localhost\n"),
        PLAIN.replace(b"content-length: 2\r\n\r\n", b"content-length: 2\n\n") + b"{}\r\n\r\n",
        PLAIN.replace(b"host", b"x: a\rb\r\nhost"),
        PLAIN.replace(b"POST", b"GET"),
        PLAIN.replace(b"host", b"x: " + b"a" * 2048 + b"\r\nhost"),
        PLAIN[:-2],
        b"",
    ],
)
def test_a_head_that_may_be_read_in_two_ways_is_not_remembered(begun):
    heads = Heads()
    heads.remember(begun, MEANT)
    for data in (begun, begun + b"{}", begun[: begun.find(b"\r\n\r\n") + 4] + b"{}"):
        assert heads.find(data) is None


def test_callers_that_say_something_new_each_time_do_not_fill_the_memory():
    heads = Heads()
    for n in range(2500):
        heads.remember(PLAIN.replace(b"host", b"everbake-key: %d\r\nhost" % n), MEANT)
    heads.remember(PLAIN, MEANT)
    found = [
        heads.find(PLAIN.replace(b"host", b"everbake-key: %d\r\nhost" % n) + b"{}")
        for n in range(2500)
    ]
    assert sum(each is not None for each in found) < 1000
    assert heads.find(PLAIN + b"{}") == (MEANT, b"{}")
