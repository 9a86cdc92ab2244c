"""Follows the deployments of the ledger: load first, then swap, then acknowledge.

Every model is brought to its deployment by a task of its own, so a slow or broken one holds up
nobody else; whatever goes wrong with a new version, the old one goes on answering.
"""

import asyncio
import contextlib
import json
import logging
import os
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from everbake.core.rollout_facts import Exposure
from everbake.core.tables import Row
from everbake.ports import Reader
from everbake.serving.load import Loader
from everbake.serving.router import Challenger, Live, Loaded, Router

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
_FIRST_LOAD = 60.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Beside:
    """Who is in its rollout, and what it gets to see."""

    version: int
    bundle: str
    exposure: Exposure


@dataclass(frozen=True)
class Target:
    """A row of the deployments."""

    model: str
    version: int
    bundle: str
    previous_bundle: str | None
    generation: int
    beside: Beside | None

    @staticmethod
    def of(row: Row) -> "Target":
        """The target that a row describes."""
        previous = row["previous_bundle"]
        return Target(
            str(row["model"]),
            int(row["version"] or 0),
            str(row["bundle"]),
            None if previous is None else str(previous),
            int(row["generation"] or 0),
            _beside(row),
        )

    @property
    def bundles(self) -> tuple[str, ...]:
        """What has to be loaded."""
        return (self.bundle,) if self.beside is None else (self.bundle, self.beside.bundle)


def _beside(row: Row) -> Beside | None:
    if row.get("challenger") is None:
        return None
    names = {field: row[field] for field in ("kind", "unit", "salt", "share")}
    exposure = msgspec.convert(names, Exposure)
    return Beside(int(row["challenger"] or 0), str(row["challenger_bundle"]), exposure)


@dataclass(frozen=True)
class WatchPlace:
    """How a worker watches and where it acknowledges.

    Attributes:
        folder: of all workers' acknowledgements.
        worker: its number.
        poll: seconds between two looks.
        orphaned: whether the owner is gone.
    """

    folder: Path
    worker: int
    poll: float = 0.05
    orphaned: Callable[[], bool] = lambda: False

    @property
    def acknowledgement(self) -> Path:
        """The worker's own file; the number belongs to the next owner's, once this one is gone."""
        name = f"gone-{os.getpid()}" if self.orphaned() else str(self.worker)
        return self.folder / f"{name}.json"


