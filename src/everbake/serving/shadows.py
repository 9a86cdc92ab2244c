"""Scores requests once more, by a challenger in its shadow rollout, after they were answered.

Nobody waits for a shadow: what comes faster than it can be scored is dropped and counted.
"""

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

from everbake.core.frames import Answered
from everbake.serving.deciding import decided
from everbake.serving.decode import RequestDecoder, Row
from everbake.serving.partial import errors_of, parted
from everbake.serving.problems import ProblemError
from everbake.serving.router import Challenger, Live
from everbake.serving.segments import PredictionLog

Read = Callable[[RequestDecoder], list[Row]]

_WAITING = 256  # requests
_ROWS = 10_000  # of them together, or as many as one request may have
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Shadow:
    """A request that was answered, and is to be scored again."""

    model: str
    generation: int
    challenger: Challenger
    read: Read
    answered: Answered


class Shadows:
    """The shadows of one worker.

    Args:
        log: where their scores are written.
        now: the time.
        shed: counts the requests that were dropped, by model.
    """

    def __init__(self, log: PredictionLog, now: Callable[[], float], shed: Counter[str]) -> None:
        self._log = log
        self._now = now
        self._waiting: deque[_Shadow] = deque()
        self._rows = 0
        self._work: asyncio.Task[None] | None = None
        self._shed = shed

    def offer(
        self,
        model: str,
        live: Live,
        read: Read,
        answered: Answered,
    ) -> None:
        """Score this request soon, or never."""
        full = len(self._waiting) >= _WAITING or self._rows >= _ROWS
        if live.challenger is None or full:
            self._shed[model] += 1
            return
        self._waiting.append(_Shadow(model, live.generation, live.challenger, read, answered))
        self._rows += len(answered.ids)
        if self._work is None or self._work.done():
            self._work = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Drop what waits."""
        self._waiting.clear()
        self._rows = 0
        if self._work is not None:
            self._work.cancel()
            await asyncio.gather(self._work, return_exceptions=True)

    async def _run(self) -> None:
        while self._waiting:
            await asyncio.sleep(0)  # whoever waits for an answer comes first
            shadow = self._waiting.popleft()
            self._rows -= len(shadow.answered.ids)
            try:
                await self._score(shadow)
            except Exception:  # noqa: BLE001 - the next one may go well
                _log.exception("a shadow failed")

    async def _score(self, shadow: _Shadow) -> None:
        started = time.perf_counter()
        predictions: list[object] = []
        error = None
        try:
            rows = shadow.read(shadow.challenger.loaded.decoder)
            predictions = await shadow.challenger.loaded.answers.answer(rows)
        except ProblemError as problem:
            error = problem.code
        seen, threshold = shadow.answered, shadow.challenger.loaded.threshold
        predictions = predictions[: len(seen.ids)]  # of what the champion failed, one is for all
        scored = Answered(
            seen.ids,
            self._now(),
            shadow.challenger.version,
            [],
            predictions,
            seen.key,
            "shadow",
            shadow.generation,
            time.perf_counter() - started,
            error,
            decisions=None if threshold is None else decided(predictions, threshold),
        )
        errors = errors_of(predictions)
        if errors:
            scored, failed = parted(scored, errors)
            await self._log.append(shadow.model, failed)
        if scored.ids:
            await self._log.append(shadow.model, scored)
