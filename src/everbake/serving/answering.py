"""What every protocol of predictions shares: who answers, and that it is logged first."""

import itertools
import math
import secrets
import time
from collections.abc import Callable, Mapping
from functools import partial

import msgspec

from everbake.core.frames import Answered
from everbake.serving import observing
from everbake.serving.compiled import MOST_AT_ONCE
from everbake.serving.counts import Counts
from everbake.serving.decode import Row, near_miss
from everbake.serving.http import RETRY
from everbake.serving.partial import errors_of, parted
from everbake.serving.problems import Place, ProblemError
from everbake.serving.router import Live, Loaded, Role, Router
from everbake.serving.segments import Full, PredictionLog
from everbake.serving.shadows import Read, Shadows

_COUNTED = 422  # this and what the server is to blame for counts against the version


class Outcome(msgspec.Struct, frozen=True, gc=False):
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
    errors: Mapping[int, str] = {}
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


class _Asked(msgspec.Struct, frozen=True, gc=False):
    """One request for which a version has been picked.

    Attributes:
        name: of the model.
        key: what the caller gave.
        live: what answers for the model.
        version: that is to answer.
        role: of this version.
        loaded: it.
        id: of the first prediction.
        now: when it was asked, seconds since 1970.
        started: the same on the clock that measures spans.
    """

    name: str
    key: str | None
    live: Live
    version: int
    role: Role
    loaded: Loaded
    id: str
    now: float
    started: float

    def answered(self, ids: list[str], rows: list[Row], predictions: list[object]) -> Answered:
        """What the log gets of its answer."""
        return Answered(
            ids,
            self.now,
            self.version,
            self.loaded.decoder.veiled(rows),
            predictions,
            self.key,
            self.role,
            self.live.generation,
            time.perf_counter() - self.started,
        )

    def failed(self, code: str) -> Answered:
        """What the log gets of its failure."""
        seconds = time.perf_counter() - self.started
        place = (self.key, self.role, self.live.generation, seconds, code)
        return Answered([self.id], self.now, self.version, [], [], *place)


class _Ids:
    """Prediction ids: by time, unique over all workers; 12 + 10 + 10 hexadecimal digits."""

    def __init__(self) -> None:
        self._worker = secrets.token_hex(5)
        self._count = itertools.count(1)

    def draw(self, now: float) -> str:
        return f"{int(now * 1000):012x}{self._worker}{next(self._count):010x}"

    def of(self, asked: "_Asked", rows: int) -> list[str]:
        """One for each row of a request."""
        return [asked.id, *(self.draw(asked.now) for _ in range(rows - 1))]


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
        asked = self._asked(name, self.live(name), key)
        observing.picked(name, asked.version, asked.role)
        try:
            rows = read(asked.loaded.decoder)
            predictions = await asked.loaded.answers.answer(rows)
            check_finite(predictions)
        except ProblemError as problem:
            self._counts.failed(name, asked.version, asked.role, problem.code)
            if problem.status >= _COUNTED:
                # Counts against the version. Where even that cannot be written, the caller
                # learns of the first trouble.
                await self._log.append(name, asked.failed(problem.code))
            raise
        ids = self._ids.of(asked, len(rows))
        answered = asked.answered(ids, rows, predictions)
        errors = errors_of(predictions)
        logged = await self._write(name, answered, errors)
        observing.counted(len(rows))
        self._counts.answered(name, asked.version, asked.role, len(rows), answered.seconds)
        if logged and asked.live.shadowed:
            self._shadows.offer(name, asked.live, read, answered)
        if errors:
            predictions = [None if at in errors else one for at, one in enumerate(predictions)]
        return Outcome(name, asked.version, predictions, ids, errors, logged)

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
        asked = self._asked(name, live, key)
        answer = asked.loaded.answers.at_once
        if answer is None:
            return False
        try:
            rows = asked.loaded.decoder.decode(body)
            if len(rows) > MOST_AT_ONCE:
                return False
            predictions = answer(rows)
            check_finite(predictions)
        except ProblemError:
            return False
        answered = asked.answered(self._ids.of(asked, len(rows)), rows, predictions)
        self._log.write(name, answered, partial(self._tell, asked, answered, body, told))
        return True

    def _tell(
        self,
        asked: _Asked,
        answered: Answered,
        body: bytes,
        told: Told,
        trouble: Exception | None,
    ) -> None:
        """Hand on what was answered at once, now that it is logged, or could not be."""
        name, live = asked.name, asked.live
        if trouble is not None and self._full == "refuse":
            self._counts.failed(name, answered.version, answered.role, "EB520")
            self._counts.problems["EB520"] += 1
            told(_unlogged(trouble))
            return
        rows, logged = len(answered.ids), trouble is None
        if not logged:
            self._counts.unlogged[name] += rows
        self._counts.answered(name, answered.version, answered.role, rows, answered.seconds)
        if logged and live.shadowed:
            self._shadows.offer(name, live, lambda decoder: decoder.decode(body), answered)
        predictions, ids = answered.predictions, answered.ids
        told(Outcome(name, answered.version, predictions, ids, logged=logged))

    def _asked(self, name: str, live: Live, key: str | None) -> _Asked:
        now, started = self._now(), time.perf_counter()
        first, beside = self._ids.draw(now), live.challenger
        if beside is not None and beside.gets(key, first):
            chosen: tuple[int, Role, Loaded] = (beside.version, "canary", beside.loaded)
        else:
            chosen = (live.version, "champion", live.loaded)
        return _Asked(name, key, live, *chosen, first, now, started)

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
