"""A ranking recipe through the command line: from events to lists, as a person would use it."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

HEAD = """
import numpy as np
import pandas as pd

from everbake import AtLeast, Events, Gate, Recipe
from everbake.metrics import coverage, ndcg, popularity
"""
POPULAR = """

def train(rows: pd.DataFrame):
    return rows["item"].value_counts(sort=True).index.tolist()


def recommend(model, users, k):
    return [model[:k] for _ in users]
"""
NEIGHBOURS = """

def train(rows: pd.DataFrame):
    counts = pd.crosstab(rows["user"], rows["item"])
    unit = counts / np.sqrt((counts**2).sum(axis=0))
    return counts, unit.T @ unit


def recommend(model, users, k):
    counts, alike = model
    popular = counts.sum(axis=0)
    lists = []
    for user in users:
        known = user in counts.index
        scores = (counts.loc[user] @ alike if known else 0.0) + 1e-6 * popular
        lists.append(scores.sort_values(ascending=False, kind="stable").index[:k].tolist())
    return lists
"""
LEAST = POPULAR.replace("model[:k]", "model[::-1][:k]")
RECIPE = """

recipe = Recipe.ranking(
    name="shop",
    data=Events(user="user", item="item", time="day"),
    train=train,
    recommend=recommend,
    gate=Gate(ndcg(5){guardrails}),
)
"""


def declared(model, guardrails=""):
    return HEAD + model + RECIPE.replace("{guardrails}", guardrails)


def events(seed, first, last):
    """Users with one of four tastes, and more users from day to day."""
    random = np.random.default_rng(seed)
    lines = ["user,item,day"]
    for day in range(first, last):
        for user in random.integers(0, 60 + 2 * day, 60):
            rank = min(9, int(random.exponential(3)))
            item = user % 4 * 10 + rank if random.random() < 0.8 else random.integers(0, 40)
            lines.append(f"u{user},i{item},2024-{1 + day // 28:02d}-{1 + day % 28:02d}")
    return "\n".join(lines) + "\n"


@pytest.fixture
def shop(project):
    """A shop with a champion by popularity."""
    project.write("recipe.py", declared(POPULAR))
    project.write("first.csv", events(1, 0, 40))
    project.json("ingest", "shop", "first.csv")
    project.write("next.csv", events(2, 40, 60))
    return project


def decide(project, *words):
    """The decision of a run, whatever it is."""
    done = project.run(*words, "--json")
    return json.loads(done.stdout)["decision"]


def test_the_better_recommender_is_promoted_and_the_worse_one_rejected(shop):
    shop.write("recipe.py", declared(NEIGHBOURS))
    better = decide(shop, "ingest", "shop", "next.csv")
    assert (better["verdict"], better["code"], better["version"]) == ("promoted", "better", 2)
    assert f"on {better['metric']['n']} users the new model's ndcg@5 is" in better["because"]
    shop.write("recipe.py", declared(LEAST))
    worse = decide(shop, "retrain", "shop")
    assert (worse["verdict"], worse["code"]) == ("rejected", "worse")


def test_a_guardrail_on_coverage_turns_a_bestseller_list_away(shop):
    shop.write("recipe.py", declared(POPULAR, ", guardrails=[AtLeast(coverage(5), 0.5)]"))
    decision = decide(shop, "ingest", "shop", "next.csv")
    assert (decision["verdict"], decision["code"]) == ("rejected", "guardrail")
    assert "coverage@5 is 0.125" in decision["because"]
    shop.write("recipe.py", declared(NEIGHBOURS, ", guardrails=[AtLeast(coverage(5), 0.5)]"))
    decision = decide(shop, "retrain", "shop")
    assert decision["verdict"] == "promoted"
    assert {check["name"] for check in decision["checks"]} >= {"coverage@5 at least 0.5"}


def test_lists_are_served_and_logged(shop, waits):
    shop.write("recipe.py", declared(NEIGHBOURS))
    shop.json("ingest", "shop", "next.csv")
    with shop.up() as client:

        def post(address, content):
            return client.post(address, json=content)

        predict = "/v1/models/shop/predict"
        known, new = {"user": "u3", "k": 3}, {"user": "nobody"}
        answer = post(predict, {"rows": [known, new]}).json()
        assert [len(items) for items in answer["predictions"]] == [3, 10]
        assert {item[:2] for item in answer["predictions"][0]} == {"i3"}  # the taste of u3
        for row, code in [
            ({"user": "u3", "k": 0}, "EB515"),
            ({"user": "u3", "k": 1001}, "EB515"),
            ({"user": 3}, "EB515"),
            ({"k": 3}, "EB512"),
            ({"usr": "u3"}, "EB513"),
        ]:
            refused = post(predict, {"rows": [row]})
            assert (refused.status_code, refused.json()["code"]) == (422, code)
        assert 'did you mean "user"?' in refused.json()["detail"]
        same = post("/invocations", {"dataframe_records": [known]}).json()
        assert same["predictions"] == answer["predictions"][:1]
        tensors = [
            {"name": "user", "shape": [1], "datatype": "BYTES", "data": ["u3"]},
            {"name": "k", "shape": [1], "datatype": "INT64", "data": [3]},
        ]
        output = post("/v2/models/shop/infer", {"inputs": tensors}).json()["outputs"][0]
        assert (output["shape"], output["datatype"]) == ([1, 3], "BYTES")
        assert [output["data"]] == answer["predictions"][:1]
        row = client.get("/v1/models/shop/openapi.json").json()["components"]["schemas"]["Row"]
        assert row["required"] == ["user"]
        assert (row["properties"]["k"]["minimum"], row["properties"]["k"]["maximum"]) == (1, 1000)
        logged = waits(lambda: list(shop.run("predictions", "shop").stdout.splitlines()))
    assert json.loads(logged[0])["prediction"] == answer["predictions"][0]
    replayed = shop.json("replay", "shop@1", "--since", "1d")
    assert replayed["rows"] == 4
    assert replayed["differs"] > 0


def test_lists_have_no_labels(shop):
    with shop.up() as client:
        labels = {"labels": [{"id": "1", "label": "i3"}]}
        refused = client.post("/v1/models/shop/labels", json=labels)
    assert (refused.status_code, refused.json()["code"]) == (422, "EB547")
    refused = shop.run("labels", "shop", "first.csv")
    assert refused.returncode == 3
    assert "EB547" in refused.stderr


def test_files_get_lists(shop):
    shop.write("users.jsonl", '{"user": "u3", "k": 2}\n{"user": "u4"}\n')
    printed = shop.json("predict", "shop", "users.jsonl")["predictions"]
    assert [len(items) for items in printed] == [2, 10]
    shop.json("predict", "shop", "users.jsonl", "-o", "lists.parquet")
    written = pq.read_table(shop.path / "lists.parquet").column("prediction")
    assert written.to_pylist() == printed
    shop.write("bad.jsonl", '{"user": "u3", "k": 0}\n')
    refused = shop.run("predict", "shop", "bad.jsonl", "-o", "none.parquet")
    assert refused.returncode == 3
    assert "k is 0" in refused.stderr


def test_a_check_tries_the_recipe(shop):
    names = {check["name"] for check in shop.json("check")["checks"]}
    assert {"train", "save", "recommend", "repeatable", "score"} <= names
    shop.write("recipe.py", declared(POPULAR.replace("for _ in users", "for _ in users[1:]")))
    failed = shop.run("check")
    assert failed.returncode != 0
    assert "EB331" in failed.stdout


def test_decisions_are_told_and_versions_compared_by_users(shop):
    shop.write("recipe.py", declared(NEIGHBOURS))
    shop.json("ingest", "shop", "next.csv")
    told = " ".join(shop.run("why", "shop@2").stdout.split())
    assert "PROMOTED shop@2 against champion shop@1" in told
    assert "held-out users, 2024-02-" in told
    assert "● all users" in told
    shop.json("pause", "shop")
    shop.write("later.csv", events(3, 60, 70))
    shop.json("ingest", "shop", "later.csv")
    compared = shop.json("compare", "shop@1", "shop@2")
    assert compared["why_not"] == ""
    assert compared["decision"]["evidence"]["unit"] == "user"
    assert compared["decision"]["metric"]["difference"] > 0
    assert compared["decision"]["evidence"]["period"][1] == "2024-03-14"
    assert [each["file"] for each in compared["differs"]["code"]] == ["recipe.py"]
