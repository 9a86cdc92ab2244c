"""What mistakes cost, from the declaration to what callers are told, through the command line."""

import csv
import json
import math
import random

import numpy as np
import pyarrow.parquet as pq
import pytest

RECIPE = """
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from everbake import CostThreshold, Gate, Recipe, Table, TimeSplit

COLUMNS = ["amount", "night"]


def train(rows):
    return LogisticRegression().fit(rows[COLUMNS], rows["fraud"])


def predict(model, rows):
    return {answer}


recipe = Recipe(
    name="fraud",
    data=Table(label="fraud", time="at"),
    train=train,
    predict=predict,
    gate=Gate(log_loss, if_inconclusive="promote"),
    threshold=CostThreshold(false_positive=1, false_negative={price}),
)
"""
COMPILED = "model.predict_proba(rows[COLUMNS])[:, 1]"
NATIVE = "np.clip(model.predict_proba(rows[COLUMNS])[:, 1], 0, 1)"


def payments(project, name, count, seed):
    """A file of payments, of which about one in twelve is a fraud."""
    dice = random.Random(seed)
    rows = []
    for number in range(count):
        amount, night = dice.expovariate(1), dice.random() < 0.3
        chance = 1 / (1 + math.exp(4.5 - 1.2 * amount - 1.5 * night))
        rows.append([seed * 100_000 + number, amount, int(night), int(dice.random() < chance)])
    with (project.path / name).open("w", newline="") as file:
        csv.writer(file).writerows([["at", "amount", "night", "fraud"], *rows])


def checks(told):
    return {check["name"]: check for check in told["decision"]["checks"]}


ASKED = [{"at": 1, "amount": 4.0, "night": 1}, {"at": 1, "amount": 0.1, "night": 0}]


@pytest.mark.parametrize("answer", [COMPILED, NATIVE])
def test_decisions_stand_beside_scores_wherever_a_version_answers(project, answer):
    project.write("recipe.py", RECIPE.format(answer=answer, price=20))
    payments(project, "first.csv", 1500, 1)
    told = project.json("ingest", "fraud", "first.csv")
    assert checks(told)["threshold"]["state"] == "pass"
    curves = told["decision"]["curves"]
    cut = curves["candidate_cost"]["threshold"]
    assert 0 < cut < 0.3
    assert curves["champion"] is curves["champion_cost"] is None
    payments(project, "rows.csv", 300, 5)
    answers = project.json("predict", "fraud", "rows.csv")
    assert answers["decisions"] == [score >= cut for score in answers["predictions"]]
    assert 0 < sum(answers["decisions"]) < 300
    shown = project.run("predict", "fraud", "rows.csv").stdout.splitlines()
    assert [line.endswith(" yes") for line in shown] == answers["decisions"]
    project.json("predict", "fraud", "rows.csv", "-o", "out.parquet")
    scored = pq.read_table(project.path / "out.parquet")
    assert scored.column_names == ["id", "prediction", "decision", "version"]
    assert scored["decision"].to_pylist() == answers["decisions"]
    with project.up() as server:
        live = server.post("/v1/models/fraud/predict", json={"rows": ASKED}).json()
        assert live["decisions"] == [score >= cut for score in live["predictions"]]
        tensors = [
            {"name": name, "shape": [2], "datatype": "FP64", "data": [row[name] for row in ASKED]}
            for name in ("at", "amount", "night")
        ]
        outputs = server.post("/v2/models/fraud/infer", json={"inputs": tensors}).json()["outputs"]
        assert [output["name"] for output in outputs] == ["predict", "decision"]
        assert outputs[1]["data"] == live["decisions"]
    logged = [
        line["decision"]
        for line in map(json.loads, project.run("predictions", "fraud").stdout.splitlines())
    ]
    assert logged == live["decisions"] * 2


