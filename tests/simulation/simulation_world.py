"""A world in memory: what survives a crash, and ports onto it for one life of an owner."""

import itertools
import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import numpy as np

from everbake.adapters.memory_ledger import MemoryLedger
from everbake.core.contract import ColumnRule, Contract, Parsed, StagedFile
from everbake.core.dataset import Finding, FindingCount, Special
from everbake.core.facts import digest
from everbake.core.gate import judge
from everbake.core.gate.looks import level_of
from everbake.core.look_facts import Look
from everbake.core.pending import rows_wanted
from everbake.core.rollout.planning import Baseline
from everbake.core.rollout.tally import Arm, StageTally, Tally
from everbake.core.spec import GateSpec, PartSpec, RecipeSpec, SplitSpec, Table, UpdateSpec
from everbake.errors import ConflictError, HealthError
from everbake.metrics import mean_squared_error
from everbake.ports import Compared, Described, Failure, TooFew, TrainedModel

SPECIAL = Special("y")
MUTATING = {
    "ledger.record",
    "tables.commit",
    "blobs.put",
    "blobs.put_file",
    "contracts.write",
}


CANARY = PartSpec(
    kind="canary",
    shares=(0.1, 0.5),
    unit="request",
    dwell=(0.0, 0.0),
    least=(1, 1),
    limit=1e9,
    most=10**9,
    latency=None,
    error_rate=0.01,
    margins=(0.005, 0.01),
    relative=0.25,
    margin=None,
)


def spec(model):
    """The recipe of a model."""
    return RecipeSpec(
        name=model,
        table=Table(label="y"),
        gate=GateSpec("mean_squared_error", "lower", "refresh", 0.05, 0.01, 0.0, "keep"),
        split=SplitSpec("time", 0.2),
        refit=False,
        params={},
        seed=3,
        trigger_rows=1,
        memory_bytes=1,
        time_seconds=1.0,
        threads=1,
        source=f"recipes/{model}.py",
        rollout=(CANARY,) if model == "c" else (),
        update=UpdateSpec(after_runs=1) if model == "b" else None,
    )


class Clock:
    """Virtual time: each look at it takes a second."""

    def __init__(self):
        self._now = 0.0

    def now(self):
        self._now += 1.0
        return self._now

    def sleep(self, seconds):
        self._now += seconds


@dataclass
class Durable:
    """What survives: each kind of store keeps its own state. And what lies outside: files."""

    clock: Clock = field(default_factory=Clock)
    tables: dict = field(default_factory=dict)  # model -> list of (fact, rows)
    blobs: dict = field(default_factory=dict)
    contracts: dict = field(default_factory=dict)
    released: dict = field(default_factory=dict)  # model -> generation that is served
    leisure: list = field(default_factory=list)  # not durable: what a life means to do later
    recipes: dict = field(default_factory=dict)  # model -> text of its code
    files: dict = field(default_factory=dict)  # path -> list of (x, y), or text that is no data
    ledger: MemoryLedger = None

    def __post_init__(self):
        self.ledger = MemoryLedger(self.clock)


class Tables:
    def __init__(self, world):
        self._world = world
        self.staged = {}

    def stage(self, model):
        self.staged.clear()
        return Path(f"/stage/{model}")

    def commit(self, files, arrived):
        commits = self._world.tables.setdefault(arrived.model, [])
        if commits and commits[-1][0].version >= arrived.version:
            raise ConflictError("EB601", "the table holds this data version already")
        rows = [row for file in files for row in self.staged[file.path]]
        committed = replace(arrived, table_version=len(commits))
        commits.append((committed, rows))
        return committed

    def orphans(self, model, after):
        return [fact for fact, _ in self._world.tables.get(model, []) if fact.version > after]

    def files(self, arrived):
        return [f"{arrived.model}/{arrived.version}"]


class Blobs:
    def __init__(self, world):
        self._world = world

    def put(self, data):
        blob = digest(data.decode())
        self._world.blobs[blob] = data
        return blob

    def put_file(self, path):
        return self.put(json.dumps(self._world.files[str(path)]).encode())

    def get(self, blob):
        if blob not in self._world.blobs:
            raise HealthError("EB604", "a stored file is gone")
        return self._world.blobs[blob]

    def path(self, blob):
        return Path(f"/blobs/{blob}")


class Recipes:
    def __init__(self, world, blobs):
        self._world = world
        self._blobs = blobs

    def sources(self):
        return [spec(model).source for model in sorted(self._world.recipes)]

    def changed(self, sources, known):
        found = []
        for model, text in sorted(self._world.recipes.items()):
            code, source = digest(text), spec(model).source
            if source in sources and known.get(source) != code:
                found.append(Described(code, self._blobs.put(text.encode()), spec(model)))
        return found


class Contracts:
    def __init__(self, world):
        self._world = world

    def read(self, model, special, latest, at):
        held = self._world.contracts.get(model)
        if held is not None and latest is not None:
            at(held[1])
        return latest

    def write(self, model, contract, version):
        self._world.contracts[model] = (contract, version)


