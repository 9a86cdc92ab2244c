"""Unusual files that work, and bad ones that are quarantined whole, with row and column."""

import gzip
import math
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

HEAD = "feature,target\n"


def ingested(project, name, data):
    """Ingest bytes that must be taken; the outcome."""
    (project.path / name).write_bytes(data)
    told = project.json("ingest", "line", name)
    assert told["quarantined"] is False
    return told


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("bom.csv", b"\xef\xbb\xbffeature,target\n201,402\n"),
        ("semicolon.csv", b"feature;target\n202;404\n"),
        ("tab.tsv", b"feature\ttarget\n203\t406\n"),
        ("reordered.csv", b"target,feature\n408,204\n"),
        ("crlf.csv", b"feature,target\r\n205,410\r\n"),
        ("quoted.csv", b'"feature","target"\n"206","412"\n'),
        ("lines.jsonl", b'{"feature": 207, "target": 414}\n'),
        ("packed.csv.gz", gzip.compress(b"feature,target\n208,416\n", mtime=0)),
    ],
)
def test_unusual_files_are_read_as_what_they_are(paused, name, data):
    told = ingested(paused, name, data)
    assert told["rows"] == 1
    assert told["run"] is None


def test_a_parquet_file_and_several_files_at_once_are_batches(paused):
    pq.write_table(
        pa.table({"feature": [210, 211], "target": [420, 422]}), paused.path / "a.parquet"
    )
    paused.write("b.csv", HEAD + "212,424\n")
    told = paused.json("ingest", "line", "a.parquet", "b.csv")
    assert told["rows"] == 3


def test_standard_input_is_a_batch(paused):
    told = paused.json("ingest", "line", "-", given=HEAD + "213,426\n")
    assert told["rows"] == 1


def test_the_same_rows_in_another_format_are_the_same_batch(paused):
    first = ingested(paused, "once.csv", b"feature,target\n214,428\n")
    pq.write_table(pa.table({"target": [428], "feature": [214]}), paused.path / "twice.parquet")
    again = paused.json("ingest", "line", "twice.parquet")
    assert again["duplicate"] is True
    assert again["data_version"] == first["data_version"]


@pytest.mark.parametrize(
    ("name", "text", "code", "row", "column"),
    [
        ("missing", "feature\n1\n", "missing", None, "target"),
        ("extra", "feature,target,colour\n1,2,3\n", "extra", None, "colour"),
        ("twice", "feature,target,feature\n1,2,3\n", "duplicate", None, "feature"),
        ("text", HEAD + "1,2\nmany,4\n", "type", 2, "feature"),
        ("nulls", HEAD + "1,2\n,4\n", "null", 2, "feature"),
        ("empty", HEAD + ",2\n,4\n", "all-null", None, "feature"),
        ("range", HEAD + "1,2\n2,4\n99999,6\n", "range", 3, "feature"),
        ("ragged", HEAD + "1,2\n1,2,3\n", "unparsable", 2, None),
    ],
)
def test_a_batch_that_breaks_the_contract_is_quarantined_whole(
    paused, name, text, code, row, column
):
    before = paused.json("data", "ls", "line")["versions"]
    paused.write(f"{name}.csv", text)
    told = paused.json("ingest", "line", f"{name}.csv", code=3)
    found = [f for f in told["quarantine"]["findings"] if f["code"] == code]
    assert found, told["quarantine"]["findings"]
    assert column is None or found[0]["column"] == column
    assert row is None or found[0]["row"] == row
    assert told["data_version"] is None
    assert paused.json("data", "ls", "line")["versions"] == before


def test_infinite_values_are_quarantined(paused):
    table = pa.table({"feature": pa.array([1, 2]), "target": pa.array([2.0, math.inf])})
    pq.write_table(table, paused.path / "infinite.parquet")
    told = paused.json("ingest", "line", "infinite.parquet", code=3)
    assert {f["column"] for f in told["quarantine"]["findings"]} == {"target"}


def test_a_quarantined_batch_is_shown_accepted_and_rejected(paused):
    paused.write("wide.csv", HEAD + "5000,10000\n")
    batch = paused.json("ingest", "line", "wide.csv", code=3)["quarantine"]["id"]
    assert paused.json("data", "show", "line", batch)["state"] == "waiting"
    refused = paused.run("data", "accept", "line", batch)
    assert refused.returncode == 2
    assert "EB005" in refused.stderr
    taken = paused.json("data", "accept", "line", batch, "--reason", "a new sensor")
    assert (taken["state"], taken["quarantine"]) == ("accepted", batch)
    assert taken["data_version"] is not None
    assert paused.run("data", "reject", "line", batch, "--reason", "no").returncode == 7
    paused.write("text.csv", HEAD + "huge,2\n")
    other = paused.json("ingest", "line", "text.csv", code=3)["quarantine"]["id"]
    cannot = paused.run("data", "accept", "line", other, "--reason", "please")
    assert (cannot.returncode, "EB121" in cannot.stderr) == (2, True)
    gone = paused.json("data", "reject", "line", other, "--reason", "it is text")
    assert gone["state"] == "rejected"
    states = {q["id"]: q["state"] for q in paused.json("data", "ls", "line")["quarantine"]}
    assert (states[batch], states[other]) == ("accepted", "rejected")


