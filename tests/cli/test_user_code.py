"""What user code may do wrong: a failed run with its log or a rejected candidate, never more."""

import json

import pytest

TRAIN = 'return LinearRegression().fit(rows[["feature"]], rows["target"])'
PREDICT = 'return model.predict(rows[["feature"]])'
MORE = "feature,target\n{0},{1}\n{2},{3}\n"


@pytest.fixture(scope="module")
def served(tmp_path_factory, started):
    """The seed example with a champion, for recipes that go wrong one after the other."""
    return started(tmp_path_factory.mktemp("served"))


def edited(project, old, new, extra=""):
    """Edit the recipe; undo with the returned text."""
    path = project.path / "recipe.py"
    before = path.read_text()
    path.write_text(extra + before.replace(old, new))
    return before


def champion(project):
    return project.json("status")["models"][0]["champion"]


FAILING = {
    "raises": (TRAIN, "raise ValueError('no such luck')", "EB301", "no such luck"),
    "hangs": (TRAIN, "import time; time.sleep(600)", "EB302", "limits.time"),
    "leaks": (
        TRAIN,
        "kept = [bytearray(50_000_000) for _ in range(100)]; return kept",
        "EB303",
        "limits.memory",
    ),
    "kills itself": (TRAIN, "import os; os.kill(os.getpid(), 9)", "EB304", "signal 9"),
    "exits": (TRAIN, "import os; os._exit(3)", "EB304", ""),
    "says what cannot be written": (
        TRAIN,
        "raise ValueError('half a pair: ' + chr(0xD800))",
        "EB301",
        "half a pair",
    ),
    "returns nothing": (TRAIN, "LinearRegression()", "EB314", "nothing"),
    "metric raises": ("Gate(mean_squared_error", "Gate(odd", "EB310", "metric"),
    "metric is nan": ("Gate(mean_squared_error", "Gate(nan", "EB311", "metric"),
}
METRICS = (
    "def odd(y, p):\n    raise KeyError('x')\n\n\ndef nan(y, p):\n    return float('nan')\n\n\n"
)


@pytest.mark.parametrize("case", FAILING)
def test_a_failure_is_a_failed_run_with_its_log(served, case):
    old, new, code, words = FAILING[case]
    serving = champion(served)
    limits = 'name="line",\n    limits=Limits(memory="600M", time="8s"),'
    before = edited(served, old, new, "from everbake import Limits\n" + METRICS)
    edited(served, 'name="line",', limits)
    try:
        told = served.json("retrain", "line", code=8)
        assert told["run"]["state"] == "failed"
        assert told["decision"] is None
        assert code in told["run"]["error"]
        assert words in told["run"]["error"]
        logged = served.run("logs", told["run"]["id"])
        assert code in logged.stderr
        assert champion(served) == serving
    finally:
        (served.path / "recipe.py").write_text(before)


ODD = {
    "wrong length": ("return model.predict(rows[['feature']])[:-1][:0]", "bad_output"),
    "nan": ("return model.predict(rows[['feature']]) * float('nan')", "bad_output"),
}


@pytest.mark.parametrize("case", ODD)
def test_odd_predictions_are_a_rejected_candidate(served, case):
    new, code = ODD[case]
    serving = champion(served)
    before = edited(served, PREDICT, new)
    try:
        told = served.json("retrain", "line", code=4)
        assert told["decision"]["code"] == code
        assert champion(served) == serving
    finally:
        (served.path / "recipe.py").write_text(before)


def test_secrets_that_train_prints_are_not_kept(served):
    served.environment = {"MY_API_TOKEN": "swordfish-9000"}
    before = edited(served, TRAIN, "print('token=abcdef123 and swordfish-9000'); " + TRAIN)
    try:
        run = served.json("retrain", "line")["run"]["id"]
        logged = served.run("logs", run).stdout
        assert "[redacted]" in logged
        assert "abcdef123" not in logged
        assert "swordfish-9000" not in logged
    finally:
        (served.path / "recipe.py").write_text(before)
        served.environment = {}


