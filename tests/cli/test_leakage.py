"""Leaks as a person meets them: in `check` before the first run, and in every decision."""

import random

RECIPE = """
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from everbake import Gate, Recipe, Table

COLUMNS = ["income", "age", "debts", "jobs", "loans", "moves"]


def train(rows):
    return LogisticRegression(C=10.0, max_iter=1000).fit(rows[COLUMNS].fillna(0), rows["late"])


def predict(model, rows):
    return model.predict_proba(rows[COLUMNS].fillna(0))[:, 1]


recipe = Recipe(
    name="late",
    data=Table(label="late", time="day", private=["fee"]),
    train=train,
    predict=predict,
    gate=Gate(roc_auc_score),
)
"""
HEAD = "day,income,age,debts,jobs,loans,moves,fee,note,late\n"


def rows_of(count, first=0, *, note=lambda late, dice: dice.random(), seed=0):
    """Rows with honest columns, a fee that only who was late paid, and a note."""
    dice = random.Random(seed + first)
    lines = []
    for day in range(first, first + count):
        x = [round(dice.gauss(0, 1), 3) for _ in range(6)]
        late = int(0.9 * x[0] - 0.6 * x[1] + 0.4 * x[2] + dice.gauss(0, 1) > 0.8)
        fee = round(dice.uniform(77.125, 99), 3) if late else 0
        lines.append(",".join(map(str, (day, *x, fee, round(note(late, dice), 3), late))))
    return HEAD + "\n".join(lines) + "\n"


def named(checks):
    return {each["name"]: (each["state"], each["columns"]) for each in checks}


def test_check_and_decision_name_the_column_that_knows_the_answer(project):
    project.write("recipe.py", RECIPE.replace('"moves"]', '"moves", "fee"]'))
    project.write("first.csv", rows_of(1500))
    decision = project.json("ingest", "late", "first.csv")["decision"]
    assert decision["verdict"] == "promoted"  # a suspicion stops nothing
    found = named(decision["checks"])
    assert found["leakage_alone"] == ("warn", ["fee"])
    assert found["leakage_value"] == ("warn", ["fee"])
    assert found["leakage"][0] == found["time_order"][0] == found["strength"][0] == "pass"
    told = " ".join(project.run("why", "late").stdout.split())
    assert "▲ warn leakage_value: where fee is (private), late is 0 in " in told
    assert "● pass strength: what each column tells of late alone, on 1,500 rows" in told
    assert "77." not in told
    checked = project.json("check", "late")["checks"]
    assert named(checked)["leakage_alone"] == ("warn", ["fee"])
    (alone,) = [each for each in checked if each["name"] == "leakage_alone"]
    assert alone["detail"] in project.run("check", "late").stdout
    assert alone["detail"].endswith("is that known before the outcome is?")


def test_a_column_that_the_model_leaves_alone_is_no_alarm(project):
    project.write("recipe.py", RECIPE)
    project.write("first.csv", rows_of(1500))
    found = named(project.json("ingest", "late", "first.csv")["decision"]["checks"])
    assert found["leakage_alone"] == found["leakage_value"] == ("pass", ["fee"])


def test_a_jump_names_the_column_that_an_edited_recipe_takes_up(project):
    project.write("recipe.py", RECIPE)
    project.write("first.csv", rows_of(1500, note=lambda late, dice: late + dice.gauss(0, 0.5)))
    project.json("ingest", "late", "first.csv")
    project.write("recipe.py", RECIPE.replace('"moves"]', '"moves", "note"]'))
    project.write("second.csv", rows_of(700, 1500, note=lambda late, dice: late))
    decision = project.json("ingest", "late", "second.csv")["decision"]
    assert named(decision["checks"])["jump"] == ("warn", ["note"])
    (jump,) = [each for each in decision["checks"] if each["name"] == "jump"]
    assert "new to the model: note (tells " in jump["detail"]


def test_a_jump_names_the_column_that_has_begun_to_tell_the_answer(project):
    project.write("recipe.py", RECIPE.replace('"moves"]', '"moves", "note"]'))
    project.write("first.csv", rows_of(1200, note=lambda late, dice: dice.uniform(0, 3)))
    project.json("ingest", "late", "first.csv")
    project.write("second.csv", rows_of(700, 1200, note=lambda late, dice: 9 * late))
    decision = project.json("ingest", "late", "second.csv")["decision"]
    assert named(decision["checks"])["jump"] == ("warn", ["note"])
    (jump,) = [each for each in decision["checks"] if each["name"] == "jump"]
    assert "note (0 % before, 100 % since)" in jump["detail"]


def test_usual_news_are_no_jump(project):
    project.write("recipe.py", RECIPE)
    project.write("first.csv", rows_of(1200))
    project.json("ingest", "late", "first.csv")
    project.write("second.csv", rows_of(700, 1200))
    done = project.run("ingest", "late", "second.csv")
    assert "jump" not in done.stdout
