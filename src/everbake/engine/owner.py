"""The one process that may append to a project's ledger and start runs."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from everbake.core.facts import (
    BatchQuarantined,
    BatchRejected,
    DataArrived,
    Entry,
    RecipeChanged,
    RetrainRequested,
    digest,
    expected,
)
from everbake.core.loop import (
    PENDING,
    ModelState,
    Retrain,
    due,
    model_state,
    next_baked,
    order_of,
    rollout_due,
)
from everbake.core.run_facts import Concluded
from everbake.engine.patience import patiently
from everbake.engine.pipeline import pipeline
from everbake.engine.rollouts import look_after, opened, rollout_id, won
from everbake.engine.state import load_model, load_state, unknown_model
from everbake.engine.threads import Threads
from everbake.errors import ConflictError, RecipeError, UsageError
from everbake.ports import Batch, Described, Ports
from everbake.stages.ingest import adopt, ingest, settled_id

_TWO_OF_A_NAME = "EB210"
_LOOK_BACK = 100  # runs among which the one over a data version is looked for


@dataclass(frozen=True)
class Received:
    """What became of a batch.

    Attributes:
        model: the model.
        rows: rows in the batch.
        data_version: the data version that holds them, None while they are quarantined.
        quarantine: id of the quarantined batch, or None.
        duplicate: the same rows had arrived before.
    """

    model: str
    rows: int
    data_version: int | None
    quarantine: str | None
    duplicate: bool


@dataclass
class _Locks:
    """Arrivals of one model take turns, so do its runs, so do decisions about who serves."""

    arriving: threading.Lock = field(default_factory=threading.Lock)
    running: threading.Lock = field(default_factory=threading.Lock)
    deciding: threading.RLock = field(default_factory=threading.RLock)


class Owner:
    """Takes batches and requests, and starts the runs that are due.

    Everything here may be called from several threads. Whether this process may append at all is
    the business of whoever made `ports` (it holds the project's lock).
    """

    def __init__(self, ports: Ports, threads: Threads | None = None) -> None:
        self.ports = ports
        self.threads = threads or Threads()
        self._locks: dict[str, _Locks] = {}
        self._locks_guard = threading.Lock()
        self._recipes_guard = threading.Lock()

    def start(self) -> None:
        """Pick up what a process that died left behind: commits of tables without a fact."""
        for row in self.ports.ledger.rows("models"):
            self.adopt(str(row["model"]))

    def prepare(self) -> None:
        """Have everything ready for the next run of every model."""
        for row in self.ports.ledger.rows("models"):
            state = model_state(row)
            self.ports.training.prepare(state.snapshot, state.source)

    def adopt(self, model: str) -> None:
        """Record the commits of a model's table that have no fact yet."""
        with self._of(model).arriving:
            adopt(model, load_model(self.ports.ledger, model).data_version, self.ports)

    def notice_recipes(self, source: str | None = None) -> list[str]:
        """Record every recipe that is new or changed; return the names of all models.

        Args:
            source: look at this file only, if it is there: others may be broken meanwhile.

        Raises:
            RecipeError: a recipe file cannot be imported or understood, or two have one name.
        """
        with self._recipes_guard:
            rows = sorted(self.ports.ledger.rows("models"), key=lambda row: row["recipe_n"] or 0)
            models = {str(row["model"]): model_state(row) for row in rows}
            there = self.ports.recipes.sources()
            known = {model.source: model.recipe for model in models.values()}
            wanted = [source] if source in there else there
            places = {model.model: model.source for model in models.values()}
            for described in self.ports.recipes.changed(wanted, known):
                place = places.setdefault(described.spec.name, described.spec.source)
                if place != described.spec.source and place in there:
                    raise _two_of_a_name(described.spec.name, place, described.spec.source)
                self._record_recipe(described, models.get(described.spec.name))
        return sorted(str(row["model"]) for row in self.ports.ledger.rows("models"))

    def _record_recipe(self, described: Described, before: ModelState | None) -> None:
        if before is not None and before.recipe == described.digest:
            return
        number = before.recipe_number + 1 if before else 1
        fact = RecipeChanged(
            described.spec.name, number, described.digest, described.snapshot, described.spec
        )
        self.ports.ledger.record(digest("recipe", fact.model, fact.digest, str(number)), fact)

    def model(self, name: str) -> ModelState:
        """The state of a model whose recipe is up to date.

        Raises:
            UsageError: there is no such model.
            RecipeError: its recipe file cannot be imported or understood.
        """
        try:
            self.notice_recipes()
        except RecipeError as error:
            rows = self.ports.ledger.rows("models", {"model": name})
            if not rows or error.code == _TWO_OF_A_NAME:
                raise
            self.notice_recipes(str(rows[0]["source"]))  # the broken one may be another model's
        return load_model(self.ports.ledger, name)

    def known(self, name: str) -> ModelState:
        """The state of a model, whatever stands in the recipe files now (unless it is new).

        Raises:
            UsageError: there is no such model.
        """
        if self.ports.ledger.rows("models", {"model": name}):
            return load_model(self.ports.ledger, name)
        return self.model(name)

    def ingest(self, model: str, sources: tuple[str, ...], names: tuple[str, ...]) -> Received:
        """Take files as one batch. No run is started: `settle` does that.

        Raises:
            DataError: the files hold no batch at all.
        """
        state = self.model(model)
        return self._take(Batch(model, state.spec, state.snapshot, sources, names))

    def _take(self, batch: Batch) -> Received:
        def attempt() -> Received:
            state = load_model(self.ports.ledger, batch.model)
            adopted = adopt(batch.model, state.data_version, self.ports)
            if adopted:
                state = load_model(self.ports.ledger, batch.model)
            before = state.data_version - len(adopted)
            entry = ingest(batch, state, self.ports)
            if isinstance(entry.fact, BatchQuarantined):
                held = entry.fact
                return Received(batch.model, held.rows, None, held.quarantine, duplicate=False)
            fact = expected(entry, DataArrived)
            # A commit adopted just now was never acknowledged: the repeated call gets its answer.
            known = fact.version <= before
            return Received(batch.model, fact.rows, fact.version, None, duplicate=known)

        with self._of(batch.model).arriving:
            if batch.quarantine is not None:  # somebody may have settled it meanwhile
                self._quarantined(batch.model, batch.quarantine, batch.reason)
            return patiently(attempt, self.ports.clock)

    def accept(self, model: str, quarantine: str, reason: str) -> Received:
        """Take a quarantined batch after all, widening the contract by what it needs.

        Raises:
            UsageError: no such batch, or no reason given.
            ConflictError: it was accepted or rejected before.
            DataError: no contract can be wide enough for it (text in a number, say).
        """
        self.known(model)
        row = self._quarantined(model, quarantine, reason)
        blobs = str(row["blobs"]).split("\n")
        sources = tuple(str(self.ports.blobs.path(blob)) for blob in blobs)
        for blob in blobs:
            self.ports.blobs.get(blob)
        names = tuple(str(row["sources"]).split("\n"))
        state = load_model(self.ports.ledger, model)
        received = self._take(
            Batch(model, state.spec, state.snapshot, sources, names, "widen", quarantine, reason)
        )
        if received.quarantine is not None:
            raise UsageError(
                "EB121",
                f"batch {quarantine} cannot be accepted",
                why="what is wrong with it is more than a contract can allow",
                mend=f"everbake data show {model} {quarantine}; mend the file and ingest it",
            )
        return received

    def reject(self, model: str, quarantine: str, reason: str) -> None:
        """Throw a quarantined batch away."""
        self.known(model)
        with self._of(model).arriving:
            self._quarantined(model, quarantine, reason)
            fact = BatchRejected(model, quarantine, reason)
            self.ports.ledger.record(settled_id(model, quarantine), fact)

    def _quarantined(self, model: str, quarantine: str, reason: str) -> dict[str, object]:
        rows = self.ports.ledger.rows("quarantine", {"model": model, "id": quarantine})
        if not rows:
            raise UsageError(
                "EB006", f"no quarantined batch {quarantine!r}", mend=f"everbake data ls {model}"
            )
        if rows[0]["state"] != "waiting":
            raise ConflictError(
                "EB411",
                f"batch {quarantine} was {rows[0]['state']} before",
                mend=f"everbake data ls {model}",
            )
        if not reason.strip():
            raise UsageError(
                "EB005", "a reason is missing", mend='add --reason "why this is right"'
            )
        return dict(rows[0])

    def request_retrain(self, model: str, request: str, *, full: bool = False) -> None:
        """Ask for a run without new data. `settle` starts it.

        With `full`, it trains from scratch where it would have updated the champion.

        Raises:
            UsageError: there are no data to train on.
        """
        if self.model(model).data_version == 0:
            raise UsageError(
                "EB007", f"{model} has no data yet", mend=f"everbake ingest {model} FILE"
            )
        fact = RetrainRequested(model, request, full)
        self.ports.ledger.record(digest("retrain", model, request), fact)

    def settle(self, model: str) -> list[Concluded]:
        """Run whatever is due for a model, one run after the other; wait for whoever runs it.

        Returns:
            The runs that ended here. Runs that somebody else ended meanwhile are not among them.
        """
        done: list[Concluded] = []
        with self._of(model).running:
            while True:
                self.begin_rollout(model)  # or the next run's winner would take its place
                state = load_state(self.ports.ledger, load_model(self.ports.ledger, model))
                orders = due(state, self.ports.clock.now())
                if not orders:
                    self.await_release(model)
                    return done
                done.append(self._bake(orders[0]))

    def begin_rollout(self, model: str) -> Entry | None:
        """Begin the rollout of a version that won; the fact, None if none is due.

        Where the recipe has come to declare none, the version serves at once.
        """
        with self.deciding(model) as state:
            if not rollout_due(state):
                return None
            key = {"model": model, "version": state.winner}
            version = self.ports.ledger.rows("versions", key)[0]
            if not state.spec.rollout:
                return self.ports.ledger.record(*won(state, version, self.ports))
            fact = opened(state, version, self.ports)
            return self.ports.ledger.record(rollout_id(fact), fact)

    def look_after_rollout(self, model: str) -> Entry | None:
        """Take the step that follows for an open rollout; its fact, None if none follows."""
        with self.deciding(model) as state:
            for row in self.ports.ledger.rows("rollouts", {"rollout": state.rollout or ""}):
                return look_after(row, state, self.ports)
        return None

    def next_run(self, model: str) -> str | None:
        """The run that is due next, or under way; None if nothing is due."""
        state = load_state(self.ports.ledger, load_model(self.ports.ledger, model))
        orders = due(state, self.ports.clock.now())
        return orders[0].run if orders else None

    def next_baked(self, model: str) -> str | None:
        """The run that bakes a candidate next, or now, behind a look at an older one if need be."""
        known = load_model(self.ports.ledger, model)
        state = load_state(self.ports.ledger, known)
        order = next_baked(known, state, self.ports.clock.now())
        return None if order is None else order.run

    def run_covering(self, model: str, data_version: int) -> str | None:
        """The first run that baked from this data version or a later one, if one has ended."""
        rows = self.ports.ledger.rows("runs", {"model": model}, newest=_LOOK_BACK)
        baked = [row for row in rows if row["cause_kind"] != PENDING]
        over = [row for row in baked if int(row["data_version"] or 0) >= data_version]
        ended = [row for row in over if row["state"] != "running"]
        if not ended:
            return None
        return str(min(ended, key=lambda row: int(row["n"] or 0))["run"])

    def cancel(self, run: str) -> None:
        """Kill the job of a run and wait until the run has ended as failed."""
        row = self.ports.ledger.rows("runs", {"run": run})[0]
        model = str(row["model"])
        self.ports.training.cancel(run)
        with self._of(model).running:
            if load_model(self.ports.ledger, model).running == run:
                # It was cut short and nobody works on it: its next job is killed at once.
                self._bake(order_of(row))

    def _bake(self, order: Retrain) -> Concluded:
        concluded = pipeline(order, self.ports, self._of(order.model).deciding)
        self.ports.training.forget(concluded.run)
        return concluded

    def await_release(self, model: str) -> None:
        """Return when whoever answers requests answers from the model's deployment."""
        for row in self.ports.ledger.rows("deployments", {"model": model}):
            self.ports.release.wait(model, int(row["generation"] or 0))

    @contextmanager
    def deciding(self, model: str) -> Iterator[ModelState]:
        """Hold back every other decision about who serves; gives the state as it is then."""
        with self._of(model).deciding:
            yield load_model(self.ports.ledger, model)

    def _of(self, model: str) -> _Locks:
        with self._locks_guard:
            if model not in self._locks:
                if not self.ports.ledger.rows("models", {"model": model}):
                    raise unknown_model(self.ports.ledger, model)
                self._locks[model] = _Locks()
            return self._locks[model]


def _two_of_a_name(name: str, one: str, other: str) -> RecipeError:
    return RecipeError(
        _TWO_OF_A_NAME,
        f"two recipes have one name: {name}",
        where=f"{one} and {other}",
        mend="rename one, or remove the file that is not wanted any more",
    )