def test_secrets_in_an_error_are_told_nowhere(served):
    served.environment = {"MY_API_TOKEN": "swordfish-9000"}
    message = "password=hunter4hunter4 and swordfish-9000"
    before = edited(served, TRAIN, f"raise ValueError({message!r})")
    try:
        done = served.run("retrain", "line", "--json")
        run = json.loads(done.stdout)["run"]
        told = [done.stdout, done.stderr, served.run("logs", run["id"]).stderr]
        told += [served.run("status").stdout, served.run("runs", "line", "--json").stdout]
        assert run["error"].count("[redacted]") == 2
        assert not any(word in text for word in message.split()[::2] for text in told)
        ledger = served.path / ".everbake" / "ledger.sqlite"
        assert b"swordfish" not in ledger.read_bytes()
    finally:
        (served.path / "recipe.py").write_text(before)
        served.environment = {}


REFUSED = {
    "no python": ("def train(", "def train((", "EB202"),
    "no import": ("import pandas as pd", "import pandas_of_tomorrow as pd", "EB202"),
    "typo": ("train=train", "trian=train", "EB202"),
    "signature": ("def predict(model: LinearRegression, rows", "def predict(model", "EB202"),
    "no recipe": ("recipe = Recipe(", "recipe = dict(", "EB209"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_recipe_that_cannot_be_used_is_refused_and_the_champion_stays(served, case):
    old, new, code = REFUSED[case]
    serving, data = champion(served), served.json("data", "ls", "line")
    before = edited(served, old, new)
    try:
        served.write("more.csv", MORE.format(50, 100, 51, 102))
        done = served.run("ingest", "line", "more.csv")
        assert done.returncode == 2
        assert code in done.stderr
        assert "mend" in done.stderr
        assert "Traceback" not in done.stderr
        assert champion(served) == serving
        assert served.json("data", "ls", "line") == data
        assert served.json("predict", "line", "-", given='{"feature": 9}')["version"] == serving
    finally:
        (served.path / "recipe.py").write_text(before)


def test_only_code_that_changes_starts_a_run(served):
    served.write("known.csv", (served.path / "old.csv").read_text())
    served.json("ingest", "line", "known.csv")
    runs = len(served.json("runs", "line")["runs"])
    before = edited(served, "import pandas as pd", "# a comment\nimport pandas as pd")
    served.json("ingest", "line", "known.csv")
    assert len(served.json("runs", "line")["runs"]) == runs
    served.write("beside.py", "SCALE = 1.0\n")
    (served.path / "recipe.py").write_text("import beside  # noqa\n" + before)
    served.json("ingest", "line", "known.csv")
    after = len(served.json("runs", "line")["runs"])
    assert after == runs + 1
    served.write("beside.py", "SCALE = 2.0\n")
    served.json("ingest", "line", "known.csv")
    assert len(served.json("runs", "line")["runs"]) == after + 1


def test_a_damaged_model_file_is_not_loaded(line):
    line.json("ingest", "line", "old.csv")
    blobs = line.path / ".everbake" / "blobs"
    digest = line.json("versions", "line")["versions"][0]["digest"]
    bundle = json.loads((blobs / digest[:2] / digest).read_bytes())
    data = blobs / bundle["runtime_data"][:2] / bundle["runtime_data"]
    data.write_bytes(data.read_bytes()[:-1] + b"\x00")
    done = line.run("predict", "line", "-", given='{"feature": 9}')
    assert (done.returncode, "EB604" in done.stderr) == (6, True)


def test_check_tries_the_recipe_and_changes_nothing(served):
    facts = served.json("audit", "verify")["facts"]
    done = served.run("check", "line", "--json")
    told = json.loads(done.stdout)
    assert {c["name"]: c["state"] for c in told["checks"]}["repeatable"] == "pass"
    assert done.returncode == 0
    for wrong in ("return 1 / 0", "return [1.0] * 3", "return 7", "raise ValueError(chr(0xD800))"):
        before = edited(served, PREDICT, wrong)
        try:
            assert served.run("check", "line").returncode == 6
        finally:
            (served.path / "recipe.py").write_text(before)
    before = edited(served, 'label="target"', 'label="tarlet"')
    try:
        assert "EB212" in served.run("check", "line").stdout
    finally:
        (served.path / "recipe.py").write_text(before)
    assert served.json("audit", "verify")["facts"] == facts


def test_a_broken_recipe_stops_neither_a_rollback_nor_another_model(line):
    line.json("ingest", "line", "old.csv")
    line.json("ingest", "line", "new.csv")
    text = (line.path / "recipe.py").read_text()
    line.write("recipes/other.py", text.replace('"line"', '"other"'))
    line.json("ingest", "other", "old.csv")
    line.write("recipes/other.py", "def (:\n")
    line.write("more.csv", "feature,target\n20,40\n21,42\n")
    assert line.json("ingest", "line", "more.csv")["decision"]["verdict"] == "promoted"
    line.write("recipe.py", "def (:\n")
    assert line.json("rollback", "line")["champion"] == 2
    assert line.json("pause", "line")["champion"] == 2
    assert line.json("ingest", "line", "more.csv", code=2)["error"]["code"] == "EB202"


def test_two_recipes_of_one_name_are_refused(line):
    line.json("ingest", "line", "old.csv")
    line.write("recipes/again.py", (line.path / "recipe.py").read_text())
    assert line.json("ingest", "line", "new.csv", code=2)["error"]["code"] == "EB210"


def test_a_rollback_brings_back_who_served_and_nobody_else(line):
    for number, name in enumerate(("old.csv", "new.csv"), start=1):
        assert line.json("ingest", "line", name)["decision"]["version"] == number
    odd = (line.path / "recipe.py").read_text()
    line.write("recipe.py", odd.replace(PREDICT, f"{PREDICT} + 50"))
    never = line.json("retrain", "line", code=5)["decision"]["version"]
    assert line.json("rollback", f"line@{never}", code=7)["error"]["code"] == "EB414"
    assert line.json("rollback", "line@0", code=2)["error"]["code"] == "EB008"
    line.json("promote", "line@1", "--reason", "to see who comes back")
    assert "version 2" in line.json("status")["models"][0]["safe"]["detail"]
    assert line.json("rollback", "line")["champion"] == 2


def test_a_damaged_version_is_not_put_into_service(line):
    line.json("ingest", "line", "old.csv")
    line.json("ingest", "line", "new.csv")
    bundle = line.json("versions", "line")["versions"][1]["digest"]
    blobs = line.path / ".everbake" / "blobs"
    artifact = json.loads((blobs / bundle[:2] / bundle).read_bytes())["artifact"]
    (blobs / artifact[:2] / artifact).write_bytes(b"not what it was")
    assert line.json("rollback", "line", code=6)["error"]["code"] == "EB604"
    assert champion(line) == 2


def test_user_code_stands_in_the_project_wherever_the_command_was_typed(line, tmp_path):
    line.write("limit.txt", "3")
    recipe = (line.path / "recipe.py").read_text()
    reads = f"from pathlib import Path; assert Path('limit.txt').read_text() == '3'; {TRAIN}"
    line.write("recipe.py", recipe.replace(TRAIN, reads))
    told = line.json("-C", line.path, "ingest", "line", line.path / "old.csv")
    elsewhere = type(line)(tmp_path)
    more = elsewhere.json("-C", line.path, "ingest", "line", line.path / "new.csv")
    assert (told["run"]["state"], more["run"]["state"]) == ("finished", "finished")
    run = elsewhere.json("-C", line.path, "logs", more["run"]["id"])
    assert (run["state"], run["error"]) == ("finished", None)
