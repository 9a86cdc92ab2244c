"""The examples in many generated worlds: the real loop, with a model for each world."""

import importlib.util
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd

import everbake
from everbake import wiring
from everbake.core.bundle import Bundle
from everbake.core.facts import DataArrived, expected
from everbake.engine import commands
from everbake.engine.owner import Owner
from everbake.host.rows import read_table
from everbake.host.splitting import unpack_rows
from everbake.serving.local import answer_rows, read_rows

ROOT = Path(__file__).parents[3]
LEARNED, MADE = 2, 9  # batches that are ingested; months that there are, a batch more
WORLDS = ("off", "drift", "hurt")

_RECIPES = """
from dataclasses import replace

import declared

globals().update({{name: replace(declared.recipe, name=name) for name in {names}}})
"""


@dataclass(frozen=True)
class Example:
    """An example.

    Attributes:
        name: of its folder.
        hurt: switches of its generator for a world in which a segment is hurt.
        segment: the name of that segment.
        key: the column that names a row, where labels come late.
    """

    name: str
    hurt: tuple[str, ...]
    segment: str
    key: str | None = None

    def words(self, world: str) -> tuple[str, ...]:
        """The switches for a world."""
        return {"off": (), "drift": ("--drift",), "hurt": self.hurt}[world]

    def module(self, name: str) -> ModuleType:
        """One of its files, imported."""
        path = ROOT / "examples" / self.name / f"{name}.py"
        found = importlib.util.spec_from_file_location(f"{self.name}_{name}", path)
        made = importlib.util.module_from_spec(found)
        found.loader.exec_module(made)
        return made


EXAMPLES = (
    Example("fraud", ("--drift", "--hurt"), "channel = app", "payment"),
    Example("readmission", ("--hurt",), "ward = surgery", "stay"),
    Example("recommender", ("--hurt",), "branch = west"),
)


@dataclass(frozen=True)
class Loop:
    """One world, and the model that has learned in it.

    Attributes:
        world: what is switched on in it.
        data: the folder of its batches.
        decisions: about the first version and about the second, as `ingest` tells them.
        owner: the project's.
        model: its name.
        example: whose recipe it is.
    """

    example: Example
    owner: Owner
    model: str
    world: str
    data: Path
    decisions: tuple[dict, ...]

    @cached_property
    def batches(self) -> tuple[Path, ...]:
        """Files in the order in which they become known."""
        return tuple(sorted(self.data.glob("batch-*.csv")))

    def lateness(self) -> float:
        """Days from the moment at which rows were used to the last of their labels.

        Used are those that a version was trained on or judged by, when its batch became known: on
        the day in the name of its file. Above 0 one would have been used before its label came.
        """
        known = pd.read_csv(self.data / "known.csv", index_col=0, parse_dates=["known"])["known"]
        days = [pd.Timestamp(batch.stem.removeprefix("batch-")) for batch in self.batches]
        return max(
            (known[keys].max() - day) / pd.Timedelta(days=1)
            for version, day in enumerate(days[:LEARNED], start=1)
            for keys in self._used(version)
        )

    def _used(self, version: int) -> Iterator[np.ndarray]:
        """The keys of the rows that a version was trained on, and of those that judged it."""
        ports, which = self.owner.ports, {"model": self.model, "version": version}
        arrived = ports.ledger.rows("data_versions", which)[0]
        fact = expected(ports.ledger.find(arrived["fact"]), DataArrived)
        keys = read_table(ports.tables.files(fact)).column(self.example.key).to_numpy()
        judged = ports.ledger.rows("decisions", which)[0]["judged"]
        for blob in (self._bundle(version).trained_rows, judged):
            mask = unpack_rows(ports.blobs.get(blob))
            yield keys[: len(mask)][mask]

    def _bundle(self, version: int) -> Bundle:
        row = self.owner.ports.ledger.rows("versions", {"model": self.model, "version": version})
        return Bundle.decode(self.owner.ports.blobs.get(row[0]["bundle"]))

    def fresh_beside_frozen(self) -> everbake.Decision:
        """The champion beside version 1 on the newest rows, which neither has seen."""
        recipe = self.example.module("recipe").recipe
        rows = pd.read_csv(self.batches[LEARNED], parse_dates=[recipe.data.time])
        times = rows[recipe.data.time]
        rows = rows[times > times.max() - pd.Timedelta(days=30)]
        label, metric = recipe.data.label, recipe.gate.metric
        champion = self.owner.model(self.model).champion
        if recipe.events is not None:
            wanted = rows.groupby(recipe.events.user)[label].agg(lambda items: sorted(set(items)))
            asked = [{"user": user, "k": 10} for user in wanted.index]
            frozen, fresh = (self._answers(version, asked) for version in (1, champion))
            return everbake.judge(list(wanted), frozen, fresh, metric=metric)
        asked = json.loads(rows.drop(columns=label).to_json(orient="records", date_format="iso"))
        frozen, fresh = (self._answers(version, asked) for version in (1, champion))
        order = rows[recipe.data.time].to_numpy()
        groups = None if recipe.data.group is None else rows[recipe.data.group].to_numpy()
        return everbake.judge(
            rows[label].to_numpy(), frozen, fresh, metric=metric, order=order, groups=groups
        )

    def _answers(self, version: int, rows: list[dict]) -> list:
        """What a version says of rows, as `everbake predict NAME@VERSION` does."""
        bundle, project = self._bundle(version), self.data.parents[1]
        asked = read_rows(json.dumps(rows).encode(), bundle.inputs, self.model)
        return answer_rows(bundle, asked, self.owner.ports.blobs, wiring.native_opener(project))


@contextmanager
def looping(example: Example, project: Path, seeds: int) -> Iterator["Loops"]:
    """A project with the example's recipe under a name for each seed and world; its loop runs."""
    project.mkdir()
    shutil.copy(ROOT / "examples" / example.name / "recipe.py", project / "declared.py")
    names = [f"{example.name}-{world}-{seed}" for world in WORLDS for seed in range(seeds)]
    (project / "recipe.py").write_text(_RECIPES.format(names=names))
    with wiring.owning(project) as owner:
        owner.notice_recipes()
        yield Loops(example, project, owner)


@dataclass(frozen=True)
class Loops:
    """The running loop of a project."""

    example: Example
    project: Path
    owner: Owner

    def through(self, world: str, seed: int) -> Loop:
        """Make a world, and let its batches arrive one after the other."""
        model = f"{self.example.name}-{world}-{seed}"
        data = self.project / "data" / model
        words = [f"--seed={seed}", f"--months={MADE}", f"--output={data}"]
        self.example.module("generate").main([*words, *self.example.words(world)])
        told = []
        for batch in sorted(data.glob("batch-*.csv"))[:LEARNED]:
            asked = commands.Files(model, (str(batch),), (batch.name,))
            told.append(commands.ingest(self.owner, asked)["decision"])
        return Loop(self.example, self.owner, model, world, data, tuple(told))
