"""The one place that chooses adapters. It imports them late: most commands need few of them."""

import atexit
import math
import socket
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from everbake.config.settings import Settings, load_settings
from everbake.core.bundle import Bundle
from everbake.core.tables import Row
from everbake.ports import Blobs, Clock, Ledger, Ports, Reader, Records, Wanted

if TYPE_CHECKING:
    from everbake.adapters.hosting.hosts import Hosts
    from everbake.core.decision import Check
    from everbake.core.work import BatchAsked, BatchReport
    from everbake.engine.audit import Audit
    from everbake.engine.owner import Owner
    from everbake.recording.intake import Intake
    from everbake.recording.keeping import Keeper
    from everbake.recording.recorder import Recorder

STATE = ".everbake"


@dataclass(frozen=True)
class Places:
    """Where things lie in a project."""

    project: Path

    @property
    def state(self) -> Path:
        """The folder of everything that everbake keeps."""
        return self.project / STATE

    @property
    def ledger(self) -> Path:
        """The SQLite ledger."""
        return self.state / "ledger.sqlite"

    @property
    def lock(self) -> Path:
        """The owner's lock."""
        return self.state / "lock"

    @property
    def socket(self) -> Path:
        """Where the owner listens."""
        return self.state / "up.sock"

    @property
    def blobs(self) -> Path:
        """Models, snapshots, raw batches: by digest."""
        return self.state / "blobs"

    @property
    def tables(self) -> Path:
        """One Delta table a model."""
        return self.state / "tables"

    @property
    def anchors(self) -> Path:
        """Anchors of the chain beside the model files."""
        return self.blobs / "anchors"

    @property
    def serving(self) -> Path:
        """What the prediction workers acknowledge."""
        return self.state / "serving"

    @property
    def records(self) -> Path:
        """What was answered, how well, and the labels."""
        return self.state / "records.sqlite"

    @property
    def intake(self) -> Path:
        """Where the recorder takes labels."""
        return self.state / "record.sock"

    @property
    def log(self) -> Path:
        """The prediction log, as the workers write it."""
        return self.state / "log"

    @property
    def predictions(self) -> Path:
        """The prediction log as tables, one a model."""
        return self.state / "predictions"


def places(project: Path) -> Places:
    """Where things lie in a project."""
    return Places(project.absolute())


def reader(project: Path) -> Reader:
    """The ledger, for looking only. An empty one where nothing has been recorded yet."""
    settings = load_settings(project)
    if settings.ledger != "sqlite":
        from everbake.adapters.sql.postgres import PostgresReader

        return PostgresReader(settings.ledger)
    from everbake.adapters.sql.sqlite import SqliteReader

    return SqliteReader(places(project).ledger)


def verify(project: Path) -> "Audit":
    """Derive the ledger's tables again from its facts, and hold it against its anchors."""
    from everbake.adapters.sql.anchor import Anchors
    from everbake.adapters.sql.sqlite import SqliteReader, anchors_beside
    from everbake.engine.audit import verify as verified
    from everbake.recording.reading import RecordReader
    from everbake.views.predictions import anchors as log_anchors

    there = places(project)
    settings = load_settings(project)
    # Before the snapshot: none may be ahead of it. Segments that are gone left theirs behind.
    lying = {anchor.name: anchor for anchor in log_anchors(there.project)}
    recorded = RecordReader(there.records).anchors()
    logged = [*lying.values(), *(each for each in recorded if each.name not in lying)]
    if settings.ledger == "sqlite":
        outside = anchors_beside(there.ledger, there.anchors)
        with SqliteReader(there.ledger) as stored, stored.snapshot(outside) as kept:
            return verified(stored, [*kept, *logged])
    from everbake.adapters.sql.postgres import PostgresReader

    outside = Anchors(there.state / "anchor", there.anchors)
    with PostgresReader(settings.ledger) as remote, remote.snapshot(outside) as kept:
        return verified(remote, [*kept, *remote.held(), *logged])


def check(project: Path, name: str | None) -> "list[tuple[str, tuple[Check, ...]]]":
    """Try recipes on a sample of their data; nothing is recorded.

    Args:
        project: the folder.
        name: of one model, or None for all.

    Returns:
        For each model its checks.
    """
    from everbake.adapters.hosting.hosts import Hosts
    from everbake.adapters.hosting.recipes import ProjectRecipes
    from everbake.adapters.hosting.trial import try_recipes
    from everbake.adapters.hosting.work import Work
    from everbake.adapters.tables.delta import DeltaTables
    from everbake.engine.trying import sample_of

    there = places(project)
    with tempfile.TemporaryDirectory(prefix="everbake-check-") as folder, ExitStack() as stack:
        stored = _passing_blobs(Path(folder))
        hosts = Hosts(Path(folder) / "snapshots", there.project, stored)
        stack.callback(hosts.close)
        work = Work(Path(folder) / "work")
        recipes = ProjectRecipes(there.project, stored, hosts, work)
        look = sample_of(reader(project), DeltaTables(there.tables))
        return try_recipes(recipes.changed(recipes.sources(), {}), name, look, (hosts, work))


