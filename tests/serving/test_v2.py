"""The Open Inference Protocol over HTTP: what is taken, what is given, what is refused."""

import json
import struct

from everbake.core.bundle import Input
from everbake.serving.v2 import _read

INFER = "/v2/models/line/infer"
JSON = {"content-type": "application/json"}
NUMBERS = (
    Input("feature", "float64", nullable=True, needed=True),
    Input("count", "int64", nullable=False, needed=True),
)


def tensor(data, datatype="FP64", name="feature", shape=None):
    return {"name": name, "datatype": datatype, "shape": shape or [len(data)], "data": data}


def infer(client, *inputs, path=INFER, headers=(), **more):
    return client.post(
        path, json={"inputs": list(inputs), **more}, headers={**JSON, **dict(headers)}
    )


def binary(client, head, rest=b"", length=None, **headers):
    """A request whose tensors follow its JSON as bytes."""
    text = json.dumps(head).encode()
    told = {"inference-header-content-length": str(len(text) if length is None else length)}
    kind = {"content-type": "application/octet-stream"}
    return client.post(INFER, content=text + rest, headers={**kind, **told, **headers})


def sized(data, datatype="FP64", name="feature", shape=(1,)):
    about = {"name": name, "datatype": datatype, "shape": list(shape)}
    return {**about, "parameters": {"binary_data_size": len(data)}}


def check_error(answer, status, code):
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["error"]
    assert answer.json()["error"].startswith(f"{code}: ")
    return answer.json()["error"]


def test_answers_and_logs(served, client):
    note = tensor(["x", None], "BYTES", "note", [2, 1])
    answer = infer(client, tensor([9, 1.5]), note, id="mine", headers={"Everbake-Key": "k"})
    content = answer.json()
    ids = content["parameters"]["ids"]
    assert content == {
        "model_name": "line",
        "model_version": "1",
        "id": "mine",
        "parameters": {"ids": ids},
        "outputs": [{"name": "predict", "datatype": "FP64", "shape": [2], "data": [18.0, 3.0]}],
    }
    (logged,) = served.logged()
    assert logged.ids == ids
    assert logged.key == "k"
    assert logged.rows == [{"feature": 9, "note": "x"}, {"feature": 1.5, "note": None}]
    assert "id" not in infer(client, tensor([9])).json()


def test_one_tensor_holds_all_inputs_of_a_model_that_takes_numbers(project):
    project.deploy(1, project.bundle(2.0, "native", NUMBERS))
    project.start()
    with project.client() as client:
        for data in ([9, 1, 4, 2], [[9, 1], [4, 2]]):
            answer = infer(client, tensor(data, name="input-0", shape=[2, 2]))
            assert answer.json()["outputs"][0]["data"] == [18.0, 8.0]
        assert project.logged()[-1].rows == [
            {"feature": 9.0, "count": 1},
            {"feature": 4.0, "count": 2},
        ]
        check_error(infer(client, tensor([9], name="x", shape=[1, 1])), 422, "EB533")
        check_error(infer(client, tensor([9] * 3, name="x", shape=[1, 3])), 422, "EB533")
        check_error(infer(client, tensor([[9, 1], [4]], name="x", shape=[2, 2])), 400, "EB532")
        check_error(infer(client, tensor([9, 1.5], name="x", shape=[1, 2])), 422, "EB515")
        check_error(infer(client, tensor([9], name="x")), 422, "EB513")


def test_a_model_with_texts_takes_no_matrix(client):
    error = check_error(infer(client, tensor([1, 2], name="x", shape=[1, 2])), 422, "EB533")
    assert '"note"' in error


def test_binary_tensors_in_and_out(served, client):
    values = struct.pack("<2f", 9, 1.5)
    texts = b"".join(struct.pack("<I", len(t)) + t for t in (b"x", "é".encode()))
    inputs = [sized(values, "FP32", shape=(2,)), sized(texts, "BYTES", "note", (2, 1))]
    asked = {"inputs": inputs, "outputs": [{"name": "predict"}]}
    told = binary(client, asked, values + texts)
    assert told.json()["outputs"][0]["data"] == [18.0, 3.0]
    assert served.logged()[0].rows[1] == {"feature": 1.5, "note": "é"}
    asked["outputs"][0]["parameters"] = {"binary_data": True}
    for head in (asked, {"inputs": inputs, "parameters": {"binary_data_output": True}}):
        answer = binary(client, head, values + texts)
        assert answer.headers["content-type"] == "application/octet-stream"
        length = int(answer.headers["inference-header-content-length"])
        (output,) = json.loads(answer.content[:length])["outputs"]
        assert output["parameters"] == {"binary_data_size": 16}
        assert "data" not in output
        assert struct.unpack("<2d", answer.content[length:]) == (18.0, 3.0)
    asked["outputs"][0]["parameters"] = {"binary_data": False}
    assert "data" in binary(client, asked, values + texts).json()["outputs"][0]


