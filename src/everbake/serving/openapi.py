"""Which models there are, and how to ask each: an OpenAPI 3.1 document with its own fields."""

from collections import defaultdict
from urllib.parse import quote

import msgspec

from everbake.core.bundle import Input
from everbake.core.dataset import ColumnType
from everbake.serving.answering import Answering
from everbake.serving.http import HttpAnswer, HttpRequest
from everbake.serving.problems import PROBLEMS
from everbake.serving.router import Live, Router

Schema = dict[str, object]

# What a prediction can be refused with.
_REFUSALS = (
    *("EB500", "EB502", "EB503", "EB505", "EB506", "EB507", "EB508", "EB509", "EB510", "EB511"),
    *("EB512", "EB513", "EB514", "EB515", "EB516", "EB517", "EB518", "EB519", "EB520", "EB521"),
    *("EB522", "EB523", "EB524", "EB525"),
)
_TYPES: dict[ColumnType, tuple[str, Schema]] = {
    "int64": ("integer", {"format": "int64"}),
    "float64": ("number", {"format": "double"}),
    "bool": ("boolean", {}),
    "string": ("string", {}),
    "timestamp": ("string", {}),
}
_PROBLEM: Schema = {
    "type": "object",
    "description": "Why a request was not answered (RFC 9457).",
    "required": ["type", "title", "status", "detail", "code", "row", "column"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "enum": list(_REFUSALS)},
        "row": {"type": ["integer", "null"], "description": "Position of the row, from 0."},
        "column": {"type": ["string", "null"], "description": "The field."},
        "mend": {"type": "string", "description": "What to do."},
    },
}
_FIELDS: Schema = {
    "model": {"type": "string"},
    "version": {"type": "integer", "description": "The version that answered."},
    "predictions": {"type": "array", "items": {}, "description": "One a row."},
    "ids": {
        "type": "array",
        "items": {"type": "string"},
        "description": "One a row, under which the prediction is logged.",
    },
}
_ANSWER: Schema = {
    "type": "object",
    "required": ["model", "version", "predictions", "ids"],
    "properties": _FIELDS,
}
_KEY: Schema = {
    "name": "Everbake-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "Whoever sends the same key is answered by the same version during a rollout.",
}


class ModelsEndpoint:
    """`GET /v1/models`.

    Args:
        router: who answers.
    """

    def __init__(self, router: Router) -> None:
        self._router = router

    async def __call__(self, request: HttpRequest) -> HttpAnswer:
        """Name the models, the version that serves each, and where to find out more."""
        request.allow("GET", "HEAD")
        models = [self._told(name) for name in sorted(self._router.known)]
        return HttpAnswer(msgspec.json.encode({"models": models}))

    def _told(self, name: str) -> dict[str, object]:
        live = self._router.live.get(name)
        return {
            "name": name,
            "version": live and live.version,
            "predict": f"{_address(name)}/predict",
            "openapi": f"{_address(name)}/openapi.json",
        }


class OpenApiEndpoint:
    """`GET /v1/models/{name}/openapi.json`.

    Args:
        answering: knows what answers.
    """

    def __init__(self, answering: Answering) -> None:
        self._answering = answering

    async def __call__(self, request: HttpRequest) -> HttpAnswer:
        """Describe the version that serves."""
        request.allow("GET", "HEAD")
        (name,) = request.parts
        return HttpAnswer(msgspec.json.encode(document(name, self._answering.live(name))))


def document(name: str, live: Live) -> Schema:
    """The OpenAPI document of a model."""
    body: Schema = {"schema": {"$ref": "#/components/schemas/Request"}}
    if live.loaded.example is not None:
        body["example"] = {"rows": [live.loaded.example]}
    predict: Schema = {
        "operationId": "predict",
        "summary": f"Predictions of {name}, one a row",
        "parameters": [_KEY],
        "requestBody": {"required": True, "content": {"application/json": body}},
        "responses": _responses(),
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": name, "version": str(live.version)},
        "paths": {f"{_address(name)}/predict": {"post": predict}},
        "components": {
            "schemas": {
                "Request": _request(live.loaded.decoder.most_rows),
                "Row": _row(live.loaded.decoder.inputs),
                "Answer": _answer(live.loaded.threshold),
                "Problem": _PROBLEM,
            }
        },
    }


def _address(name: str) -> str:
    return f"/v1/models/{quote(name, safe='')}"


def _request(most: int) -> Schema:
    rows = {"type": "array", "minItems": 1, "maxItems": most}
    return {
        "type": "object",
        "required": ["rows"],
        "properties": {"rows": {**rows, "items": {"$ref": "#/components/schemas/Row"}}},
        "additionalProperties": False,
    }


def _answer(threshold: float | None) -> Schema:
    """What is answered: with decisions, if the version decides."""
    if threshold is None:
        return _ANSWER
    decisions = {
        "type": "array",
        "items": {"type": ["boolean", "null"]},
        "description": f"One a row: whether its prediction is at least {threshold:.17g}.",
    }
    return {
        "type": "object",
        "required": ["model", "version", "predictions", "decisions", "ids"],
        "properties": {**_FIELDS, "decisions": decisions},
    }


def _row(inputs: tuple[Input, ...]) -> Schema:
    return {
        "type": "object",
        "required": [each.name for each in inputs if each.needed],
        "properties": {each.name: _field(each) for each in inputs},
        "additionalProperties": False,
    }


def _field(wanted: Input) -> Schema:
    kind, more = _TYPES[wanted.type]
    if wanted.within is not None:
        more = {**more, "minimum": wanted.within[0], "maximum": wanted.within[1]}
    said = "Needed by the model." if wanted.needed else "Not needed by the model."
    if wanted.type == "timestamp":
        said = f"A time in ISO 8601, in UTC if it names no zone. {said}"
    return {"type": [kind, "null"] if wanted.nullable else kind, **more, "description": said}


def _responses() -> Schema:
    codes: dict[int, list[str]] = defaultdict(list)
    for code in _REFUSALS:
        status, title = PROBLEMS[code]
        codes[status].append(f"{code}: {title}")
    answer = {"application/json": {"schema": {"$ref": "#/components/schemas/Answer"}}}
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    refused = {
        str(status): {"description": "; ".join(sorted(said)), "content": problem}
        for status, said in sorted(codes.items())
    }
    return {"200": {"description": "The predictions.", "content": answer}, **refused}
