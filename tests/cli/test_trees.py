"""Boosted trees from files in to answers out: compiled, and equal to scikit-learn."""

import json
import pickle

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.datasets import load_diabetes

RECIPE = """
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import mean_squared_error

from everbake import Gate, Recipe, Table

COLUMNS = {columns}


def train(rows):
    return HistGradientBoostingRegressor(max_iter=20).fit(rows[COLUMNS], rows["target"])


def predict(model, rows):
    return model.predict(rows[COLUMNS])


recipe = Recipe(
    name="sugar",
    data=Table(label="target"),
    train=train,
    predict=predict,
    gate=Gate(mean_squared_error, better="lower"),
)
"""


def blob(project, digest):
    return (project.path / ".everbake" / "blobs" / digest[:2] / digest).read_bytes()


def native(project, bundle):
    """The model that the version was compiled from."""
    data = blob(project, bundle["artifact"])
    if bundle["artifact_format"] == "cloudpickle":
        return pickle.loads(data)  # noqa: S301 - written a moment ago
    return skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data))


def test_boosted_trees_answer_from_their_data_file_as_scikit_learn_does(project):
    table = load_diabetes(as_frame=True).frame.iloc[:, [2, 3, 8, 10]]
    table.iloc[::9, 0] = np.nan
    columns = list(table.columns[:-1])
    project.write("recipe.py", RECIPE.format(columns=columns))
    table.to_csv(project.path / "rows.csv", index=False)
    project.json("ingest", "sugar", "rows.csv")
    version = project.json("versions", "sugar")["versions"][0]
    assert version["runtime"] == "trees"
    bundle = json.loads(blob(project, version["digest"]))
    assert bundle["runtime"] == "trees"
    assert bundle["why_runtime"].startswith("trees: equal to ")
    assert bundle["native_above"] is None or bundle["native_above"] > 0
    asked = table.head(300)[columns]
    asked.to_csv(project.path / "asked.csv", index=False)
    told = project.json("predict", "sugar", "asked.csv")["predictions"]
    expected = native(project, bundle).predict(asked)
    assert told == pytest.approx(list(expected), rel=1e-12)
    with project.up() as server:
        rows = json.loads(asked.to_json(orient="records", double_precision=15))
        for count in (1, 300):  # within the event loop, and beside it
            answer = server.post("/v1/models/sugar/predict", json={"rows": rows[:count]}).json()
            given = pd.DataFrame(rows[:count], dtype=float)
            expected = native(project, bundle).predict(given)
            assert answer["predictions"] == pytest.approx(list(expected), rel=1e-12)
