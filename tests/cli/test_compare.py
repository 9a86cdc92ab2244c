"""`everbake compare`: in what two versions differ, and by how much, without any consequence."""

import random
import re

import pytest

RECIPE = """
import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_squared_error

from everbake import Gate, Recipe, Table, TimeSplit
from prices import adjusted

PASSWORD = "hunter2hunter2"


def train(rows: pd.DataFrame, params) -> Ridge:
    return Ridge(alpha=params["alpha"]).fit(rows[["size"]], rows["rent"])


def predict(model: Ridge, rows: pd.DataFrame):
    return adjusted(model.predict(rows[["size"]]), rows)


recipe = Recipe(
    name="rent",
    data=Table(label="rent", time="day"),
    train=train,
    predict=predict,
    params={"alpha": 1.0, "api_key": "hunter2"},
    split=TimeSplit(0.2),
    gate=Gate(mean_squared_error, segments=["city"]),
)
"""
ADJUSTED = """
def adjusted(prices, rows):
    return prices
"""
FOR_ULM = """
def adjusted(prices, rows):
    return prices + 200 * (rows["city"] == "Ulm").to_numpy()
"""
UNTIL_THEN = """
def adjusted(prices, rows):
    if str(rows["day"].max()) > "2026-01-21":
        raise ValueError("too late")
    return prices
"""


def rows_of(days, seed):
    """Flats with their rents."""
    random.seed(seed)
    lines = ["day,city,size,rent"]
    for day in days:
        for _ in range(20):
            size, city = random.uniform(20, 120), random.choice(["Ulm", "Bonn"])
            lines.append(
                f"2026-01-{day:02d},{city},{size:.1f},{8 * size + random.gauss(0, 90):.1f}"
            )
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def three(tmp_path_factory, made):
    """Version 2 has learned from more rows than 1; 3 comes from other code and parameters."""
    project = made(tmp_path_factory.mktemp("compare"))
    project.write("recipe.py", RECIPE)
    project.write("prices.py", ADJUSTED)
    for seed, days in enumerate((range(1, 11), range(11, 21))):
        project.json("ingest", "rent", project.write(f"{seed}.csv", rows_of(days, seed + 5)).name)
    changed = RECIPE.replace('"alpha": 1.0', '"alpha": 2.0').replace("hunter2", "swordfish9")
    changed = changed.replace("Gate(mean_squared_error,", "Gate(mean_squared_error, tolerance=0.1,")
    project.write("recipe.py", changed)
    project.write("prices.py", FOR_ULM)
    project.json("retrain", "rent", code=4)
    project.json("pause", "rent")
    project.json("ingest", "rent", project.write("2.csv", rows_of(range(21, 31), 2)).name)
    return project


@pytest.fixture(scope="module")
def compared(three):
    """What is told of versions 2 and 3."""
    return three.json("compare", "rent@2", "rent@3")


def facts(project):
    return project.json("audit", "verify")["facts"]


def test_scripts_get_both_sides_the_differences_and_the_decision(compared):
    assert compared.keys() == {"schema", "model", "a", "b", "differs", "decision", "why_not"}
    assert (compared["a"]["name"], compared["b"]["name"]) == ("rent@2", "rent@3")
    assert compared["a"]["decision"]["verdict"] == "promoted"
    assert compared["b"]["decision"]["verdict"] == "rejected"
    assert compared["why_not"] == ""


def test_the_code_is_told_line_by_line_without_its_secrets(three, compared):
    code = {each["file"]: each for each in compared["differs"]["code"]}
    assert list(code) == ["prices.py", "recipe.py"]
    assert "-    return prices\n+    return prices + 200" in code["prices.py"]["diff"]
    assert (code["prices.py"]["added"], code["prices.py"]["removed"]) == (1, 1)
    assert compared["differs"]["same_code"] is False
    printed = three.run("compare", "rent@2", "rent@3").stdout
    for secret in ("hunter2", "swordfish"):
        assert secret not in printed
        assert secret not in str(compared)


def test_parameters_declaration_and_columns_are_told(compared):
    differs = compared["differs"]
    assert differs["params"] == {"alpha": [1.0, 2.0], "api_key": ["[redacted]"] * 2}
    assert differs["declared"] == {"gate.tolerance": [0.05, 0.1], "gate.equal_within": [0.01, 0.02]}
    assert differs["columns"] == {"city": ["string", "string, needed"]}
    assert differs["runtime"] == ["linear", "native"]
    assert differs["seed"] is None
    assert differs["packages"] == []


def test_both_answer_rows_that_neither_has_learned_from(compared):
    decision = compared["decision"]
    assert decision["verdict"] == "rejected"
    assert decision["code"] == "segment_hurt" or decision["metric"]["difference"] < 0
    assert decision["metric"]["n"] >= 200  # those that arrived while runs were paused
    assert decision["evidence"]["period"][1] == "2026-01-30"
    assert "hurt" in {segment["state"] for segment in decision["segments"]}


