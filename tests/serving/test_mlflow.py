"""MLflow's scoring protocol: every form of rows, and what is refused."""

import json

from everbake.core.bundle import Input

URL = "/invocations"
JSON = {"content-type": "application/json"}
CSV = {"content-type": "text/csv"}


def invoke(client, body, **headers):
    content = body if isinstance(body, bytes | str) else json.dumps(body)
    return client.post(URL, content=content, headers={**JSON, **headers})


def score_csv(client, text):
    content = text if isinstance(text, bytes) else text.encode()
    return client.post(URL, content=content, headers=CSV)


def check_error(answer, status, code, kind="BAD_REQUEST"):
    assert answer.status_code == status, answer.text
    content = answer.json()
    assert sorted(content) == ["error_code", "message"]
    assert content["error_code"] == kind
    assert content["message"].startswith(f"{code}: ")
    return content["message"]


FORMS = [
    {"dataframe_split": {"columns": ["note", "feature"], "data": [["x", 9], [None, 1.5]]}},
    {
        "dataframe_split": {
            "index": [4, 7],
            "columns": ["feature", "note"],
            "data": [[9, "x"], [1.5, None]],
        },
        "params": {},
    },
    {"dataframe_records": [{"feature": 9, "note": "x"}, {"feature": 1.5}]},
    '{"inputs": [[9, "x"], [1.5, NaN]]}',  # as MLflow's own client writes what is missing
    {"inputs": {"feature": [9, 1.5], "note": ["x", None]}},
    {"inputs": {"feature": [[9], [1.5]], "note": [["x"], [None]]}},
    {"inputs": [[9, "x"], [1.5, None]]},
    {"inputs": [{"feature": 9, "note": "x"}, {"feature": 1.5}]},
    {"instances": [{"feature": 9, "note": "x"}, {"feature": 1.5}], "params": None},
    {"instances": [[9, "x"], [1.5, None]]},
    {"instances": {"feature": [9, 1.5], "note": ["x", None]}},
]


def test_every_form_of_rows(served, client):
    told = {"everbake-key": "k", "content-type": "application/json; charset=utf-8"}
    answers = [invoke(client, body, **told) for body in FORMS]
    for body, answer, logged in zip(FORMS, answers, served.logged(), strict=True):
        assert answer.json().get("predictions") == [18.0, 3.0], body
        assert logged.ids == answer.json()["ids"]
        assert logged.key == "k"
        assert logged.rows == [{"feature": 9, "note": "x"}, {"feature": 1.5, "note": None}]


def test_values_of_an_only_input_need_no_name(project):
    project.deploy(1, project.bundle(2.0, "native", (Input("feature", "float64", False, True),)))  # noqa: FBT003
    project.start()
    with project.client() as client:
        assert invoke(client, {"instances": [9, 1.5]}).json()["predictions"] == [18.0, 3.0]


def test_csv_is_read_by_the_types_of_the_inputs(project):
    inputs = (
        Input("feature", "float64", nullable=False, needed=True),
        Input("count", "int64", nullable=True, needed=True),
        Input("new", "bool", nullable=True, needed=True),
        Input("note", "string", nullable=True, needed=True),
        Input("at", "timestamp", nullable=True, needed=True),
    )
    project.deploy(1, project.bundle(2.0, "native", inputs))
    project.start()
    lines = 'count,feature,new,at,note\r\n3,9,True,2024-05-01,"a ""b"",\n7"\r\n\r\n3.0,1.5e0,,,\n'
    with project.client() as client:
        answer = score_csv(client, "\ufeff" + lines)
        assert answer.json()["predictions"] == [18.0, 3.0]
        (logged,) = project.logged()
        assert logged.rows == [
            {
                "feature": 9,
                "count": 3,
                "new": True,
                "note": 'a "b",\n7',
                "at": "2024-05-01T00:00:00",
            },
            {"feature": 1.5, "count": 3, "new": None, "note": None, "at": None},
        ]
        for cell in ("1_0", "inf", "x", "1e999", "9" * 5000):
            row = f"count,feature,new,at,note\n1,{cell},,,\n"
            check_error(score_csv(client, row), 422, "EB515")
        check_error(score_csv(client, "count,feature,new,at,note\n1,NaN,,,\n"), 422, "EB514")
        check_error(score_csv(client, "count,feature,new,at,note\n1,1,1,,\n"), 422, "EB515")
        check_error(score_csv(client, f"count\n{2**63}\n"), 422, "EB512")


BROKEN = [
    ("", 400, "EB535"),
    ("feature\n", 400, "EB509"),
    ("feature,feature\n1,2\n", 400, "EB535"),
    ("feature\n1,2\n", 400, "EB535"),
    ("featur\n1\n", 422, "EB513"),
    ('feature\n"1\n', 400, "EB508"),
    (b"feature\n\xff\n", 400, "EB508"),
    ("feature\n" + "1\n" * 10_001, 413, "EB510"),
    ("feature\n" + "1" * 200_000, 400, "EB508"),
]


def test_refuses_broken_csv(served, client):
    for text, status, code in BROKEN:
        check_error(score_csv(client, text), status, code)
        assert score_csv(client, "feature\n" + "9\n" * 10_000).status_code == 200
    assert len(served.logged()) == len(BROKEN)


