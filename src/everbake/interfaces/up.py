"""The process behind `everbake up`: owner, watcher, and parent of the prediction workers."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import msgspec

from everbake import wiring
from everbake.config.settings import Settings
from everbake.core.loop import model_state
from everbake.core.rollout_facts import Exposure, RolloutEnded, RolloutMoved, RolloutOpened
from everbake.engine.channel import Channel
from everbake.engine.owner import Owner
from everbake.engine.watching import Folders, Watched
from everbake.errors import ConflictError, DataError, EverbakeError, HealthError, RecipeError
from everbake.serving.handover import acknowledged, survivors
from everbake.wire import connected

LOOK = 0.25  # seconds between two looks at folders and recipes
READY = 90.0  # seconds for the workers to be ready; a worker gives its first models 60
AGAIN = 3.0  # seconds after which a file is tried again that could not be taken
_GOODBYE = 15.0  # seconds beside those of requests: more than a worker itself gives them
_ENDED = "EB416"  # what threads are told once the owner has ended


@dataclass(frozen=True)
class Up:
    """What `up` is told.

    Attributes:
        project: the folder.
        host: address to bind; loopback only.
        port: 0 picks a free one.
        workers: processes that answer.
    """

    project: Path
    host: str
    port: int
    workers: int


Narrate = Callable[[str], None]


@contextmanager
def running(up: Up, settings: Settings, narrate: Narrate) -> Iterator[tuple[Owner, str]]:
    """Be the owner, answer commands and predictions, until left.

    Yields:
        The owner, and the address of the prediction server.

    Raises:
        ConflictError: another process owns the project, or has the port.
    """
    there = wiring.places(up.project)
    with ExitStack() as stack:
        owner = stack.enter_context(wiring.owning(up.project, narrate))
        if owner is None:
            raise ConflictError(
                "EB401",
                "another everbake process owns this project",
                where=str(there.project),
                mend="stop the other `everbake up`, or use it",
            )
        before = survivors(there.serving)
        listener = stack.enter_context(before.listener(up.port) or _listener(up.host, up.port))
        workers = Workers(up, settings, listener, narrate)
        stack.callback(workers.stop)
        workers.start()
        channel = Channel(there.socket, owner, _unforeseen(narrate))
        stack.callback(channel.close)
        owner.prepare()
        workers.wait_until_ready()
        before.end()
        workers.keep()
        port = listener.getsockname()[1]
        yield owner, f"http://{up.host}:{port}"


def _unforeseen(narrate: Narrate) -> Callable[[Exception], None]:
    return lambda error: narrate("".join(traceback.format_exception(error)))


def _listener(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConflictError(
            "EB417",
            f"port {port} cannot be used",
            where=host,
            why=error.strerror or str(error),
            mend="everbake up --port 0 picks a free one",
        ) from error
    listener.listen(1024)
    return listener


def goodbye(settings: Settings) -> float:
    """Seconds for a worker to end: what is under way may arrive first, and then be answered."""
    return 2 * settings.request_seconds + _GOODBYE


def _spoken(settings: Settings) -> str:
    """The settings as an argument; the ledger's address may hold a password, and stays here."""
    return msgspec.json.encode(replace(settings, ledger="")).decode()


