"""Answers without a server: for one command, in its own process."""

import csv
import io
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import msgspec

from everbake.core.bundle import Bundle, Input
from everbake.errors import DataError, HealthError, UserCodeError
from everbake.ports import Blobs
from everbake.runtimes.columns import RowRefusedError
from everbake.runtimes.kinds import Runtime, load
from everbake.serving.decode import RequestDecoder
from everbake.serving.problems import ProblemError
from everbake.wire import receive_frame, send_frame

Row = dict[str, Any]

_MOST_ROWS = 10_000_000
_CALL_ROWS = 10_000
_TRUE, _FALSE = ("true", "True", "1"), ("false", "False", "0")


def read_rows(data: bytes, inputs: Sequence[Input], name: str) -> list[Row]:
    """The rows of a request in a file: a JSON object a line, a JSON list, or CSV with a header.

    Columns of a CSV file that the model does not know are left out (its label, say).

    Raises:
        DataError: the file holds no such rows, or a row does not fit.
    """
    text = data.decode("utf-8-sig", errors="replace").strip()
    if not text:
        raise DataError("EB105", "there are no rows", where=name, mend="give at least one row")
    start = text[0]
    if start in "[{":
        body = _json_body(text)
    else:
        body = msgspec.json.encode({"rows": list(_csv_rows(text, inputs))})
    try:
        return RequestDecoder(inputs, _MOST_ROWS).decode(body)
    except ProblemError as problem:
        raise _refused(problem, name) from problem


def _json_body(text: str) -> bytes:
    """Whatever form of JSON, as the body of a request."""
    if text.startswith("["):
        return b'{"rows":' + text.encode() + b"}"
    if text.startswith('{"rows"') and "\n" not in text:
        return text.encode()
    lines = [line for line in text.splitlines() if line.strip()]
    return b'{"rows":[' + ",".join(lines).encode() + b"]}"


def _csv_rows(text: str, inputs: Sequence[Input]) -> Iterable[Row]:
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    types = {each.name: each.type for each in inputs}
    for row in csv.DictReader(io.StringIO(text), delimiter=delimiter):
        yield {name: _cell(row[name], types[name]) for name in row if name in types}


def _cell(text: str | None, kind: str) -> object:
    if text is None or not text.strip():
        return None
    if kind == "bool" and text in (*_TRUE, *_FALSE):
        return text in _TRUE
    if kind in ("int64", "float64"):
        try:
            return int(text) if kind == "int64" else float(text)
        except ValueError:
            return text
    return text


def answer_rows(
    bundle: Bundle,
    rows: list[Row],
    blobs: Blobs,
    opener: Callable[[Bundle], socket.socket],
) -> list[Any]:
    """Predictions for rows.

    Raises:
        DataError: the model refuses a row.
        UserCodeError: the user's `predict` failed.
    """
    answers: list[Any] = []
    with answering(bundle, blobs, opener) as answer:
        for start in range(0, len(rows), _CALL_ROWS):
            answers += answer(rows[start : start + _CALL_ROWS])
    return answers


@contextmanager
def answering(
    bundle: Bundle, blobs: Blobs, opener: Callable[[Bundle], socket.socket]
) -> Iterator[Callable[[list[Row]], list[Any]]]:
    """What answers rows with a version, for as long as it is needed; see `answer_rows`."""
    if bundle.runtime_data is not None:
        runtime = load(bundle.runtime, blobs.get(bundle.runtime_data))
        yield partial(_compiled, runtime)
        return
    with opener(bundle) as connection:
        yield partial(_native, connection, f"{bundle.model}, recipe {bundle.source}")


def _compiled(runtime: Runtime, rows: list[Row]) -> list[Any]:
    try:
        return list(runtime.answer(rows))
    except RowRefusedError as refused:
        raise DataError(
            "EB130",
            f"the model refuses a row: {refused}",
            where=f"row {refused.row + 1}, column {refused.column}",
            mend="mend the row",
        ) from refused


def _native(connection: socket.socket, where: str, rows: list[Row]) -> list[Any]:
    try:
        send_frame(connection, msgspec.msgpack.encode({"rows": rows}))
        reply = receive_frame(connection)
    except ConnectionError:
        reply = None
    if reply is None:
        raise HealthError(
            "EB529", "the version's process ended", where=where, mend="everbake check"
        )
    said: dict[str, Any] = msgspec.msgpack.decode(reply)
    errors: dict[int, str] = said["errors"]
    if errors:
        first = min(errors)
        raise UserCodeError(
            "EB317",
            "predict failed",
            where=f"{where}, row {first + 1} of those asked together",
            why=errors[first],
            mend="everbake check",
        )
    answers: list[Any] = said["predictions"]
    return answers


def _refused(problem: ProblemError, name: str) -> DataError:
    return DataError(
        "EB130",
        problem.what,
        where=name,
        mend="see the columns with `everbake data show NAME`",
    )
