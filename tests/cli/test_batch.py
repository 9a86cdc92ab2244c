"""Whole files are answered: bounded, resumed where it stopped, the same bytes every time."""

import json
import re
import resource
import signal
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

PART = 131_072  # rows that are answered at a time
OWN_CODE = """
import time
from pathlib import Path

import numpy as np
from everbake import Gate, Recipe, Table
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_squared_error


def train(rows):
    return LinearRegression().fit(rows[["feature"]], rows["target"])


def predict(model, rows):
    hold = Path("hold")  # a slow model: it waits with the rows from this one on
    while hold.exists() and rows["feature"].iloc[0] >= int(hold.read_text()):
        time.sleep(0.05)
    return np.sinh(model.predict(rows[["feature"]]) / 1e7)


recipe = Recipe(
    name="line",
    data=Table(label="target"),
    train=train,
    predict=predict,
    gate=Gate(metric=mean_squared_error),
)
"""


@pytest.fixture(scope="module")
def scored(tmp_path_factory, started):
    """A project with a champion that is a compiled runtime."""
    return started(tmp_path_factory.mktemp("scored"))


@pytest.fixture
def own_code(project):
    """A project whose champion answers with its own, slow code."""
    project.write("recipe.py", OWN_CODE)
    project.write("old.csv", "feature,target\n" + "".join(f"{i},{2 * i}\n" for i in range(1, 40)))
    project.json("ingest", "line", "old.csv")
    return project


def numbers(place, rows, **columns):
    """A Parquet file of rows for the example, in uneven row groups."""
    feature = np.arange(rows, dtype=np.int64)
    pq.write_table(pa.table({"feature": feature} | columns), place, row_group_size=50_000)
    return place


def begun(project, *words, **how):
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "everbake", *map(str, words)],
        cwd=project.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **how,
    )  # fmt: skip


def test_every_row_is_answered_with_id_version_and_kept_columns(scored):
    rows = 2 * PART + 5
    who = pa.array([f"u{i}" for i in range(rows)])
    numbers(scored.path / "big.parquet", rows, who=who)
    told = scored.json("predict", "line", "big.parquet", "-o", "out.parquet", "--keep", "who")
    assert told.keys() == {"schema", "model", "version", "rows", "files", "output", "seconds"}
    assert (told["model"], told["version"], told["rows"]) == ("line", 1, rows)
    answers = pq.read_table(scored.path / "out.parquet")
    assert answers.column_names == ["id", "prediction", "version", "who"]
    assert np.allclose(answers["prediction"], 2.0 * np.arange(rows))
    assert answers["who"].combine_chunks() == who
    assert len(set(answers["id"].to_pylist())) == rows
    assert set(answers["version"].to_pylist()) == {1}
    assert not (scored.path / "out.parquet.parts").exists()


def test_the_answers_are_those_of_a_request_in_every_format(scored):
    rows = [{"feature": 3}, {"feature": 7}]
    scored.write("few.jsonl", "\n".join(map(json.dumps, rows)))
    scored.write("few.csv", "target,feature\n0,3\n0,7\n")
    pq.write_table(pa.Table.from_pylist(rows), scored.path / "few.pq")
    asked = scored.json("predict", "line", "few.jsonl")["predictions"]
    told = scored.json("predict", "line", "few.jsonl", "-o", "formats/j")
    assert told["files"][0]["rows"] == 2
    for name in ("few.jsonl", "few.csv", "few.pq"):
        output = scored.path / f"{name}.out.parquet"
        scored.json("predict", "line@1", name, "-o", output)
        assert np.allclose(pq.read_table(output)["prediction"], asked, rtol=1e-12)


def test_a_folder_gives_one_output_a_file(scored):
    for name in ("a", "b"):
        scored.write(f"days/{name}.csv", "feature\n1\n2\n")
    scored.write("days/notes.txt", "no rows")
    told = scored.json("predict", "line", "days", "-o", "answered")
    assert [each["rows"] for each in told["files"]] == [2, 2]
    first, second = (pq.read_table(scored.path / f"answered/{n}.parquet") for n in "ab")
    assert not set(first["id"].to_pylist()) & set(second["id"].to_pylist())
    assert scored.run("predict", "line", "days", "-o", "one.parquet").returncode == 2