class Workers:
    """The processes that answer requests, and the one that records. Who ends is started anew."""

    def __init__(
        self, up: Up, settings: Settings, listener: socket.socket, narrate: Narrate
    ) -> None:
        """Prepare `up.workers` processes on one listening socket, and the recorder."""
        self._up = up
        self._listener = listener
        self._narrate = narrate
        self._goodbye = goodbye(settings)
        self._told = ""
        self._commands = {
            f"worker {number}": _worker(number, up, settings, listener)
            for number in range(up.workers)
        }
        self._commands["recorder"] = _entry("record", up)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._stopped = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="workers", daemon=True)

    def keep(self) -> None:
        """From now on, start whoever ends anew."""
        self._keeper.start()

    def _keep(self) -> None:
        while not self._stopped.wait(LOOK):
            for name in self._commands:
                try:
                    self._start(name)
                except Exception as error:  # noqa: BLE001 - it is tried again at the next look
                    self._complain(f"{name} cannot be looked after: {error}\n")

    def _complain(self, text: str) -> None:
        """Tell what is wrong, once, to whoever still listens."""
        if text != self._told:
            self._told = text
            with suppress(Exception):
                self._narrate(text)

    def start(self) -> None:
        """Start whoever is not running."""
        for name in self._commands:
            self._start(name)

    def _start(self, name: str) -> None:
        process = self._processes.get(name)
        if process is not None and process.poll() is None:
            return
        self._processes[name] = self._spawn(self._commands[name])
        if process is not None:  # told last: who cannot be told keeps nobody from working
            self._narrate(f"{name} ended ({process.returncode}); it was started anew\n")

    def wait_until_ready(self) -> None:
        """Return when all workers answer, and labels are taken.

        Raises:
            HealthError: one of them does not come up.
        """
        there = wiring.places(self._up.project)
        until = time.monotonic() + READY
        pids = {process.pid for process in self._processes.values()}
        while not self._ready(there, pids):
            dead = [p.returncode for p in self._processes.values() if p.poll() is not None]
            if dead or time.monotonic() > until:
                raise HealthError(
                    "EB418",
                    "the prediction server did not start",
                    why=f"exit codes {dead}" if dead else f"not ready within {READY:.0f} s",
                    mend="everbake doctor",
                )
            time.sleep(0.01)

    def _ready(self, there: wiring.Places, pids: set[int]) -> bool:
        answering = pids & {said["pid"] for _, said in acknowledged(there.serving)}
        if len(answering) < self._up.workers or not there.intake.exists():
            return False
        taking = connected(there.intake)
        if taking is not None:
            taking.close()
        return taking is not None

    def stop(self) -> None:
        """Let the workers finish what they have begun, and end them; the recorder last."""
        self._stopped.set()
        if self._keeper.is_alive():
            self._keeper.join()
        recorder = self._processes.pop("recorder", None)
        workers = list(self._processes.values())
        for ending in (workers, [] if recorder is None else [recorder]):
            _end(ending, self._goodbye)

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - our own module, no shell
            [sys.executable, "-P", "-m", *command],
            pass_fds=(self._listener.fileno(),),
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr.fileno(),
            start_new_session=True,
        )


def _entry(module: str, up: Up) -> list[str]:
    place = ["--project", str(up.project.absolute()), "--parent", str(os.getpid())]
    return [f"everbake.interfaces.{module}", *place]


def _worker(number: int, up: Up, settings: Settings, listener: socket.socket) -> list[str]:
    return [
        *_entry("serve", up),
        *("--fd", str(listener.fileno())),
        *("--worker", str(number)),
        *("--settings", _spoken(settings)),
    ]


