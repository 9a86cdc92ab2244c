"""A rollout through the command line, with a server that answers and counts."""

import pytest

ASKED = {"rows": [{"feature": 1.0}]}
# A champion without a history, and a generous limit on errors: some dozens of requests tell enough.
SOON = 'Canary(share=0.5, dwell="1s", least=40, error_rate=0.2)'
LONG = "Shadow() >> Canary(share=(0.1, 0.5))"
KEYS = {"id", "version", "champion", "state", "kind", "share", "opened", "ended", "reason"} | {
    "because",
    "checks",
    "steps",
    "plan",
}


@pytest.fixture
def rolling(line):
    """Makes the seed example with a rollout and a first champion."""

    def start(rollout):
        text = (line.path / "recipe.py").read_text()
        text = text.replace("import Gate", "import Canary, Gate").replace(
            "Recipe,", "Recipe, Shadow,"
        )
        closed = text.rstrip().removesuffix(")")
        line.write("recipe.py", f"{closed}    rollout={rollout},\n)\n")
        assert line.json("ingest", "line", "old.csv")["rollout"] is None
        return line

    return start


def status(project):
    """What `status` tells about the only model."""
    return project.json("status")["models"][0]


def rollout(project, version=2):
    """What `why` tells about a version's rollout."""
    return project.json("why", f"line@{version}")["rollout"]


def test_a_version_takes_over_by_what_was_answered(rolling, waits):
    project = rolling(SOON)
    with project.up() as client:
        told = project.json("ingest", "line", "new.csv")
        assert told["rollout"] == {"version": 2, "kind": "canary", "share": 0.5}
        assert (told["decision"]["verdict"], told["run"]["state"]) == ("promoted", "finished")
        answered = set()

        def ended():
            for _ in range(20):
                answered.add(client.post("/v1/models/line/predict", json=ASKED).json()["version"])
            return status(project)["champion"] == 2

        waits(ended)
        assert answered == {1, 2}
    seen = rollout(project)
    assert (seen["state"], seen["champion"]) == ("promoted", 1)
    assert seen["because"].startswith("Because errors passed after ")
    assert [step["step"] for step in seen["steps"]] == ["promoted"]
    assert {check["name"]: check["state"] for check in seen["checks"]} == {
        "errors": "pass",
        "quality": "unknown",
        "traffic": "pass",
        "progress": "pass",
    }
    assert "line@2: promoted. Because errors passed after " in (project.path / "up.err").read_text()


def test_people_see_a_rollout_and_end_it(rolling):
    project = rolling(LONG)
    with project.up() as client:
        done = project.run("ingest", "line", "new.csv")
        assert done.returncode == 0, done.stderr
        assert "it takes over by its rollout (shadow): everbake why line" in done.stdout
        seen = status(project)
        assert (seen["champion"], seen["candidate"], seen["stage"]) == (1, 2, "shadow")
        assert "shadow, champion version 1, candidate 2" in project.run("status").stdout
        told = rollout(project)
        assert set(told) == KEYS
        assert (told["state"], told["kind"], told["share"]) == ("open", "shadow", 0.0)
        assert [part["kind"] for part in told["plan"]] == ["shadow", "canary"]
        assert "0 of 1,000 canary requests are in" in told["because"]
        printed = project.run("why", "line").stdout
        assert "rollout against version 1: shadow, open" in printed
        assert "progress: stage 1 of 1" in printed

        shifted = project.json("promote", "line")
        assert (shifted["champion"], shifted["champion_before"]) == (2, 1)
        assert client.post("/v1/models/line/predict", json=ASKED).json()["version"] == 2
        assert (rollout(project)["state"], status(project)["stage"]) == ("promoted", "serving")

        done = project.run("promote", "line@1", "--reason", "to have it roll")
        assert "a rollout begins, and version 2 serves meanwhile" in done.stdout
        assert (status(project)["champion"], status(project)["candidate"]) == (2, 1)
        assert rollout(project, 1)["reason"] == "to have it roll"
        done = project.run("rollback", "line", "--reason", "seen enough")
        assert "line@2 serves on, and the rollout has ended; promotion is held" in done.stdout
        told = rollout(project, 1)
        assert told["state"] == "rolled_back"
        assert "seen enough" in told["because"]


def test_another_version_waits_its_turn(rolling):
    project = rolling(LONG)
    project.json("ingest", "line", "new.csv")
    project.write("more.csv", "feature,target\n9,18\n10,20\n11,22\n")
    done = project.run("ingest", "line", "more.csv")
    assert done.returncode == 5
    assert "it waits: line@2 is in its rollout" in done.stdout
    done = project.run("promote", "line@3")
    assert done.returncode == 7
    assert "EB421" in done.stderr
