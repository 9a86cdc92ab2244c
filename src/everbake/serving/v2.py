"""The Open Inference Protocol, version 2, over HTTP, with its binary tensors."""

from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version as installed
from typing import Annotated, Any

import msgspec

from everbake.core.dataset import ColumnType
from everbake.serving.answering import Answering, Outcome
from everbake.serving.deciding import decided
from everbake.serving.health import ReadyEndpoint
from everbake.serving.http import JSON, Endpoint, HttpAnswer, HttpRequest
from everbake.serving.problems import ProblemError
from everbake.serving.router import Live, Loaded
from everbake.serving.tensors import Given, Tensor, pack, rows_of, tensors_of
from everbake.serving.v1 import key_of
from everbake.serving.wording import Worded, sentence

_HEADER = b"inference-header-content-length"
_OCTETS = b"application/octet-stream"
_DIGITS = 9  # of a length: more is beyond any body
_DATATYPES: dict[ColumnType, str] = {
    "int64": "INT64",
    "float64": "FP64",
    "bool": "BOOL",
    "string": "BYTES",
    "timestamp": "BYTES",
}
_SHAPE = 'send {"inputs": [{"name", "shape", "datatype", "data"}, ...]}'

_encode = msgspec.json.Encoder().encode


class _Input(msgspec.Struct):
    name: str
    shape: list[Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]]
    datatype: str
    data: list[Any] | None = None
    parameters: dict[str, Any] = {}


class _Output(msgspec.Struct):
    name: str
    parameters: dict[str, Any] = {}


class _Request(msgspec.Struct):
    inputs: list[_Input]
    id: str | None = None
    outputs: list[_Output] | None = None
    parameters: dict[str, Any] = {}


_decode = msgspec.json.Decoder(_Request).decode


class OpenInference:
    """All addresses under `/v2`.

    Args:
        answering: answers.
        ready: whether all that is deployed is loaded.
    """

    def __init__(self, answering: Answering, ready: ReadyEndpoint) -> None:
        self._answering = answering
        self._ready = ready

    def endpoints(self) -> dict[str, Endpoint]:
        """Each endpoint at its address."""
        model, fixed = "/v2/models/{name}", "/v2/models/{name}/versions/{version}"
        found: dict[str, Endpoint] = {
            "/v2": self.server,
            "/v2/health/live": self.alive,
            "/v2/health/ready": self.ready,
        }
        for base in (model, fixed):
            found |= {
                base: self.model,
                f"{base}/ready": self.model_ready,
                f"{base}/infer": self.infer,
            }
        return {address: Worded(endpoint, _worded) for address, endpoint in found.items()}

    async def server(self, request: HttpRequest) -> HttpAnswer:
        """`GET /v2`: who answers here."""
        request.allow("GET", "HEAD")
        about = {"name": "everbake", "version": installed("everbake")}
        return HttpAnswer(_encode({**about, "extensions": ["binary_tensor_data"]}))

    async def alive(self, request: HttpRequest) -> HttpAnswer:
        """`GET /v2/health/live`: it answers at all."""
        request.allow("GET", "HEAD")
        return HttpAnswer(b'{"live":true}')

    async def ready(self, request: HttpRequest) -> HttpAnswer:
        """`GET /v2/health/ready`: all that is deployed is loaded."""
        await self._ready(request)
        return HttpAnswer(b'{"ready":true}')

    async def model_ready(self, request: HttpRequest) -> HttpAnswer:
        """`GET .../ready`: the model answers."""
        request.allow("GET", "HEAD")
        name, live = self._live(request)
        if not live.alive:
            raise ProblemError("EB521", f'model "{name}" is being started again')
        return HttpAnswer(_encode({"name": name, "ready": True}))

    async def model(self, request: HttpRequest) -> HttpAnswer:
        """`GET /v2/models/{name}`: what it takes and gives."""
        request.allow("GET", "HEAD")
        name, live = self._live(request)
        inputs = [
            {"name": each.name, "datatype": _DATATYPES[each.type], "shape": [-1]}
            for each in live.loaded.decoder.inputs
        ]
        about = {"name": name, "versions": [str(live.version)], "platform": "everbake"}
        outputs = await _outputs(live.loaded)
        return HttpAnswer(_encode({**about, "inputs": inputs, "outputs": outputs}))

    async def infer(self, request: HttpRequest) -> HttpAnswer:
        """`POST .../infer`."""
        request.allow("POST")
        self._live(request)
        asked, given = _read(request.headers, await request.body())
        name, *version = request.parts
        outcome = await self._answering.predict(
            name, lambda decoder: decoder.check(rows_of(given, decoder)), key_of(request), *version
        )
        return _answer(outcome.whole(), asked)

    def _live(self, request: HttpRequest) -> tuple[str, Live]:
        """The model, which must serve the version that the address names, if it names one."""
        name, *version = request.parts
        return name, self._answering.live(name, *version)