REFUSED = [
    ("", 400, "EB508"),
    ('{"inputs": [[nan]]}', 400, "EB508"),
    (b'{"inputs": [["\xff", null]]}', 400, "EB508"),
    ('{"inputs": [[%s, NaN]]}' % ("9" * 5000), 400, "EB508"),
    ('{"inputs": [[NaN, null]]}', 422, "EB514"),
    ('{"inputs": [[-Infinity, null]]}', 422, "EB515"),
    ('{"inputs": [[1e999, NaN]]}', 422, "EB515"),
    ('{"inputs": ' + "[" * 100_000, 400, "EB508"),
    ([1], 400, "EB535"),
    ({}, 400, "EB535"),
    ({"columns": ["feature"], "data": [[1]]}, 400, "EB535"),
    ({"inputs": [[1, None]], "instances": [[1, None]]}, 400, "EB535"),
    ({"inputs": [[1, None]], "params": {"t": 1}}, 400, "EB535"),
    ({"inputs": "feature"}, 400, "EB535"),
    ({"inputs": []}, 400, "EB509"),
    ({"inputs": {}}, 400, "EB509"),
    ({"inputs": {"feature": 1}}, 400, "EB535"),
    ({"inputs": {"feature": [1], "note": ["a", "b"]}}, 400, "EB535"),
    ({"inputs": {"feature": [[1, 2]]}}, 422, "EB515"),
    ({"inputs": [[1]]}, 400, "EB535"),
    ({"inputs": [[1, None], {"feature": 1}]}, 400, "EB535"),
    ({"inputs": [1, 2]}, 400, "EB535"),
    ({"instances": [[1, None]] * 10_001}, 413, "EB510"),
    ({"instances": {"feature": [1] * 10_001}}, 413, "EB510"),
    ({"dataframe_split": [[1]]}, 400, "EB535"),
    ({"dataframe_split": {"columns": ["feature"]}}, 400, "EB535"),
    ({"dataframe_split": {"columns": ["feature"], "data": [[1]], "x": 1}}, 400, "EB535"),
    ({"dataframe_split": {"columns": [0], "data": [[1]]}}, 400, "EB535"),
    ({"dataframe_split": {"columns": ["feature"], "data": [[1, 2]]}}, 400, "EB535"),
    ({"dataframe_split": {"columns": ["feature"], "data": [1]}}, 400, "EB535"),
    ({"dataframe_split": {"columns": ["note"], "data": [["x"]]}}, 422, "EB512"),
    ({"dataframe_split": {"columns": ["feature", "f"], "data": [[1, 1]]}}, 422, "EB513"),
    ({"dataframe_records": {"feature": 1}}, 400, "EB535"),
    ({"dataframe_records": [1]}, 422, "EB511"),
    ({"dataframe_records": [{"feature": "1"}]}, 422, "EB515"),
    ({"\ud800": [[1, None]]}, 400, "EB535"),
    ({"dataframe_split": {"columns": ["\udc00"], "data": [[1, 2]]}}, 400, "EB535"),
    ({"dataframe_split": {"columns": ["feature", "\udc00"], "data": [[1, 2]]}}, 422, "EB513"),
    ({"dataframe_records": [{"feature": 1, "\ud800": 1}]}, 422, "EB513"),
    (b'{"inputs": [[NaN, "x"], [1, "\xed\xa0\x80"]]}', 422, "EB514"),
    (b'{"inputs": [[1, "\xed\xa0\x80"], [NaN, "x"]]}', 400, "EB508"),
]


def test_refuses_what_does_not_fit(served, client):
    for body, status, code in REFUSED:
        check_error(invoke(client, body), status, code)
        good = {"dataframe_records": [{"feature": 9}]}
        assert invoke(client, good).json()["predictions"] == [18.0]
    assert len(served.logged()) == len(REFUSED)


TYPES = ["", "text/plain", "application/json; charset=latin-1", "text/csv;charset=utf-16"]


def test_refuses_other_content_types(client):
    for kind in TYPES:
        answer = client.post(
            URL, content=b'{"inputs": [[9, null]]}', headers={"content-type": kind}
        )
        check_error(answer, 415, "EB506")


def test_the_model_is_named_or_the_only_one(served, client):
    good = {"dataframe_records": [{"feature": 9}]}
    assert invoke(client, good, **{"everbake-model": "line"}).status_code == 200
    message = check_error(
        invoke(client, good, **{"everbake-model": "lime"}), 404, "EB502", "RESOURCE_DOES_NOT_EXIST"
    )
    assert 'did you mean "line"?' in message
    served.wait_for(served.deploy(1, served.bundle(3.0), "other"))
    assert "line, other" in check_error(invoke(client, good), 400, "EB536")
    other = invoke(client, good, **{"Everbake-Model": "other"})
    assert other.json()["predictions"] == [27.0]


def test_health_and_version(client):
    assert client.get("/ping").status_code == 200
    assert client.get("/health").status_code == 200
    assert client.get("/version").headers["content-type"] == "text/plain"
    assert client.get("/version").text.count(".") >= 2
    check_error(client.get(URL), 405, "EB504")


def test_not_ready_is_said(project):
    project.deploy(1, project.blob(b"{}"))
    project.start()
    with project.client() as client:
        check_error(client.get("/ping"), 503, "EB526", "TEMPORARILY_UNAVAILABLE")
        check_error(invoke(client, {"inputs": [[1]]}), 503, "EB521", "TEMPORARILY_UNAVAILABLE")


def test_a_lone_surrogate_is_refused_where_it_stands(served, client):
    body = {"dataframe_records": [{"feature": 9}, {"feature": 1, "note": "a\ud800"}]}
    message = check_error(invoke(client, body), 422, "EB515")
    assert 'field "note" in row 1' in message
    assert "\\ud800" in message
    assert served.logged() == []
