"""The loop closed over requests: answers whose labels have come are rows to learn from."""


def post(client, features):
    rows = [{"feature": value} for value in features]
    answer = client.post("/v1/models/line/predict", json={"rows": rows})
    assert answer.status_code == 200, answer.text
    return answer.json()["ids"]


def test_labelled_answers_start_a_run(line, waits):
    recipe = (line.path / "recipe.py").read_text()
    for before, after in (
        ('Table(label="target"', 'Table(from_predictions=True, label="target"'),
        ("from everbake import", "from everbake import NewData,"),
        ("train=train,", "train=train,\n    triggers=NewData(rows=5),"),
    ):
        assert before in recipe
        recipe = recipe.replace(before, after)
    line.write("recipe.py", recipe)
    line.json("ingest", "line", "old.csv")
    before = line.json("data", "ls", "line")["versions"]
    with line.up() as client:
        ids = post(client, [11.0, 12.0, 13.0, 14.0, 15.0, 16.0])
        labels = [
            {"id": name, "label": 2.0 * value}
            for name, value in zip(ids[:5], [11.0, 12.0, 13.0, 14.0, 15.0], strict=True)
        ]
        told = client.post("/v1/models/line/labels", json={"labels": labels[:4]}).json()
        assert (told["received"], told["joined"], told["waiting"]) == (4, 4, 0)
        assert client.post("/v1/models/line/labels", json={"labels": labels}).json() == {
            "schema": 1,
            "model": "line",
            "received": 5,
            "joined": 1,
            "waiting": 0,
            "corrected": 0,
            "duplicate": 4,
        }
        after = waits(lambda: line.json("data", "ls", "line")["versions"][len(before) :])
        assert [version["rows"] for version in after] == [5]
        waits(lambda: line.json("runs", "line")["runs"][0]["data_version"] == after[0]["version"])
    assert list((line.path / ".everbake" / "labelled" / "line").glob("*.jsonl"))
