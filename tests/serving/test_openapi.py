"""The list of models, and the OpenAPI document of each."""

from everbake.core.bundle import Input
from everbake.serving.problems import PROBLEMS

INPUTS = (
    Input("feature", "float64", nullable=False, needed=True),
    Input("count", "int64", nullable=True, needed=True),
    Input("new", "bool", nullable=False, needed=False),
    Input("größe/~", "string", nullable=True, needed=False),
    Input("at", "timestamp", nullable=True, needed=False),
)
EXAMPLE = {"feature": 9.5, "count": 3, "new": True, "größe/~": "x", "at": "2024-05-01T12:00:00"}
PYTHON = {
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "string": str,
    "null": type(None),
    "array": list,
    "object": dict,
}


def resolved(document, schema):
    """A schema, with what a reference in it stands for."""
    target = document
    for part in schema["$ref"].removeprefix("#/").split("/") if "$ref" in schema else ():
        target = target[part]
    return target if "$ref" in schema else schema


def check_value(document, schema, value, path="value"):
    """Hold a value against the part of JSON Schema that the documents use."""
    schema = resolved(document, schema)
    known = {"type", "format", "description", "required", "properties", "additionalProperties"}
    assert schema.keys() <= known | {"items", "minItems", "maxItems", "enum"}, path
    kinds = schema.get("type", list(PYTHON))
    kinds = [kinds] if isinstance(kinds, str) else kinds
    fits = [k for k in kinds if isinstance(value, PYTHON[k])]
    assert fits, (path, value, kinds)
    assert not isinstance(value, bool) or "boolean" in kinds, path
    assert "enum" not in schema or value in schema["enum"], path
    if isinstance(value, list):
        assert schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)), path
        for at, item in enumerate(value):
            check_value(document, schema["items"], item, f"{path}[{at}]")
    if isinstance(value, dict):
        assert set(schema["required"]) <= value.keys(), path
        for name, item in value.items():
            check_value(document, schema["properties"][name], item, f"{path}.{name}")


def described(project, **more):
    project.deploy(4, project.bundle(2.0, "native", INPUTS, **more))
    project.start()
    with project.client() as client:
        answer = client.get("/v1/models/line/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


def test_the_document_is_whole(project):
    document = described(project, example=EXAMPLE)
    assert list(document) == ["openapi", "info", "paths", "components"]
    assert document["openapi"] == "3.1.0"
    assert document["info"] == {"title": "line", "version": "4"}
    ((path, item),) = document["paths"].items()
    assert path == "/v1/models/line/predict"
    assert list(item) == ["post"]
    operation = item["post"]
    assert operation["operationId"]
    (header,) = operation["parameters"]
    assert (header["name"], header["in"]) == ("Everbake-Key", "header")
    for status, response in operation["responses"].items():
        assert response["description"]
        ((kind, content),) = response["content"].items()
        assert kind == ("application/json" if status == "200" else "application/problem+json")
        assert resolved(document, content["schema"])["type"] == "object"
    codes = resolved(document, content["schema"])["properties"]["code"]["enum"]
    wanted = {str(PROBLEMS[code][0]) for code in codes} | {"200"}
    assert operation["responses"].keys() == wanted


def test_the_fields_are_those_of_the_version(project):
    row = described(project)["components"]["schemas"]["Row"]
    assert row["required"] == ["feature", "count"]
    assert row["additionalProperties"] is False
    fields = row["properties"]
    assert [(name, field["type"]) for name, field in fields.items()] == [
        ("feature", "number"),
        ("count", ["integer", "null"]),
        ("new", "boolean"),
        ("größe/~", ["string", "null"]),
        ("at", ["string", "null"]),
    ]
    assert fields["count"]["format"] == "int64"
    assert "ISO 8601" in fields["at"]["description"]
    for name, field in fields.items():
        said = "Needed by the model." if name in row["required"] else "Not needed by the model."
        assert field["description"].endswith(said)


def test_the_example_fits_the_document_and_is_answered(project):
    document = described(project, example=EXAMPLE)
    ((path, item),) = document["paths"].items()
    operation = item["post"]
    content = operation["requestBody"]["content"]["application/json"]
    check_value(document, content["schema"], content["example"])
    with project.client() as client:
        answer = client.post(path, json=content["example"])
        assert answer.json()["predictions"] == [19.0]
        refused = client.post(path, json={"rows": [{"feature": "x"}]})
    good = operation["responses"]["200"]["content"]["application/json"]["schema"]
    check_value(document, good, answer.json())
    bad = operation["responses"][str(refused.status_code)]["content"]
    check_value(document, bad["application/problem+json"]["schema"], refused.json())
    assert project.logged()[0].rows == [EXAMPLE]


def test_a_bundle_without_an_example_is_described_without_one(project):
    operation = described(project)["paths"]["/v1/models/line/predict"]["post"]
    assert "example" not in operation["requestBody"]["content"]["application/json"]


def test_outputs_of_v2_are_those_of_the_answer_to_the_example(project):
    project.deploy(1, project.bundle(2, "native", INPUTS, {"feature": 3.0, "count": 1}))
    project.start()
    with project.client() as client:
        outputs = client.get("/v2/models/line").json()["outputs"]
        assert outputs == [{"name": "predict", "datatype": "FP64", "shape": [-1]}]
        whole = (Input("feature", "int64", nullable=False, needed=True),)
        texts = project.bundle("ab", "native", whole, {"feature": 2})
        project.wait_for(project.deploy(2, texts))
        outputs = client.get("/v2/models/line").json()["outputs"]
        assert outputs == [{"name": "predict", "datatype": "BYTES", "shape": [-1]}]
    assert project.logged() == []


def test_the_models_are_listed(served, client):
    served.models.add("young")
    served.write()
    served.wait(lambda: len(client.get("/v1/models").json()["models"]) == 2)
    line, young = client.get("/v1/models").json()["models"]
    assert line == {
        "name": "line",
        "version": 1,
        "predict": "/v1/models/line/predict",
        "openapi": "/v1/models/line/openapi.json",
    }
    assert (young["name"], young["version"]) == ("young", None)
    assert client.get(line["openapi"]).status_code == 200
    assert client.get(young["openapi"]).json()["code"] == "EB503"
    assert client.get("/v1/models/lime/openapi.json").json()["code"] == "EB502"
    assert client.post("/v1/models").headers["allow"] == "GET, HEAD"
