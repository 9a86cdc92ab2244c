"""What came true, given in files, with and without a server."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

KEYED = 'label="target", key="number"'


@pytest.fixture(scope="module")
def answered(tmp_path_factory, started):
    """A model that has answered a thousand rows, whose server has ended."""
    made = started(tmp_path_factory.mktemp("answered"))
    with made.up() as client:
        rows = [{"feature": i} for i in range(1000)]
        reply = client.post("/v1/models/line/predict", json={"rows": rows})
    made.ids = reply.json()["ids"]
    return made


def counts(told):
    return tuple(told[n] for n in ("received", "joined", "waiting", "corrected", "duplicate"))


def csv(ids, label=lambda i: 2.0 * i, header="id,label"):
    return header + "\n" + "".join(f"{name},{label(i)}\n" for i, name in enumerate(ids))


def test_labels_of_predictions_that_were_answered_join_without_a_server(answered):
    answered.write("true.csv", csv([*answered.ids[:10], "nobody"]))
    told = answered.json("labels", "line", "true.csv")
    assert (told["schema"], told["model"]) == (1, "line")
    assert counts(told) == (11, 10, 1, 0, 0)
    assert counts(answered.json("labels", "line", "true.csv")) == (11, 0, 0, 0, 11)
    answered.write("true.csv", csv(answered.ids[:10], lambda i: 2.0 * i + (i > 6)))
    assert counts(answered.json("labels", "line", "true.csv")) == (10, 3, 0, 3, 7)


def test_a_server_takes_them_for_the_command(answered):
    answered.write("more.csv", csv(answered.ids[100:120]))
    with answered.up() as client:
        assert counts(answered.json("labels", "line", "more.csv")) == (20, 20, 0, 0, 0)
        labels = [{"id": name, "label": 2.0 * i} for i, name in enumerate(answered.ids[100:120])]
        reply = client.post("/v1/models/line/labels", json={"labels": labels})
    assert counts(reply.json()) == (20, 0, 0, 0, 20)


def test_every_kind_of_file_says_the_same(answered):
    ids = answered.ids[200:250]
    table = pa.table({"id": ids, "target": [2.0 * i for i in range(50)], "other": ["x"] * 50})
    pq.write_table(table, answered.path / "true.parquet")
    lines = [{"id": name, "label": 2 * i, "source": "me"} for i, name in enumerate(ids)]
    answered.write("true.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    (answered.path / "true.csv.gz").write_bytes(
        gzip.compress(csv(ids, header="id;target").replace(",", ";").encode())
    )
    assert counts(answered.json("labels", "line", "true.parquet")) == (50, 50, 0, 0, 0)
    told = answered.json("labels", "line", "true.jsonl", "true.csv.gz")
    assert counts(told) == (100, 0, 0, 0, 100)
    told = answered.json("labels", "line", "-", given=csv(ids))
    assert counts(told) == (50, 0, 0, 0, 50)


def test_more_than_fits_in_one_part(answered):
    answered.write("many.csv", csv([*answered.ids[300:400], *map("p{}".format, range(25_000))]))
    assert counts(answered.json("labels", "line", "many.csv")) == (25_100, 100, 25_000, 0, 0)


def test_labels_by_key_as_the_answers_write_it(line):
    recipe = (line.path / "recipe.py").read_text().replace('label="target"', KEYED)
    line.write("recipe.py", recipe.replace('rows[["feature"]]', 'rows[["feature", "number"]]'))
    rows = "".join(f"{i},{i},{2 * i}\n" for i in range(1, 60))
    line.write("keyed.csv", "number,feature,target\n" + rows)
    line.json("ingest", "line", "keyed.csv")
    with line.up() as client:
        rows = [{"feature": i, "number": i} for i in range(3)]
        client.post("/v1/models/line/predict", json={"rows": rows})
    pq.write_table(pa.table({"number": [0.0, 1.0], "target": [0, 2]}), line.path / "a.parquet")
    assert counts(line.json("labels", "line", "a.parquet")) == (2, 2, 0, 0, 0)
    keyed = "key,label\n2,4\n9,18\n"
    assert counts(line.json("labels", "line", "-", given=keyed)) == (2, 1, 1, 0, 0)
    first = json.loads(line.run("predictions", "line").stdout.splitlines()[0])["id"]
    both = f"id,number,label\n{first},,7\n,2,8\n"
    assert counts(line.json("labels", "line", "-", given=both)) == (2, 2, 0, 1, 0)


def test_one_row_that_cannot_be_used_refuses_all_of_its_command(answered):
    answered.write("good.csv", csv(["g1", "g2"]))
    for text, code, where in (
        ("id,label\ng3,1\ng4,many\n", "EB541", "row 2"),
        ("id,label\ng3,\n", "EB541", "row 1"),
        ("id,label\ng3,inf\n", "EB541", "row 1"),
        ("id,label\n,1\n", "EB541", "row 1"),
        ("id,label,time\ng3,1,soon\n", "EB541", "row 1"),
        ("id,label\ng3,1\ng4,1,5\n", "EB544", "row 2"),
        ("id,outcome\ng3,1\n", "EB545", "outcome"),
        ("name,label\ng3,1\n", "EB545", "'id' or 'key'"),
        ("", "EB105", "wrong.csv"),
    ):
        answered.write("wrong.csv", text)
        done = answered.run("labels", "line", "good.csv", "wrong.csv", "--json")
        found = json.loads(done.stdout)["error"]
        assert (done.returncode, found["code"]) == (3, code), (text, done.stderr)
        assert "wrong.csv" in done.stderr
        assert where in done.stderr, done.stderr
    assert counts(answered.json("labels", "line", "good.csv")) == (2, 0, 2, 0, 0)


def test_what_the_command_refuses(answered, project):
    done = answered.run("labels", "lime", "true.csv")
    assert (done.returncode, "lime" in done.stderr) == (2, True)
    assert answered.run("labels", "line", "nowhere.csv").returncode == 3
    answered.write("none.csv", "id,label\n")
    done = answered.run("labels", "line", "none.csv")
    assert (done.returncode, "EB540" in done.stderr) == (3, True)


def test_predictions_show_their_labels_and_replay_judges_by_them(answered):
    ids = answered.ids[500:600]
    answered.write("shown.csv", csv(ids, lambda i: 2.0 * (500 + i) + i % 2))
    answered.json("labels", "line", "shown.csv")
    rows = [json.loads(line) for line in answered.run("predictions", "line").stdout.splitlines()]
    shown = {row["id"]: row["label"] for row in rows}
    assert [shown[name] for name in ids] == [2.0 * (500 + i) + i % 2 for i in range(100)]
    assert len(rows) == 1000
    assert shown[answered.ids[700]] is None
    told = answered.json("replay", "line@1", "--since", "1d")
    assert told["labelled"] == sum(label is not None for label in shown.values())
    assert told["metric"]["name"] == "mean_squared_error"