def test_people_read_what_differs_first_and_by_how_much_next(three):
    done = three.run("compare", "rent@1", "rent@2")
    assert done.returncode == 0, done.stderr
    text = done.stdout
    assert text.startswith("rent@1 → rent@2\n\ndata ")
    assert "up to data version 1 → 2" in text
    assert "+ data version 2: 200 rows, 1.csv" in text
    assert "code" not in text.partition("What the gate")[0]
    assert "What the gate of rent@2 says, without any consequence:\n\n" in text
    assert re.search(r"^. [A-Z]+  rent@2 against rent@1$", text, re.MULTILINE)
    assert re.search(r"^. all rows +\d+ .*[├◄─┼●▲■]", text, re.MULTILINE)
    back = three.run("compare", "rent@2", "rent@1").stdout
    assert "- data version 2: 200 rows, 1.csv" in back


def test_the_other_way_round_the_difference_has_the_other_sign(three, compared):
    back = three.json("compare", "rent@3", "rent@2")
    there = compared["decision"]["metric"]
    assert back["decision"]["metric"]["difference"] == pytest.approx(-there["difference"])
    assert back["decision"]["metric"]["n"] == there["n"]


def test_nothing_comes_of_it(three):
    before, status = facts(three), three.json("status")
    three.json("compare", "rent@2", "rent@3")
    assert (facts(three), three.json("status")) == (before, status)


def test_it_works_while_the_project_is_up(three, compared):
    with three.up():
        assert three.json("compare", "rent@2", "rent@3")["decision"] == compared["decision"]


def test_a_version_differs_from_itself_in_nothing(three):
    told = three.json("compare", "rent@2", "rent@2")
    assert told["differs"]["data"] is None
    assert told["decision"]["code"] == "same_predictions"
    assert "nothing     data, code, packages" in three.run("compare", "rent@2", "rent@2").stdout


def test_where_no_row_is_left_the_decisions_on_record_are_shown(project):
    project.write("recipe.py", RECIPE.replace("TimeSplit(0.2),", "TimeSplit(0.2), refit=True,"))
    project.write("prices.py", ADJUSTED)
    project.json("ingest", "rent", project.write("0.csv", rows_of(range(1, 6), 0)).name)
    project.json("ingest", "rent", project.write("1.csv", rows_of(range(6, 26), 1)).name)
    told = project.json("compare", "rent@1", "rent@2")
    assert told["decision"] is None
    assert told["why_not"] == "no row is left that neither of them has learned from"
    done = project.run("compare", "rent@1", "rent@2")
    assert done.returncode == 0
    assert "The decisions on record:\n\nrent@1 promoted: Because" in done.stdout
    assert "\n\nrent@2 promoted: Because" in done.stdout


def test_a_version_that_does_not_answer_is_named(project):
    project.write("recipe.py", RECIPE)
    project.write("prices.py", ADJUSTED)
    project.json("ingest", "rent", project.write("0.csv", rows_of(range(1, 11), 5)).name)
    project.write("prices.py", UNTIL_THEN)
    project.json("ingest", "rent", project.write("1.csv", rows_of(range(11, 21), 6)).name)
    project.json("pause", "rent")
    project.json("ingest", "rent", project.write("2.csv", rows_of(range(21, 31), 7)).name)
    told = project.json("compare", "rent@1", "rent@2")
    assert told["decision"] is None
    assert told["why_not"].startswith("rent@2 gives no answers: your code raised: ValueError: too")
    assert [each["file"] for each in told["differs"]["code"]] == ["prices.py"]


def test_long_code_is_cut_unless_all_of_it_is_wanted(project):
    project.write("recipe.py", RECIPE)
    project.write("prices.py", ADJUSTED)
    project.json("ingest", "rent", project.write("0.csv", rows_of(range(1, 6), 0)).name)
    project.write("prices.py", ADJUSTED + "".join(f"\nVALUE_{i} = {i}" for i in range(200)))
    project.json("retrain", "rent")
    done = project.run("compare", "rent@1", "rent@2")
    assert re.search(r"\.\.\. and 14\d more lines: --full shows them", done.stdout)
    assert "+VALUE_199 = 199" not in done.stdout
    assert "+VALUE_199 = 199" in project.run("compare", "rent@1", "rent@2", "--full").stdout
    assert project.json("compare", "rent@1", "rent@2")["differs"]["code"][0]["cut"] > 100


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["rent@1", "rent"], "EB017"),
        (["rent@1", "line@2"], "EB017"),
        (["rent@1", "rent@99"], "EB008"),
        (["nobody@1", "nobody@2"], "EB004"),
    ],
)
def test_only_two_versions_of_one_model_can_be_compared(three, words, code):
    done = three.run("compare", *words)
    assert (done.returncode, code in done.stderr) == (2, True)
