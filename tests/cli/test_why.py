"""`everbake why` on a real project: each kind of verdict, as people and as scripts read it."""

import os
import random
import re
import subprocess
import sys

import pytest

RECIPE = """
import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_squared_error, r2_score

from everbake import AtLeast, Gate, Recipe, Table

COLUMNS = ["size", "rooms"]


def train(rows: pd.DataFrame) -> LinearRegression:
    return LinearRegression().fit(rows[COLUMNS], rows["rent"])


def predict(model: LinearRegression, rows: pd.DataFrame):
    return model.predict(rows[COLUMNS]) + CHANGE


recipe = Recipe(
    name="rent",
    data=Table(label="rent", time="day", group="street", private=["street", "city"]),
    train=train,
    predict=predict,
    gate=Gate(mean_squared_error, segments=["city"], guardrails=[AtLeast(r2_score, 0.2)]),
)
"""


def rows_of(days, seed):
    """Flats with their rents: what `size` and `rooms` tell of them, and noise."""
    random.seed(seed)
    lines = ["day,street,city,size,rooms,rent"]
    for day in days:
        for i in range(20):
            size, rooms = random.uniform(20, 120), random.randint(1, 5)
            rent = 8 * size + 60 * rooms + random.gauss(0, 90)
            street = f"secret-{random.randint(1, 30)}"
            place = f"{street},{'secret-ulm' if i % 2 else 'secret-bonn'}"
            lines.append(f"2026-01-{day:02d}T00:00:00,{place},{size:.1f},{rooms},{rent:.1f}")
    return "\n".join(lines) + "\n"


def edited(project, change):
    project.write("recipe.py", RECIPE.replace("CHANGE", change))


@pytest.fixture(scope="module")
def judged(tmp_path_factory, made):
    """A project with five versions: first, promoted, rejected, inconclusive, against a limit."""
    project = made(tmp_path_factory.mktemp("why"))
    edited(project, "0.0")
    for seed, days in enumerate((range(1, 11), range(11, 21))):
        name = project.write(f"{seed}.csv", rows_of(days, seed)).name
        project.json("ingest", "rent", name)
    edited(project, "150.0")
    project.json("retrain", "rent", code=4)
    edited(project, '70 * np.sin(rows["size"].to_numpy() * 7)')
    project.write("2.csv", rows_of(range(21, 23), 2))
    project.json("ingest", "rent", "2.csv", code=5)
    edited(project, "400.0")
    project.json("retrain", "rent", code=4)
    return project


def told(project, version, **environment):
    """What `why` prints, and the same in one line."""
    project.environment = environment
    done = project.run("why", f"rent@{version}")
    project.environment = {}
    assert done.returncode == 0, done.stderr
    return done.stdout, " ".join(done.stdout.split())


def test_a_first_version_says_that_nothing_was_before_it(judged):
    text, line = told(judged, 1)
    assert text.startswith("● PROMOTED  rent@1, the first of its model\n\nBecause there is no")
    assert "candidate rent@1; learned from 160 rows of data version 1; recipe 1 (" in line
    assert "champion" not in line
    assert "● pass  r2_score at least 0.2:" in text


def test_a_promotion_names_both_sides_rows_groups_and_period(judged):
    text, line = told(judged, 2)
    assert text.startswith("● PROMOTED  rent@2 against champion rent@1\n\nBecause on 80 held-out")
    assert re.search(r"on 80 held-out rows of \d+ groups, 2026-01-17 to 2026-01-20", line)
    assert re.search(r"● all rows +80 .*├.*●.*┤.*(not worse|better)", text)
    assert "80 of 80 rows differ; look 1 at rows " in line
    assert "candidate rent@2; learned from 320 rows of data versions 1 to 2; recipe 1" in line
    assert "champion rent@1; learned from 160 rows of data version 1; recipe 1" in line
    assert "held out 80 rows of data versions 1 to 2; the newest 20 %" in line


