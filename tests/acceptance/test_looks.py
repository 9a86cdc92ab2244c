"""kill -9 while a pending candidate is looked at: the look goes on, and is one look."""

import os
import random
import shutil

import numpy as np
import pytest
from kills.checks import entries, reading
from kills.project import Project, wait_for

from everbake.core.facts import name_of

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
    name="line",
    data=Table(label="y", time="t"),
    train=train,
    predict=predict,
    gate=Gate(mean_squared_error),
)
"""
SIZES = (60, 15, 40)
PLACES = (
    "ledger.record:before:run_pinned",
    "ledger.record:after:run_pinned",
    "training.look:before",
    "training.look:after",
    "ledger.record:before:evaluated",
    "ledger.record:after:evaluated",
    "ledger.record:before:concluded",
    "ledger.record:after:concluded",
    "training.forget:before",
)


def write(folder, seed=5):
    """Batches around a line: the second leaves a candidate pending, the third has it looked at."""
    random = np.random.default_rng(seed)
    x, noise = random.normal(size=(2, sum(SIZES)))
    first = 0
    for number, size in enumerate(SIZES, 1):
        rows = range(first, first + size)
        first += size
        lines = [f"{i},{float(x[i])!r},{float(2 * x[i] + noise[i])!r}\n" for i in rows]
        (folder / f"{number}.csv").write_text("t,x,y\n" + "".join(lines))


def ingest(project, number, barrier=""):
    path = project.folder / f"{number}.csv"
    return project._start(("ingest", "line", str(path), "--json"), barrier)


@pytest.fixture(scope="module")
def pending(tmp_path_factory):
    """A project whose second version is pending, at rest."""
    project = Project(tmp_path_factory.mktemp("pending"))
    (project.folder / "recipe.py").write_text(RECIPE)
    write(project.folder)
    for number in (1, 2):
        command = ingest(project, number)
        command.process.wait()
        assert command.acknowledged, command.complained.read_text()
    with reading(project.folder) as reader:
        assert reader.rows("models")[0]["candidate"] == 2
    return project.folder


def copied(pending, root):
    project = Project(root)
    shutil.rmtree(project.folder)
    shutil.copytree(pending, project.folder)
    return project


def story(folder):
    """What is recorded, without what each process makes anew: times, seconds, logs."""
    names = [name_of(entry.fact) for entry in entries(folder)]
    with reading(folder) as reader:
        decided = reader.rows("decisions")
        decisions = [(d["version"], d["look"], d["rows"], d["digest"]) for d in decided]
        states = [(row["version"], row["state"]) for row in reader.rows("versions")]
        due = reader.rows("models")[0]["candidate_due"]
    return names, sorted(decisions), states, due


@pytest.fixture(scope="module")
def smooth(pending, tmp_path_factory):
    """The same without a kill."""
    project = copied(pending, tmp_path_factory.mktemp("smooth"))
    command = ingest(project, 3)
    command.process.wait()
    assert command.acknowledged, command.complained.read_text()
    names, decisions, states, due = story(project.folder)
    assert [(version, look) for version, look, _, _ in decisions].count((2, 2)) == 1
    return names, decisions, states, due


def test_a_look_that_is_killed_goes_on_and_is_one_look(pending, smooth, tmp_path, counted, told):
    seed = int(os.environ.get("EVERBAKE_SEED") or random.randrange(10**6))
    told(f"EVERBAKE_SEED={seed} replays the kills")
    for turn, place in enumerate(random.Random(seed).sample(PLACES, counted(len(PLACES)))):
        project = copied(pending, tmp_path / str(turn))
        command = ingest(project, 3, place)
        wait_for(f"a process at {place}", project.reached.exists)
        command.kill()
        again = ingest(project, 3)
        again.process.wait()
        assert again.process.returncode == 0, again.complained.read_text()
        assert story(project.folder) == smooth, place
