"""The conversion of the prediction log: each row once, whoever is killed, and nothing lost."""

import asyncio
import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pyarrow.dataset as ds
import pytest
from deltalake import DeltaTable

from everbake import wiring
from everbake.adapters.tables.logged import DeltaPredictions
from everbake.core.frames import Answered, SegmentHeader, framed, payloads
from everbake.errors import Retry
from everbake.ports import Anchor
from everbake.recording.convert import Converter, Pace
from everbake.serving.segments import LogPlace, PredictionLog

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from converting import keeper_of  # noqa: E402

DAY = 86400.0
NOON = 1_700_006_400.0 // DAY * DAY + DAY / 2


def name(time, number):
    return f"{int(time * 1000):012x}{'ab' * 5}{number:010x}"


def answered(number, time=NOON, **other):
    one = {"rows": [{"x": 1.5, "s": "ä", "n": None}], "predictions": [float(number)]}
    return Answered(ids=[name(time, number)], time=time, version=2, **{**one, **other})


def write(project, requests, worker=0, full=10**9):
    """Log requests as a worker does, which then ends."""

    async def run():
        place = LogPlace(project / ".everbake" / "log", worker, full=full)
        log = PredictionLog(place, lambda: (3, "ab" * 32))
        for one in requests:
            assert await log.append("line", one) is None
        await log.close()

    asyncio.run(run())


def convert(project, **parts):
    with keeper_of(project, **parts) as (recorder, keeper, _):
        recorder.look()
        keeper.look()


def table(project):
    place = project / ".everbake" / "predictions" / "line"
    found = ds.dataset(DeltaTable(place).file_uris(), partitioning="hive").to_table()
    return sorted(found.to_pylist(), key=lambda row: (row["time"], str(row["id"])))


def segments(project):
    return sorted((project / ".everbake" / "log" / "line").glob("*.seg"))


def test_answers_failures_and_shadows_become_rows(tmp_path):
    write(
        tmp_path,
        [
            answered(1, key="k", seconds=0.25, decisions=[True]),
            answered(1, time=NOON + 1, role="shadow"),
            answered(2, time=NOON + 2, predictions=[], error="EB517"),
            Answered([], NOON + 3, 2, [], [], error="EB519"),
            answered(4, time=NOON + 4, predictions=["yes"]),
        ],
    )
    convert(tmp_path)
    first, shadow, failed, shed, text = table(tmp_path)
    assert first == {
        "id": name(NOON, 1),
        "time": first["time"],
        "model": "line",
        "version": 2,
        "role": "champion",
        "key": "k",
        "latency": 0.25,
        "error": None,
        "features": '{"x":1.5,"s":"ä","n":null}',
        "prediction": "1.0",
        "score": 1.0,
        "decision": True,
    } | {name: first[name] for name in first.keys() - COLUMNS}
    assert first["time"].timestamp() == NOON
    assert (shadow["role"], shadow["score"]) == ("shadow", 1.0)
    assert (failed["error"], failed["prediction"], failed["score"]) == ("EB517", None, None)
    assert json.loads(failed["features"])["x"] == 1.5
    assert (shed["error"], shed["id"], shed["features"]) == ("EB519", None, None)
    assert (text["prediction"], text["score"]) == ('"yes"', None)


COLUMNS = {
    *("id", "time", "model", "version", "role", "key", "latency", "error"),
    *("features", "prediction", "score", "decision"),
}


def test_a_segment_goes_once_it_is_closed_converted_and_recorded(tmp_path):
    write(tmp_path, [answered(n, NOON + n) for n in range(40)], full=1500)
    write(tmp_path, [answered(99, NOON + 99)], worker=1)
    before = list(wiring.predictions(tmp_path, "line"))
    names = {f"log/line/{path.name}" for path in segments(tmp_path)}
    with keeper_of(tmp_path) as (recorder, keeper, _):
        keeper.look()
        assert len(segments(tmp_path)) == len(names) > 3  # not one is recorded
        recorder.look()
        keeper.look()
    assert segments(tmp_path) == []
    assert list(wiring.predictions(tmp_path, "line")) == before
    assert len(before) == 41
    (kept,) = wiring.records(tmp_path).anchors()
    assert kept.name in names
    assert kept == Anchor(kept.name, 3, "ab" * 32)


def test_an_open_segment_stays_and_its_rows_are_there_once(tmp_path):
    async def run():
        log = PredictionLog(LogPlace(tmp_path / ".everbake" / "log", 0), lambda: (3, "ab" * 32))
        await log.append("line", answered(1))
        convert(tmp_path)
        await log.append("line", answered(2, NOON + 1))
        assert len(segments(tmp_path)) == 1
        assert [r["prediction"] for r in wiring.predictions(tmp_path, "line")] == [1, 2]
        convert(tmp_path)
        await log.append("line", answered(3, NOON + 2))
        assert [r["prediction"] for r in wiring.predictions(tmp_path, "line")] == [1, 2, 3]
        await log.close()

    asyncio.run(run())
    convert(tmp_path)
    assert segments(tmp_path) == []
    assert [row["score"] for row in table(tmp_path)] == [1, 2, 3]


def test_nothing_is_deleted_while_somebody_reads(tmp_path):
    write(tmp_path, [answered(n, NOON + n) for n in range(9)])
    rows = wiring.predictions(tmp_path, "line")
    next(rows)
    convert(tmp_path)
    assert len(segments(tmp_path)) == 1
    assert len(list(rows)) == 8
    convert(tmp_path)
    assert segments(tmp_path) == []