def _passing_blobs(folder: Path) -> Blobs:
    from everbake.adapters.blobs import FileBlobs

    return FileBlobs(folder / "blobs")


def records(project: Path) -> Records:
    """What was answered, as far as it has been recorded."""
    from everbake.recording.reading import RecordReader

    return RecordReader(places(project).records)


def predictions(
    project: Path,
    model: str,
    wanted: Wanted = Wanted(),  # noqa: B008 - frozen
    *,
    limit: int | None = None,
) -> Iterator[dict[str, object]]:
    """Answered rows of the log, the newest last, wherever they lie; see `views.predictions`."""
    from everbake.adapters.tables.logged import DeltaPredictions
    from everbake.views.predictions import predictions as logged

    there = places(project)
    with DeltaPredictions(there.predictions, there.log).reading(model) as converted:
        yield from logged(there.project, model, converted, wanted, limit)


def clock() -> Clock:
    """The time that all processes go by."""
    from everbake.adapters.system import clock_of

    return clock_of()


def blobs(project: Path) -> Blobs:
    """The project's blobs."""
    from everbake.adapters.blobs import FileBlobs

    return FileBlobs(places(project).blobs)


def native_session(project: Path, bundle: Bundle) -> socket.socket:
    """A connection to a fresh process that answers with a version's own code."""
    import msgspec

    from everbake.adapters.blobs import FileBlobs
    from everbake.core.dataset import Column
    from everbake.core.work import Model, SessionOrder
    from everbake.wire import JobLimits

    stored = FileBlobs(places(project).blobs)
    stored.get(bundle.artifact)
    path = str(stored.path(bundle.artifact))
    order = SessionOrder(
        bundle.model,
        Model(path, bundle.artifact, bundle.artifact_format),
        tuple(Column(each.name, each.type) for each in bundle.inputs),
    )
    limits = JobLimits(4 * 2**30, math.inf, 1)
    host = _serving_hosts(project).get(bundle.snapshot, bundle.source)
    return host.open("predict", msgspec.json.encode(order), limits)


def native_opener(project: Path) -> Callable[[Bundle], socket.socket]:
    """Opens sessions with the code of whichever version."""
    return lambda bundle: native_session(project, bundle)


@contextmanager
def passing(project: Path, name: str) -> Iterator[Path]:
    """A folder that is gone once it is left."""
    from everbake.adapters.hosting.work import Work

    with Work(places(project).state / "work").passing(f"{name}-{uuid.uuid4().hex}") as folder:
        yield folder


def judge_replay(project: Path, bundle: Bundle, labelled: Path) -> dict[str, Any]:
    """Judge a version on labelled rows, beside what was answered, by its recipe's metric."""
    from everbake.adapters.hosting.batch import judge_replay as judged
    from everbake.adapters.hosting.work import Work

    work = Work(places(project).state / "work")
    return judged(bundle, labelled.absolute(), (_serving_hosts(project), work))


def compare(project: Path, model: str, pair: tuple[Row, Row]) -> dict[str, object] | None:
    """What the gate says of the second of two versions beside the first; nothing is recorded.

    Args:
        project: the folder.
        model: the model.
        pair: two rows of `versions`.

    Returns:
        The decision, or None where no row is left from which neither has learned.
    """
    from everbake.adapters.blobs import FileBlobs
    from everbake.adapters.hosting.beside import Beside, Made
    from everbake.adapters.hosting.work import Work
    from everbake.adapters.tables.delta import DeltaTables
    from everbake.engine.trying import sample_of
    from everbake.views.differences import spec_of

    there, ledger = places(project), reader(project)
    stored = FileBlobs(there.blobs)
    table = sample_of(ledger, DeltaTables(there.tables))(model)
    made = [
        Made(
            f"{model}@{version['version']}",
            Bundle.decode(stored.get(str(version["bundle"]))),
            spec_of(ledger, version),
        )
        for version in pair
    ]
    here = (_serving_hosts(project), Work(there.state / "work"), stored)
    return Beside(table, here).judged(made[0], made[1])


def answer_files(
    project: Path, bundle: Bundle, asked: "BatchAsked", narrate: Callable[[str], None]
) -> "BatchReport":
    """Answer whole files with a version, in its host.

    Args:
        project: the folder.
        bundle: the version.
        asked: which files, where to, and how.
        narrate: gets the lines of progress, as they come.
    """
    from everbake.adapters.blobs import FileBlobs
    from everbake.adapters.hosting.batch import answer_files as answered
    from everbake.adapters.hosting.work import Work

    there = places(project)
    hosts = (_serving_hosts(project), Work(there.state / "work"), FileBlobs(there.blobs))
    return answered(bundle, asked, hosts, narrate)


