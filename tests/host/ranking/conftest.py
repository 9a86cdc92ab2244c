"""Events in a Parquet file, and jobs over them, for the tests of ranking recipes."""

from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from everbake import Events, Gate, Recipe, TimeSplit
from everbake.core.dataset import HASH, ROW
from everbake.host.parsing.rowhash import row_hashes
from everbake.host.protocol import JobContext
from everbake.metrics import ndcg


def most_chosen(rows: pd.DataFrame):
    return rows["item"].value_counts(sort=True).index.tolist()


def the_same_for_all(model, users, k):
    return [model[:k] for _ in users]


@dataclass
class Shop:
    """A table of events in a folder, and a recipe for it."""

    folder: Path
    events: list = field(default_factory=list)
    columns: tuple = ("user", "item", "day")

    def recipe(self, **changes):
        """A ranking recipe, by popularity unless something else is said."""
        fields = {
            "name": "shop",
            "data": Events(user="user", item="item", time="day"),
            "train": most_chosen,
            "recommend": the_same_for_all,
            "gate": Gate(ndcg(3)),
            "split": TimeSplit(0.25),
        }
        return Recipe.ranking(**{**fields, **changes})

    def context(self, step, recipe):
        """What a job gets, with a folder of its own."""
        module = ModuleType("recipe")
        module.recipe = recipe
        (self.folder / step).mkdir(exist_ok=True)
        return JobContext(module, self.folder / step, 7, 1, print)

    def table(self):
        """The events as they are stored."""
        lines = zip(*self.events, strict=True)
        rows = pa.table(dict(zip(self.columns, map(pa.array, map(list, lines)), strict=True)))
        hashes = pa.array(row_hashes(rows).view("int64"))
        return rows.append_column(ROW, pa.array(range(len(rows)))).append_column(HASH, hashes)

    def files(self):
        """The files of the table."""
        path = self.folder / "events.parquet"
        pq.write_table(self.table(), path)
        return (str(path),)


@pytest.fixture
def shop(tmp_path):
    """A shop without an event."""
    return Shop(tmp_path)
