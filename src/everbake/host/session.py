"""The session in which a native version answers requests."""

import math
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pyarrow as pa

from everbake.core.recipe import Recipe
from everbake.core.redact import writable
from everbake.core.work import SessionOrder
from everbake.host.artifacts import load_saved
from everbake.host.calling import featured, predict, recipe_of
from everbake.host.protocol import JobContext
from everbake.host.ranking.answers import lists_for
from everbake.host.rows import ARROW
from everbake.wire import receive_frame, send_frame

if TYPE_CHECKING:
    import pandas as pd

_CALLS = 200  # of the user's code for one request, to find the rows over which it raises
_UNTOLD = "it raised over several requests, and there was no time to ask it about each alone"

_Rows = list[dict[str, Any]]


class Call(msgspec.Struct):
    """Requests that are answered together.

    Attributes:
        rows: of all of them, as objects.
        sizes: how many of the rows each request has, in order; empty: they are of one.
        seconds: after which no more rows are looked for over which the user's code raises.
    """

    rows: _Rows
    sizes: list[int] = []
    seconds: float = math.inf


def answer_requests(body: bytes, context: JobContext, connection: socket.socket) -> None:
    """Answer over the connection until the other side closes it.

    Each frame is MessagePack: a `Call` in, a `Reply` out.
    """
    order = msgspec.json.decode(body, type=SessionOrder)
    recipe = recipe_of(context.recipe, order.model)
    model = load_saved(order.saved)
    decoder = msgspec.msgpack.Decoder(Call)

    def ask(rows: _Rows) -> list[Any]:
        if recipe.events is not None:
            return lists_for(recipe, model, rows)
        return answer(recipe, model, frame_of(rows, order))

    while (request := receive_frame(connection)) is not None:
        call = decoder.decode(request)
        send_frame(connection, encoded(spared(call.rows, ask, call.sizes, call.seconds)))


class Reply(msgspec.Struct):
    """What became of a call: a prediction a row, or what was raised over it."""

    predictions: list[Any]
    errors: dict[int, str]


def encoded(reply: Reply) -> bytes:
    """A reply as it is sent; predictions that cannot be sent cost the others nothing."""
    try:
        return msgspec.msgpack.encode(reply)
    except Exception:  # noqa: BLE001 - the user's code may answer with anything
        for place, prediction in enumerate(reply.predictions):
            try:
                msgspec.msgpack.encode(prediction)
            except Exception as error:  # noqa: BLE001 - as above
                kind = type(prediction).__name__
                reply.errors[place] = writable(
                    f"the prediction of type {kind} cannot be sent: {error}"
                )
                reply.predictions[place] = None
        return msgspec.msgpack.encode(reply)


def spared(
    rows: _Rows,
    ask: Callable[[_Rows], list[Any]],
    sizes: Sequence[int] = (),
    seconds: float = math.inf,
) -> Reply:
    """Answers to rows: what `ask` raises over some of them does not cost the others theirs.

    Rows over which it raises are asked again by halves: first whole requests, until those at fault
    stand alone, then the rows of each. That is bounded in calls for each request, and in time for
    all; rows that could not be told apart fail with what was raised over them, but never with what
    was raised over another request too.

    Args:
        rows: of all requests.
        ask: gives one prediction a row.
        sizes: rows of each request; empty: there is one.
        seconds: after which no part is asked again.
    """
    search = _Search(rows, ask, time.perf_counter() + seconds)
    why = search.ask(0, len(rows))
    if why is not None:
        search.isolate([0, *accumulate(sizes or [len(rows)])], why)
    return Reply(search.predictions, search.errors)


