"""The seed example: two files in, a champion that has learned from both out."""

import json


def test_two_ingests_promote_twice_and_predict_eighteen(line):
    first = line.json("ingest", "line", "old.csv")
    assert first["decision"]["verdict"] == "promoted"
    assert (first["data_version"], first["rows"], first["decision"]["version"]) == (1, 5, 1)
    second = line.json("ingest", "line", "new.csv")
    assert second["decision"]["verdict"] == "promoted"
    assert (second["decision"]["version"], second["decision"]["champion_before"]) == (2, 1)
    assert second["decision"]["metric"]["candidate"] < 1e-9
    assert second["decision"]["because"].startswith("Because")
    told = line.json("predict", "line", "-", given='{"feature": 9}')
    assert told["version"] == 2
    assert abs(told["predictions"][0] - 18) < 1e-9


def test_the_same_rows_again_are_one_ingestion_whatever_the_file(line):
    line.json("ingest", "line", "old.csv")
    rows = (line.path / "old.csv").read_text().splitlines()
    line.write("again.csv", "\n".join([rows[0], *reversed(rows[1:])]) + "\n")
    again = line.json("ingest", "line", "again.csv")
    assert again["duplicate"] is True
    assert again["run"] is None
    assert [v["version"] for v in line.json("data", "ls", "line")["versions"]] == [1]


def test_everything_about_a_version_is_in_its_bundle(line):
    line.json("ingest", "line", "old.csv")
    version = line.json("versions", "line")["versions"][0]
    blobs = line.path / ".everbake" / "blobs"
    bundle = json.loads((blobs / version["digest"][:2] / version["digest"]).read_bytes())
    environment = bundle["environment"]
    packages = json.loads((blobs / environment[:2] / environment).read_bytes())["packages"]
    assert {"scikit-learn", "pandas", "numpy"} <= packages.keys()
    assert bundle["data_version"] == 1
    assert bundle["rows"] == 4
    assert bundle["peak_memory"] > 0
    assert bundle["runtime"] == "linear"
    assert [i["name"] for i in bundle["inputs"]] == ["feature"]


def test_a_rollback_brings_the_old_version_back_and_holds_promotion(line):
    line.json("ingest", "line", "old.csv")
    line.json("ingest", "line", "new.csv")
    back = line.json("rollback", "line")
    assert (back["champion"], back["champion_before"]) == (1, 2)
    line.write("more.csv", "feature,target\n9,18\n10,20\n")
    waiting = line.json("ingest", "line", "more.csv", code=5)
    assert waiting["run"]["state"] == "waiting"
    assert waiting["decision"]["verdict"] == "promoted"
    assert line.json("status")["models"][0]["champion"] == 1
    assert line.json("promote", "line")["champion"] == 3
    line.json("resume", "line")
    assert line.json("audit", "verify")["intact"] is True


def test_the_champion_answers_over_http_and_every_answer_is_kept(line):
    line.json("ingest", "line", "old.csv")
    with line.up() as server:
        assert server.get("/healthz").status_code == 200
        assert server.get("/readyz").status_code == 200
        body = {"rows": [{"feature": 9}, {"feature": 10}]}
        before = server.post("/v1/models/line/predict", json=body).json()
        assert before["version"] == 1
        line.json("ingest", "line", "new.csv")
        after = server.post("/v1/models/line/predict", json=body).json()
        assert after["version"] == 2
        line.json("rollback", "line")
        last = server.post("/v1/models/line/predict", json=body).json()
        assert last["version"] == 1
        told = [json.loads(text) for text in line.run("predictions", "line").stdout.splitlines()]
    assert [entry["id"] for entry in told] == [*before["ids"], *after["ids"], *last["ids"]]
    assert [entry["version"] for entry in told] == [1, 1, 2, 2, 1, 1]


def test_a_file_dropped_into_the_watched_folder_becomes_the_next_champion(line, waits):
    recipe = line.path / "recipe.py"
    watched = recipe.read_text().replace(
        'Table(label="target")', 'Table(label="target", path="data/*.csv")'
    )
    recipe.write_text(watched)
    (line.path / "data").mkdir()
    with line.up() as server:
        (line.path / "old.csv").rename(line.path / "data" / "old.csv")
        waits(lambda: server.get("/readyz").json().get("models") == {"line": 1})
        with (line.path / "data" / "new.csv").open("w") as slow:
            slow.write("feature,target\n6,12\n")
            slow.flush()
            # Another file comes and is taken; the one that is still being written is not.
            line.write("data/quick.csv", "feature,target\n9,18\n10,20\n")
            waits(lambda: "quick.csv" in line.run("data", "ls", "line").stdout)
            assert "new.csv" not in line.run("data", "ls", "line").stdout
            slow.write("7,14\n8,16\n")
        waits(lambda: server.get("/readyz").json().get("models") == {"line": 3})
        rows = {"rows": [{"feature": 9}]}
        answer = server.post("/v1/models/line/predict", json=rows).json()
    assert abs(answer["predictions"][0] - 18) < 1e-9
    assert [v["rows"] for v in line.json("data", "ls", "line")["versions"]] == [5, 2, 3]


def test_a_clipped_model_stays_native_and_answers_all_the_same(line):
    recipe = line.path / "recipe.py"
    clipped = recipe.read_text().replace(
        'return model.predict(rows[["feature"]])',
        'return np.clip(model.predict(rows[["feature"]]), 0, 15)',
    )
    recipe.write_text("import numpy as np\n" + clipped)
    line.json("ingest", "line", "old.csv")
    assert line.json("versions", "line")["versions"][0]["runtime"] == "native"
    assert line.json("predict", "line", "-", given='{"feature": 9}')["predictions"] == [15.0]
    with line.up("--workers", "2") as server:
        body = {"rows": [{"feature": 3}]}
        assert server.post("/v1/models/line/predict", json=body).json()["version"] == 1


def test_a_project_on_postgresql_goes_the_same_way(line, postgres):
    line.write("everbake.toml", f'ledger = "{postgres()}"\n')
    assert line.json("ingest", "line", "old.csv")["decision"]["version"] == 1
    assert line.json("ingest", "line", "new.csv")["decision"]["version"] == 2
    assert line.json("status")["models"][0]["champion"] == 2
    assert line.json("audit", "verify")["intact"] is True
    with line.up() as server:
        rows = {"rows": [{"feature": 9}]}
        assert server.post("/v1/models/line/predict", json=rows).json()["version"] == 2
