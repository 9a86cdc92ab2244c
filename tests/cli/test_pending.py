"""A candidate that cannot be decided about, in a real project: nobody has to do anything."""

import json
from itertools import pairwise

import numpy as np
import pytest

RECIPE = """
import pandas as pd
from sklearn.linear_model import LinearRegression

from everbake import Gate, Recipe, Table
from everbake.metrics import mean_squared_error


def train(rows: pd.DataFrame):
    return LinearRegression().fit(rows[["x"]], rows["y"])


def predict(model, rows):
    return model.predict(rows[["x"]])


recipe = Recipe(
    name="tide",
    data=Table(label="y", time="t", path="data/*.csv"),
    train=train,
    predict=predict,
    gate=Gate(mean_squared_error),
)
"""
SIZES = (60, 15, 40, 80)  # rows of the batches


def batches(seed=5):
    """Hourly rows around a line, as CSV."""
    random = np.random.default_rng(seed)
    x = random.normal(size=sum(SIZES))
    y = 2 * x + random.normal(size=sum(SIZES))
    times = np.datetime64("2024-01-01T00:00:00") + np.arange(sum(SIZES)) * np.timedelta64(1, "h")
    first = 0
    for size in SIZES:
        rows = range(first, first + size)
        first += size
        yield "t,x,y\n" + "".join(f"{times[i]},{float(x[i])!r},{float(y[i])!r}\n" for i in rows)


@pytest.fixture
def tide(project):
    """A project whose second version the rows of the second batch could not tell about."""
    project.write("recipe.py", RECIPE)
    first, second, *_ = batches()
    project.write("first.csv", first)
    assert project.json("ingest", "tide", "first.csv")["decision"]["verdict"] == "promoted"
    project.write("second.csv", second)
    told = project.json("ingest", "tide", "second.csv", code=5)
    assert told["decision"]["verdict"] == "inconclusive"
    assert told["pending"]["version"] == 2
    return project


def states(project):
    listed = project.json("versions", "tide")["versions"]
    return {each["version"]: each["state"] for each in listed}


def looks(project, version):
    told = project.json("why", f"tide@{version}")
    return [(each["look"], each["rows"], each["verdict"]) for each in told["looks"]]


def test_a_pending_version_is_promoted_by_itself_while_up_runs(tide, waits):
    *_, third, fourth = batches()
    model = tide.json("status")["models"][0]
    assert (model["champion"], model["candidate"], model["best"]) == (1, 2, 1)
    to_come = model["pending"]["rows_to_come"]
    assert model["pending"] == {
        "version": 2,
        "looks": 1,
        "rows_to_come": to_come,
        "next": f"next look once {to_come} more rows are there",
    }
    assert f"candidate 2 (next look once {to_come} more rows" in tide.run("status").stdout
    assert f"candidate (next look once {to_come}" in tide.run("versions", "tide").stdout
    with tide.up():
        tide.write("data/third.csv", third)
        waits(lambda: len(looks(tide, 2)) == 2)
        assert states(tide)[2] == "candidate"
        tide.write("data/fourth.csv", fourth)
        waits(lambda: states(tide)[2] != "candidate")
    judged = looks(tide, 2)
    assert [look for look, _, _ in judged] == [1, 2, 3]
    assert [verdict for _, _, verdict in judged] == ["inconclusive", "inconclusive", "promoted"]
    assert all(more >= 2 * rows for (_, rows, _), (_, more, _) in pairwise(judged))
    runs = [run for run in tide.json("runs", "tide")["runs"] if run["cause"] == "pending"]
    assert [(run["version"], run["verdict"]) for run in runs] == [
        (2, "promoted"),
        (2, "inconclusive"),
    ]
    told = tide.json("why", "tide@2")
    assert told["decision"]["verdict"] == "promoted"
    assert told["decision"]["evidence"]["look"] == 3
    assert told["decision"]["evidence"]["level"] == pytest.approx(0.1 / 12)
    assert "look 1 of" in tide.run("why", "tide@2").stdout
    facts = [each["fact"] for each in tide.json("audit")["facts"]]
    assert "promoted" not in facts  # which would be a person's
    assert tide.json("audit", "verify")["intact"]


