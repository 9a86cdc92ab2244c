"""The session in which a native version answers requests."""

import socket
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pyarrow as pa

from everbake.core.recipe import Recipe
from everbake.core.redact import writable
from everbake.core.work import SessionOrder
from everbake.host.calling import featured, predict, recipe_of
from everbake.host.protocol import JobContext
from everbake.host.scoring import load_model
from everbake.wire import receive_frame, send_frame

if TYPE_CHECKING:
    import pandas as pd

_ARROW = {
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "string": pa.string(),
    "timestamp": pa.timestamp("us"),
}


class Call(msgspec.Struct):
    """One request: rows as objects."""

    rows: list[dict[str, Any]]


def answer_requests(body: bytes, context: JobContext, connection: socket.socket) -> None:
    """Answer over the connection until the other side closes it.

    Each frame is MessagePack: `{"rows": [...]}` in; `{"predictions": [...]}` or `{"error": "..."}`
    out. What the user's code raises ends one request, not the session.
    """
    order = msgspec.json.decode(body, type=SessionOrder)
    recipe = recipe_of(context.recipe, order.model)
    model = load_model(order.saved)
    decoder = msgspec.msgpack.Decoder(Call)
    while (request := receive_frame(connection)) is not None:
        try:
            answers = answer(recipe, model, frame_of(decoder.decode(request).rows, order))
            reply: dict[str, object] = {"predictions": answers}
        except BaseException as error:  # noqa: BLE001 - the user's code may raise anything
            reply = {"error": writable(f"{type(error).__name__}: {error}")}
        send_frame(connection, msgspec.msgpack.encode(reply))


def frame_of(rows: list[dict[str, Any]], order: SessionOrder) -> "pd.DataFrame":
    """The rows of a request as the data frame that training saw: same columns, same types."""
    present = [column for column in order.columns if any(column.name in row for row in rows)]
    arrays = {}
    for column in present:
        values = pa.array([row.get(column.name) for row in rows])
        arrays[column.name] = values.cast(_ARROW[column.type])
    framed: pd.DataFrame = pa.table(arrays).to_pandas()
    return framed


def answer(recipe: Recipe, model: object, rows: "pd.DataFrame") -> list[Any]:
    """Predictions as plain numbers, texts or lists of them."""
    answers = predict(recipe, model, featured(recipe, rows))
    plain: list[Any] = np.asarray(answers).tolist()
    return plain
