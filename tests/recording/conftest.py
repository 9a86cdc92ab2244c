"""A log, a ledger with one model, and a recorder between them that may begin anew at any time."""

from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from everbake.core.frames import SUFFIX, Answered, FrameWriter, SegmentHeader, framed
from everbake.core.spec import GateSpec, RecipeSpec, SplitSpec, Table
from everbake.recording.reading import RecordReader
from everbake.recording.recorder import Recorder
from everbake.recording.store import RecordStore

HEADER = framed(msgspec.msgpack.encode(SegmentHeader("line", 0, (7, "ab"))))
GATE = GateSpec("mean_squared_error", "lower", "refresh", 0.0, 0.0, 0.0, "keep")


class Ledger:
    """What the recorder reads of it: models and rollouts."""

    def __init__(self, table: Table) -> None:
        split, limits = SplitSpec("hash", 0.2), (0, 2**30, 60.0, 1)
        spec = RecipeSpec("line", table, GATE, split, *(False, {}, 0), *limits)
        self.number = 1
        self.tables = {
            "models": [{"model": "line", "spec": msgspec.json.encode(spec).decode()}],
            "rollouts": [],
            "rollout_steps": [],
        }

    def open(self, *plans) -> None:
        """A rollout is open; its parts' stages follow each other from generation 10 on."""
        stages = sum(len(plan.stages) for plan in plans)
        plan = msgspec.json.encode(plans).decode()
        self.tables["rollouts"] = [{"rollout": "o1", "model": "line", "plan": plan, "n": 10}]
        steps = [{"n": 10 + at, "step": "advance"} for at in range(1, stages)]
        self.tables["rollout_steps"] = steps
        self.number += 1

    def version(self) -> int:
        return self.number

    def rows(self, table, where=None, *, newest=None):
        return self.tables[table]


class Segment:
    """One file of the log."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.frames = FrameWriter()
        self.add(HEADER)

    def add(self, data: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(data)

    def write(self, *answered: Answered) -> None:
        self.add(b"".join(map(self.frames.frames, answered)))


@dataclass
class Desk:
    """Everything that is needed to record."""

    folder: Path
    table: Table = field(default_factory=lambda: Table(label="target"))
    time: float = 1000.0
    recorder: Recorder | None = None

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.table)
        self.path = self.folder / "records.sqlite"
        self.begin()

    def begin(self) -> Recorder:
        """Begin anew, as after the death of the process."""
        if self.recorder is not None:
            self.store.close()
        self.store = RecordStore(self.path)
        log = self.folder / "log"
        self.recorder = Recorder(log, self.store, self.ledger, lambda: self.time)
        return self.recorder

    def segment(self, number: int = 0) -> Segment:
        return Segment(self.folder / "log" / "line" / f"0-{number:013d}-{number}{SUFFIX}")

    @property
    def records(self) -> RecordReader:
        return RecordReader(self.path)

    def hours(self, what="sum(requests)"):
        return self.store.rows(f"SELECT {what} FROM hours")[0][0] or 0  # noqa: S608

    def close(self) -> None:
        self.store.close()


@pytest.fixture
def desks(tmp_path):
    """Makes desks."""
    made = []

    def make(**options):
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(Desk(folder, **options))
        return made[-1]

    yield make
    for desk in made:
        desk.close()


@pytest.fixture(scope="session")
def desk_in():
    """Makes a desk in a folder; whoever wants it closes it."""
    return Desk