def test_no_number_is_a_missing_value(project):
    project.deploy(1, project.bundle(2.0, "native", NUMBERS))
    project.start()
    gap, count = struct.pack("<d", float("nan")), struct.pack("<q", 1)
    inputs = [sized(gap), sized(count, "INT64", "count")]
    with project.client() as client:
        binary(client, {"inputs": inputs}, gap + count)
        assert project.frames()[0].error is not None  # the model of this test cannot take it
        inputs = [sized(count, "INT64"), sized(gap, name="count")]
        check_error(binary(client, {"inputs": inputs}, count + gap), 422, "EB514")


REFUSED = [
    ([], 400, "EB532"),
    ([tensor([])], 400, "EB509"),
    ([tensor([1], shape=[2])], 400, "EB532"),
    ([tensor([1], shape=[-1])], 400, "EB508"),
    ([tensor([1], shape=[2**63])], 400, "EB508"),
    ([tensor([1], shape=[2**63 - 1])], 413, "EB510"),
    ([tensor([1], shape=[2**62, 2**62])], 422, "EB533"),
    ([tensor([1], shape=[1, 1, 1])], 422, "EB533"),
    ([{"name": "feature", "datatype": "FP64", "shape": [], "data": [1]}], 422, "EB533"),
    ([tensor([1], "FP8")], 400, "EB532"),
    ([tensor([1]), tensor([1])], 422, "EB533"),
    ([tensor([1]), tensor(["a", "b"], "BYTES", "note")], 422, "EB533"),
    ([tensor([1]), tensor([1], name="nota")], 422, "EB513"),
    ([tensor(["a"], "BYTES", "note")], 422, "EB512"),
    ([tensor([None])], 422, "EB514"),
    ([tensor(["1"])], 422, "EB515"),
    ([tensor([True])], 422, "EB515"),
    ([tensor([True], "BOOL")], 422, "EB515"),
    ([tensor([1], "BOOL")], 422, "EB515"),
    ([tensor([128], "INT8")], 422, "EB515"),
    ([tensor([-1], "UINT64")], 422, "EB515"),
    ([tensor([1.5], "INT64")], 422, "EB515"),
    ([tensor([70_000], "FP16")], 422, "EB515"),
    ([tensor([1e39], "FP32")], 422, "EB515"),
    ([tensor([{}])], 422, "EB515"),
    ([{"name": "feature", "datatype": "FP64", "shape": [1]}], 400, "EB532"),
    ([{"name": "feature"}], 400, "EB508"),
    ([tensor([1]) | {"data": 5}], 400, "EB508"),
    ([tensor([1]) | {"parameters": {"binary_data_size": 8}}], 400, "EB532"),
]


def test_refuses_what_does_not_fit(served, client):
    for inputs, status, code in REFUSED:
        check_error(infer(client, *inputs), status, code)
        assert infer(client, tensor([9])).json()["outputs"][0]["data"] == [18.0]
    assert len(served.logged()) == len(REFUSED)


def test_many_tensors_before_a_long_one_are_read_at_once():
    count, long = 50_000, bytes(40_000_000)
    inputs = [sized(b"x", name=str(number)) for number in range(count)]
    head = json.dumps({"inputs": [*inputs, sized(long)]}).encode()
    headers = {b"inference-header-content-length": b"%d" % len(head)}
    _, given = _read(headers, head + b"x" * count + long)
    assert [tensor.data for tensor in given] == [*[b"x"] * count, long]


def test_refuses_lone_surrogates(client):
    note = tensor(["\ud800"], "BYTES", "note")
    for inputs in ([tensor([9]), note], [tensor([9], name="\ud800")]):
        body = json.dumps({"inputs": inputs})
        check_error(client.post(INFER, content=body, headers=JSON), 400, "EB508")


DEPTHS = [100, 500, 900, 990, 1000, 10_000, 100_000]


def test_refuses_deep_nests(client):
    for depth in DEPTHS:
        nest = "[" * depth + "]" * depth
        body = '{"inputs": [{"name": "feature", "datatype": "FP64", "shape": [1], "data": [%s]}]}'
        answer = client.post(INFER, content=body % nest, headers=JSON)
        assert answer.status_code in {400, 422}, answer.text
        assert len(answer.content) < 1000