class Watcher:
    """Keeps the router at the ledger's deployments.

    Args:
        reader: the ledger.
        loader: of bundles.
        router: to change.
        place: of the acknowledgement.
    """

    def __init__(self, reader: Reader, loader: Loader, router: Router, place: WatchPlace) -> None:
        self._reader = reader
        self._loader = loader
        self._router = router
        self._place = place
        self._seen: int | None = None
        self._told: tuple[Path, bytes] | None = None
        self._targets: dict[str, Target] = {}
        self._errors: dict[str, str] = {}
        self._kept: dict[tuple[str, str], Loaded] = {}
        self._loading: dict[tuple[str, str], asyncio.Task[Loaded]] = {}
        self._moving: dict[str, asyncio.Task[None]] = {}
        self._news: dict[str, asyncio.Event] = {}
        self._others: set[asyncio.Task[None]] = set()
        self._started = False
        self._trouble = ""

    async def start(self) -> None:
        """Load what is deployed, or find that it cannot be loaded; then follow."""
        self._look()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FIRST_LOAD):
                while any(self._untried(model) for model in self._targets):
                    await asyncio.sleep(self._place.poll / 10)
        self._started = True
        self._acknowledge()
        self._spawn(self._follow())

    async def stop(self) -> None:
        """Let go of everything."""
        tasks = [*self._others, *self._moving.values(), *self._loading.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for loaded in self._kept.values():
            await loaded.answers.close()
        self._withdraw()

    def _untried(self, model: str) -> bool:
        return model not in self._router.live and model not in self._errors

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._others.add(task)
        task.add_done_callback(self._others.discard)

    async def _follow(self) -> None:
        while True:
            self._look()
            await asyncio.sleep(self._place.poll)

    def _look(self) -> None:
        try:
            self._read()
        except Exception:  # noqa: BLE001 - a ledger out of reach is asked again; what is loaded goes on
            _log.exception("the ledger cannot be read")
        for model, live in self._router.live.items():
            if not live.alive:
                self._move(model)
        self._acknowledge()

    def _read(self) -> None:
        number = self._reader.version()
        if number == self._seen:
            return
        targets = {str(row["model"]): Target.of(row) for row in self._reader.rows("deployments")}
        self._router.known = frozenset(str(row["model"]) for row in self._reader.rows("models"))
        self._seen = number
        self._router.read = True
        before, self._targets = self._targets, targets
        for model, target in targets.items():
            if before.get(model) != target:
                self._errors.pop(model, None)
                self._move(model)

    def _move(self, model: str) -> None:
        """Have the model brought to its target, or tell the task that does it of the new one."""
        self._news.setdefault(model, asyncio.Event()).set()
        if model not in self._moving:
            task = asyncio.get_running_loop().create_task(self._reconcile(model))
            self._moving[model] = task

    async def _reconcile(self, model: str) -> None:
        pause = _FIRST_PAUSE
        try:
            while not self._arrived(model):
                self._news[model].clear()
                target = self._targets[model]
                await self._try_until_news(target)
                if self._targets[model] != target:
                    pause = _FIRST_PAUSE
                elif not self._arrived(model):
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._news[model].wait(), pause)
                    pause = min(2 * pause, _LONGEST_PAUSE)
        finally:
            del self._moving[model]
            self._acknowledge()
        self._spawn(self._tidy(model))

    def _arrived(self, model: str) -> bool:
        live = self._router.live.get(model)
        if live is None or not live.alive:
            return False
        return live.generation == self._targets[model].generation

    async def _try_until_news(self, target: Target) -> None:
        """A load that a newer target overtakes is left to itself: who wants it later meets it."""
        news = self._news[target.model]
        trying = asyncio.get_running_loop().create_task(self._try(target))
        try:
            while not trying.done() and self._targets[target.model] == target:
                news.clear()
                told = asyncio.get_running_loop().create_task(news.wait())
                try:
                    await asyncio.wait({trying, told}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    told.cancel()
        finally:
            trying.cancel()

    async def _try(self, target: Target) -> None:
        try:
            loaded = [await self._load(target.model, bundle) for bundle in target.bundles]
        except Exception as error:  # noqa: BLE001 - whatever it is, the old version answers on
            if self._targets[target.model] == target:
                self._errors[target.model] = f"version {target.version}: {error}"
                self._acknowledge()
            return
        if self._targets[target.model] == target:
            live = _live(target, *loaded)
            self._router.live = {**self._router.live, target.model: live}
            self._errors.pop(target.model, None)

    async def _load(self, model: str, bundle: str) -> Loaded:
        kept = self._kept.get((model, bundle))
        if kept is not None and kept.answers.alive:
            return kept
        loading = self._loading.get((model, bundle))
        if loading is None:  # else a rollback meets the warming of what it goes back to
            loading = asyncio.get_running_loop().create_task(self._fetch(model, bundle))
            self._loading[model, bundle] = loading
        return await asyncio.shield(loading)

    async def _fetch(self, model: str, bundle: str) -> Loaded:
        try:
            loaded = await self._loader.load(bundle)
            self._kept[model, bundle] = loaded
        finally:
            del self._loading[model, bundle]
        if model not in self._moving:  # it may have been overtaken, and nobody waits for it
            self._spawn(self._release(model))
        return loaded

    async def _tidy(self, model: str) -> None:
        """Keep the previous champion warm, let go of all that came before it."""
        await self._release(model)
        previous = self._targets[model].previous_bundle
        if previous is None or model in self._moving:
            return
        try:
            await self._load(model, previous)
        except Exception as error:  # noqa: BLE001 - tried again once it is to serve
            _log.warning("%s: the previous champion is not warm: %s", model, error)
        await self._release(model)

    async def _release(self, model: str) -> None:
        for key in [key for key in self._kept if key[0] == model]:
            # Asked anew each time: while one closes, another may be wanted again.
            if key in self._kept and not self._wanted(*key):
                await self._kept.pop(key).answers.close()

    def _wanted(self, model: str, bundle: str) -> bool:
        target, live = self._targets[model], self._router.live[model]
        beside = () if live.challenger is None else (live.challenger.loaded.bundle,)
        serving = (live.loaded.bundle, *beside)
        return bundle in (*target.bundles, target.previous_bundle, *serving)

    def _acknowledge(self) -> None:
        """Say what answers now, if that has changed; tried again at the next look."""
        self._router.waiting = {
            model: self._errors.get(model, "")
            for model in self._targets
            if (live := self._router.live.get(model)) is None or not live.loaded.answers.alive
        }
        content = json.dumps(self._content()).encode()
        path = self._place.acknowledgement
        if self._told == (path, content) or not self._started:
            return
        fresh = path.with_suffix(".new")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh.write_bytes(content)
            fresh.replace(path)
        except OSError as error:
            if str(error) != self._trouble:  # looked at many times a second
                _log.warning("%s cannot be written: %s", path, error)
            self._trouble = str(error)
        else:
            if self._told is not None and self._told[0] != path:
                self._withdraw()
            self._told, self._trouble = (path, content), ""

    def _withdraw(self) -> None:
        """Remove what was acknowledged, unless another worker has taken the file over."""
        if self._told is None:
            return
        path, content = self._told
        with contextlib.suppress(OSError):
            if path.read_bytes() == content:
                path.unlink()

    def _content(self) -> Mapping[str, object]:
        live = self._router.live
        return {
            "pid": os.getpid(),
            "generation": self._generation(),
            "models": {
                name: {"version": one.version, "generation": one.generation}
                for name, one in live.items()
            },
            "errors": self._errors,
            "failed": {name: self._targets[name].generation for name in self._errors},
        }

    def _generation(self) -> int:
        """The newest generation up to which every deployment answers."""
        live = self._router.live
        done = {
            name: name in live and live[name].generation == target.generation
            for name, target in self._targets.items()
        }
        first_missing = min(
            (self._targets[name].generation for name, there in done.items() if not there),
            default=None,
        )
        return max(
            (
                target.generation
                for name, target in self._targets.items()
                if done[name] and (first_missing is None or target.generation < first_missing)
            ),
            default=0,
        )


def _live(target: Target, loaded: Loaded, challenger: Loaded | None = None) -> Live:
    beside = target.beside
    if beside is None or challenger is None:
        return Live(target.version, target.generation, loaded)
    exposed = Challenger(beside.version, challenger, beside.exposure)
    return Live(target.version, target.generation, loaded, exposed)