def test_a_rejection_shows_the_interval_on_the_wrong_side(judged):
    text, _ = told(judged, 3)
    assert text.startswith("■ REJECTED  rent@3 against champion rent@2")
    bar = next(line for line in text.splitlines() if line.startswith("■ all rows"))
    assert bar.index("┤") < bar.index("│")
    assert bar.endswith("worse")


def test_an_inconclusive_decision_says_how_many_rows_are_missing(judged):
    text, line = told(judged, 4)
    assert text.startswith("○ INCONCLUSIVE  rent@4 against champion rent@2")
    assert re.search(r"▲ all rows .* open\n", text)
    assert re.search(r"about [\d,]+ more rows needed", line)


def test_a_broken_limit_is_the_first_of_the_checks(judged):
    text, _ = told(judged, 5)
    assert text.startswith("■ REJECTED")
    checks = [line for line in text.splitlines() if re.match(r"[●▲■] \w+  ", line)]
    assert checks[1].startswith("■ fail  r2_score at least 0.2: the new model's r2_score is")


def test_it_fits_a_page_and_tells_nothing_private(judged):
    for version in range(1, 6):
        text, _ = told(judged, version)
        lines = text.splitlines()
        assert len(lines) <= 40
        assert max(map(len, lines)) <= 80
        assert "secret" not in text
        assert "\x1b" not in text
    assert max(map(len, told(judged, 2, COLUMNS="140")[0].splitlines())) > 80


def test_segments_of_a_private_column_are_numbered(judged):
    text, _ = told(judged, 2)
    assert re.search(r"^. city = \(private 1\) +40 ", text, re.MULTILINE)
    assert re.search(r"^. city = \(private 2\) +40 ", text, re.MULTILINE)
    assert "secret" not in judged.run("why", "rent@2", "--json").stdout


def test_a_stdout_of_plain_letters_gets_plain_letters(judged):
    text, _ = told(judged, 3, PYTHONIOENCODING="ascii")
    assert text.isascii()
    assert text.startswith("x REJECTED  rent@3")
    assert re.search(r"x all rows .*\[-*x-*\]", text)
    assert "\\u" not in text


def typed(terminal):
    """What a terminal shows next, nothing once nobody writes there any more."""
    try:
        return os.read(terminal, 1 << 16).decode(errors="replace")
    except OSError:  # that is how its end is told
        return ""


@pytest.mark.parametrize(("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colours_are_for_terminals_that_want_them(judged, environment, coloured):
    ours, theirs = os.openpty()
    words = [sys.executable, "-P", "-m", "everbake", "why", "rent@3"]
    told = {**os.environ, **environment}
    with subprocess.Popen(words, cwd=judged.path, env=told, stdout=theirs) as process:
        os.close(theirs)
        text = "".join(iter(lambda: typed(ours), ""))
    os.close(ours)
    assert process.returncode == 0
    assert ("\x1b[31m" in text) == coloured
    assert "■ REJECTED" in text


def test_scripts_get_everything(judged):
    told = judged.json("why", "rent@2")
    assert told.keys() >= {"schema", "model", "decision", "looks", "pending", "rollout"}
    decision = told["decision"]
    assert decision.keys() >= {
        "verdict",
        "code",
        "version",
        "champion_before",
        "because",
        "metric",
        "checks",
        "evidence",
        "segments",
        "best",
        "decided_by",
        "compared",
    }
    assert decision["evidence"]["period"] == ["2026-01-17", "2026-01-20"]
    assert 1 <= decision["evidence"]["groups"] <= 30
    sides = decision["compared"]
    assert (sides["candidate"]["version"], sides["champion"]["version"]) == (2, 1)
    assert sides["candidate"]["rows"] == 320
    assert sides["held_out"]["rows"] == 80
    assert judged.json("why", "rent@1")["decision"]["compared"]["champion"] is None
    assert judged.json("why", "rent")["decision"]["version"] == 5
