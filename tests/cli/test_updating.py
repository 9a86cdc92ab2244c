"""Models that learn on, from files in to answers out: partial_fit, LightGBM, river."""

import json
import pickle
import signal
import subprocess
import sys
from itertools import pairwise

import lightgbm
import numpy as np
import pandas as pd
import pytest
import river.compose
import skops.io

HEAD = """
from everbake import Gate, HashSplit, Recipe, Table, TimeSplit
from sklearn.metrics import mean_squared_error
"""

TAIL = """
recipe = Recipe(
    name="m",
    data=Table(label="y", {table}),
    train=train,
    update=update,
    predict=predict,
    gate=Gate(mean_squared_error, tolerance=0.3),
    {more}
)
"""

SGD = """
from sklearn.linear_model import SGDRegressor


def train(rows, seed):
    model = SGDRegressor(random_state=seed, learning_rate="constant", eta0=0.01)
    return model.fit(rows[["a", "b"]], rows["y"])


def update(model, new_rows, log):
    log(f"taught {len(new_rows)} rows")
    for _ in range(5):
        model.partial_fit(new_rows[["a", "b"]], new_rows["y"])
    return model


def predict(model, rows):
    return model.predict(rows[["a", "b"]])
"""

BOOSTED = """
from lightgbm import LGBMRegressor


def _fit(rows, before=None):
    model = LGBMRegressor(n_estimators=10, num_leaves=7, verbose=-1, n_jobs=1)
    return model.fit(rows[["a", "b"]], rows["y"], init_model=before)


def train(rows):
    return _fit(rows)


def update(model, new_rows):
    return _fit(new_rows, before=model)


def predict(model, rows):
    return model.predict(rows[["a", "b"]])
"""

RIVER = """
from river import linear_model, optim, preprocessing


def _learn(model, rows):
    for values in rows[["a", "b", "y"]].to_dict("records"):
        model.learn_one(values, values.pop("y"))
    return model


def train(rows):
    return _learn(
        preprocessing.StandardScaler() | linear_model.LinearRegression(optim.SGD(0.01)), rows
    )


def update(model, new_rows):
    return _learn(model, new_rows)


def predict(model, rows):
    return [model.predict_one(values) for values in rows[["a", "b"]].to_dict("records")]
"""

# A model that knows which rows it was handed, and in which order.
NOTED = """
import time
from pathlib import Path

def train(rows):
    return {"ids": rows["id"].tolist(), "calls": 1}


def update(model, new_rows):
    slow = Path("PLACE") / "slow"
    if slow.exists():
        slow.rename(slow.with_name("begun"))
        time.sleep(600)
    model["ids"] += new_rows["id"].tolist()
    model["calls"] += 1
    return model


def predict(model, rows):
    return rows["y_hint"] + 0.0
"""


def declare(project, model, *, table="", more=""):
    place = str(project.path)
    text = HEAD + model.replace("PLACE", place) + TAIL.format(table=table, more=more)
    project.write("recipe.py", text)


def rows_of(number, count=300, slope=1.0, noise=0.3):
    random = np.random.default_rng(number)
    a, b = random.normal(size=(2, count))
    y = slope * (a + 2 * b) + noise * random.normal(size=count)
    return pd.DataFrame({"a": a, "b": b, "y": y})


def ingest(project, number, rows=None, code=0):
    rows = rows_of(number) if rows is None else rows
    path = project.path / f"batch{number}.csv"
    rows.to_csv(path, index=False)
    return project.json("ingest", "m", path.name, code=code)


def versions(project):
    """By number, the oldest first."""
    return project.json("versions", "m")["versions"][::-1]


def blob(project, digest):
    return (project.path / ".everbake" / "blobs" / digest[:2] / digest).read_bytes()


def bundle(project, digest):
    return json.loads(blob(project, digest))


def model_of(project, digest):
    held = bundle(project, digest)
    data = blob(project, held["artifact"])
    if held["artifact_format"] == "cloudpickle":
        return pickle.loads(data)  # noqa: S301 - written a moment ago
    return skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data))


def learning(told):
    (check,) = [check for check in told["decision"]["checks"] if check["name"] == "learning"]
    return check["state"], check["detail"]


def noted(start, count=40):
    ids = np.arange(start, start + count)
    return pd.DataFrame({"id": ids, "y_hint": ids * 0.5, "y": ids * 0.5})


