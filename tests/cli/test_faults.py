"""Faults of models and processes under a real `everbake up`, with real hosts."""

from pathlib import Path

import psutil

URL = "/v1/models/line/predict"
NATIVE = """
    import os
    import os
    import time
    from pathlib import Path

    asked = rows["feature"].tolist()
    if -1 in asked:
        (Path(os.environ["EVERBAKE_PROJECT"]) / "hung").write_text(str(os.getpid()))
        time.sleep(600)
    if -2 in asked:
        raise ValueError("no -2, please")
    return model.predict(rows[["feature"]]).clip(-1e9, 1e9)
"""


def native(line):
    """The seed example, with a champion that answers in a host."""
    recipe = line.path / "recipe.py"
    text = recipe.read_text()
    recipe.write_text(text.replace('    return model.predict(rows[["feature"]])\n', NATIVE))
    assert recipe.read_text() != text
    line.json("ingest", "line", "old.csv")


def ask(client, *features):
    return client.post(URL, json={"rows": [{"feature": f} for f in features]})


def test_a_model_that_hangs_is_killed_and_replaced(line, waits):
    native(line)
    line.environment = {"EVERBAKE_REQUEST_SECONDS": "1.5"}
    with line.up() as client:
        right = ask(client, 5).json()["predictions"]
        failed = ask(client, -1)
        assert failed.json()["code"] in {"EB521", "EB522"}
        hung = int(Path(line.path / "hung").read_text())
        waits(lambda: not psutil.pid_exists(hung))
        answer = waits(lambda: found if (found := ask(client, 5)).status_code == 200 else None)
        assert answer.json()["predictions"] == right


def test_rows_over_which_the_model_raises_are_named(line):
    native(line)
    with line.up() as client:
        told = ask(client, 3, -2, 5).json()
        assert [value is None for value in told["predictions"]] == [False, True, False]
        error = {"row": 1, "code": "EB517", "detail": "ValueError: no -2, please"}
        assert told["errors"] == [error]
        assert ask(client, -2).status_code == 500


def test_bounds_are_settings(line):
    line.environment = {
        "EVERBAKE_REQUEST_ROWS": "2",
        "EVERBAKE_REQUEST_BYTES": "2000",
        "EVERBAKE_ALLOW_HOSTS": "models.example",
    }
    line.json("ingest", "line", "old.csv")
    with line.up() as client:
        assert ask(client, 1, 2).status_code == 200
        assert ask(client, 1, 2, 3).json()["code"] == "EB510"
        long = client.post(URL, content=b" " * 3000, headers={"content-type": "application/json"})
        assert long.json()["code"] == "EB510"
        assert client.get("/healthz", headers={"host": "models.example"}).status_code == 200
