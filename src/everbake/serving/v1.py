"""everbake's own protocol: rows as JSON objects in, predictions and their ids out."""

import msgspec

from everbake.serving.answering import Answering, Outcome
from everbake.serving.http import PROBLEM, HttpAnswer, HttpRequest
from everbake.serving.partial import FAILED
from everbake.serving.problems import ProblemError

_encode = msgspec.json.Encoder().encode


class PredictEndpoint:
    """`POST /v1/models/{name}/predict`.

    Args:
        answering: answers.
    """

    def __init__(self, answering: Answering) -> None:
        self._answering = answering

    async def __call__(self, request: HttpRequest) -> HttpAnswer:
        """Answer one request."""
        request.allow("POST")
        (name,) = request.parts
        self._answering.live(name)  # before the body is read
        body = await request.json()
        outcome = await self._answering.predict(
            name, lambda decoder: decoder.decode(body), key_of(request)
        )
        return HttpAnswer(_encode(_told(outcome)), headers=outcome.headers)


def key_of(request: HttpRequest) -> str | None:
    """What the caller gave to be answered by the same version each time."""
    key = request.headers.get(b"everbake-key")
    return key.decode("latin-1") if key else None


def sent(outcome: Outcome | ProblemError) -> HttpAnswer:
    """The answer to a request that was answered at once."""
    if isinstance(outcome, ProblemError):
        return HttpAnswer(outcome.document(), PROBLEM, outcome.status, outcome.headers)
    return HttpAnswer(_encode(_told(outcome)), headers=outcome.headers)


def _told(outcome: Outcome) -> dict[str, object]:
    told: dict[str, object] = {
        "model": outcome.model,
        "version": outcome.version,
        "predictions": outcome.predictions,
    }
    if outcome.decisions is not None:
        told["decisions"] = outcome.decisions
    told["ids"] = outcome.ids
    if outcome.errors:
        told["errors"] = [
            {"row": row, "code": FAILED, "detail": why}
            for row, why in sorted(outcome.errors.items())
        ]
    return told
