"""What the loop needs of the outside world, one small protocol a thing."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from everbake.core.contract import Contract, Parsed, StagedFile
from everbake.core.dataset import Special
from everbake.core.facts import DataArrived, Entry, Fact
from everbake.core.look_facts import Look
from everbake.core.rollout.planning import Baseline
from everbake.core.rollout.tally import Tally
from everbake.core.run_facts import RunPinned
from everbake.core.spec import RecipeSpec
from everbake.core.tables import Cell, Row


class Clock(Protocol):
    """The time."""

    def now(self) -> float:
        """Seconds since 1970."""

    def sleep(self, seconds: float) -> None:
        """Let time pass."""


@dataclass(frozen=True)
class Anchor:
    """Position and hash of an entry, kept outside the ledger.

    Attributes:
        name: `head`, or what else it was kept for, such as `churn@3`.
        n: position of the entry.
        hash: hash of the entry.
    """

    name: str
    n: int
    hash: str


@dataclass(frozen=True)
class Stored:
    """An entry as it lies there, not decoded: what an audit looks at.

    Attributes:
        n: position.
        id: digest of what caused it.
        time: seconds since 1970.
        name: name of the fact.
        body: the fact as JSON.
        hash: digest of this entry and the one before.
    """

    n: int
    id: str
    time: float
    name: str
    body: str
    hash: str


class Reader(Protocol):
    """The ledger, for those who may look but not write."""

    def find(self, entry_id: str) -> Entry | None:
        """The entry with this id."""

    def facts(self, after: int = 0) -> Iterator[Entry]:
        """All entries behind position `after`, in order."""

    def stored(self, after: int = 0) -> Iterator[Stored]:
        """The same, as they lie there."""

    def rows(
        self, table: str, where: Mapping[str, Cell] | None = None, *, newest: int | None = None
    ) -> list[Row]:
        """Rows of a projection whose columns equal `where`, in key order.

        Args:
            table: a key of `core.project.KEYS`.
            where: columns and the values that they must have.
            newest: only so many of the newest rows, the newest first.
        """

    def head(self) -> tuple[int, str]:
        """Position and hash of the last entry, `(0, GENESIS)` without one."""

    def version(self) -> int:
        """A number that differs whenever somebody else has written; microseconds to ask."""


class Ledger(Reader, Protocol):
    """The ordered, hash-chained facts and the tables projected from them."""

    def record(self, entry_id: str, fact: Fact) -> Entry:
        """Append a fact with its projections, durably, and return what is stored.

        The first fact of an id is kept: recording another one returns the first.
        """


class Tables(Protocol):
    """Append-only versioned tables, one a model."""

    def stage(self, model: str) -> Path:
        """An empty directory on the table's file system, in which files may be staged."""

    def commit(self, files: Sequence[StagedFile], arrived: DataArrived) -> DataArrived:
        """Append the staged files as one commit that carries the fact.

        Returns:
            The fact, with the table's version in it.

        Raises:
            ConflictError: the table holds this data version, or a later one, already.
            Retry: the disk is full, or the store cannot be reached.
        """

    def orphans(self, model: str, after: int) -> list[DataArrived]:
        """The facts of commits behind data version `after`: committed, maybe never recorded."""

    def files(self, arrived: DataArrived) -> list[str]:
        """The Parquet files that hold all rows up to a data version."""


class Blobs(Protocol):
    """Bytes under their SHA-256."""

    def put(self, data: bytes) -> str:
        """Store durably; return the digest."""

    def put_file(self, path: Path) -> str:
        """Store a file durably; return the digest."""

    def get(self, blob: str) -> bytes:
        """The bytes, checked against their digest.

        Raises:
            HealthError: there are none, or they are not what the digest says.
        """

    def path(self, blob: str) -> Path:
        """Where the bytes lie, for a process that reads them itself (and checks them)."""


@dataclass(frozen=True)
class Batch:
    """Files that arrive together: they become one data version or one quarantined batch.

    Attributes:
        model: the model.
        spec: its recipe.
        snapshot: blob of the recipe's files.
        sources: the files.
        names: what people call them.
        mode: `check` against the contract, or `widen` it by what the batch needs.
        quarantine: the quarantined batch that these files are, when it is being accepted.
        reason: why it is accepted.
    """

    model: str
    spec: RecipeSpec
    snapshot: str
    sources: tuple[str, ...]
    names: tuple[str, ...]
    mode: Literal["check", "widen"] = "check"
    quarantine: str | None = None
    reason: str = ""