def test_what_is_complete_is_left_alone_and_what_changed_is_answered_again(scored):
    scored.write("again.csv", "feature\n1\n2\n")
    scored.json("predict", "line", "again.csv", "-o", "again.parquet")
    output = scored.path / "again.parquet"
    before = output.stat().st_ino, output.read_bytes()
    done = scored.run("predict", "line", "again.csv", "-o", "again.parquet")
    assert done.returncode == 0
    assert "left alone" in done.stdout
    assert (output.stat().st_ino, output.read_bytes()) == before
    scored.write("again.csv", "feature\n1\n2\n3\n")
    assert scored.json("predict", "line", "again.csv", "-o", "again.parquet")["rows"] == 3
    assert pq.read_metadata(output).num_rows == 3


def test_killed_at_the_very_end_it_leaves_no_parts(scored):
    scored.write("end.csv", "feature\n1\n2\n")
    scored.json("predict", "line", "end.csv", "-o", "end.parquet")
    before = (scored.path / "end.parquet").read_bytes()
    parts = scored.path / "end.parquet.parts"
    parts.mkdir()
    (parts / "order.json").write_text("{}")
    told = scored.json("predict", "line", "end.csv", "-o", "end.parquet")
    assert (told["rows"], told["files"][0]["resumed"]) == (2, 2)
    assert (scored.path / "end.parquet").read_bytes() == before
    assert not parts.exists()


def test_killed_in_the_middle_it_goes_on_and_writes_the_same_bytes(own_code):
    numbers(own_code.path / "big.parquet", 5 * PART + 17)
    own_code.json("predict", "line", "big.parquet", "-o", "whole.parquet")
    parts = own_code.path / "killed.parquet.parts"
    for killed_at in (1, 3):
        hold = own_code.write("hold", str(killed_at * PART))
        running = begun(own_code, "predict", "line", "big.parquet", "-o", "killed.parquet")
        while len(list(parts.glob("*.arrow"))) < killed_at:
            assert running.poll() is None, running.communicate()
        running.send_signal(signal.SIGKILL)
        running.communicate()
        assert not (own_code.path / "killed.parquet").exists()
    hold.unlink()
    told = own_code.json("predict", "line", "big.parquet", "-o", "killed.parquet")
    assert told["files"][0]["resumed"] == 3 * PART
    whole = (own_code.path / "whole.parquet").read_bytes()
    assert (own_code.path / "killed.parquet").read_bytes() == whole
    assert not parts.exists()


def test_two_at_once_on_one_output(own_code):
    numbers(own_code.path / "big.parquet", 100)
    hold = own_code.write("hold", "0")
    first = begun(own_code, "predict", "line", "big.parquet", "-o", "out.parquet")
    while not (own_code.path / "out.parquet.parts" / "order.json").exists():
        assert first.poll() is None, first.communicate()
    second = own_code.run("predict", "line", "big.parquet", "-o", "out.parquet")
    assert (second.returncode, "EB584" in second.stderr) == (7, True), second.stderr
    hold.unlink()
    _, complaint = first.communicate()
    assert first.returncode == 0, complaint
    assert pq.read_metadata(own_code.path / "out.parquet").num_rows == 100


