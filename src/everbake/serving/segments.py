"""Writes the prediction log: nothing is answered before it stands here.

All that is answered in one tick of the event loop goes to a model's segment with one write, and
the answers leave after it. What the page cache has survives the death of the process; against
power loss, `sync="tick"` also waits for the disk.
"""

import asyncio
import contextlib
import fcntl
import itertools
import logging
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import msgspec

from everbake.core.frames import SUFFIX, Answered, FrameWriter, SegmentHeader, framed
from everbake.serving.settle import settle

Sync = Literal["none", "tick"]
Full = Literal["refuse", "answer"]
Told = Callable[[Exception | None], None]

_FULL = 64 * 1024 * 1024
_encode = msgspec.msgpack.Encoder().encode
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LogPlace:
    """Where a worker logs, and how.

    Attributes:
        directory: holds one directory a model.
        worker: the worker's number.
        sync: `none`, or `tick` to wait for the disk.
        full: bytes after which a new segment is begun.
    """

    directory: Path
    worker: int
    sync: Sync = "none"
    full: int = _FULL


class _Segment:
    """An open segment file, which ends with a whole frame after every call."""

    def __init__(self, path: Path, header: bytes) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.frames = FrameWriter()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self.descriptor = os.open(path, flags, 0o600)
        self.size = 0
        try:
            # Held until it is closed, by whatever end: so others see that more may follow.
            fcntl.flock(self.descriptor, fcntl.LOCK_SH)
            self.write(header)
        except OSError:
            self.close()
            path.unlink()
            raise

    def write(self, data: bytes) -> None:
        """Append all of it, or nothing and raise."""
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self.descriptor, rest) :]
        except OSError:
            os.ftruncate(self.descriptor, self.size)
            raise
        self.size += len(data)

    def close(self) -> None:
        os.close(self.descriptor)


@dataclass
class _Tick:
    """What one tick answers for one model, and who waits until it is written."""

    answered: list[Answered] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)

    def tell(self, trouble: Exception | None) -> None:
        """Say how it went. Whoever fails over that keeps nobody else waiting."""
        for told in self.told:
            try:
                told(trouble)
            except Exception:  # noqa: BLE001 - whatever it is
                _log.exception("an answer that is logged could not be sent")

    def sifted(self) -> "_Tick":
        """Those whose answers can be encoded; the others are told why theirs cannot."""
        sound = _Tick()
        for answered, told in zip(self.answered, self.told, strict=True):
            try:
                FrameWriter().frames(answered)
            except Exception as error:  # noqa: BLE001 - whatever it is, it concerns this one alone
                _Tick([answered], [told]).tell(error)
            else:
                sound.answered.append(answered)
                sound.told.append(told)
        return sound


@dataclass(frozen=True)
class _Written:
    """A tick that stands in a segment."""

    model: str
    segment: _Segment
    tick: _Tick


class PredictionLog:
    """The log of one worker. All methods belong to the event loop's thread.

    Args:
        place: where and how.
        head: position and hash of the ledger's last entry.
    """

    def __init__(self, place: LogPlace, head: Callable[[], tuple[int, str]]) -> None:
        self._place = place
        self._head = head
        self._count = itertools.count()
        self._segments: dict[str, _Segment] = {}
        self._ticks: dict[str, _Tick] = {}
        self._syncing: set[asyncio.Task[None]] = set()

    def append(self, model: str, answered: Answered) -> "asyncio.Future[Exception | None]":
        """Log an answer; the future tells when it is written, or why it could not be."""
        written = asyncio.get_running_loop().create_future()
        self.write(model, answered, partial(settle, written))
        return written

    def write(self, model: str, answered: Answered, told: Told) -> None:
        """Log an answer; `told` is called when it is written, or with why it could not be."""
        tick = self._ticks.get(model)
        if tick is None:
            tick = self._ticks[model] = _Tick()
            if len(self._ticks) == 1 and not self._syncing:
                asyncio.get_running_loop().call_soon(self._flush)
        tick.answered.append(answered)
        tick.told.append(told)

    async def close(self) -> None:
        """Write what waits, and close all segments."""
        self._flush()
        await asyncio.gather(*self._syncing)
        for model in list(self._segments):
            self._leave(model)

    def _flush(self) -> None:
        ticks, self._ticks = self._ticks, {}
        written = [
            one for model, tick in ticks.items() if (one := self._commit(model, tick)) is not None
        ]
        if self._place.sync == "none":
            for one in written:
                one.tick.tell(None)
        elif written:
            self._syncing.add(asyncio.get_running_loop().create_task(self._sync(written)))

    def _commit(self, model: str, tick: _Tick) -> _Written | None:
        """Write a tick without those that cannot be encoded; None if nothing of it stands."""
        try:
            segment = self._segments.get(model)
            if segment is None or segment.size >= self._place.full:
                segment = self._begin(model)
            segment.write(b"".join(map(segment.frames.frames, tick.answered)))
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must be told
            # A segment that may end in the middle of a frame takes no further ones, nor does one
            # whose writer may take names for written that are not.
            self._leave(model)
            sound = tick.sifted()
            if len(sound.told) < len(tick.told):
                return self._commit(model, sound) if sound.told else None
            tick.tell(error)
            return None
        return _Written(model, segment, tick)

    def _begin(self, model: str) -> _Segment:
        self._leave(model)
        # The count keeps segments of one millisecond in order.
        unique = f"{next(self._count):04x}{secrets.token_hex(4)}"
        name = f"{self._place.worker}-{time.time_ns() // 1_000_000:013d}-{unique}"
        header = SegmentHeader(model, self._place.worker, self._head())
        path = self._place.directory / model / (name + SUFFIX)
        segment = self._segments[model] = _Segment(path, framed(_encode(header)))
        return segment

    def _leave(self, model: str) -> None:
        segment = self._segments.pop(model, None)
        if segment is not None:
            with contextlib.suppress(OSError):  # closing is all that can still be done with it
                segment.close()

    async def _sync(self, written: list[_Written]) -> None:
        loop = asyncio.get_running_loop()
        for one in written:
            try:
                await loop.run_in_executor(None, os.fdatasync, one.segment.descriptor)
            except OSError as error:
                self._leave(one.model)
                one.tick.tell(error)
            else:
                one.tick.tell(None)
        self._syncing.clear()
        if self._ticks:  # what came meanwhile goes out together
            self._flush()
