"""MLflow's scoring protocol: rows as data frames, tensors or CSV in, predictions out."""

import csv
import io
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version as installed
from typing import Any, NoReturn

import msgspec

from everbake.core.dataset import ColumnType
from everbake.core.redact import writable
from everbake.serving.answering import Answering
from everbake.serving.decode import RequestDecoder
from everbake.serving.health import ReadyEndpoint
from everbake.serving.http import JSON, RETRY, Endpoint, HttpAnswer, HttpRequest
from everbake.serving.problems import ProblemError
from everbake.serving.router import Router
from everbake.serving.v1 import key_of
from everbake.serving.wording import Worded, sentence

_CSV = b"text/csv"
_TEXT = b"text/plain"
_FORMS = ("dataframe_split", "dataframe_records", "inputs", "instances")
_SHAPE = "send an object with one of " + ", ".join(_FORMS)
_WHOLE = re.compile(r"[+-]?[0-9]{1,20}")
_CODES = {
    404: "RESOURCE_DOES_NOT_EXIST",
    500: "INTERNAL_ERROR",
    503: "TEMPORARILY_UNAVAILABLE",
    504: "TEMPORARILY_UNAVAILABLE",
}

_encode = msgspec.json.Encoder().encode


class Scoring:
    """MLflow's addresses.

    Args:
        answering: answers.
        router: who answers.
        ready: whether all that is deployed is loaded.
    """

    def __init__(self, answering: Answering, router: Router, ready: ReadyEndpoint) -> None:
        self._answering = answering
        self._router = router
        self._ready = ready

    def endpoints(self) -> dict[str, Endpoint]:
        """Each endpoint at its address."""
        found: dict[str, Endpoint] = {
            "/invocations": self.invoke,
            "/ping": self.ping,
            "/health": self.ping,
            "/version": self.version,
        }
        return {address: Worded(endpoint, _worded) for address, endpoint in found.items()}

    async def ping(self, request: HttpRequest) -> HttpAnswer:
        """`GET /ping`: all that is deployed is loaded."""
        await self._ready(request)
        return HttpAnswer(b"\n")

    async def version(self, request: HttpRequest) -> HttpAnswer:
        """`GET /version`: everbake's own."""
        request.allow("GET", "HEAD")
        return HttpAnswer(installed("everbake").encode(), _TEXT)

    async def invoke(self, request: HttpRequest) -> HttpAnswer:
        """`POST /invocations`."""
        request.allow("POST")
        name = self._model(request)
        self._answering.live(name)  # before the body is read
        read = _reader(request.headers, await request.body())
        outcome = await self._answering.predict(
            name, lambda decoder: decoder.check(read(decoder)), key_of(request)
        )
        whole = outcome.whole()
        told = _encode({"predictions": whole.predictions, "ids": whole.ids})
        return HttpAnswer(told, headers=whole.headers)

    def _model(self, request: HttpRequest) -> str:
        """The model that the request names, or the only one there is."""
        named = request.headers.get(b"everbake-model")
        if named is not None:
            return named.decode("latin-1")
        if not self._router.read:
            raise ProblemError("EB526", "the ledger could not be read yet", headers=RETRY)
        known = sorted(self._router.known)
        if len(known) != 1:
            raise ProblemError(
                "EB536",
                "the request does not name its model",
                mend="add the header Everbake-Model with one of: " + ", ".join(known[:50]),
            )
        return known[0]


def _reader(
    headers: Mapping[bytes, bytes], body: bytes
) -> Callable[[RequestDecoder], Sequence[object]]:
    """What gives the rows of a body to whom they are for."""
    kind, *more = headers.get(b"content-type", b"").lower().split(b";")
    charset = b"".join(more).strip()
    if kind.strip() in {JSON, _CSV} and charset in {b"", b"charset=utf-8"}:
        if kind.strip() == JSON:
            form, content = _parsed(body)
            return lambda decoder: _FORM[form](content, decoder)
        return lambda decoder: _from_csv(body, decoder)
    shown = headers.get(b"content-type", b"missing").decode("latin-1")[:100]
    mend = "Content-Type: application/json or text/csv, in UTF-8"
    raise ProblemError("EB506", f"the content type is {shown}", mend=mend)


def _parsed(body: bytes) -> tuple[str, object]:
    """Which form a body has, and what stands in it."""
    try:
        content = _with_gaps(body)
    except (ValueError, RecursionError) as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ProblemError("EB508", f"the body is no JSON: {why}", mend=_SHAPE) from None
    if not isinstance(content, dict):
        _broken("the body is no object")
    if content.pop("params", None):
        _broken('"params" are not supported: a version is served with those it was trained with')
    if len(content) != 1 or next(iter(content)) not in _FORMS:
        _broken(f"the body has {', '.join(name[:50] for name in sorted(content)[:9]) or 'nothing'}")
    ((form, found),) = content.items()
    return form, found


