"""The ASGI application: one plain callable that knows addresses, and no protocol of predictions."""

import logging
import time
from collections.abc import Collection, Mapping

from everbake.serving.counts import Counts
from everbake.serving.http import (
    BEGUN,
    JSON,
    PROBLEM,
    RETRY,
    Bounds,
    Endpoint,
    HttpAnswer,
    HttpRequest,
    LeftError,
    Reading,
    Receive,
    Scope,
    Send,
)
from everbake.serving.observing import Observers
from everbake.serving.problems import ProblemError

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_REMEMBERED = 1000
_LATE = 0.1
_FEW = 16  # under way: then it is the machine that was late, and refusing would help nobody
_log = logging.getLogger(__name__)


class Addresses:
    """Which endpoint an address belongs to.

    Args:
        endpoints: by address; `{name}` in one stands for any text without a slash.

    >>> found = Addresses({"/v1/models/{name}/predict": "p"}).find("/v1/models/line/predict")
    >>> found
    ('p', ('line',))
    """

    def __init__(self, endpoints: Mapping[str, Endpoint]) -> None:
        self._exact = {path: point for path, point in endpoints.items() if "{" not in path}
        self._patterns = {
            tuple(path.split("/")): point for path, point in endpoints.items() if "{" in path
        }
        self._remembered: dict[str, tuple[Endpoint, tuple[str, ...]]] = {}

    def find(self, path: str) -> tuple[Endpoint, tuple[str, ...]] | None:
        """The endpoint and what stands in the places of the names, or None."""
        found = self._remembered.get(path)
        if found is None:
            found = self._search(path)
            if found is not None and len(self._remembered) < _REMEMBERED:
                self._remembered[path] = found
        return found

    def _search(self, path: str) -> tuple[Endpoint, tuple[str, ...]] | None:
        if path in self._exact:
            return self._exact[path], ()
        given = path.split("/")
        for pattern, point in self._patterns.items():
            if len(pattern) == len(given) and all(
                "{" in wanted or wanted == part for wanted, part in zip(pattern, given, strict=True)
            ):
                pairs = zip(pattern, given, strict=True)
                return point, tuple(part for wanted, part in pairs if "{" in wanted)
        return None


class App:
    """Finds the endpoint of a request, and sends what it answers or why it refuses.

    Args:
        endpoints: by address, see `Addresses`.
        bounds: what is accepted.
        counts: what is refused, and what is under way.
        observers: are told of each request.
        always: endpoints that answer also when too much is asked.
    """

    def __init__(
        self,
        endpoints: Mapping[str, Endpoint],
        bounds: Bounds,
        counts: Counts,
        observers: Observers,
        always: Collection[Endpoint] = (),
    ) -> None:
        self._counts = counts
        self._observers = observers
        self._always = always
        self._addresses = Addresses(endpoints)
        self._reading = Reading(bounds)
        self._most = bounds.requests
        self._hosts = frozenset(h.lower() for h in (*LOOPBACK, *bounds.hosts))
        self._good_hosts: set[bytes] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        answer = await self.answered(scope, receive)
        if answer is not None:
            await _send(send, answer)

    async def answered(self, scope: Scope, receive: Receive) -> HttpAnswer | None:
        """What one request gets; None if nobody waits for it any more."""
        begun = self._observers.begin()
        self._counts.open += 1
        try:
            answer, code = await self._attempt(scope, receive)
        except LeftError:
            return None
        finally:
            self._counts.open -= 1
        if code is not None:
            self._counts.problems[code] += 1
        self._observers.end(begun, scope, answer.status, code)
        return answer

    def usual(self, headers: Mapping[bytes, bytes], given: int, length: int) -> bool:
        """Whether nothing about the headers of a request to a model needs a second look.

        Args:
            headers: by name.
            given: how many there were: a name given twice does need one.
            length: bytes of the body.
        """
        return (
            len(headers) == given
            and length <= self._reading.bounds.body
            and headers.get(b"host") in self._good_hosts
            and headers.get(b"content-type") == JSON
            and b"content-encoding" not in headers
            and not self._observers.all
        )

    @property
    def free(self) -> bool:
        """Whether one more request may be under way."""
        return self._counts.open < self._most

    async def _attempt(self, scope: Scope, receive: Receive) -> tuple[HttpAnswer, str | None]:
        """The answer, and the code of the problem that it tells, if it tells one."""
        try:
            return await self._respond(scope, receive), None
        except ProblemError as refused:
            problem = refused
        except LeftError:
            raise
        except Exception:  # noqa: BLE001 - whatever it is, this request fails alone
            _log.exception("a request failed")
            problem = ProblemError("EB500", "the server failed; its log says more")
        answer = HttpAnswer(problem.document(), PROBLEM, problem.status, problem.headers)
        return answer, problem.code

    async def _respond(self, scope: Scope, receive: Receive) -> HttpAnswer:
        given = scope["headers"]
        headers: dict[bytes, bytes] = dict(given)
        if len(headers) < len(given):
            _refuse_twins([name for name, _ in given])
        host = headers.get(b"host", b"")
        if host not in self._good_hosts:
            self._check_host(host)
        found = self._addresses.find(scope["path"])
        if found is None:
            raise ProblemError("EB501", f"nothing is at {scope['path'][:200]}", mend=_USUAL)
        endpoint, parts = found
        if self._crowded(scope) and endpoint not in self._always:
            raise ProblemError("EB519", "the server is busy with other requests", headers=RETRY)
        return await endpoint(HttpRequest(scope["method"], headers, receive, self._reading, parts))

    def _crowded(self, scope: Scope) -> bool:
        """Whether too many are under way, or this one had to wait for its turn for too long.

        A request that no host is asked for waits only before it is begun: for the loop to come
        round to it.
        """
        begun = scope.get(BEGUN)
        late = begun is not None and time.perf_counter() - begun > _LATE
        return (late and self._counts.open > _FEW) or self._counts.open > self._most

    def _check_host(self, host: bytes) -> None:
        name = host.decode("latin-1").lower()
        bare = name if name.endswith("]") else name.rpartition(":")[0] or name
        if bare not in self._hosts:
            raise ProblemError(
                "EB505",
                f"this server does not answer as {name[:100]!r}",
                mend="call it by one of: " + ", ".join(sorted(self._hosts)),
            )
        if len(self._good_hosts) < _REMEMBERED:
            self._good_hosts.add(host)


def _refuse_twins(names: list[bytes]) -> None:
    """Refuse two values where a proxy in front might believe the other one."""
    for name in (b"host", b"content-type"):
        if names.count(name) > 1:
            raise ProblemError("EB561", f"there are {names.count(name)} {name.decode()} headers")


_USUAL = "POST /v1/models/{name}/predict"


async def _send(send: Send, answer: HttpAnswer) -> None:
    headers = [
        (b"content-type", answer.content),
        *answer.headers,
        (b"content-length", b"%d" % len(answer.body)),
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