def _end(processes: list[subprocess.Popen[bytes]], seconds: float) -> None:
    until = time.monotonic() + seconds
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Watch:
    """The owner's other reasons to wake up: files, recipes, and time."""

    def __init__(self, up: Up, owner: Owner, narrate: Narrate) -> None:
        """Look after `owner`'s project."""
        there = wiring.places(up.project)
        self._owner = owner
        self._narrate = narrate
        self._folders = Folders(there.project, there.state / "watched.json")
        self._threads: dict[str, threading.Thread] = {}
        self._told: dict[str, str] = {}
        self._later: dict[Path, float] = {}

    def look(self) -> None:
        """Take what has come, and let run what is due. Trouble is told, once, and lived with."""
        try:
            self._look()
        except EverbakeError as error:
            self._complain("", str(error))
        except Exception:  # noqa: BLE001 - one bad look must not end who answers requests
            self._complain("", traceback.format_exc())
        else:
            self._told.pop("", None)

    def _look(self) -> None:
        try:
            models = self._owner.notice_recipes()
            self._told.pop("recipes", None)
        except RecipeError as error:
            models = [str(row["model"]) for row in self._owner.ports.ledger.rows("models")]
            self._complain("recipes", str(error))
        now = time.monotonic()
        for model, path in self._folders.look(self._watched()):
            if self._later.get(path, now) <= now:
                self._take(model, path)
        for model in models:
            self._settle(model)
            self._roll(model)

    def _complain(self, about: str, text: str) -> None:
        """Tell what is wrong, unless that was the last thing told about it."""
        if self._told.get(about) != text:
            self._told[about] = text
            self._narrate(f"{text}\n")

    def _watched(self) -> list[Watched]:
        states = [model_state(row) for row in self._owner.ports.ledger.rows("models")]
        declared = [Watched(s.model, s.spec.table.path) for s in states if s.spec.table.path]
        labelled = [
            Watched(s.model, f"{wiring.STATE}/labelled/{s.model}/*.jsonl")
            for s in states
            if s.spec.table.from_predictions
        ]
        return declared + labelled

    def _take(self, model: str, path: Path) -> None:
        """One file is one batch. What is not the file's own fault is tried again, later."""
        try:
            received = self._owner.ingest(model, (str(path),), (path.name,))
        except DataError as error:
            self._narrate(f"{error}\n")
        except EverbakeError as error:
            self._complain(str(path), f"{path.name} waits: {error}")
            self._later[path] = time.monotonic() + AGAIN
            return
        else:
            if received.quarantine:
                self._narrate(f"{path.name}: quarantined as {received.quarantine}\n")
            elif not received.duplicate:
                self._narrate(f"{path.name}: data version {received.data_version} of {model}\n")
        self._told.pop(str(path), None)
        self._later.pop(path, None)
        self._folders.took(model, path)

    def _roll(self, model: str) -> None:
        """Take the step that follows for a version in its rollout."""
        entry = self._owner.begin_rollout(model) or self._owner.look_after_rollout(model)
        if entry is None:
            return
        fact = entry.fact
        if isinstance(fact, RolloutOpened):
            self._narrate(f"{model}@{fact.version}: {_exposed(fact.exposure)} begins\n")
        elif isinstance(fact, RolloutMoved):
            self._narrate(f"{model}@{fact.version}: {_exposed(fact.exposure)}. {fact.because}\n")
        elif isinstance(fact, RolloutEnded):
            outcome = fact.outcome.replace("_", " ")
            self._narrate(f"{model}@{fact.version}: {outcome}. {fact.because}\n")

    def _settle(self, model: str) -> None:
        """Run what is due in a thread of the model's own: one model does not hold up another."""
        thread = self._threads.get(model)
        if thread is not None and thread.is_alive():
            return
        if self._owner.next_run(model) is None:
            return
        self._threads[model] = self._owner.threads.start(f"runs-{model}", partial(self._run, model))

    def _run(self, model: str) -> None:
        try:
            for concluded in self._owner.settle(model):
                verdict = concluded.verdict or concluded.error or concluded.state
                name = model if concluded.version is None else f"{model}@{concluded.version}"
                self._narrate(f"run {concluded.run}: {name} {verdict}\n")
        except EverbakeError as error:
            if error.code != _ENDED:
                self._complain(f"runs of {model}", str(error))


def _exposed(exposure: Exposure) -> str:
    if exposure.kind == "shadow":
        return "shadow"
    return f"canary of {100 * exposure.share:.4g} %"


def serve_until_told(up: Up, settings: Settings, ready: Narrate, narrate: Narrate) -> None:
    """Own, serve and watch until SIGINT or SIGTERM.

    Args:
        up: what to serve.
        settings: of the project.
        ready: gets the server's address once it answers.
        narrate: gets what happens.
    """
    told = threading.Event()
    # Whoever opens a watched file at the moment in which we ask for its lease would end us.
    signal.signal(signal.SIGIO, signal.SIG_IGN)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: told.set())
    with running(up, settings, narrate) as (owner, address):
        ready(address)
        watch = Watch(up, owner, narrate)
        while not told.wait(LOOK):
            watch.look()
