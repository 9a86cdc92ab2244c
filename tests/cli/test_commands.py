"""The words and keys that scripts rely on, and what each command may import."""

import json
import subprocess
import sys

import pytest

HEAVY = {"pandas", "sklearn", "scipy", "pyarrow", "deltalake", "recipe", "rich", "uvicorn"}


@pytest.fixture(scope="module")
def served(tmp_path_factory, started):
    """A project with two versions."""
    made = started(tmp_path_factory.mktemp("served"))
    made.json("ingest", "line", "new.csv")
    return made


def test_ingest_and_retrain_tell_run_and_decision(served):
    told = served.json("retrain", "line")
    assert told.keys() >= {
        "schema",
        "model",
        "data_version",
        "rows",
        "quarantined",
        "quarantine",
        "run",
        "decision",
    }
    assert told["run"].keys() >= {"id", "state"}
    decision = told["decision"]
    assert decision.keys() >= {
        "verdict",
        "code",
        "version",
        "champion_before",
        "because",
        "metric",
        "checks",
    }
    assert decision["metric"].keys() >= {
        "name",
        "candidate",
        "champion",
        "difference",
        "interval",
        "n",
    }
    assert all(c.keys() >= {"name", "state", "detail"} for c in decision["checks"])


def test_the_lists_have_their_keys(served):
    model = served.json("status")["models"][0]
    assert model.keys() >= {"name", "champion", "candidate", "stage", "fresh", "good", "safe"}
    assert model["fresh"].keys() == {"state", "detail"}
    version = served.json("versions", "line")["versions"][0]
    assert version.keys() >= {"version", "state", "run", "digest", "time"}
    run = served.json("runs", "line")["runs"][0]
    assert run.keys() >= {
        "id",
        "cause",
        "data_version",
        "state",
        "step",
        "verdict",
        "version",
        "seconds",
    }
    data = served.json("data", "ls", "line")
    assert data["versions"][0].keys() >= {"version", "rows", "digest", "time"}
    assert data["quarantine"] == []
    assert served.json("why", "line")["decision"]["because"].startswith("Because")
    assert served.json("why", "line@1")["decision"]["version"] == 1
    assert served.json("data", "show", "line")["contract"]["columns"]
    assert served.json("audit", "verify").keys() >= {"intact", "facts", "head", "findings"}
    assert served.json("doctor")["checks"]
    assert served.json("where")["ledger"].endswith("ledger.sqlite")
    assert served.json("audit")["facts"][-1]["fact"] in {"concluded", "promoted"}
    assert served.json("error", "EB604")["title"]


def test_pause_and_resume_hold_runs_back(served):
    champion = served.json("status")["models"][0]["champion"]
    told = served.json("pause", "line")
    keys = {"schema", "model", "champion", "champion_before", "fact", "rollout", "best"}
    assert told.keys() == keys
    served.write("later.csv", "feature,target\n20,40\n21,42\n")
    assert served.json("ingest", "line", "later.csv")["run"] is None
    assert served.json("status")["models"][0]["champion"] == champion
    served.json("resume", "line")
    assert served.json("status")["models"][0]["champion"] == champion + 1


def test_without_waiting_the_run_is_named_and_goes_on_later(served):
    served.write("soon.csv", "feature,target\n30,60\n31,62\n")
    told = served.json("ingest", "line", "soon.csv", "--no-wait")
    assert told["run"]["state"] == "running"
    served.json("resume", "line")
    runs = {run["id"]: run["state"] for run in served.json("runs", "line")["runs"]}
    assert runs[told["run"]["id"]] == "finished"


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["ingset", "line", "x"], 2, "Did you mean 'ingest'"),
        (["ingest", "nobody", "old.csv"], 2, "EB004"),
        (["ingest", "a/b", "old.csv"], 2, "EB004"),
        (["why", "line@99"], 2, "EB008"),
        (["logs", "nothing"], 2, "EB009"),
        (["cancel", "nothing"], 2, "EB009"),
        (["promote", "line@1"], 0, ""),
        (["promote", "line@1"], 7, "EB413"),
        (["rollback", "line@99"], 2, "EB008"),
        (["rollback", "line@1"], 7, "EB413"),
        (["retrain", "nobody"], 2, "EB004"),
        (["error", "EB999"], 2, "EB003"),
        (["up", "--host", "0.0.0.0"], 2, "EB012"),  # noqa: S104 - it is refused
        (["init"], 7, "EB013"),
    ],
)
def test_wrong_calls_end_with_their_code(served, words, code, told):
    done = served.run(*words)
    assert done.returncode == code, done.stderr
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_an_error_is_json_for_those_who_asked_for_json(served):
    done = served.run("why", "nobody", "--json")
    assert json.loads(done.stdout)["error"]["code"] == "EB004"


def test_a_project_without_a_recipe_says_how_to_begin(project):
    assert "everbake init" in project.run("status").stdout
    done = project.run("ingest", "line", "x.csv")
    assert done.returncode in (2, 3)
    assert "mend" in done.stderr


def test_completion_is_a_script_of_the_shell(project):
    for shell in ("bash", "zsh", "fish"):
        assert "_EVERBAKE_COMPLETE" in project.run("completion", shell).stdout


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["status"],
        ["versions", "line"],
        ["runs", "line"],
        ["why", "line"],
        ["data", "ls", "line"],
        ["predict", "line", "row.json"],
        ["audit", "verify"],
    ],
)
def test_commands_that_only_look_import_nothing_heavy(served, words):
    served.write("row.json", '{"feature": 9}')
    script = (
        "import sys\n"
        "from everbake.interfaces.cli import cli, run\n"
        f"words = {words!r}\n"
        "code = run(lambda: cli.main(words, standalone_mode=False), words)\n"
        "print(code, *sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", script],
        cwd=served.path,
        capture_output=True,
        text=True,
        check=True,
    )
    code, *modules = done.stderr.split()
    assert code == "0"
    assert not HEAVY & set(modules)


def test_importing_the_package_imports_nothing_heavy():
    script = (
        "import sys, everbake; everbake.Recipe; print(*{n.partition('.')[0] for n in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert not (HEAVY | {"numpy"}) & set(done.stdout.split())