def test_candidates_are_updates_and_a_full_training_comes_at_its_rhythm(project):
    declare(project, SGD, more="full_every=3,")
    told = [ingest(project, number) for number in range(6)]
    assert {one["decision"]["verdict"] for one in told} == {"promoted"}
    made = versions(project)
    assert [version["base"] for version in made] == [None, 1, 2, 3, None, 5]
    for before, version in pairwise(made[:4]):
        assert version["rows"] == before["rows"] + version["new_rows"]
        assert version["new_rows"] > 0
    because = "because there is no champion to update"
    assert learning(told[0])[1] == f"trained on all {made[0]['rows']} rows, {because}"
    assert learning(told[2])[1] == (
        f"updated from version 2 with {made[2]['new_rows']} new rows; it knows {made[2]['rows']}"
    )
    assert "because 3 runs by update came since the last full training" in learning(told[4])[1]
    bundles = [bundle(project, version["digest"]) for version in made]
    assert [held["updates"] for held in bundles] == [0, 1, 2, 3, 0, 1]
    digests = [None, *(version["digest"] for version in made)]
    assert [held["base"] for held in bundles] == [digests[v["base"] or 0] for v in made]
    assert "taught" in project.run("logs", told[2]["run"]["id"]).stdout
    assert f"version 5 + {made[5]['new_rows']} rows" in project.run("versions", "m").stdout
    assert "learning: updated from version 5" in project.run("why", "m").stdout
    assert project.run("audit", "verify").returncode == 0


def test_what_serves_is_compiled_from_the_updated_model(project):
    declare(project, SGD)
    ingest(project, 0)
    ingest(project, 1)
    asked = rows_of(9, count=50)[["a", "b"]]
    asked.to_csv(project.path / "asked.csv", index=False)
    answers = project.json("predict", "m", "asked.csv")["predictions"]
    first, second = versions(project)
    assert second["runtime"] == "linear"
    model = model_of(project, second["digest"])
    assert answers == pytest.approx(list(model.predict(asked)), rel=1e-12)
    assert answers != pytest.approx(list(model_of(project, first["digest"]).predict(asked)))


def test_a_poisoned_batch_is_rejected_and_the_champion_is_taught_further(project):
    declare(project, SGD)
    for number in range(2):
        ingest(project, number, rows_of(number, count=600))
    champion = versions(project)[1]
    artifact = bundle(project, champion["digest"])["artifact"]
    before = blob(project, artifact)
    bad = ingest(project, 2, rows_of(2, count=150, slope=-1.0), code=4)
    assert bad["quarantined"] is False  # it lies within the contract
    assert bad["decision"]["verdict"] == "rejected"
    assert project.json("status", "m")["models"][0]["champion"] == 2
    told = project.json("retrain", "m", code=4)
    _, _, rejected, again = versions(project)
    assert (rejected["base"], again["base"]) == (2, 2)
    assert again["rows"] == rejected["rows"]  # its rows are as new to the champion as before
    assert learning(told)[1].startswith("updated from version 2 with ")
    assert blob(project, artifact) == before


def test_every_row_is_handed_over_once_whatever_is_rejected_held_or_rolled_back(project):
    declare(project, NOTED)
    for number in range(3):
        ingest(project, number, noted(number * 100))
    made = versions(project)
    assert [version["base"] for version in made] == [None, 1, 2]
    project.json("rollback", "m@1", "--reason", "a try")
    waiting = ingest(project, 3, noted(300), code=5)
    assert waiting["run"]["state"] == "waiting"
    last = versions(project)[-1]
    assert last["base"] == 1
    model = model_of(project, last["digest"])
    first = model_of(project, made[0]["digest"])
    assert model["ids"][: len(first["ids"])] == first["ids"]
    assert len(set(model["ids"])) == len(model["ids"]) == last["rows"]
    assert set(model["ids"]) > set(model_of(project, made[2]["digest"])["ids"])
    assert model["calls"] == 2


def test_a_full_training_can_be_asked_for_and_without_new_rows_nothing_is_learned(project):
    declare(project, SGD)
    ingest(project, 0)
    again = project.json("retrain", "m")
    assert again["decision"]["code"] == "same_predictions"
    assert learning(again) == (
        "warn",
        "no row is new to version 1: the candidate is the same model",
    )
    full = project.json("retrain", "m", "--full")
    assert "because somebody asked for it" in learning(full)[1]
    first, second, third = (bundle(project, v["digest"]) for v in versions(project))
    assert second["artifact"] == first["artifact"]
    assert (second["updates"], third["base"]) == (0, None)


def test_another_recipe_trains_from_scratch(project):
    declare(project, SGD)
    ingest(project, 0)
    declare(project, SGD.replace("eta0=0.01", "eta0=0.005"))
    told = ingest(project, 1)
    assert "because version 1 came from another recipe" in learning(told)[1]
    assert versions(project)[-1]["base"] is None
    assert learning(ingest(project, 2))[1].startswith("updated from version 2 with ")