@cache
def _serving_hosts(project: Path) -> "Hosts":
    """A server keeps its hosts for as long as it lives."""
    from everbake.adapters.blobs import FileBlobs
    from everbake.adapters.hosting.hosts import Hosts

    there = places(project)
    hosts = Hosts(there.state / "snapshots", there.project, FileBlobs(there.blobs))
    atexit.register(hosts.close)
    return hosts


@contextmanager
def owning(project: Path, narrate: Callable[[str], None] | None = None) -> "Iterator[Owner | None]":
    """Be the project's owner for a while; None if somebody else is.

    Args:
        project: the folder.
        narrate: gets what the user's code prints, as it comes.
    """
    from everbake.adapters.filesystem import refuse_network_filesystem
    from everbake.adapters.lock import ProjectLock

    there = places(project)
    lock = ProjectLock(there.lock)
    if load_settings(project).ledger == "sqlite":
        refuse_network_filesystem(there.project)
    if not lock.take():
        yield None
        return
    from everbake.engine.owner import Owner
    from everbake.engine.threads import Threads
    from everbake.serving.handover import survivors

    with ExitStack() as stack:
        stack.callback(lock.give_back)
        survivors(there.serving)  # forgets what the dead have acknowledged
        # Unwound in the opposite order: nothing is recorded any more, jobs die, threads find out.
        threads = Threads()
        stack.callback(threads.join)
        ports = _ports(there, load_settings(project), narrate, stack)
        owner = Owner(ports, threads)
        owner.start()
        yield owner


@contextmanager
def recording(project: Path) -> "Iterator[tuple[Recorder, Intake, Keeper] | None]":
    """Be the one who records what was answered, for a while; None if somebody else is."""
    from functools import partial

    from everbake.adapters.lock import ProjectLock
    from everbake.adapters.tables.logged import DeltaPredictions
    from everbake.recording.breath import Breath
    from everbake.recording.convert import Converter
    from everbake.recording.intake import Intake, take
    from everbake.recording.keeping import Keeper, Limits
    from everbake.recording.recorder import Recorder
    from everbake.recording.store import RecordStore

    there = places(project)
    lock = ProjectLock(there.state / "record.lock")
    if not lock.take():
        yield None
        return
    with ExitStack() as stack:
        stack.callback(lock.give_back)
        store = RecordStore(there.records)
        stack.callback(store.close)
        ledger, now = reader(project), clock().now
        recorder = Recorder(there.log, store, ledger, now, Breath())
        intake = Intake(there.intake, partial(take, recorder=recorder, reader=ledger, now=now))
        stack.callback(intake.close)
        tables, settings = DeltaPredictions(there.predictions, there.log), load_settings(project)
        limits = Limits(settings.log_keep, settings.log_bytes)
        converter = Converter(there.log, tables, breathe=Breath())
        keeper = Keeper(converter, recorder, tables, ledger, limits, now)
        yield recorder, intake, keeper


def _ports(
    there: Places, settings: Settings, narrate: Callable[[str], None] | None, stack: ExitStack
) -> Ports:
    from everbake.adapters.acknowledgements import WorkerAcknowledgements
    from everbake.adapters.blobs import FileBlobs
    from everbake.adapters.hosting.hosts import Hosts
    from everbake.adapters.hosting.recipes import ProjectRecipes
    from everbake.adapters.hosting.training import HostTraining
    from everbake.adapters.hosting.work import Work
    from everbake.adapters.tables.delta import DeltaTables
    from everbake.config.contracts import ContractFiles

    stored = FileBlobs(there.blobs)
    hosts = Hosts(there.state / "snapshots", there.project, stored)
    stack.callback(hosts.close)
    work = Work(there.state / "work")
    return Ports(
        ledger=_ledger(there, settings, stack),
        tables=DeltaTables(there.tables),
        blobs=stored,
        recipes=ProjectRecipes(there.project, stored, hosts, work),
        contracts=ContractFiles(there.project / "contracts"),
        training=HostTraining(there.project, stored, hosts, work, narrate),
        release=WorkerAcknowledgements(there.serving, stored),
        records=records(there.project),
        clock=clock(),
    )


def _ledger(there: Places, settings: Settings, stack: ExitStack) -> Ledger:
    if settings.ledger != "sqlite":
        from everbake.adapters.sql.postgres import PostgresLedger

        stored = PostgresLedger(settings.ledger, clock(), there.state, there.anchors)
        stack.callback(stored.close)
        return stored
    from everbake.adapters.sql.sqlite import SqliteLedger

    ledger = SqliteLedger(there.ledger, clock(), there.anchors)
    stack.callback(ledger.close)
    return ledger
