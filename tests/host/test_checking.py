"""The trial of a recipe on a sample: which rows it is made of, and what it says of a limit."""

from types import ModuleType

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_squared_error

from everbake import AtMost, Gate, Recipe, Table, TimeSplit
from everbake.core.dataset import HASH, ROW
from everbake.core.work import CheckOrder
from everbake.host.checking import check
from everbake.host.parsing.rowhash import row_hashes
from everbake.host.protocol import JobContext

DAY = pd.Timestamp("2024-06-30")


def checked(tmp_path, *, old, new, **changes):
    """The trial on `old` rows of another month and `new` ones of the last day, by name."""
    x = np.random.default_rng(5).normal(size=old + new)
    days = [DAY - pd.Timedelta(days=60)] * old + [DAY] * new
    rows = pa.table({"x": x, "day": pa.array(days, pa.timestamp("us")), "y": 2 * x})
    hashes = pa.array(row_hashes(rows).view(np.int64))
    rows = rows.append_column(ROW, pa.array(range(len(x)))).append_column(HASH, hashes)
    pq.write_table(rows, tmp_path / "rows.parquet")
    fields = {
        "name": "m",
        "data": Table(label="y", time="day"),
        "train": lambda rows: LinearRegression().fit(rows[["x"]], rows["y"]),
        "predict": lambda model, rows: model.predict(rows[["x"]]),
        "split": TimeSplit("30d"),
        "gate": Gate(mean_squared_error),
    }
    module = ModuleType("recipe")
    module.recipe = Recipe(**{**fields, **changes})
    order = CheckOrder("m", (str(tmp_path / "rows.parquet"),), len(x))
    told = check(order, JobContext(module, tmp_path, 0, 1, print))
    return {one.name: (one.state, one.detail) for one in told.checks}


@pytest.mark.parametrize(
    ("old", "new", "trained", "judged"),
    [
        (1500, 1500, "800", "200"),  # the newest 1,000 of all rows are held out
        (1500, 50, "950", "50"),
        (300, 1500, "300", "700"),
        (30, 20, "30", "20"),
    ],
)
def test_a_sample_has_rows_of_both_sides(tmp_path, old, new, trained, judged):
    told = checked(tmp_path, old=old, new=new)
    assert told["train"] == ("pass", f"LinearRegression on {trained} rows")
    assert told["predict"] == ("pass", f"{judged} answers for {judged} held-out rows")
    assert told["score"][0] == "pass"
    assert told["score"][1].endswith(f"on {judged} rows")


def test_a_limit_that_the_sample_breaks_is_a_warning(tmp_path):
    gate = Gate(mean_squared_error, guardrails=[AtMost(mean_squared_error, -1.0)])
    state, detail = checked(tmp_path, old=300, new=100, gate=gate)["score"]
    assert state == "warn"
    assert "on this sample it would be rejected. Because" in detail
    assert "above the limit of -1" in detail


def test_answers_that_are_no_numbers_fail(tmp_path):
    def predict(model, rows):
        return np.full(len(rows), np.nan)

    told = checked(tmp_path, old=300, new=100, predict=predict)
    failed = [detail for state, detail in told.values() if state == "fail"]
    assert len(failed) == 1
    assert "EB3" in failed[0]
