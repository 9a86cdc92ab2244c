"""A project under `everbake up` whose every version can be told by its answers."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from everbake import wiring
from everbake.core.facts import Promoted, RolledBack
from everbake.core.run_facts import Concluded

MODEL = "line"
_FIRST = 150  # rows of the first version: enough are held out for every later one to be judged
_EVERBAKE = [sys.executable, "-c", "from everbake.interfaces.cli import main; main()"]
_RECIPE = """
import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_squared_error

from everbake import Gate, NewData, Recipe, Table


def train(rows: pd.DataFrame) -> LinearRegression:
    # Each version is off by its own amount, the newer the less: all can be told apart, and the
    # newest is the best.
    return LinearRegression().fit(rows[["feature"]], rows["target"] + 1 / len(rows))


def predict(model: LinearRegression, rows: pd.DataFrame):
    return {predict}


recipe = Recipe(
    name="line",
    data=Table(label="target"),
    train=train,
    predict=predict,
    gate=Gate(mean_squared_error, better="lower", if_inconclusive="promote"),
    triggers=NewData(rows={rows}),
)
"""
_PREDICT = {
    "linear": 'model.predict(rows[["feature"]])',
    "native": 'np.clip(model.predict(rows[["feature"]]), -1e6, 1e6)',
}


@dataclass
class Served:
    """The project.

    Attributes:
        folder: where it is.
        runtime: `linear` or `native`.
        rows: new rows that start a run.
    """

    folder: Path
    runtime: str
    rows: int
    _sent: int = 0

    def prepare(self) -> None:
        """Write the recipe and bake the first version."""
        self.folder.mkdir(parents=True)
        recipe = _RECIPE.format(predict=_PREDICT[self.runtime], rows=self.rows)
        (self.folder / "recipe.py").write_text(recipe)
        self.ingest(_FIRST)

    def ingest(self, rows: int = 1) -> dict:
        """The next rows, as one batch."""
        first, self._sent = self._sent + 1, self._sent + rows
        lines = [f"{feature},{2 * feature}\n" for feature in range(first, first + rows)]
        path = self.folder.parent / "batch.csv"
        path.write_text("feature,target\n" + "".join(lines))
        return json.loads(self.ask("ingest", MODEL, str(path), "--json"))

    def ask(self, *words: str, given: str | None = None) -> str:
        """What a command prints; it must succeed."""
        command = [*_EVERBAKE, "-C", str(self.folder), *words]
        done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (words, done.returncode, done.stdout, done.stderr)
        return done.stdout

    def answers(self, feature: int) -> dict[int, float]:
        """What each version says about a feature, asked without the server."""
        given = json.dumps({"feature": feature})
        told = {}
        for version in self.versions():
            name = f"{MODEL}@{version}"
            (told[version],) = json.loads(self.ask("predict", name, "-", "--json", given=given))[
                "predictions"
            ]
        return told

    def versions(self) -> dict[int, str]:
        """The runtime of each version."""
        with closing(wiring.reader(self.folder)) as reader:
            rows = reader.rows("versions", {"model": MODEL})
        return {int(row["version"]): str(row["runtime"]) for row in rows}

    def reigns(self) -> list[tuple[int, float]]:
        """Who served, one after the other, and since when."""
        with closing(wiring.reader(self.folder)) as reader:
            entries = list(reader.facts())
        return [
            (entry.fact.version, entry.time)
            for entry in entries
            if isinstance(entry.fact, Promoted | RolledBack)
            or (isinstance(entry.fact, Concluded) and entry.fact.serves)
        ]

    @contextmanager
    def up(self, workers: int) -> Iterator[str]:
        """`everbake up`; gives its address, and sees that it ends in peace."""
        words = ["-C", str(self.folder), "up", "--port", "0", "--workers", str(workers)]
        with (self.folder.parent / "up.err").open("wb") as err:
            process = subprocess.Popen(
                [*_EVERBAKE, *words], stdout=subprocess.PIPE, stderr=err, env=dict(os.environ)
            )
        try:
            assert process.stdout is not None
            line = process.stdout.readline().decode()
            assert line.startswith("predictions "), (self.folder.parent / "up.err").read_text()
            yield line.split()[1]
        finally:
            process.terminate()
            assert process.wait(60) == 0
            process.stdout.close()