async def _outputs(loaded: Loaded) -> list[dict[str, object]]:
    """What the model gives, as its answer to its example shows; numbers, if there is none.

    An example is kept without the values of private columns, so a model may not be able to take it.
    """
    answered: list[object] = [0.0]
    if loaded.example is not None:
        with suppress(ProblemError):
            answered = await loaded.answers.answer(loaded.decoder.check([loaded.example]))
    decisions = None if loaded.threshold is None else decided(answered, loaded.threshold)
    return [
        {"name": each.name, "datatype": each.datatype, "shape": [-1, *each.shape[1:]]}
        for each in tensors_of(answered, decisions)
    ]


def _read(headers: Mapping[bytes, bytes], body: bytes) -> tuple[_Request, list[Given]]:
    """A request and its tensors, whose data is not looked at yet."""
    head, rest = _parts(headers, body)
    try:
        asked = _decode(head)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ProblemError("EB508", f"the request cannot be read: {why}", mend=_SHAPE) from None
    given = []
    for each in asked.inputs:
        size = each.parameters.get("binary_data_size")
        data: list[Any] | bytes | None = each.data
        if size is not None:
            data, rest = _taken(each, size, rest)
        if data is None:
            raise ProblemError("EB532", f'tensor "{each.name[:100]}" has no data', mend=_SHAPE)
        given.append(Given(each.name, each.datatype, tuple(each.shape), data))
    if rest:
        raise ProblemError("EB532", f"{len(rest)} bytes belong to no tensor")
    return asked, given


def _parts(headers: Mapping[bytes, bytes], body: bytes) -> tuple[bytes, memoryview]:
    """The JSON at the head of a body, and the bytes of tensors behind it.

    These are a view: what is left behind each of many tensors would take long to copy.
    """
    length = headers.get(_HEADER)
    # Clients leave the type out. A web page of another origin could, too, but would be named.
    typed = {JSON} if length is None else {JSON, _OCTETS}
    kind = headers.get(b"content-type", b"" if b"origin" in headers else JSON)
    if kind.partition(b";")[0].strip().lower() not in typed:
        shown = kind.decode("latin-1")[:100] or "missing"
        mend = "application/json, or application/octet-stream with Inference-Header-Content-Length"
        raise ProblemError("EB506", f"the content type is {shown}", mend=mend)
    if length is None:
        return body, memoryview(b"")
    if not length.isdigit() or len(length) > _DIGITS or int(length) > len(body):
        shown = length.decode("latin-1")[:20]
        raise ProblemError(
            "EB532", f"Inference-Header-Content-Length is {shown!r} in a body of {len(body)} bytes"
        )
    return body[: int(length)], memoryview(body)[int(length) :]


def _taken(tensor: _Input, size: object, rest: memoryview) -> tuple[bytes, memoryview]:
    if tensor.data is not None or type(size) is not int or not 0 <= size <= len(rest):
        raise ProblemError(
            "EB532",
            f'tensor "{tensor.name[:100]}" has the binary_data_size {str(size)[:20]}, '
            f"and {len(rest)} bytes are there",
            mend="give either data or binary_data_size",
        )
    return bytes(rest[:size]), rest[size:]


def _answer(outcome: Outcome, asked: _Request) -> HttpAnswer:
    told, blocks = [], []
    for tensor, binary in _wanted(tensors_of(outcome.predictions, outcome.decisions), asked):
        entry: dict[str, object] = {
            "name": tensor.name,
            "datatype": tensor.datatype,
            "shape": tensor.shape,
        }
        if binary:
            blocks.append(pack(tensor))
            entry["parameters"] = {"binary_data_size": len(blocks[-1])}
        else:
            entry["data"] = tensor.values
        told.append(entry)
    content: dict[str, object] = {
        "model_name": outcome.model,
        "model_version": str(outcome.version),
        "parameters": {"ids": outcome.ids},
        "outputs": told,
    }
    if asked.id:
        content["id"] = asked.id
    head = _encode(content)
    if not blocks:
        return HttpAnswer(head, headers=outcome.headers)
    length = ((b"inference-header-content-length", b"%d" % len(head)),)
    return HttpAnswer(b"".join([head, *blocks]), _OCTETS, headers=(*length, *outcome.headers))


def _wanted(tensors: tuple[Tensor, ...], asked: _Request) -> list[tuple[Tensor, bool]]:
    """The tensors asked for, each with whether it is to be sent as bytes."""
    always = asked.parameters.get("binary_data_output") is True
    if not asked.outputs:
        return [(tensor, always) for tensor in tensors]
    known = {tensor.name: tensor for tensor in tensors}
    if len(asked.outputs) > len(known):
        raise ProblemError("EB533", f"there are no {len(asked.outputs)} outputs")
    for output in asked.outputs:
        if output.name not in known:
            names = ", ".join(known)
            raise ProblemError(
                "EB533", f'there is no output "{output.name[:100]}"', mend=f"outputs: {names}"
            )
    return [(known[o.name], o.parameters.get("binary_data", always) is True) for o in asked.outputs]


def _worded(refused: ProblemError) -> bytes:
    return _encode({"error": sentence(refused)})