@dataclass(frozen=True)
class TrainedModel:
    """What a training job leaves behind.

    Attributes:
        bundle: digest of the bundle.
        runtime: `linear` or `native`.
        rows: rows trained on.
        held_out: rows held out.
        seconds: of the job.
        peak_memory: bytes.
        log: blob of the captured output.
        new_rows: those of `rows` that were new to the version that was updated.
    """

    bundle: str
    runtime: str
    rows: int
    held_out: int
    seconds: float
    peak_memory: int
    log: str
    new_rows: int = 0


@dataclass(frozen=True)
class Failure:
    """A job failed.

    Attributes:
        code: error code.
        error: one line.
        log: blob of the captured output.
        again: the cause lies outside the user's code, so another attempt makes sense.
    """

    code: str
    error: str
    log: str
    again: bool = False


@dataclass(frozen=True)
class Compared:
    """What an evaluation found.

    Attributes:
        decision: the decision, as JSON.
        serves: bundle that serves if promoted.
        seconds: of the jobs.
        look: by which rows, and how often these have decided.
        surpasses: whether the candidate was shown to be better than the best version so far.
        best_broken: whether the best version so far no longer runs.
    """

    decision: str
    serves: str
    seconds: float
    look: Look
    surpasses: bool = False
    best_broken: bool = False


@dataclass(frozen=True)
class TooFew:
    """It is too early to look at a pending candidate again.

    Attributes:
        rows: that could judge it.
        seconds: of the job that counted them.
    """

    rows: int
    seconds: float


@dataclass(frozen=True)
class Described:
    """A recipe as it stands in the project now.

    Attributes:
        digest: over the syntax trees of the recipe and its first-party imports.
        snapshot: blob that holds these files.
        spec: the declaration.
    """

    digest: str
    snapshot: str
    spec: RecipeSpec


class Recipes(Protocol):
    """The recipe files of the project."""

    def sources(self) -> list[str]:
        """The names of the recipe files that are there."""

    def changed(self, sources: Sequence[str], known: Mapping[str, str]) -> list[Described]:
        """The recipes of those files whose digest is not the known one of that file.

        Raises:
            RecipeError: a file cannot be read, imported or understood.
        """


class Contracts(Protocol):
    """The contract as a file that people edit."""

    def read(
        self, model: str, special: Special, latest: Contract | None, at: Callable[[int], Contract]
    ) -> Contract | None:
        """The latest contract, with what people changed in the file pinned in it.

        Args:
            model: the model.
            special: its special columns, for a file that is there before the first batch.
            latest: what was recorded last, None before the first batch.
            at: the contract recorded with a data version, for a file that is behind.

        Raises:
            UsageError: the file is no contract.
        """

    def write(self, model: str, contract: Contract, version: int) -> None:
        """Write what holds after a data version."""


class Training(Protocol):
    """The user's code at work, and all that needs pandas: in a host, never in this process."""

    def parse(self, batch: Batch, stage: Path, contract: Contract | None, first_row: int) -> Parsed:
        """Read, check and stage a batch. Raises DataError for what is no batch at all."""

    def prepare(self, snapshot: str, source: str) -> None:
        """Get ready for jobs with this code, without waiting for it."""

    def environment(self, snapshot: str) -> str:
        """Blob that describes what runs would run in."""

    def train(
        self, pinned: RunPinned, arrived: DataArrived, files: Sequence[str]
    ) -> TrainedModel | Failure:
        """Train a candidate on the rows in `files`, up to the data version `arrived`."""

    def evaluate(
        self,
        pinned: RunPinned,
        bundle: str,
        arrived: DataArrived,
        files: Sequence[str],
        earlier: Sequence[Look],
    ) -> Compared | Failure:
        """Compare the candidate with the champion on the same held-out rows.

        Args:
            pinned: the run.
            bundle: of the candidate.
            arrived: the newest data version that it may see.
            files: with its rows.
            earlier: the decisions that may have been made by the same rows.
        """

    def look(
        self, pinned: RunPinned, arrived: DataArrived, files: Sequence[str]
    ) -> Compared | TooFew | Failure:
        """Compare the pending candidate of a run with the champion on all rows new to both."""

    def cancel(self, run: str) -> None:
        """Kill the job of a run, which then ends as failed."""

    def forget(self, run: str) -> None:
        """The run has ended: what its jobs left may go."""


