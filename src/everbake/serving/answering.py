"""What every protocol of predictions shares: who answers, and that it is logged first."""

import asyncio
import itertools
import math
import secrets
import time
from collections.abc import Callable, Mapping
from functools import partial

import msgspec

from everbake.core.frames import Answered
from everbake.serving import observing
from everbake.serving.counts import Counts
from everbake.serving.deciding import decided
from everbake.serving.decode import RequestDecoder, Row, near_miss
from everbake.serving.http import RETRY
from everbake.serving.partial import errors_of, parted
from everbake.serving.problems import Place, ProblemError
from everbake.serving.router import FEW, Given, Live, Loaded, Role, Router
from everbake.serving.segments import Full, PredictionLog
from everbake.serving.settle import settle
from everbake.serving.shadows import Read, Shadows

_COUNTED = 422  # this and what the server is to blame for counts against the version
_BUSY = 503  # nobody was asked


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What a request gets.

    Attributes:
        model: the model.
        version: that answered.
        predictions: one a row, None where the model failed.
        ids: one prediction id a row.
        errors: why there is no prediction, by the position of the row.
        logged: whether it stands in the log.
        decisions: one a row, if the version decides; None where the model failed.
    """

    model: str
    version: int
    predictions: list[object]
    ids: list[str]
    errors: Mapping[int, str] = {}
    logged: bool = True
    decisions: list[bool | None] | None = None

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
        answered = Answered(
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
        threshold = self.loaded.threshold
        if threshold is None:
            return answered
        return msgspec.structs.replace(answered, decisions=decided(predictions, threshold))

    def failed(self, code: str) -> Answered:
        """What the log gets of its failure."""
        seconds = time.perf_counter() - self.started
        place = (self.key, self.role, self.live.generation, seconds, code)
        return Answered([self.id], self.now, self.version, [], [], *place)


class _Begun(msgspec.Struct, frozen=True, gc=False):
    """A request that a version answers.

    Attributes:
        asked: who, and when.
        rows: in the request.
        read: gives them again, held against the inputs of another version.
        told: gets the outcome.
    """

    asked: _Asked
    rows: list[Row]
    read: Read
    told: Told


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

    def live(self, name: str, version: str | None = None) -> Live:
        """What answers for a model, or for who names the version that is to answer.

        Raises:
            ProblemError: nothing does, there is no such model, or another version serves.
        """
        found = self._router.live.get(name)
        if found is None:
            raise self._absent(name)
        if version is None:
            return found
        if version != str(found.version):
            raise ProblemError(
                "EB534",
                f'version {version[:20]} of "{name}" does not serve, {found.version} does',
                mend=f"everbake promote {name}@V --reason TEXT makes another one serve",
            )
        return found.alone()

    def known(self, name: str) -> None:
        """See that there is such a model, whether or not it answers now.

        Raises:
            ProblemError: there is none.
        """
        if self._router.read and name not in self._router.known:
            raise self._absent(name)

    async def predict(
        self, name: str, read: Read, key: str | None, version: str | None = None
    ) -> Outcome:
        """Answer one request, whose body has arrived whole.

        Args:
            name: of the model.
            read: gives the rows, held against the inputs of the version that is to answer.
            key: what the caller gave to be answered by the same version each time.
            version: what the caller named, if so; such a request takes no part in a rollout.

        Raises:
            ProblemError: it cannot be answered, or not logged.
        """
        asked = self._asked(name, self.live(name, version), key)
        observing.picked(name, asked.version, asked.role)
        rows: list[Row] = []
        try:
            rows = read(asked.loaded.decoder)
            given: Given = await asked.loaded.answers.answer(rows)
        except ProblemError as problem:
            given = problem
        told: asyncio.Future[Outcome | ProblemError] = asyncio.get_running_loop().create_future()
        self._settle(_Begun(asked, rows, read, partial(settle, told)), given)
        outcome = await told
        if isinstance(outcome, ProblemError):
            raise outcome
        observing.counted(len(outcome.ids))
        return outcome

    def at_once(self, name: str, body: bytes, key: str | None, told: Told) -> bool:
        """Begin to answer a usual request; false where it is anything but that.

        Usual are few rows, in everbake's own JSON. A version is drawn only once for a request: one
        that refuses it is not asked to be another.

        Args:
            name: of the model.
            body: of the request.
            key: what the caller gave to be answered by the same version each time.
            told: gets the outcome once it is logged.
        """
        live = self._router.live.get(name)
        if live is None or body.count(b"{") > FEW:  # each row has one, and so has their list
            return False
        asked = self._asked(name, live, key)

        def read(decoder: RequestDecoder) -> list[Row]:
            return decoder.decode(body)

        try:
            rows = read(asked.loaded.decoder)
        except ProblemError as problem:
            self._fail(_Begun(asked, [], read, told), problem)
            return True
        asked.loaded.answers.ask(rows, partial(self._settle, _Begun(asked, rows, read, told)))
        return True

    def _settle(self, begun: _Begun, given: Given) -> None:
        """Log what a version answered, or that it could not, then tell."""
        asked, rows = begun.asked, begun.rows
        if not isinstance(given, ProblemError):
            given = finite(given)
        if isinstance(given, ProblemError):
            self._fail(begun, given)
            return
        answered = asked.answered(self._ids.of(asked, len(rows)), rows, given)
        errors = errors_of(given)
        logged = answered
        if errors:
            logged, failed = parted(answered, errors)
            self._log.write(asked.name, failed, _unheeded)
        self._log.write(asked.name, logged, partial(self._tell, begun, answered, errors))

    def _fail(self, begun: _Begun, problem: ProblemError) -> None:
        asked = begun.asked
        self._counts.failed(asked.name, asked.version, asked.role, problem.code)
        if problem.status < _COUNTED:
            begun.told(problem)
            return
        # Counts against the version. Where even that cannot be written, the caller learns of the
        # first trouble.
        failed = asked.failed(problem.code)

        def tell(trouble: Exception | None) -> None:
            # What the champion could not answer a shadow may, or fails as well.
            if trouble is None and asked.live.shadowed and problem.status != _BUSY:
                self._shadows.offer(asked.name, asked.live, begun.read, failed)
            begun.told(problem)

        self._log.write(asked.name, failed, tell)

    def _tell(
        self,
        begun: _Begun,
        answered: Answered,
        errors: Mapping[int, str],
        trouble: Exception | None,
    ) -> None:
        """Hand on what was answered, now that it is logged, or could not be."""
        name, live = begun.asked.name, begun.asked.live
        if trouble is not None and self._full == "refuse":
            self._counts.failed(name, answered.version, answered.role, "EB520")
            begun.told(_unlogged(trouble))
            return
        rows, logged = len(answered.ids), trouble is None
        if not logged:
            self._counts.unlogged[name] += rows - len(errors)
        self._counts.answered(name, answered.version, answered.role, rows, answered.seconds)
        if logged and live.shadowed:
            self._shadows.offer(name, live, begun.read, answered)
        predictions = answered.predictions
        if errors:
            predictions = [None if at in errors else one for at, one in enumerate(predictions)]
        version, ids, decisions = answered.version, answered.ids, answered.decisions
        begun.told(Outcome(name, version, predictions, ids, errors, logged, decisions))

    def _asked(self, name: str, live: Live, key: str | None) -> _Asked:
        now, started = self._now(), time.perf_counter()
        first, beside = self._ids.draw(now), live.challenger
        if beside is not None and beside.gets(key, first):
            chosen: tuple[int, Role, Loaded] = (beside.version, "canary", beside.loaded)
        else:
            chosen = (live.version, "champion", live.loaded)
        return _Asked(name, key, live, *chosen, first, now, started)

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


def finite(predictions: list[object]) -> Given:
    """The same, or why they are no answer: one is missing, infinite or not a number."""
    for at, value in enumerate(predictions):
        if not _is_finite(value):
            return ProblemError("EB518", f"the prediction for row {at} is {value}", Place(at))
    return predictions


def _is_finite(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, list):
        return all(map(_is_finite, value))
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    return value is not None


def _unheeded(_: Exception | None) -> None:
    """The other rows of the request, in the same write, tell how it went."""


def _unlogged(trouble: Exception) -> ProblemError:
    return ProblemError(
        "EB520",
        f"the prediction log cannot be written: {trouble}",
        mend="everbake doctor",
        headers=RETRY,
    )