def test_a_look_is_told_beside_the_run_that_the_same_rows_ask_for(tide):
    *_, third, fourth = batches()
    tide.write("third.csv", third)
    told = tide.json("ingest", "tide", "third.csv", code=5)
    assert told["decision"]["version"] == 3
    (look,) = told["looks"]
    assert (look["decision"]["version"], look["decision"]["verdict"]) == (2, "inconclusive")
    assert states(tide) == {1: "champion", 2: "candidate", 3: "retired"}
    tide.write("fourth.csv", fourth)
    text = tide.run("ingest", "tide", "fourth.csv").stdout
    assert "looked at again: tide@2 promoted" in text
    assert text.index("looked at again") < text.index("tide@4 ")  # it had to beat tide@2
    assert tide.json("versions", "tide")["versions"][-2]["version"] == 2
    served = tide.json("why", "tide@2")["decision"]
    assert (served["champion_before"], served["verdict"]) == (1, "promoted")


def test_a_best_version_that_raises_is_replaced_and_the_decision_says_so(project):
    project.write("recipe.py", RECIPE.replace("    return model", RAISES, 1))
    first, second, *_ = batches()
    project.write("first.csv", first)
    project.json("ingest", "tide", "first.csv")
    project.write("recipe.py", RECIPE)
    assert project.json("retrain", "tide")["decision"]["champion_before"] == 1
    model = project.json("status")["models"][0]
    assert (model["champion"], model["best"]) == (2, 1)
    project.write("second.csv", second + "2024-03-01T00:00:00,30.0,60.0\n")
    told = project.run("ingest", "tide", "second.csv", "--json")
    checks = {check["name"]: check for check in json.loads(told.stdout)["decision"]["checks"]}
    assert checks["best"]["state"] == "warn"
    assert "version 1, the best so far, does not run any more" in checks["best"]["detail"]
    assert project.json("status")["models"][0]["best"] == 2
    assert project.json("audit", "verify")["intact"]


@pytest.mark.parametrize("part", ["bundle", "artifact"])
def test_a_best_version_whose_files_are_damaged_is_replaced(tide, part):
    tide.json("promote", "tide@2", "--reason", "for the test")
    assert tide.json("status")["models"][0]["best"] == 1
    (first,) = [v for v in tide.json("versions", "tide")["versions"] if v["version"] == 1]
    (damaged,) = tide.path.rglob(first["digest"])
    if part != "bundle":
        (damaged,) = tide.path.rglob(json.loads(damaged.read_bytes())[part])
    damaged.chmod(0o600)
    damaged.write_bytes(b"no more")
    tide.write("third.csv", list(batches())[2])
    told = json.loads(tide.run("ingest", "tide", "third.csv", "--json").stdout)
    checks = {check["name"]: check["state"] for check in told["decision"]["checks"]}
    assert checks["best"] == "warn"
    assert tide.json("status")["models"][0]["best"] == 2


RAISES = """    if (rows["x"] > 20).any():
        raise ValueError("too far out")
    return model"""


def test_somebody_pins_the_best_version(tide):
    done = tide.run("pin", "tide")
    assert (done.returncode, "EB005" in done.stderr) == (2, True)
    done = tide.run("pin", "tide@2", "--reason", "it is promising")
    assert (done.returncode, "EB422" in done.stderr) == (7, True)
    told = tide.json("pin", "tide@1", "--reason", "audited in May")
    assert (told["best"], told["champion"]) == (1, 1)
    text = tide.run("pin", "tide", "--reason", "audited in May").stdout
    assert text == "tide@1 is the best so far: no candidate may fall behind it\n"
