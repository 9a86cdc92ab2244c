"""The prediction log: whole frames only, whatever happens to the writer or to the disk."""

import asyncio
import io
import os
import time

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everbake.core.frames import Answered, SegmentHeader, framed, payloads
from everbake.errors import HealthError
from everbake.ports import Wanted
from everbake.serving.segments import LogPlace, PredictionLog
from everbake.wiring import predictions

URL = "/v1/models/line/predict"


def answered(number: int, rows: int = 1, time: float | None = None) -> Answered:
    ids = [f"{number:06d}-{row}" for row in range(rows)]
    moment = float(number) if time is None else time
    return Answered(ids, moment, 1, [{"a": number}] * rows, [float(number)] * rows)


def read(data: bytes):
    return list(payloads(io.BytesIO(data).read))


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=5), st.data())
def test_a_torn_tail_loses_only_the_torn_frame(contents, data):
    frames = [framed(content) for content in contents]
    whole = b"".join(frames)
    assert [payload for payload, _ in read(whole)] == contents
    cut = data.draw(st.integers(0, len(whole)))
    ends = [sum(map(len, frames[: n + 1])) for n in range(len(frames))]
    expected = [(c, end) for c, end in zip(contents, ends, strict=True) if end <= cut]
    assert read(whole[:cut]) == expected


@given(st.binary(min_size=1, max_size=40), st.data())
def test_a_changed_byte_is_seen(content, data):
    frame = bytearray(framed(content))
    place = data.draw(st.integers(0, len(frame) - 1))
    frame[place] ^= data.draw(st.integers(1, 255))
    assert content not in [payload for payload, _ in read(bytes(frame))]


def write(log_directory, numbers, *, sync="none", full=10**9, worker=0):
    async def run():
        log = PredictionLog(LogPlace(log_directory, worker, sync, full), lambda: (3, "ff" * 32))
        for number in numbers:
            assert await log.append("line", answered(number)) is None
        await log.close()

    asyncio.run(run())
    # A worker takes longer to begin anew: two that begin in one millisecond have no order.
    ended = time.time_ns() // 1_000_000
    while time.time_ns() // 1_000_000 == ended:
        pass


@pytest.mark.parametrize("sync", ["none", "tick"])
def test_what_is_appended_can_be_read(tmp_path, sync):
    directory = tmp_path / ".everbake" / "log"
    write(directory, range(5), sync=sync)
    (path,) = (directory / "line").iterdir()
    with path.open("rb") as stream:
        head, *_ = payloads(stream.read)
    header = msgspec.msgpack.decode(head[0], type=SegmentHeader)
    assert header == SegmentHeader("line", 0, (3, "ff" * 32))
    rows = list(predictions(tmp_path, "line"))
    assert [row["prediction"] for row in rows] == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert rows[1] == {
        "id": "000001-0",
        "time": "1970-01-01T00:00:01.000+00:00",
        "model": "line",
        "version": 1,
        "role": "champion",
        "key": None,
        "features": {"a": 1},
        "prediction": 1.0,
        "decision": None,
        "label": None,
    }


@pytest.mark.parametrize("sync", ["none", "tick"])
def test_one_tick_is_one_write(tmp_path, sync, monkeypatch):
    written = []
    plain = os.write

    def counted(descriptor, data):
        written.append(len(data))
        return plain(descriptor, data)

    async def run():
        log = PredictionLog(LogPlace(tmp_path, 0, sync), lambda: (0, ""))
        monkeypatch.setattr(os, "write", counted)
        together = [log.append("line", answered(n)) for n in range(10)]
        other = log.append("other", answered(1))
        assert await asyncio.gather(*together, other) == [None] * 11
        assert len(written) == 4  # a header and a tick, for each model
        later = [log.append("line", answered(n)) for n in range(10, 12)]
        await log.close()
        assert all(future.result() is None for future in later)

    asyncio.run(run())


def test_who_fails_over_an_answer_that_is_logged_keeps_nobody_waiting(tmp_path, caplog):
    async def run():
        log = PredictionLog(LogPlace(tmp_path, 0), lambda: (0, ""))
        told = []

        def fail(_):
            raise RuntimeError("a closed connection")

        log.write("line", answered(1), fail)
        log.write("line", answered(2), told.append)
        gone = log.append("line", answered(3))
        gone.cancel()
        assert await log.append("line", answered(4)) is None
        assert told == [None]
        await log.close()

    asyncio.run(run())
    assert "a closed connection" in caplog.text


@pytest.mark.parametrize("sync", ["none", "tick"])
def test_one_that_cannot_be_encoded_fails_alone(tmp_path, sync):
    def request(number, **row):
        return Answered([f"{number}"], float(number), 1, [row], [1.0])

    async def run():
        log = PredictionLog(LogPlace(tmp_path / ".everbake" / "log", 0, sync), lambda: (0, ""))
        assert await log.append("line", request(0, a=0)) is None
        tick = [
            log.append("line", request(1, a=1)),
            log.append("line", request(2, b="\ud800")),  # its names are numbered all the same
            log.append("line", request(3, b="x")),
            log.append("line", Answered(["4"], 4.0, 1, [{"\udc00": 1}], [1.0])),
            log.append("line", request(5, c=1)),
        ]
        troubles = await asyncio.gather(*tick)
        assert [type(trouble) for trouble in troubles[1::2]] == [UnicodeEncodeError] * 2
        assert troubles[::2] == [None] * 3
        assert isinstance(await log.append("line", request(6, d="\ud800")), UnicodeEncodeError)
        assert await log.append("line", request(7, d="y")) is None
        await log.close()

    asyncio.run(run())
    kept = [row["features"] for row in predictions(tmp_path, "line")]
    assert kept == [{"a": 0}, {"a": 1}, {"b": "x"}, {"c": 1}, {"d": "y"}]


