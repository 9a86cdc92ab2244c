"""Two commands at a time, kill -9 in the middle, repeat what was not acknowledged."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from kills import checks
from kills.project import BOUND, Batch, Command, Project, marked, wait_for
from kills.tape import STEPS

_CONFLICT = 7
_TRIES = 3  # of a batch while nobody kills
_SPAN = 2.2  # seconds within which chance kills: about what two ingests take
_AGAIN = 0.4  # how often whoever takes over is killed, too
# Places of a kill, for the steps that chance has not hit.
PLACES = {
    "parse": ("training.parse:before", "training.parse:after"),
    "commit": ("tables._settle:after", "tables.commit:before"),
    "gap": ("tables.commit:after", "ledger.record:before:data_arrived"),
    "pin": ("ledger.record:before:run_pinned", "training.environment:before"),
    "train": ("ledger.record:before:trained", "training.train:before"),
    "evaluate": ("ledger.record:before:evaluated", "training.evaluate:before"),
    "conclude": ("ledger.record:after:concluded", "ledger.record:before:concluded"),
}
# And the places between those, where something has just taken effect.
EDGES = (
    "tables.stage:after",
    "ledger.record:after:data_arrived",
    "contracts.write:before",
    "ledger.record:after:run_pinned",
    "training.train:after",
    "ledger.record:after:trained",
    "training.evaluate:after",
    "ledger.record:after:evaluated",
    "training.forget:before",
    "release.wait:before",
)


@dataclass(frozen=True)
class Kill:
    """One kill -9.

    Attributes:
        who: the command that died.
        how: at random, or at a barrier.
        steps: what it was in the middle of.
        last: the newest fact then.
    """

    who: str
    how: str
    steps: tuple[str, ...]
    last: str

    def __str__(self) -> str:
        at = "+".join(self.steps) or "waiting"
        return f"{self.who:6} {self.how:42} step {at:16} last fact {self.last}"


@dataclass
class Harness:
    """Sends batches, kills owners, and remembers what was promised.

    Attributes:
        project: the project.
        random: decides what chance decides.
        report: gets a line for each kill.
    """

    project: Project
    random: random.Random
    report: Callable[[str], None] = print
    kills: list[Kill] = field(default_factory=list)
    acknowledged: list[Batch] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)
    _pending: list[Batch] = field(default_factory=list)
    _up: Command | None = None

    @property
    def hits(self) -> Counter[str]:
        """How often each step was hit."""
        return Counter(step for kill in self.kills for step in kill.steps)

    def kill_at_random(self, *, with_up: bool) -> None:
        """Two ingests; one kill or more at any moment of them."""
        self._want_up(with_up=with_up)
        before = len(self.kills)
        while len(self.kills) == before:
            commands = self._two()
            while self._strike(commands) and self.random.random() < _AGAIN:
                pass
            self._collect(commands)

    def kill_at(self, place: str, *, with_up: bool) -> None:
        """Two ingests; the owner dies exactly there."""
        self.project.reached.unlink(missing_ok=True)
        self._repeat()  # a batch that is in already would never get there
        if with_up:
            self._up = self.project.up(place)
        commands = self._two("" if with_up else place)
        wait_for(f"a process at {place}", self.project.reached.exists)
        wait_for("its name", self.project.reached.read_text)
        pid = int(self.project.reached.read_text())
        (victim,) = [each for each in self._alive(commands) if each.process.pid == pid]
        self._kill(victim, place, commands)
        self._collect(commands)

    def kill_after_acknowledgement(self) -> None:
        """`up` dies as soon as a batch was acknowledged."""
        self._want_up(with_up=True)
        assert self._up is not None
        commands = self._two()
        wait_for("an acknowledgement", lambda: any(each.acknowledged for each in commands))
        self._kill(self._up, "after an acknowledgement", commands)
        self._collect(commands)

    def finish(self) -> list[str]:
        """Repeat what is pending, start once more until nothing is due; what does not hold."""
        self._repeat()
        self._last_start()
        return [*self.trouble, *checks.violations(self.project, self.acknowledged)]

    def _repeat(self) -> None:
        """Send again, in peace, whatever was not acknowledged."""
        self._want_up(with_up=False)
        tries = Counter[int]()
        while self._pending:
            commands = self._two(fresh=False)
            tries.update(each.batch.number for each in commands if each.batch)
            self._collect(commands)
            for batch in [each for each in self._pending if tries[each.number] >= _TRIES]:
                self._pending.remove(batch)
                self.trouble.append(f"refused: batch {batch.number} was never acknowledged")

    def _last_start(self) -> None:
        up = self.project.up()
        with suppress(TimeoutError):  # what is not settled then, the checks name
            wait_for("nothing is due", self._settled, BOUND / 3)
        code = up.end()
        if code != 0:
            self.trouble.append(f"end: `up` ended with {code}: {up.complained.read_text()}")
        self._orphans(up)

    def _settled(self) -> bool:
        with checks.reading(self.project.folder) as reader:
            rows = reader.rows("models")
            return all(r["running"] is None and r["covered"] == r["data_version"] for r in rows)

    def _want_up(self, *, with_up: bool) -> None:
        alive = self._up is not None and self._up.running
        if with_up and not alive:
            self._up = self.project.up()
        if not with_up and alive:
            assert self._up is not None
            self._up.end()
            self._orphans(self._up)

    def _two(self, barrier: str = "", *, fresh: bool = True) -> list[Command]:
        """Two ingests at once: what waits to be repeated first, then new batches."""
        batches, self._pending = self._pending[:2], self._pending[2:]
        while fresh and len(batches) < 2:
            batches.append(self.project.batch())
        return [self.project.ingest(batch, barrier) for batch in batches]

    def _strike(self, commands: list[Command]) -> bool:
        """Kill the owner after a moment, if there is one and somebody waits for an answer."""
        delay = self.random.uniform(0, _SPAN)
        until = time.monotonic() + delay
        wait_for(
            "the moment",
            lambda: time.monotonic() > until or not any(each.running for each in commands),
        )
        self.project.told.look()
        owners = [e for e in self._alive(commands) if e.process.pid == self.project.told.owner]
        if not owners or not any(each.running for each in commands):
            return False
        self._kill(owners[0], f"at random, after {delay:.3f} s", commands)
        return True

    def _alive(self, commands: list[Command]) -> list[Command]:
        everybody = [*commands, *([self._up] if self._up else [])]
        return [each for each in everybody if each.running]

    def _kill(self, victim: Command, how: str, commands: list[Command]) -> None:
        promised = [*self.acknowledged, *[e.batch for e in commands if e.batch and e.acknowledged]]
        victim.kill()
        if victim.process.returncode != -9:
            return  # it had ended before
        last = checks.last_fact(self.project.folder)
        steps = tuple(self.project.told.at(victim.process.pid))
        who = "up" if victim.batch is None else "ingest"
        self.kills.append(Kill(who, how, steps, last))
        self.report(f"kill {len(self.kills):3} {self.kills[-1]}")
        for batch in promised:
            if not checks.arrived(self.project.folder, batch):
                self.trouble.append(f"early: batch {batch.number} was acknowledged without a fact")
        self._orphans(victim)

    def _orphans(self, command: Command) -> None:
        """What a process has started dies with it, but for who answers predictions."""
        serving = command.killed

        def left() -> list[int]:
            return marked(command.mark, but_serving=serving)

        try:
            wait_for("its processes are gone", lambda: not left(), 15.0)
        except TimeoutError:
            self.trouble.append(f"leftover: {left()} outlived their owner")

    def _collect(self, commands: list[Command]) -> None:
        """Wait for what still runs; note what was acknowledged, and what has to be repeated."""
        for command in commands:
            code = command.process.wait(BOUND)
            batch = command.batch
            assert batch is not None
            if command.acknowledged:
                self.acknowledged.append(batch)
                continue
            self._pending.append(batch)
            if code != _CONFLICT and not command.killed:
                text = command.said.read_text() + command.complained.read_text()
                self.trouble.append(f"exit code {code} of batch {batch.number}: {text}")


def least_hit(harness: Harness, times: int) -> list[str]:
    """Places for the steps that were hit less often than that."""
    places = []
    for step in STEPS:
        missing = max(0, times - harness.hits[step])
        places += [PLACES[step][turn % 2] for turn in range(missing)]
    return places


@contextmanager
def ended(harness: Harness):
    """Whatever happens, no process of the project stays."""
    try:
        yield harness
    finally:
        for pid in marked(harness.project.mark):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
