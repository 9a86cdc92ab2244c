"""Whether a worker lives, and whether it answers for all that is deployed."""

import msgspec

from everbake.serving.handover import acknowledged
from everbake.serving.http import HttpAnswer, HttpRequest
from everbake.serving.problems import ProblemError
from everbake.serving.router import Router
from everbake.serving.watch import WatchPlace


async def alive(request: HttpRequest) -> HttpAnswer:
    """`GET /healthz`: it answers at all."""
    request.allow("GET", "HEAD")
    return HttpAnswer(b'{"status":"ok"}')


class ReadyEndpoint:
    """`GET /readyz`.

    Args:
        router: who answers.
        place: where this worker and the others acknowledge.
    """

    def __init__(self, router: Router, place: WatchPlace) -> None:
        self._router = router
        self._place = place

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
        told = {
            "status": "ok",
            "models": models,
            "owner": "gone" if self._place.orphaned() else "here",
            "workers": self._workers(),
        }
        return HttpAnswer(msgspec.json.encode(told))

    def _workers(self) -> list[dict[str, object]]:
        """What each worker of this owner answers from, and who lags behind the others."""
        said = [(path.stem, said) for path, said in acknowledged(self._place.folder)]
        newest = max((each["generation"] for _, each in said), default=0)
        return [
            {
                "worker": name,
                "generation": each["generation"],
                "lags": each["generation"] < newest,
                "errors": each["errors"],
            }
            for name, each in said
        ]
