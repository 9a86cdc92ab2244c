"""Whether a worker lives, and whether it answers for all that is deployed."""

import msgspec

from everbake.serving.http import HttpAnswer, HttpRequest
from everbake.serving.problems import ProblemError
from everbake.serving.router import Router


async def alive(request: HttpRequest) -> HttpAnswer:
    """`GET /healthz`: it answers at all."""
    request.allow("GET", "HEAD")
    return HttpAnswer(b'{"status":"ok"}')


class ReadyEndpoint:
    """`GET /readyz`.

    Args:
        router: who answers.
    """

    def __init__(self, router: Router) -> None:
        self._router = router

    async def __call__(self, request: HttpRequest) -> HttpAnswer:
        """Say who answers, or who does not yet."""
        request.allow("GET", "HEAD")
        if not self._router.read:
            raise ProblemError("EB526", "the ledger could not be read yet")
        waiting = self._router.waiting
        if waiting:
            names = "; ".join(f"{n}: {why}" if why else n for n, why in sorted(waiting.items()))
            raise ProblemError("EB526", f"not loaded yet: {names}")
        models = {name: live.version for name, live in self._router.live.items()}
        return HttpAnswer(msgspec.json.encode({"status": "ok", "models": models}))
