"""Frames and requests between everbake's processes."""

import math
import socket
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everbake.wire import (
    JobLimits,
    JobOutcome,
    Request,
    outcome_frame,
    parse_outcome,
    receive_frame,
    send_frame,
)

LIMITS = st.builds(
    JobLimits,
    memory_bytes=st.integers(0, 2**60),
    seconds=st.floats(0, allow_nan=False),
    threads=st.integers(1, 512),
)


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_frames_arrive_whole_and_in_order(frames: list[bytes]) -> None:
    left, right = socket.socketpair()
    with left, right:
        for frame in frames:
            send_frame(left, frame)
        left.shutdown(socket.SHUT_WR)
        assert [receive_frame(right) for _ in frames] == frames
        assert receive_frame(right) is None


def test_a_frame_larger_than_every_buffer_arrives_whole() -> None:
    frame = bytes(range(256)) * 20_000
    left, right = socket.socketpair()
    with left, right:
        sender = threading.Thread(target=send_frame, args=(left, frame))
        sender.start()
        assert receive_frame(right) == frame
        sender.join(10)


@pytest.mark.parametrize("cut", [b"\0\0", b"\0\0\0\5ab", b"\xff\xff\xff\xff"])
def test_a_broken_frame_is_an_error_and_not_an_end(cut: bytes) -> None:
    left, right = socket.socketpair()
    with right:
        with left:
            left.sendall(cut)
        with pytest.raises(ConnectionError):
            receive_frame(right)


@given(st.sampled_from(["job", "session"]), st.text(), st.text(), st.integers(0, 2**63), LIMITS)
def test_a_request_survives_its_packet(
    kind: str, name: str, work: str, seed: int, limits: JobLimits
) -> None:
    request = Request(kind, name, work, seed, limits)  # type: ignore[arg-type]
    assert Request.parse(request.packet()) == request


def test_no_time_limit_survives_the_packet() -> None:
    request = Request("session", "serve", "", 0, JobLimits(1, math.inf, 1))
    assert Request.parse(request.packet()).limits.seconds == math.inf


def test_an_outcome_is_its_frame_and_the_result_file(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_bytes(b"[1]")
    outcome = JobOutcome("done", b"[1]", "", 0.25, 1000)
    assert parse_outcome(outcome_frame(outcome), tmp_path) == outcome