LENGTHS = ["", "-1", "+5", "1e1", "9" * 30, "99999", "\xb2", "0", "3"]


def test_refuses_wrong_lengths_of_the_head(client):
    for length in LENGTHS:
        headers = [(b"content-type", b"application/octet-stream")]
        headers.append((b"inference-header-content-length", length.encode("latin-1")))
        answer = client.post(INFER, content=b'{"inputs":[]}', headers=headers)
        assert answer.status_code == 400
        assert list(answer.json()) == ["error"]


SIZES = [-1, 7, 9, 2**40, 10**30, True, 8.0, "8", [8]]


def test_refuses_wrong_sizes_of_tensors(client):
    for size in SIZES:
        data = struct.pack("<d", 9)
        head = {"inputs": [sized(data) | {"parameters": {"binary_data_size": size}}]}
        answer = binary(client, head, data)
        assert answer.status_code == 400, answer.text
        right = {"inputs": [sized(data)]}
        assert binary(client, right, data).status_code == 200
        check_error(binary(client, right, data + b"x"), 400, "EB532")
        check_error(binary(client, {"inputs": [tensor([9])]}, b"x"), 400, "EB532")


def test_content_types(client):
    body = json.dumps({"inputs": [tensor([9])]})
    assert client.post(INFER, content=body).status_code == 200  # as clients of NVIDIA send it
    web = client.post(INFER, content=body, headers={"origin": "http://evil.example"})
    check_error(web, 415, "EB506")
    for kind in ("text/plain", "application/octet-stream"):
        answer = client.post(INFER, content=body, headers={"content-type": kind})
        check_error(answer, 415, "EB506")
    check_error(infer(client, tensor([9]), headers={"content-encoding": "gzip"}), 415, "EB507")


def test_outputs_are_picked_by_name(client):
    error = infer(client, tensor([9]), outputs=[{"name": "predictions"}])
    assert "predict" in check_error(error, 422, "EB533")


def test_versions_models_and_methods(served, client):
    fixed = "/v2/models/line/versions"
    assert infer(client, tensor([9]), path=f"{fixed}/1/infer").status_code == 200
    for path in (f"{fixed}/2", f"{fixed}/2/ready", f"{fixed}/01"):
        assert "does not serve, 1 does" in check_error(client.get(path), 404, "EB534")
    check_error(infer(client, tensor([9]), path=f"{fixed}/2/infer"), 404, "EB534")
    check_error(client.get("/v2/models/lime"), 404, "EB502")
    check_error(client.get(INFER), 405, "EB504")
    assert client.get(INFER).headers["allow"] == "POST"
    served.deploy(2, served.bundle(3.0))
    served.wait(lambda: client.get(f"{fixed}/2/ready").status_code == 200)
    check_error(client.get(f"{fixed}/1/ready"), 404, "EB534")


def test_health_and_metadata(client):
    assert client.get("/v2").json()["extensions"] == ["binary_tensor_data"]
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    assert client.get("/v2/models/line/ready").json() == {"name": "line", "ready": True}
    about = client.get("/v2/models/line").json()
    assert about == client.get("/v2/models/line/versions/1").json()
    assert about["versions"] == ["1"]
    assert about["inputs"] == [
        {"name": "feature", "datatype": "FP64", "shape": [-1]},
        {"name": "note", "datatype": "BYTES", "shape": [-1]},
    ]
    assert about["outputs"] == [{"name": "predict", "datatype": "FP64", "shape": [-1]}]


def test_a_model_whose_example_lacks_private_values_is_described(project):
    town = Input("town", "string", nullable=False, needed=True, private=True)
    inputs = (Input("feature", "float64", nullable=False, needed=True), town)
    project.deploy(1, project.bundle(2.0, "native", inputs, {"feature": 1.0}))
    project.start()
    with project.client() as client:
        about = client.get("/v2/models/line").json()
    assert [each["name"] for each in about["inputs"]] == ["feature", "town"]
    assert about["outputs"] == [{"name": "predict", "datatype": "FP64", "shape": [-1]}]


def test_not_ready_is_said(project):
    project.deploy(1, project.blob(b"{}"))
    project.start()
    with project.client() as client:
        check_error(client.get("/v2/health/ready"), 503, "EB526")
        check_error(client.get("/v2/models/line/ready"), 503, "EB521")
        assert client.get("/v2/health/live").status_code == 200


def test_a_model_that_dies_is_said(project):
    project.deploy(1, project.bundle(2.0, "native"))
    project.start()
    with project.client() as client:
        check_error(infer(client, tensor([777.0])), 503, "EB521")