def _with_gaps(body: bytes) -> object:
    """What a JSON text holds, in which MLflow's client writes NaN for a missing value."""
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        return json.loads(body, parse_constant=lambda name: None if name == "NaN" else float(name))


def _split(content: object, decoder: RequestDecoder) -> list[object]:
    if not isinstance(content, dict) or not content.keys() <= {"columns", "data", "index"}:
        _broken('"dataframe_split" is no object of columns, data and index')
    columns, data = content.get("columns"), content.get("data")
    if not isinstance(columns, list) or not isinstance(data, list):
        _broken('"columns" and "data" must be lists')
    return _named(columns, data, decoder)


def _records(content: object, _: RequestDecoder) -> list[object]:
    if not isinstance(content, list):
        _broken('"dataframe_records" is no list')
    return content


def _tensors(content: object, decoder: RequestDecoder) -> list[object]:
    """Rows as objects, rows as lists, plain values of the only input, or columns by name."""
    if isinstance(content, dict):
        return _from_columns(content, decoder)
    if not isinstance(content, list):
        _broken("the rows are neither a list nor an object of lists")
    decoder.check_count(len(content))
    if all(isinstance(row, dict) for row in content):
        return content
    if not any(isinstance(row, list | dict) for row in content):
        content = [[value] for value in content]
    return _named([each.name for each in decoder.inputs], content, decoder)


def _from_columns(content: dict[str, Any], decoder: RequestDecoder) -> list[object]:
    columns = [
        [part[0] if isinstance(part, list) and len(part) == 1 else part for part in values]
        for values in content.values()
        if isinstance(values, list)
    ]
    if len(columns) != len(content) or len({len(values) for values in columns}) > 1:
        _broken("the columns are no lists of one length")
    decoder.check_count(len(columns[0]) if columns else 0)
    return [dict(zip(content, row, strict=True)) for row in zip(*columns, strict=True)]


def _named(columns: list[Any], data: list[Any], decoder: RequestDecoder) -> list[object]:
    """Rows given as lists, with the names of their columns."""
    decoder.check_count(len(data))
    if not all(isinstance(name, str) for name in columns) or len(set(columns)) != len(columns):
        _broken("the columns are not named by different texts")
    for at, row in enumerate(data):
        if not isinstance(row, list) or len(row) != len(columns):
            has = f"{len(row)} values" if isinstance(row, list) else "no list of values"
            _broken(f"row {at} has {has} for {len(columns)} columns: {', '.join(columns[:50])}")
    return [dict(zip(columns, row, strict=True)) for row in data]


_FORM: dict[str, Callable[[Any, RequestDecoder], list[object]]] = {
    "dataframe_split": _split,
    "dataframe_records": _records,
    "inputs": _tensors,
    "instances": _tensors,
}


def _from_csv(body: bytes, decoder: RequestDecoder) -> list[object]:
    columns, *data = _lines(body, decoder)
    types = [{each.name: each.type for each in decoder.inputs}.get(name) for name in columns]
    typed = [list(map(_cell, line, types)) if len(line) == len(types) else line for line in data]
    return _named(columns, typed, decoder)


def _lines(body: bytes, decoder: RequestDecoder) -> list[list[str]]:
    """The lines of a CSV that are not empty, the first of which names the columns."""
    lines: list[list[str]] = []
    try:
        text = io.StringIO(body.decode("utf-8-sig"), newline="")
        for line in filter(None, csv.reader(text, strict=True)):
            lines.append(line)
            decoder.check_count(max(1, len(lines) - 1))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ProblemError("EB508", f"the body is no CSV: {error}") from None
    if not lines:
        _broken("the CSV has no line with the names of its columns")
    return lines


def _cell(text: str, kind: ColumnType | None) -> object:
    """A cell as its column's type; one that does not fit stays a text, and is refused as one."""
    if not text:
        return None
    if kind == "bool":
        return {"true": True, "false": False}.get(text.lower(), text)
    return _number(text) if kind in {"int64", "float64"} else text


def _number(text: str) -> object:
    if _WHOLE.fullmatch(text):
        return int(text)
    try:
        number = float(text)
    except ValueError:
        return text
    if "_" in text:  # a number to Python alone
        return text
    return None if math.isnan(number) else number


def _broken(what: str) -> NoReturn:
    raise ProblemError("EB535", writable(what), mend=_SHAPE)


def _worded(refused: ProblemError) -> bytes:
    code = _CODES.get(refused.status, "BAD_REQUEST")
    return _encode({"error_code": code, "message": sentence(refused)})
