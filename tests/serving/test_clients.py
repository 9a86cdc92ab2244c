"""The protocols as their own clients see them: each client runs in an environment of its own.

An environment is made where it is missing, from the client's lock file, and kept from then on.
"""

import fcntl
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from everbake.core.bundle import Input

ROOT = Path(__file__).parents[2]
CLIENTS = ROOT / "tests" / "clients"
KEPT = ROOT / ".venv-clients"
BOUND = 300
NUMBERS = (
    Input("feature", "float64", nullable=False, needed=True),
    Input("count", "int64", nullable=False, needed=True),
)


def python_of(client: str) -> Path:
    """The interpreter of a client's environment, which is made first if it is not there."""
    lock = CLIENTS / f"{client}.lock"
    stamp = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()
    place = KEPT / client
    KEPT.mkdir(exist_ok=True)
    with (KEPT / f"{client}.busy").open("w") as busy:
        fcntl.flock(busy, fcntl.LOCK_EX)  # other workers of the test run want it, too
        made = place / "made-from"
        if not made.exists() or made.read_text() != stamp:
            make(place, lock)
            made.write_text(stamp)
    return place / "bin" / "python"


def make(place: Path, lock: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    install = [sys.executable, "-m", "pip", "--python", place / "bin" / "python", "install"]
    told = ["--quiet", "--no-compile", "--no-deps", "--require-hashes", "--requirement", lock]
    done = subprocess.run(
        [*install, "--disable-pip-version-check", *told],
        capture_output=True,
        text=True,
        timeout=BOUND,
        check=False,
    )
    if done.returncode:
        pytest.fail(
            f"{lock.name} cannot be installed, which needs a package registry: {done.stderr}",
            pytrace=False,
        )


def ask(client: str, url: str) -> dict:
    """What a client prints about a server."""
    command = [python_of(client), "-I", CLIENTS / f"{client}_client.py", url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=BOUND, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def both(served):
    """A model of two columns, one of them text, and one of numbers alone."""
    generation = served.deploy(1, served.bundle(3.0, "native", NUMBERS), "numbers")
    served.wait_for(generation)
    return served


def check_answers(project, ways):
    """Every way gave the same answers, and what is logged is what was sent."""
    ids = [one for way in ways for answer in way for one in answer["ids"]]
    assert len(set(ids)) == 4 * len(ways)
    for line, numbers in ways:
        assert (line["values"], numbers["values"]) == ([18.0, 3.0], [27.0, 12.0])
        assert line["id"] == numbers["id"] == "mine"
    for model, rows in (
        ("line", [{"feature": 9.0, "note": "x"}, {"feature": 1.5, "note": "é"}]),
        ("numbers", [{"feature": 9.0, "count": 1}, {"feature": 4.0, "count": 2}]),
    ):
        logged = project.logged(model)
        assert [one.rows for one in logged] == [rows] * len(ways)
        assert {i for one in logged for i in one.ids} <= set(ids)


def test_triton(both):
    told = ask("triton", both.url)
    assert told["live"]
    assert told["ready"]
    assert (told["model"], told["version"], told["other"]) == (True, True, False)
    assert told["server"]["name"] == "everbake"
    assert [i["name"] for i in told["about"]["inputs"]] == ["feature", "note"]
    assert told["refused"]["status"] == "422"
    assert told["refused"]["message"].startswith('EB512: field "feature" is missing in row 0')
    ways = ["json json", "json binary", "binary json", "binary binary"]
    check_answers(both, [told[way] for way in ways])
    assert [one.key for one in both.logged()] == ways
    assert {answer["dtype"] for way in ways for answer in told[way]} == {"float64"}


def test_kserve(both):
    told = ask("kserve", both.url)
    assert (told["live"], told["ready"], told["model"]) == (True, True, True)
    assert told["refused"].startswith('EB512: field "feature" is missing in row 0')
    check_answers(both, [told["json"], told["binary"]])
    assert [answer["model"] for answer in told["json"]] == ["line", "numbers"]


def test_mlflow(served):
    told = ask("mlflow", served.url)
    assert told["version"].count(".") >= 2
    assert told["frame"] == [[18.0], [3.0]]
    for form in ("matrix", "list", "text"):
        assert told[form]["predictions"] == [18.0, 3.0]
    rows = [{"feature": 9.0, "note": "x"}, {"feature": 1.5, "note": None}]
    assert [one.rows for one in served.logged()] == [rows] * 4
    assert 'did you mean \\"feature\\"?' in told["refused"]


def test_without_a_registry_it_is_said_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(pytest.fail.Exception, match=r"triton\.lock .* needs a package registry"):
        make(tmp_path / "triton", CLIENTS / "triton.lock")