class Training:
    """Learns the mean of y; what the text of the code says happens.

    `broken` raises, `bad` learns wrong, `unsure until 80` cannot be decided about by fewer rows,
    `mute` cannot be looked at again, `superb` surpasses the best version so far, `fragile` does not
    run any more once it is that version and not the champion.
    """

    def __init__(self, world, blobs, tables):
        self._world = world
        self._blobs = blobs
        self._tables = tables

    def prepare(self, snapshot, source):
        """Nothing gets warm here."""

    def parse(self, batch, stage, contract, first_row):
        rows = [row for source in batch.sources for row in self._rows(source)]
        texts = [row for row in rows if isinstance(row, str)]
        if texts and batch.mode == "check":
            finding = Finding(1, "x", "type", f"{texts[0]!r} is no number", batch.names[0])
            counts = (FindingCount("type", "x", len(texts)),)
            return Parsed(len(rows), "", (), (), (finding,), counts, (), None, 0.0)
        kept = [row for row in rows if not isinstance(row, str)]
        path = f"{stage}/{first_row}"
        self._tables.staged[path] = kept
        before = contract.rows if contract else 0
        held = Contract((ColumnRule("y", "float64"),), SPECIAL, before + len(kept))
        digest_ = digest(*sorted(map(str, kept)))
        staged = (StagedFile(path, 1, len(kept)),)
        return Parsed(len(kept), digest_, staged, (), (), (), (), held, 0.0)

    def _rows(self, source):
        if source.startswith("/blobs/"):
            return json.loads(self._blobs.get(source.removeprefix("/blobs/")))
        return self._world.files[source]

    def environment(self, snapshot):
        return self._blobs.put(b"python of the simulation")

    def train(self, pinned, arrived, files):
        code = self._blobs.get(pinned.snapshot).decode()
        log = self._blobs.put(b"fitting\n")
        if "broken" in code:
            return Failure("EB301", "your code raised: ValueError: broken", log)
        values = self._values(pinned.model, arrived.version)
        guess = 1000.0 if "bad" in code else sum(values) / len(values)
        known, new = len(values), 0
        if pinned.learning.bundle is not None:
            base = json.loads(self._blobs.get(pinned.learning.bundle))
            guess = (base["guess"] * base["rows"] + sum(values[base["rows"] :])) / known
            new = known - base["rows"]
        made = {"guess": guess, "code": code, "rows": known}
        bundle = self._blobs.put(json.dumps(made).encode())
        return TrainedModel(bundle, "linear", known, known, 1.0, 1, log, new)

    def evaluate(self, pinned, bundle, arrived, files, earlier):
        """All rows judge: who has learned from which is no matter here."""
        rows = len(self._values(pinned.model, arrived.version))
        sets = [len(json.loads(self._blobs.get(look.judged))) for look in earlier]
        return self._compared(pinned, bundle, arrived, 1 + sum(2 * n > rows for n in sets))

    def look(self, pinned, arrived, files):
        """So does what has come since."""
        rows = len(self._values(pinned.model, arrived.version))
        if rows < rows_wanted(pinned.pending.rows):
            return TooFew(rows, 1.0)
        if "mute" in self._code(pinned.pending.bundle):
            return Failure("EB302", "your code took too long", self._blobs.put(b"slow"))
        return self._compared(pinned, pinned.pending.bundle, arrived, pinned.pending.look)

    def _compared(self, pinned, bundle, arrived, number):
        truth = np.array(self._values(pinned.model, arrived.version))
        champion, best = pinned.champion_bundle, pinned.best_bundle
        against = None if champion is None else self._answers(champion, truth)
        answers = self._answers(bundle, truth)
        decision = judge(truth, against, answers, metric=mean_squared_error, seed=pinned.seed)
        code = self._code(bundle)
        if "unsure until" in code:
            sure = len(truth) >= int(code.split("unsure until")[1].split()[0])
            verdict = "promoted" if sure else "inconclusive"
            decision = replace(decision, verdict=verdict, code="told")
        aside = best not in (None, champion)
        positions = json.dumps(list(range(len(truth)))).encode()
        return Compared(
            decision=msgspec.json.encode(decision.to_dict()).decode(),
            serves=bundle,
            seconds=1.0,
            look=Look(
                number, level_of(number), len(truth), digest(*map(str, truth)),
                self._blobs.put(positions),
            ),
            surpasses="superb" in code,
            best_broken=aside and "fragile" in self._code(best),
        )  # fmt: skip

    def _code(self, bundle):
        return json.loads(self._blobs.get(bundle))["code"]

    def _answers(self, bundle, truth):
        return np.full(len(truth), json.loads(self._blobs.get(bundle))["guess"])

    def _values(self, model, version):
        """The outcomes that are known: one below zero is not."""
        commits = [rows for fact, rows in self._world.tables[model] if fact.version <= version]
        return [float(y) for rows in commits for y in rows if float(y) >= 0]

    def cancel(self, run):
        """Nothing runs here for long."""

    def forget(self, run):
        """Nothing is left behind here."""


class Release:
    def __init__(self, world, blobs):
        self._world = world
        self._blobs = blobs

    def check(self, bundle):
        self._blobs.get(bundle)

    def wait(self, model, generation):
        self._world.released[model] = max(generation, self._world.released.get(model, 0))

    def refused(self, model, generation):
        return None


class Records:
    """Whoever is in a rollout has answered a thousand requests, and failed none of them."""

    def baseline(self, model, version, since, budget):
        return Baseline()

    def tally(self, rollout, part):
        arm = Arm(units=1000)
        stages = (StageTally(Arm(units=100), Arm(units=900)), StageTally(arm, arm))
        return Tally(stages), frozenset()


def numbers(start, count, around):
    """Rows: numbers around a value, none of them twice."""
    return [around + (start + i) / 1000 for i in range(count)]


def paths():
    """Fresh file names."""
    return (f"/in/{number}.csv" for number in itertools.count(1))
