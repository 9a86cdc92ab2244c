"""A real project for the measured server: recipes, batches, `everbake ingest`, `everbake up`."""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from serving import fitted
from serving.processes import SERVER, pinned
from serving.servers import Server, started
from timing import EVERBAKE

_RECIPE = """
import pandas as pd
from sklearn.metrics import {metric}

import fitted
from everbake import Gate, Recipe, Table


def train(rows: pd.DataFrame):
    return fitted.fit("{kind}", rows[fitted.NAMES], rows["target"])


def predict(model, rows: pd.DataFrame):
    return {predict}


recipe = Recipe(
    name="{name}",
    data=Table(label="target"),
    train=train,
    predict=predict,
    gate=Gate({metric}, better="{better}"),
)
"""
# The computation stands in the recipe: that is where it is recognised.
_SCORED = "model.predict_proba(rows[fitted.NAMES])[:, 1]"
_LABELLED = "model.predict(rows[fitted.NAMES])"
_BETTER = {"log_loss": "lower", "accuracy_score": "higher"}
# `promoted` and `not promoted` are both fine for a batch; which version serves is said later.
_FINE = (0, 4, 5)


@dataclass(frozen=True)
class Project:
    """A folder with a recipe for one model, named like its kind."""

    folder: Path
    name: str

    def command(self, *words: object, fine: tuple[int, ...] = (0,)) -> str:
        """Run an everbake command here and return what it printed."""
        done = subprocess.run(
            [EVERBAKE, *map(str, words)],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode not in fine:
            raise RuntimeError(f"everbake {words[0]} ended with {done.returncode}: {done.stderr}")
        return done.stdout

    def ingest(self, rows) -> None:
        """Take a data frame as a batch."""
        batch = self.folder / f"batch-{len(rows)}.parquet"
        rows.to_parquet(batch)
        self.command("ingest", self.name, batch.name, fine=_FINE)

    def runtime(self, version: int = 1) -> str:
        """What answers for a version: the name of a compiled runtime, or native."""
        known = json.loads(self.command("versions", self.name, "--json"))["versions"]
        return next(each["runtime"] for each in known if each["version"] == version)


def create(folder: Path, kind: str, recipe: str | None = None) -> Project:
    """A project with one ingested batch; `recipe` replaces the usual one of the kind."""
    folder.mkdir()
    name = f"model_{kind}"
    metric = "accuracy_score" if kind == "c" else "log_loss"
    usual = _RECIPE.format(
        kind=kind,
        name=name,
        metric=metric,
        better=_BETTER[metric],
        predict=_LABELLED if kind == "c" else _SCORED,
    )
    (folder / "recipe.py").write_text(recipe or usual)
    shutil.copy(fitted.__file__, folder / "fitted.py")
    project = Project(folder, name)
    project.ingest(fitted.rows())
    return project


@contextmanager
def up(project: Project, workers: int = 1) -> Iterator[Server]:
    """`everbake up` with all its processes on the server's core."""
    words = pinned(SERVER, EVERBAKE, "up", "--port", "0", "--workers", workers)
    # What it has kept in buffers would hide its address.
    with started(words, project.folder, {"PYTHONUNBUFFERED": "1"}) as process:
        address = _address(project.folder / "server.log", process)
        body = json.dumps({"rows": [fitted.example()]})
        url = f"{address}/v1/models/{project.name}/predict"
        yield Server("everbake", process, url, body)


def _address(log: Path, process: subprocess.Popen, seconds: float = 90) -> str:
    until = time.monotonic() + seconds
    while time.monotonic() < until and process.poll() is None:
        found = re.search(r"predictions (http://\S+)", log.read_text())
        if found:
            return found.group(1)
        time.sleep(0.05)
    raise RuntimeError(f"everbake up did not start:\n{log.read_text()}")


def acknowledged(project: Project) -> list[dict]:
    """What the workers say they serve."""
    places = (project.folder / ".everbake" / "serving").glob("*.json")
    return [json.loads(place.read_text()) for place in places]