class _Search:
    """For the rows over which the user's code raises."""

    def __init__(self, rows: _Rows, ask: Callable[[_Rows], list[Any]], until: float) -> None:
        self._rows = rows
        self._ask = ask
        self._until = until
        self._longest = 0.0  # call
        self.predictions: list[Any] = [None] * len(rows)
        self.errors: dict[int, str] = {}

    def ask(self, start: int, end: int) -> str | None:
        """Keep the predictions for these rows, or tell what was raised over them."""
        began = time.perf_counter()
        try:
            answers = self._ask(self._rows[start:end])
            self.predictions[start:end] = _complete(answers, end - start)
        except BaseException as error:  # noqa: BLE001 - the user's code may raise anything
            return writable(f"{type(error).__name__}: {error}")
        finally:
            self._longest = max(self._longest, time.perf_counter() - began)
        return None

    def isolate(self, edges: list[int], why: str) -> None:
        """Find the rows at fault in requests that lie between these edges."""
        alone = []
        for first, last, raised in self._halved(edges, why, math.inf, self._until):
            if last - first == 1:
                alone.append((edges[first], edges[last], raised))
            else:  # it may tell of any of them, and each belongs to another caller
                self._fail(edges[first], edges[last], _UNTOLD)
        for done, (start, end, raised) in enumerate(alone):
            now = time.perf_counter()
            until = now + (self._until - now) / (len(alone) - done)
            parts = self._halved(range(start, end + 1), raised, _CALLS - 1, until)
            for first, last, said in parts:
                self._fail(start + first, start + last, said)

    def _halved(
        self, edges: Sequence[int], why: str, calls: float, until: float
    ) -> Iterator[tuple[int, int, str]]:
        """Parts that raise and are not halved further, by the numbers of their edges.

        All between the edges was asked before, together, and raised.
        """
        failed = deque([(0, len(edges) - 1, why)])
        while failed:
            first, last, raised = failed.popleft()
            late = time.perf_counter() + 2 * self._longest > until
            if last - first == 1 or calls < 2 or late:  # noqa: PLR2004 - one for each half
                yield first, last, raised
                continue
            calls -= 2
            middle = (first + last) // 2
            for left, right in ((first, middle), (middle, last)):
                said = self.ask(edges[left], edges[right])
                if said is not None:
                    failed.append((left, right, said))

    def _fail(self, start: int, end: int, why: str) -> None:
        self.errors |= dict.fromkeys(range(start, end), why)


def _complete(answers: list[Any], count: int) -> list[Any]:
    """The answers, if there is one a row; else nobody can tell whose they are."""
    if len(answers) != count:
        raise ValueError(f"{len(answers)} predictions for {count} rows")
    return answers


def frame_of(rows: _Rows, order: SessionOrder) -> "pd.DataFrame":
    """The rows of a request as the data frame that training saw: same columns, same types."""
    present = [column for column in order.columns if any(column.name in row for row in rows)]
    if all(column.type == "float64" for column in present):
        return _floats(rows, tuple(column.name for column in present))
    arrays = {}
    for column in present:
        values = pa.array([row.get(column.name) for row in rows])
        arrays[column.name] = values.cast(ARROW[column.type])
    framed: pd.DataFrame = pa.table(arrays).to_pandas()
    return framed


def _floats(rows: _Rows, names: tuple[str, ...]) -> "pd.DataFrame":
    """The same where all columns are floating: in a tenth of the time, laid out as Arrow does."""
    import pandas as pd

    cells = np.array([[row.get(name) for row in rows] for name in names], dtype=np.float64)
    block = cells.reshape(len(names), len(rows)).T
    return pd.DataFrame(block, columns=_index(names).view(), copy=False)


@lru_cache(maxsize=64)
def _index(names: tuple[str, ...]) -> "pd.Index[str]":
    """Their index, of which frames get views: to make one takes longer than the rest of a frame."""
    import pandas as pd

    return pd.Index(names)


def answer(recipe: Recipe, model: object, rows: "pd.DataFrame") -> list[Any]:
    """Predictions as plain numbers, texts or lists of them."""
    answers = predict(recipe, model, featured(recipe, rows))
    plain: list[Any] = np.asarray(answers).tolist()
    return plain