@pytest.mark.parametrize(
    ("name", "content", "code", "place"),
    [
        ("type.csv", "feature\n1\nsome\n", "EB580", "type.csv, row 2, column feature"),
        ("null.csv", "feature,x\n1,1\n,2\n", "EB580", "null.csv, row 2, column feature"),
        ("empty.csv", "", "EB105", "empty.csv"),
        ("header.csv", "feature\n", "EB106", "header.csv"),
        ("other.csv", "features\n1\n", "EB581", "other.csv"),
        ("twice.csv", "feature,feature\n1,2\n", "EB582", "twice.csv"),
        ("ragged.csv", "feature,x\n1,2\n1,2,3\n", "EB582", "ragged.csv, row 2"),
        ("broken.jsonl", '{"feature":1}\n{"feature":\n', "EB582", "broken.jsonl, row 2"),
        ("broken.parquet", "PAR1 and nothing more", "EB582", "broken.parquet"),
    ],
)
def test_a_bad_file_is_refused_whole(scored, name, content, code, place):
    scored.write(name, content)
    done = scored.run("predict", "line", name, "-o", f"out/{name}.parquet")
    assert done.returncode == 3, done.stderr
    assert code in done.stderr
    assert place in done.stderr
    assert not list((scored.path / "out").glob(f"{name}.parquet*"))


def test_a_bad_row_far_behind_is_named_by_its_place(scored):
    feature = np.arange(PART + 100, dtype=np.float64)
    feature[PART + 41] = np.inf
    pq.write_table(pa.table({"feature": feature}), scored.path / "far.parquet")
    done = scored.run("predict", "line", "far.parquet", "-o", "far.out.parquet")
    assert done.returncode == 3
    assert f"row {PART + 42}, column feature" in done.stderr
    assert not list(scored.path.glob("far.out.parquet*"))


def test_a_bad_row_is_named_also_while_the_part_before_it_is_being_written(scored):
    feature = np.arange(PART + 100, dtype=np.float64)
    feature[PART + 41] = np.inf
    # Many columns to copy, so that writing them is not over when the bad row is found.
    copied = {f"copied_{i}": np.random.default_rng(i).random(len(feature)) for i in range(60)}
    pq.write_table(pa.table({"feature": feature, **copied}), scored.path / "wide.parquet")
    keep = [word for name in copied for word in ("--keep", name)]
    for _ in range(2):
        done = scored.run("predict", "line", "wide.parquet", "-o", "wide.out.parquet", *keep)
        assert done.returncode == 3, done.stderr
        assert f"row {PART + 42}, column feature" in done.stderr
        assert done.stderr.count("EB580") == 1
        assert not list(scored.path.glob("wide.out.parquet*"))


def test_ranges_are_notices(paused):
    paused.write("odd.csv", "feature\n1\n1000000\n2000000\n")
    told = paused.json("predict", "line", "odd.csv", "-o", "odd.parquet")
    (notice,) = told["files"][0]["notices"]
    assert re.search(r"odd.csv, column feature: 2 values .* the first 1000000 in row 2", notice)


def test_a_full_disk_keeps_what_is_there_and_the_same_command_goes_on(own_code):
    numbers(own_code.path / "big.parquet", 3 * PART)
    own_code.json("predict", "line", "big.parquet", "-o", "whole.parquet")

    def small_disk():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))

    full = begun(
        own_code, "predict", "line", "big.parquet", "-o", "out.parquet", preexec_fn=small_disk
    )
    _, complaint = full.communicate()
    assert (full.returncode, "EB605" in complaint) == (6, True), complaint
    assert not (own_code.path / "out.parquet").exists()
    own_code.json("predict", "line", "big.parquet", "-o", "out.parquet")
    whole = (own_code.path / "whole.parquet").read_bytes()
    assert (own_code.path / "out.parquet").read_bytes() == whole


def test_a_file_of_somebody_else_is_not_replaced(scored):
    scored.write("mine.parquet", "my own notes")
    scored.write("few.csv", "feature\n1\n")
    done = scored.run("predict", "line", "few.csv", "-o", "mine.parquet")
    assert (done.returncode, "EB585" in done.stderr) == (2, True)
    assert (scored.path / "mine.parquet").read_text() == "my own notes"
    done = scored.run("predict", "line", "few.csv", "-o", "few.parquet", "--keep", "nobody")
    assert (done.returncode, "EB581" in done.stderr) == (3, True)