def test_pandas_reads_the_table_as_the_documents_say(tmp_path, monkeypatch):
    write(tmp_path, [answered(n, NOON + n) for n in range(3)])
    convert(tmp_path)
    page = (HERE.parents[1] / "docs" / "operations.md").read_text()
    (said,) = re.findall(r"`(DeltaTable\(.*\))`", page)
    monkeypatch.chdir(tmp_path)
    frame = eval(said, {"DeltaTable": DeltaTable})  # noqa: S307 - of our own page
    assert list(frame.columns) == ["time", "version", "role", "score"]
    assert sorted(frame["score"]) == [0, 1, 2]


def test_rows_wait_for_company(tmp_path):
    write(tmp_path, [answered(n, NOON + n) for n in range(25)])
    with keeper_of(tmp_path, seconds=3600.0, rows=10) as (recorder, keeper, _):
        recorder.look()
        keeper.look()
        assert len(table(tmp_path)) == 20
        assert len(segments(tmp_path)) == 1
    assert len(list(wiring.predictions(tmp_path, "line"))) == 25


def test_a_segment_that_cannot_be_read_does_not_hold_up_the_others(tmp_path):
    folder = tmp_path / ".everbake" / "log" / "line"
    folder.mkdir(parents=True)
    future = msgspec.msgpack.encode(SegmentHeader("line", 0, (0, ""), format=9))
    (folder / "0-1-a.seg").write_bytes(framed(future))
    write(tmp_path, [answered(1)], worker=1)
    with keeper_of(tmp_path) as (_, keeper, _):
        keeper.look()
    assert [row["score"] for row in table(tmp_path)] == [1]
    assert (folder / "0-1-a.seg").exists()


def test_each_row_is_there_once_after_many_kills_over_torn_tails(tmp_path):
    dice = random.Random(1)
    (tmp_path / ".everbake").mkdir()
    writers = {}
    for turn in range(12):
        slot = turn % 2
        if slot in writers:
            end(writers.pop(slot))
            tear(tmp_path, slot, dice)
        writers[slot] = start("writer.py", tmp_path, f"w{turn}", slot)
        converting = start("converting.py", tmp_path, out=subprocess.PIPE)
        assert converting.stdout.readline() == b"begun\n"
        time.sleep(dice.uniform(0.0, 0.4))  # any moment may be the one
        end(converting)
    for process in writers.values():
        end(process)
    convert(tmp_path)
    said = {line for path in tmp_path.glob("answered-*") for line in path.read_text().split()}
    ids = [row["id"] for row in table(tmp_path)]
    assert len(ids) == len(set(ids))
    assert said <= set(ids)
    assert sorted(row["id"] for row in wiring.predictions(tmp_path, "line")) == sorted(ids)
    assert [path for path in segments(tmp_path) if begun(path)] == []
    assert len(said) > 1000


def start(script, project, *words, out=None):
    command = [sys.executable, str(HERE / script), str(project), *map(str, words)]
    return subprocess.Popen(command, stdout=out)


def end(process):
    process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def begun(path):
    """Whether its writer was not killed over the header."""
    with path.open("rb") as stream:
        return next(payloads(stream.read), None) is not None


def tear(project, slot, dice):
    """What a kill within a write leaves: the beginning of a frame."""
    last = max(path for path in segments(project) if path.name.startswith(f"{slot}-"))
    with last.open("ab") as stream:
        stream.write(framed(os.urandom(300))[: dice.randrange(1, 300)])


class Failing(DeltaPredictions):
    """Tables whose appends fail, as long as something is said to be wrong with a model's."""

    def __init__(self, project, **wrong):
        there = wiring.places(project)
        super().__init__(there.predictions, there.log)
        self.log = there.log
        self.wrong = wrong

    def append(self, model, rows, cursors):
        if model in self.wrong:
            raise self.wrong[model]
        super().append(model, rows, cursors)


@pytest.mark.parametrize("error", [MemoryError, ValueError, KeyboardInterrupt])
def test_rows_whose_commit_fails_are_read_again_whatever_the_error(tmp_path, error):
    write(tmp_path, [answered(n, NOON + n) for n in range(25)])
    tables = Failing(tmp_path, line=error())
    converter = Converter(tables.log, tables, Pace(0.0, rows=10))
    with pytest.raises(error):
        converter.step()
    assert converter.done() == []
    tables.wrong.clear()
    converter.step()
    assert [row["score"] for row in table(tmp_path)] == list(range(25))
    assert [done.path for done in converter.done()] == segments(tmp_path)


def test_a_table_that_cannot_be_written_does_not_hold_up_the_others(tmp_path):
    write(tmp_path, [answered(1)])
    log = tmp_path / ".everbake" / "log"
    shutil.copytree(log / "line", log / "a")
    tables = Failing(tmp_path, a=Retry("EB570", "it cannot be written"))
    converter = Converter(log, tables, Pace(0.0))
    with pytest.raises(Retry):
        converter.step()
    assert tables.models() == ["line"]
    assert [done.model for done in converter.done()] == ["line"]


def test_a_segment_that_somebody_removed_is_gone(tmp_path):
    write(tmp_path, [answered(n, NOON + n) for n in range(40)], full=1500)
    tables = Failing(tmp_path)
    converter = Converter(tables.log, tables, Pace(0.0))
    converter.step()
    removed, *others = segments(tmp_path)
    removed.unlink()
    assert sorted(done.path for done in converter.done()) == others