def test_a_batch_whose_rows_came_another_way_waits_no_longer(paused):
    path = paused.path / "contracts" / "line.toml"
    before = path.read_text()
    path.write_text(before + "\n[columns.more]\ntype = 'int64'\n")
    paused.write("again.csv", HEAD + "217,434\n")
    batch = paused.json("ingest", "line", "again.csv", code=3)["quarantine"]["id"]
    path.write_text(before)
    there = paused.json("ingest", "line", "again.csv")["data_version"]
    told = paused.json("data", "accept", "line", batch, "--reason", "it is there")
    assert (told["state"], told["data_version"]) == ("accepted", there)
    states = {q["id"]: q["state"] for q in paused.json("data", "ls", "line")["quarantine"]}
    assert states[batch] == "accepted"
    assert paused.run("data", "accept", "line", batch, "--reason", "again").returncode == 7


def test_what_people_write_into_the_contract_is_hard(paused):
    path = paused.path / "contracts" / "line.toml"
    lines = path.read_text().splitlines()
    at = next(i for i, line in enumerate(lines) if line == "[columns.feature]")
    limit = next(i for i in range(at, len(lines)) if lines[i].startswith("max"))
    lines[limit] = "max = 300"
    before = path.read_text()
    path.write_text("\n".join(lines) + "\n")
    paused.write("over.csv", HEAD + "301,602\n")
    told = paused.json("ingest", "line", "over.csv", code=3)
    assert told["quarantine"]["findings"][0]["code"] == "range"
    path.write_text(before)
    assert paused.json("ingest", "line", "over.csv")["data_version"] is not None


@pytest.mark.parametrize(
    ("edit", "code"),
    [
        (lambda text: text.replace(b"follows = ", b"follows = 9"), "EB111"),
        (lambda text: b"# \xe9t\xe9\n" + text, "EB110"),
    ],
)
def test_a_contract_that_cannot_be_followed_is_refused(paused, edit, code):
    path = paused.path / "contracts" / "line.toml"
    before = path.read_bytes()
    path.write_bytes(edit(before))
    paused.write("fits.csv", HEAD + "215,430\n")
    told = paused.json("ingest", "line", "fits.csv", code=2)
    assert told["error"]["code"] == code
    path.write_bytes(b"\xef\xbb\xbf" + before)  # as some editors save it
    assert paused.json("ingest", "line", "fits.csv")["rows"] == 1


@pytest.mark.parametrize("name", [b"caf\xe9.csv", b"two\nlines.csv", b"a" * 300, b"pipe"])
def test_a_file_that_cannot_be_named_or_read_is_refused(paused, name):
    folder = os.fsencode(paused.path)
    if name == b"pipe":
        os.mkfifo(paused.path / "pipe")
    elif len(name) < 256:
        Path(os.fsdecode(folder + b"/" + name)).write_text(HEAD + "216,432\n")
    told = paused.json("ingest", "line", os.fsdecode(name), code=3)
    assert told["error"]["code"] == "EB107"
    assert told["error"]["why"]


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"", "EB105"), (b"feature,target\n", "EB106"), (b"\x00\x01\x02\xff" * 9, "EB1")],
)
def test_what_holds_no_batch_is_refused(paused, data, code):
    (paused.path / "nothing.csv").write_bytes(data)
    done = paused.run("ingest", "line", "nothing.csv")
    assert done.returncode == 3
    assert code in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_that_is_not_there_is_refused(paused):
    done = paused.run("ingest", "line", "nowhere.csv")
    assert (done.returncode, "EB107" in done.stderr) == (3, True)


def test_two_commands_at_a_time_are_both_done(line):
    import threading

    line.json("ingest", "line", "old.csv")
    outcomes = {}

    def take(number):
        line.write(f"p{number}.csv", HEAD + f"{number},{2 * number}\n")
        outcomes[number] = line.json("ingest", "line", f"p{number}.csv")

    threads = [threading.Thread(target=take, args=(number,)) for number in (101, 102)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(o["data_version"] for o in outcomes.values()) == [2, 3]
    assert line.json("audit", "verify")["intact"] is True


def test_one_row_is_enough_to_begin_with(line):
    line.write("one.csv", HEAD + "1,2\n")
    told = line.json("ingest", "line", "one.csv")
    assert told["decision"]["verdict"] == "promoted"
    line.write("two.csv", HEAD + "2,4\n")
    line.run("ingest", "line", "two.csv")
    assert line.json("status")["models"][0]["champion"] is not None


def test_a_folder_may_be_called_anything(tmp_path, line):
    import shutil

    deep = tmp_path / ("a folder with spaces " + "x" * 150) / ("y" * 150)
    shutil.copytree(line.path, deep)
    line.path = deep
    assert line.json("ingest", "line", "old.csv")["decision"]["version"] == 1
    with line.up() as server:
        assert server.get("/readyz").json()["models"] == {"line": 1}
        assert line.json("ingest", "line", "new.csv")["decision"]["version"] == 2
