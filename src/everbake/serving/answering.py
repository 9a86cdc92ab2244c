"""What every protocol of predictions shares: who answers, and that it is logged first."""

import itertools
import math
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from everbake.core.frames import Answered
from everbake.serving import observing
from everbake.serving.compiled import MOST_AT_ONCE
from everbake.serving.counts import Counts
from everbake.serving.decode import near_miss
from everbake.serving.http import RETRY
from everbake.serving.partial import errors_of, parted
from everbake.serving.problems import Place, ProblemError
from everbake.serving.router import Live, Loaded, Role, Router
from everbake.serving.segments import Full, PredictionLog
from everbake.serving.shadows import Read, Shadows

if TYPE_CHECKING:
    import asyncio

_COUNTED = 422  # this and what the server is to blame for counts against the version


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a request gets.

    Attributes:
        model: the model.
        version: that answered.
        predictions: one a row, None where the model failed.
        ids: one prediction id a row.
        errors: why there is no prediction, by the position of the row.
        logged: whether it stands in the log.
    """

    model: str
    version: int
    predictions: list[object]
    ids: list[str]
    errors: Mapping[int, str] = field(default_factory=dict)
    logged: bool = True

    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """What the caller is told beside the answer."""
        return () if self.logged else ((b"everbake-unlogged", b"1"),)

    def whole(self) -> "Outcome":
        """This, for protocols that know no request of which only some rows are answered.

        Raises:
            ProblemError: there is no prediction for a row.
        """
        for row, why in sorted(self.errors.items()):
            raise ProblemError("EB517", f"the model failed: {why}", Place(row))
        return self


Told = Callable[[Outcome | ProblemError], None]


@dataclass(frozen=True, slots=True)
class _Arm:
    """Who answers one request."""

    version: int
    role: Role
    loaded: Loaded


class _Ids:
    """Prediction ids: by time, unique over all workers; 12 + 10 + 10 hexadecimal digits."""

    def __init__(self) -> None:
        self._worker = secrets.token_hex(5)
        self._count = itertools.count(1)

    def draw(self, now: float) -> str:
        return f"{int(now * 1000):012x}{self._worker}{next(self._count):010x}"


class Answering:
    """Answers requests from whatever the router holds, and logs them first.

    Args:
        router: who answers.
        log: where answers are written before they leave.
        now: the time.
        counts: what is answered.
        full: what to do with answers that cannot be logged.
    """

    def __init__(
        self,
        router: Router,
        log: PredictionLog,
        now: Callable[[], float],
        counts: Counts,
        full: Full,
    ) -> None:
        self._full = full
        self._counts = counts
        self._router = router
        self._log = log
        self._now = now
        self._ids = _Ids()
        self._shadows = Shadows(log, now, counts.shed)

    def live(self, name: str) -> Live:
        """What answers for a model.

        Raises:
            ProblemError: nothing does, or there is no such model.
        """
        found = self._router.live.get(name)
        if found is None:
            raise self._absent(name)
        return found

    def known(self, name: str) -> None:
        """See that there is such a model, whether or not it answers now.

        Raises:
            ProblemError: there is none.
        """
        if self._router.read and name not in self._router.known:
            raise self._absent(name)

    async def predict(self, name: str, read: Read, key: str | None) -> Outcome:
        """Answer one request, whose body has arrived whole.

        Args:
            name: of the model.
            read: gives the rows, held against the inputs of the version that is to answer.
            key: what the caller gave to be answered by the same version each time.

        Raises:
            ProblemError: it cannot be answered, or not logged.
        """
        live = self.live(name)
        now, started = self._now(), time.perf_counter()
        first = self._ids.draw(now)
        arm = _arm(live, key, first)
        observing.picked(name, arm.version, arm.role)
        try:
            rows = read(arm.loaded.decoder)
            predictions = await arm.loaded.answers.answer(rows)
            check_finite(predictions)
        except ProblemError as problem:
            self._counts.failed(name, arm.version, arm.role, problem.code)
            if problem.status >= _COUNTED:
                await self._failed(name, live, arm, problem, (first, now, started, key))
            raise
        ids = [first, *(self._ids.draw(now) for _ in range(len(rows) - 1))]
        answered = Answered(
            ids,
            now,
            arm.version,
            arm.loaded.decoder.veiled(rows),
            predictions,
            key,
            arm.role,
            live.generation,
            time.perf_counter() - started,
        )
        errors = errors_of(predictions)
        logged = await self._write(name, answered, errors)
        observing.counted(len(rows))
        self._counts.answered(name, arm.version, arm.role, len(rows), answered.seconds)
        if logged and live.challenger is not None and live.challenger.kind == "shadow":
            self._shadows.offer(name, live, read, answered)
        if errors:
            predictions = [None if at in errors else one for at, one in enumerate(predictions)]
        return Outcome(name, arm.version, predictions, ids, errors, logged)

    def at_once(self, name: str, body: bytes, key: str | None, told: Told) -> bool:
        """Answer a usual request in one go; false where it is anything but that.

        Usual are few rows, in everbake's own JSON, to a model that waits for no host. Of what is
        wrong with any other request, `predict` tells.

        Args:
            name: of the model.
            body: of the request.
            key: what the caller gave to be answered by the same version each time.
            told: gets the outcome once it is logged.
        """
        live = self._router.live.get(name)
        if live is None:
            return False
        now, started = self._now(), time.perf_counter()
        first = self._ids.draw(now)
        arm = _arm(live, key, first)
        answer = arm.loaded.answers.at_once
        if answer is None:
            return False
        try:
            rows = arm.loaded.decoder.decode(body)
            if len(rows) > MOST_AT_ONCE:
                return False
            predictions = answer(rows)
            check_finite(predictions)
        except ProblemError:
            return False
        ids = [first, *(self._ids.draw(now) for _ in range(len(rows) - 1))]
        seconds = time.perf_counter() - started
        veiled = arm.loaded.decoder.veiled(rows)
        answered = Answered(
            ids, now, arm.version, veiled, predictions, key, arm.role, live.generation, seconds
        )
        written = self._log.append(name, answered)
        written.add_done_callback(partial(self._tell, name, live, answered, body, told))
        return True

    def _tell(
        self,
        name: str,
        live: Live,
        answered: Answered,
        body: bytes,
        told: Told,
        written: "asyncio.Future[Exception | None]",
    ) -> None:
        """Hand on what was answered at once, now that it is logged, or could not be."""
        trouble = written.result()
        if trouble is not None and self._full == "refuse":
            self._counts.failed(name, answered.version, answered.role, "EB520")
            self._counts.problems["EB520"] += 1
            told(_unlogged(trouble))
            return
        rows, logged = len(answered.ids), trouble is None
        if not logged:
            self._counts.unlogged[name] += rows
        self._counts.answered(name, answered.version, answered.role, rows, answered.seconds)
        if logged and live.challenger is not None and live.challenger.kind == "shadow":
            self._shadows.offer(name, live, lambda decoder: decoder.decode(body), answered)
        predictions, ids = answered.predictions, answered.ids
        told(Outcome(name, answered.version, predictions, ids, logged=logged))

    async def _write(self, name: str, answered: Answered, errors: Mapping[int, str]) -> bool:
        """Log what was answered; whether it was logged.

        Raises:
            ProblemError: it cannot be logged, and is not to be answered then.
        """
        if errors:
            answered, failed = parted(answered, errors)
            await self._log.append(name, failed)
        trouble = await self._log.append(name, answered)
        if trouble is None:
            return True
        if self._full == "refuse":
            self._counts.failed(name, answered.version, answered.role, "EB520")
            raise _unlogged(trouble)
        self._counts.unlogged[name] += len(answered.ids)
        return False

    async def _failed(
        self,
        name: str,
        live: Live,
        arm: _Arm,
        problem: ProblemError,
        asked: tuple[str, float, float, str | None],
    ) -> None:
        """Count a failure against the version, in the log like an answer.

        Where even that cannot be written, the caller learns of the first trouble.
        """
        first, now, started, key = asked
        seconds = time.perf_counter() - started
        failed = Answered(
            [first], now, arm.version, [], [], key, arm.role, live.generation, seconds, problem.code
        )
        await self._log.append(name, failed)

    async def close(self) -> None:
        """Let go of shadows that were not scored yet."""
        await self._shadows.close()

    def _absent(self, name: str) -> ProblemError:
        if not self._router.read or name in self._router.waiting:
            why = self._router.waiting.get(name) or "it is being loaded"
            return ProblemError("EB521", f'model "{name}" cannot answer: {why}', headers=RETRY)
        if name in self._router.known:
            return ProblemError(
                "EB503", f'model "{name}" has no champion yet', mend=f"everbake ingest {name} FILE"
            )
        hint = near_miss(name, sorted(self._router.known))
        return ProblemError("EB502", f'model "{name[:100]}" is not known{hint}')


def _arm(live: Live, key: str | None, first: str) -> _Arm:
    beside = live.challenger
    if beside is not None and beside.gets(key, first):
        return _Arm(beside.version, "canary", beside.loaded)
    return _Arm(live.version, "champion", live.loaded)


def check_finite(predictions: list[object]) -> None:
    """Refuse answers that are no numbers.

    Raises:
        ProblemError: a prediction is missing, infinite or not a number.
    """
    for at, value in enumerate(predictions):
        if not _is_finite(value):
            raise ProblemError("EB518", f"the prediction for row {at} is {value}", Place(at))


def _is_finite(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, list):
        return all(map(_is_finite, value))
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    return value is not None


def _unlogged(trouble: Exception) -> ProblemError:
    return ProblemError(
        "EB520",
        f"the prediction log cannot be written: {trouble}",
        mend="everbake doctor",
        headers=RETRY,
    )