def test_a_full_segment_is_followed_by_another(tmp_path):
    write(tmp_path / ".everbake" / "log", range(20), full=300)
    assert len(list((tmp_path / ".everbake" / "log" / "line").iterdir())) > 3
    assert [r["prediction"] for r in predictions(tmp_path, "line")] == [float(n) for n in range(20)]


def test_a_torn_segment_and_what_other_workers_wrote(tmp_path):
    directory = tmp_path / ".everbake" / "log"
    write(directory, [1, 3, 5], worker=0)
    write(directory, [2, 4, 6], worker=1)
    for path in (directory / "line").glob("0-*"):
        path.write_bytes(path.read_bytes()[:-1])
    write(directory, [7, 8], worker=0)
    assert [r["prediction"] for r in predictions(tmp_path, "line")] == [1, 2, 3, 4, 6, 7, 8]
    assert [r["prediction"] for r in predictions(tmp_path, "line", limit=3)] == [6, 7, 8]
    assert list(predictions(tmp_path, "line", limit=0)) == []
    wanted = ["000004-0", "000005-0", "nobody"]
    assert [r["id"] for r in predictions(tmp_path, "line", Wanted(ids=frozenset(wanted)))] == [
        "000004-0"
    ]
    assert list(predictions(tmp_path, "unknown")) == []


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 99)), max_size=12), st.integers(0, 14))
def test_the_newest_are_the_end_of_all(tmp_path_factory, writes, limit):
    project = tmp_path_factory.mktemp("project")
    for worker in range(3):
        numbers = sorted({n for w, n in writes if w == worker})
        write(project / ".everbake" / "log", [1000 * worker + n for n in numbers], worker=worker)
    every = [row["id"] for row in predictions(project, "line")]
    newest = [row["id"] for row in predictions(project, "line", limit=limit)]
    assert newest == every[max(0, len(every) - limit) :]


def test_a_segment_of_the_future_is_named(tmp_path):
    directory = tmp_path / ".everbake" / "log" / "line"
    directory.mkdir(parents=True)
    header = msgspec.msgpack.encode(SegmentHeader("line", 0, (0, ""), format=9))
    (directory / "0-1-a.seg").write_bytes(framed(header))
    with pytest.raises(HealthError, match="EB528"):
        list(predictions(tmp_path, "line"))


def test_zeros_that_a_power_cut_left_are_no_frames_and_a_strange_one_is_named(tmp_path):
    directory = tmp_path / ".everbake" / "log"
    write(directory, [1, 2])
    (path,) = (directory / "line").iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole + bytes(4096))
    assert [r["prediction"] for r in predictions(tmp_path, "line")] == [1, 2]
    path.write_bytes(whole + framed(b"something else"))
    with pytest.raises(HealthError, match="EB528"):
        list(predictions(tmp_path, "line"))


def test_nothing_is_answered_that_cannot_be_logged(project):
    project.deploy(1, project.bundle())
    project.start("--file-limit", "4000")
    codes, ids = [], []
    with httpx.Client(base_url=project.url, trust_env=False, timeout=20) as client:
        for _ in range(60):
            answer = client.post(URL, json={"rows": [{"feature": 1}] * 10})
            codes.append(answer.status_code)
            if answer.status_code == 200:
                ids += answer.json()["ids"]
            else:
                assert answer.json()["code"] == "EB520"
        assert client.get("/healthz").status_code == 200
    assert 503 in codes
    assert codes[0] == 200
    assert [row["id"] for row in predictions(project.path, "line")] == ids


def test_what_cannot_be_logged_is_answered_where_that_is_wanted(project):
    project.deploy(1, project.bundle())
    project.start("--file-limit", "4000", "--full", "answer")
    rows = [{"feature": 1}] * 10
    tensor = {"name": "feature", "shape": [10], "datatype": "FP64", "data": [1.0] * 10}
    binary = {"inputs": [tensor], "parameters": {"binary_data_output": True}}
    asked = (
        (URL, {"rows": rows}),
        ("/v2/models/line/infer", {"inputs": [tensor]}),
        ("/v2/models/line/infer", binary),
        ("/invocations", {"dataframe_records": rows}),
    )
    logged, unlogged = 0, {address: 0 for address, _ in asked}
    with httpx.Client(base_url=project.url, trust_env=False, timeout=20) as client:
        for at in range(120):
            address, body = asked[at % len(asked)]
            answer = client.post(address, json=body)
            assert answer.status_code == 200, answer.text
            mark = answer.headers.get("everbake-unlogged")
            assert mark in (None, "1")
            logged += 10 * (mark is None)
            unlogged[address] += 10 * (mark == "1")
        metrics = client.get("/metrics").text
    assert all(unlogged.values())
    assert len(list(predictions(project.path, "line"))) == logged > 0
    assert f'everbake_unlogged_total{{model="line"}} {float(sum(unlogged.values()))}' in metrics
