"""Private columns: their values reach no log, finding, contract, example or narration."""

from pathlib import Path

RECIPE = """
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_squared_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from everbake import Gate, Recipe, Table


def train(rows: pd.DataFrame):
    coded = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["town"]), remainder="passthrough"
    )
    return make_pipeline(coded, LinearRegression()).fit(rows[["town", "income"]], rows["target"])


def predict(model, rows: pd.DataFrame):
    return model.predict(rows[["town", "income"]])


recipe = Recipe(
    name="line",
    data=Table(label="target", private=["town", "income"]),
    train=train,
    predict=predict,
    gate=Gate(mean_squared_error, better="lower"),
)
"""
TOWNS = ("Zzyzxtown", "Quuxville")
INCOME = 731_942  # no zeros behind it, with which the ids of answers end


def files_below(folder: Path):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_values_of_private_columns_are_never_shown(project, waits):
    project.write("recipe.py", RECIPE)
    rows = [f"{TOWNS[i % 2]},{INCOME + i},{i}\n" for i in range(40)]
    project.write("first.csv", "town,income,target\n" + "".join(rows))
    project.json("ingest", "line", "first.csv")
    project.write("bad.csv", "town,income,target\nZzyzxtown,Quuxville,1\n")
    bad = project.run("ingest", "line", "bad.csv")
    assert bad.returncode == 3
    assert "(private)" in bad.stdout
    with project.up() as client:
        asked = {"rows": [{"town": "Quuxville", "income": INCOME + 3}]}
        answer = client.post("/v1/models/line/predict", json=asked)
        assert answer.status_code == 200, answer.text
        described = client.get("/v1/models/line/openapi.json").text
        (logged,) = waits(lambda: list(project.run("predictions", "line").stdout.splitlines()))
    assert '"town": null' in logged or '"town":null' in logged
    told = [bad.stdout, bad.stderr, described, logged, (project.path / "up.err").read_text()]
    state = project.path / ".everbake"
    kept = files_below(state / "log") + files_below(state / "predictions")
    kept += files_below(project.path / "contracts")
    for secret in (*TOWNS, str(INCOME), str(INCOME + 3)):
        assert [text for text in told if secret in text] == []
        assert [path for path in kept if secret.encode() in path.read_bytes()] == []
    assert project.run("replay", "line@1", "--since", "1d").returncode == 3


def test_a_private_label_and_private_lessons_are_refused(project):
    for declared in ('private=["target"]', 'private=["town"], from_predictions=True'):
        recipe = RECIPE.replace('private=["town", "income"]', declared)
        project.write("recipe.py", recipe)
        project.write("first.csv", "town,income,target\na,1,2\n")
        refused = project.run("ingest", "line", "first.csv")
        assert refused.returncode == 2
        assert "EB204" in refused.stderr