class Release(Protocol):
    """Those who answer requests."""

    def check(self, bundle: str) -> None:
        """See that all that a version needs to answer is there, and whole.

        Raises:
            HealthError: a stored file is gone, or not what its digest says.
        """

    def wait(self, model: str, generation: int) -> None:
        """Return when every server answers from this deployment of the model, or after a bound.

        Raises:
            ConflictError: a server did not take it over within the bound.
        """

    def refused(self, model: str, generation: int) -> str | None:
        """Why a server could not take this deployment of the model over, if one could not."""


class Records(Protocol):
    """What was answered, and how well, as far as it has been recorded."""

    def baseline(self, model: str, version: int, since: float, budget: float | None) -> Baseline:
        """What a version did.

        Args:
            model: the model.
            version: of it.
            since: seconds since 1970.
            budget: seconds that an answer may take, if that is declared.
        """

    def tally(self, rollout: str, part: int) -> tuple[Tally, frozenset[str]]:
        """What one part of a rollout has seen so far, and the metrics that have passed."""

    def labels(self, model: str, ids: Sequence[str]) -> dict[str, object]:
        """The labels of these predictions, where they are known."""

    def recorded(self, segments: Sequence[str]) -> dict[str, int]:
        """Up to which byte these segments of the prediction log are recorded."""


@dataclass(frozen=True)
class Wanted:
    """Which logged rows are asked for.

    Attributes:
        since: seconds since 1970, from then on.
        until: likewise, before then.
        ids: only these prediction ids.
    """

    since: float | None = None
    until: float | None = None
    ids: frozenset[str] | None = None

    def time(self, time: float) -> bool:
        """Whether a row of this time may be wanted."""
        return (self.since is None or self.since <= time) and (
            self.until is None or time < self.until
        )


class Converted(Protocol):
    """One state of the table of a model's logged predictions."""

    def cursor(self, segment: str) -> int:
        """Up to which byte of a segment of the log the table holds its rows."""

    def rows(self, wanted: Wanted, *, newest_first: bool = False) -> Iterator[Row]:
        """Rows in order of their time, in bounded memory; `features` as JSON text."""


@dataclass(frozen=True)
class Piece:
    """A file of a table.

    Attributes:
        until: all in it was answered before this moment, seconds since 1970.
        size: bytes.
    """

    until: float
    size: int


class PredictionTables(Protocol):
    """The tables that the prediction log is converted to, one a model."""

    def models(self) -> list[str]:
        """Those that have a table."""

    def cursor(self, model: str, segment: str) -> int:
        """Up to which byte a segment is converted."""

    def append(
        self, model: str, rows: Mapping[str, Sequence[Cell]], cursors: Mapping[str, int]
    ) -> None:
        """Append rows and move the cursors of their segments, durably, in one commit.

        Args:
            model: the model.
            rows: by column.
            cursors: by segment, up to where the table then holds it.

        Raises:
            Retry: the disk is full, or the table cannot be read.
        """

    def pieces(self, model: str) -> list[Piece]:
        """The files that make up the table."""

    def size(self, model: str) -> int:
        """Bytes on the disk, with files that are no longer part of the table."""

    def drop(self, model: str, before: float) -> None:
        """Take out what was answered before a moment."""

    def tidy(self, model: str, grace_hours: int) -> None:
        """Make few files of many, and delete those that no state of so many hours needs."""

    def reading(self, model: str) -> AbstractContextManager[Converted | None]:
        """The table as it is now, None without one; nothing it needs is deleted meanwhile."""

    def deleting(self, model: str) -> AbstractContextManager[bool]:
        """Whether nobody reads, nor will until this is left."""


@dataclass(frozen=True)
class Ports:
    """Everything outside, in one bag."""

    ledger: Ledger
    tables: Tables
    blobs: Blobs
    recipes: Recipes
    contracts: Contracts
    training: Training
    release: Release
    records: Records
    clock: Clock
