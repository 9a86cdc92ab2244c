"""Any version answers what was asked of another, and is held against what was answered."""

import io
import json
from pathlib import Path

import pytest

from everbake import wiring
from everbake.core.bundle import Bundle, Input
from everbake.errors import DataError
from everbake.serving.replay import replay


@pytest.fixture(scope="module")
def asked(tmp_path_factory, started):
    """Two versions of which the second one serves, and three rows that it was asked."""
    made = started(tmp_path_factory.mktemp("asked"))
    made.write("steeper.csv", "feature,target\n" + "".join(f"{i},{3 * i}\n" for i in range(60)))
    made.json("ingest", "line", "steeper.csv")
    with made.up() as client:
        for rows in ([{"feature": 1}], [{"feature": 2}, {"feature": 5}]):
            assert client.post("/v1/models/line/predict", json={"rows": rows}).status_code == 200
    return made


def test_a_version_answers_what_another_was_asked(asked):
    told = asked.json("replay", "line@1", "--since", "1d")
    assert told["schema"] == 1
    assert (told["model"], told["version"]) == ("line", 1)
    assert (told["requests"], told["rows"], told["labelled"]) == (3, 3, 0)
    assert told["differs"] == 1.0
    logged = [json.loads(line) for line in asked.run("predictions", "line").stdout.splitlines()]
    expected = sum(2.0 * r["features"]["feature"] - r["prediction"] for r in logged) / 3
    assert told["mean_difference"] == pytest.approx(expected)
    assert told["metric"] is None
    assert "answers 3 of 3 rows (100.0%) otherwise" in told["sentence"]


def test_the_version_that_answered_differs_nowhere(asked):
    told = asked.json("replay", "line@2", "--since", "1d")
    assert (told["differs"], told["mean_difference"]) == (0.0, 0.0)


def test_the_window_is_a_time_or_a_span(asked):
    late = asked.run("replay", "line@1", "--since", "2100-01-01")
    assert (late.returncode, "EB588" in late.stderr) == (3, True)
    early = asked.run("replay", "line@1", "--since", "2d", "--until", "1d")
    assert (early.returncode, "EB588" in early.stderr) == (3, True)
    wrong = asked.run("replay", "line@1", "--since", "yesterday")
    assert (wrong.returncode, "EB587" in wrong.stderr) == (2, True)


def entry(feature, prediction, label=None, role="champion"):
    return {
        "features": {"feature": feature},
        "prediction": prediction,
        "label": label,
        "role": role,
    }


def test_labelled_rows_are_judged_by_the_recipes_metric(asked, tmp_path):
    spool = tmp_path / "labelled.jsonl"
    noise = [((37 * i) % 11 - 5) / 10 for i in range(60)]
    entries = [entry(i, 3.0 * i, label=2.0 * i + noise[i]) for i in range(60)]
    inputs = (Input("feature", "int64", nullable=False, needed=True),)
    with spool.open("wb") as file:
        tally = replay(
            [*entries, entry(1, 1.0, label=1.0, role="shadow")],
            inputs,
            lambda rows: [2.0 * row["feature"] for row in rows],
            file,
        )
    assert (tally.rows, tally.labelled, tally.differing) == (60, 60, 59)
    row = wiring.reader(asked.path).rows("versions", {"model": "line", "version": 1})[0]
    bundle = Bundle.decode(wiring.blobs(asked.path).get(str(row["bundle"])))
    metric = wiring.judge_replay(Path(asked.path), bundle, spool)["metric"]
    assert metric["name"] == "mean_squared_error"
    assert metric["candidate"] == pytest.approx(sum(n * n for n in noise) / 60)
    assert metric["n"] == 60
    assert metric["interval"][0] > 0


def test_rows_that_cannot_be_answered_are_counted_and_left_out():
    inputs = (
        Input("feature", "int64", nullable=False, needed=True),
        Input("shade", "string", nullable=True, needed=False),
    )

    def answer(rows):
        if any(row["feature"] == 3 for row in rows):
            raise DataError("EB130", "the model refuses a row")
        return [float(row["feature"]) for row in rows]

    lacking = entry(0, 0.0) | {"features": {"other": 1}}
    entries = [*(entry(i, float(i)) for i in range(7)), lacking]
    tally = replay(entries, inputs, answer, io.BytesIO())
    assert (tally.requests, tally.rows, tally.differing) == (8, 6, 0)
    assert (tally.refused, tally.missing) == (1, {"feature": 1})