def test_a_rollback_brings_the_old_threshold_back(project):
    project.write("recipe.py", RECIPE.format(answer=COMPILED, price=20))
    payments(project, "first.csv", 1500, 1)
    first = project.json("ingest", "fraud", "first.csv")
    low = first["decision"]["curves"]["candidate_cost"]["threshold"]
    project.write("recipe.py", RECIPE.format(answer=COMPILED, price=1))
    payments(project, "second.csv", 800, 2)
    second = project.json("ingest", "fraud", "second.csv")
    assert second["decision"]["verdict"] == "promoted"
    curves = second["decision"]["curves"]
    high = curves["candidate_cost"]["threshold"]
    assert curves["champion_cost"]["threshold"] == low < high
    with project.up() as server:

        def decided():
            told = server.post("/v1/models/fraud/predict", json={"rows": MANY}).json()
            return told["version"], np.array(told["predictions"]), told["decisions"]

        _, scores, fewer = decided()
        assert fewer == list(scores >= high)
        project.json("rollback", "fraud", "--reason", "too many frauds come through")
        version, scores, decisions = decided()
        assert version == 1
        assert decisions == list(scores >= low)
        assert sum(fewer) < sum(decisions)


MANY = [{"at": 1, "amount": n / 10, "night": n % 2} for n in range(100)]


def test_curves_are_bounded_and_tell_what_happened(project):
    project.write("recipe.py", RECIPE.format(answer=COMPILED, price=20))
    payments(project, "first.csv", 3000, 1)
    project.json("ingest", "fraud", "first.csv")
    payments(project, "second.csv", 3000, 2)
    told = project.json("ingest", "fraud", "second.csv")
    curves = told["decision"]["curves"]
    assert curves["prices"] == [1, 20]
    for whose in ("candidate", "champion"):
        calibration, costs = curves[whose], curves[f"{whose}_cost"]
        assert 2 <= len(calibration["bins"]) <= 15
        assert sum(each["n"] for each in calibration["bins"]) == calibration["n"]
        low, high = calibration["slope_interval"]
        assert low < calibration["slope"] < high
        assert len(costs["points"]) <= 200
        # Whoever decides by price is cheaper than whoever lets everything through, or nothing.
        assert costs["cost"] < min(costs["points"][0][1], costs["points"][-1][1])
    assert checks(told)["calibration"]["state"] in {"pass", "warn"}
    assert project.json("why", "fraud@2")["decision"]["curves"] == curves


def test_a_label_of_three_outcomes_fails_the_run_in_words(project):
    project.write("recipe.py", RECIPE.format(answer=COMPILED, price=20))
    rows = "".join(f"{n},{n % 7},{n % 2},{n % 3}\n" for n in range(200))
    project.write("odd.csv", "at,amount,night,fraud\n" + rows)
    told = project.json("ingest", "fraud", "odd.csv", code=8)
    assert told["run"]["error"].startswith("EB221")
    assert "3 different values" in told["run"]["error"]


def test_the_gate_compares_what_decisions_cost(project):
    recipe = RECIPE.format(answer=COMPILED, price=20)
    gate = "Gate(mean_cost(false_positive=1, false_negative=20), guardrails=[{}])"
    recipe = recipe.replace(
        'Gate(log_loss, if_inconclusive="promote")', gate.format("AtLeast(recall_score, 0.5)")
    )
    recipe = recipe.replace("import log_loss", "import recall_score")
    recipe = recipe.replace("import CostThreshold", "import AtLeast, CostThreshold").replace(
        "\n\nCOLUMNS", "\nfrom everbake.metrics import mean_cost\n\nCOLUMNS"
    )
    project.write("recipe.py", recipe)
    payments(project, "first.csv", 4000, 1)
    first = project.json("ingest", "fraud", "first.csv")["decision"]
    payments(project, "second.csv", 4000, 2)
    second = project.json("ingest", "fraud", "second.csv", code=5)["decision"]
    assert second["verdict"] == "inconclusive"  # costs of 20 on few rows tell little
    metric, curves = second["metric"], second["curves"]
    assert metric["name"] == "mean_cost"
    assert metric["candidate"] == pytest.approx(curves["candidate_cost"]["cost"])
    assert metric["champion"] == pytest.approx(curves["champion_cost"]["cost"])
    low, high = metric["interval"]
    assert low <= metric["difference"] <= high
    assert second["evidence"]["method"] == "blocks"  # the rows are ordered in time
    for told in (first, second):
        found = {check["name"]: check["state"] for check in told["checks"]}
        assert found["recall_score at least 0.5"] == "pass"
    replayed = project.json("check", "fraud")["checks"]
    assert {check["name"]: check["state"] for check in replayed}["threshold"] == "pass"