def test_a_rhythm_in_days_goes_by_the_newest_time_of_the_rows(project):
    declare(project, SGD, table='time="t"', more='full_every="30d",')
    days = [0, 20, 29, 45, 50]  # of the newest row of each batch
    for number, day in enumerate(days):
        times = pd.Timestamp("2024-01-01") + pd.to_timedelta([day - 1] * 299 + [day], unit="D")
        rows = rows_of(number).assign(t=times.strftime("%Y-%m-%dT%H:%M:%S"))
        rows.to_csv(project.path / f"batch{number}.csv", index=False)
        project.run("ingest", "m", f"batch{number}.csv")
    assert [version["base"] is None for version in versions(project)] == [
        True,
        False,
        False,
        True,
        False,
    ]
    told = project.json("why", "m@4")
    assert "because the data are 45 days newer" in learning(told)[1]


def test_a_winner_is_refitted_by_an_update_of_the_rows_that_judged_it(project):
    declare(project, NOTED, table='time="id"', more="refit=True,")
    ingest(project, 0, noted(0, 200))
    ingest(project, 1, noted(200, 200))
    first, second = versions(project)
    served = bundle(project, second["digest"])
    assert (served["refit"], served["updates"], served["rows"]) == (True, 1, 400)
    judged = bundle(project, served["base"])
    assert (judged["base"], judged["refit"]) == (first["digest"], False)
    assert served["new_rows"] == 400 - judged["rows"]
    model = model_of(project, second["digest"])
    assert sorted(model["ids"]) == list(range(400))
    assert model["calls"] == 3


def test_a_run_that_was_killed_goes_on_with_what_it_was_pinned_to(project, waits):
    declare(project, NOTED)
    ingest(project, 0, noted(0))
    slow = project.write("slow", "")
    noted(100).to_csv(project.path / "next.csv", index=False)
    command = [sys.executable, "-P", "-m", "everbake", "ingest", "m", "next.csv"]
    with subprocess.Popen(
        command, cwd=project.path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as killed:
        waits(lambda: slow.with_name("begun").exists())
        killed.send_signal(signal.SIGKILL)
    told = project.json("retrain", "m", "--full")
    assert "because somebody asked for it" in learning(told)[1]
    first, resumed, full = versions(project)
    assert (resumed["base"], full["base"]) == (1, None)
    assert resumed["rows"] == full["rows"] == first["rows"] + resumed["new_rows"]
    model = model_of(project, resumed["digest"])
    assert len(set(model["ids"])) == len(model["ids"]) == resumed["rows"]
    causes = [run["cause"] for run in project.json("runs", "m")["runs"]]
    assert causes == ["request", "data", "data"]
    assert project.run("audit", "verify").returncode == 0


def test_lightgbm_goes_on_from_the_trees_that_are_there(project):
    declare(project, BOOSTED)
    ingest(project, 0)
    ingest(project, 1)
    first, second = versions(project)
    assert second["base"] == 1
    assert second["runtime"] == "trees"
    old, new = (model_of(project, version["digest"]) for version in (first, second))
    assert isinstance(new, lightgbm.LGBMRegressor)
    trees = [model.booster_.num_trees() for model in (old, new)]
    assert trees == [10, 20]
    asked = rows_of(9, count=50)[["a", "b"]]
    asked.to_csv(project.path / "asked.csv", index=False)
    answers = project.json("predict", "m", "asked.csv")["predictions"]
    assert answers == pytest.approx(list(new.predict(asked)), rel=1e-9)


def test_models_of_river_learn_on_and_serve(project):
    declare(project, RIVER)
    told = [ingest(project, number) for number in range(3)]
    assert [one["decision"]["verdict"] for one in told] == ["promoted"] * 3
    made = versions(project)
    assert [version["base"] for version in made] == [None, 1, 2]
    model = model_of(project, made[-1]["digest"])
    assert isinstance(model, river.compose.Pipeline)
    assert model["StandardScaler"].counts["a"] == made[-1]["rows"]
    assert model_of(project, made[0]["digest"])["StandardScaler"].counts["a"] == made[0]["rows"]
    asked = rows_of(9, count=20)[["a", "b"]]
    asked.to_csv(project.path / "asked.csv", index=False)
    answers = project.json("predict", "m", "asked.csv")["predictions"]
    wanted = [model.predict_one(values) for values in asked.to_dict("records")]
    assert answers == pytest.approx(wanted)
    checks = {one["name"]: one for one in project.json("check", "m")["checks"]}
    assert checks["update"]["state"] == "pass"
