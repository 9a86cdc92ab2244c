"""Every fact: one immutable record of something that happened, in the past tense.

A fact has an id that follows from its cause, so that a second try writes nothing new, and a place
in a hash chain. Facts carry all that their projections need (see `core.project`): no projection
has to read what is there already.
"""

import hashlib
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from everbake.core.look_facts import BestPinned, LookPostponed
from everbake.core.rollout_facts import RolloutEnded, RolloutMoved, RolloutOpened
from everbake.core.run_facts import Concluded, Evaluated, RunPinned, Trained, TrainingFailed
from everbake.core.spec import RecipeSpec
from everbake.errors import HealthError

GENESIS = "0" * 64  # what the first fact of a chain is linked to


@dataclass(frozen=True)
class RecipeChanged:
    """A recipe was seen for the first time, or with another digest than before.

    Attributes:
        model: the model.
        number: the how-manieth recipe of this model.
        digest: over the syntax trees of the recipe and its first-party imports.
        snapshot: the blob that holds these files.
        spec: the declaration as plain data.
    """

    model: str
    number: int
    digest: str
    snapshot: str
    spec: RecipeSpec


@dataclass(frozen=True)
class DataArrived:
    """A batch became a data version.

    Attributes:
        model: the model.
        version: number of the data version, from 1.
        digest: of the batch's rows, whatever their order or file format.
        rows: rows added.
        first_row: sequence number of the first of them in the table.
        table_version: the table format's own version number, as a record only.
        contract: the contract after this batch, as JSON.
        sources: names of the files.
        notices: what was unusual without being wrong.
        quarantine: the quarantined batch that was accepted, if it was one.
        reason: why it was accepted.
        newest: the newest time among all rows so far, in seconds since 1970; None without times.
    """

    model: str
    version: int
    digest: str
    rows: int
    first_row: int
    table_version: int
    contract: str
    sources: tuple[str, ...]
    notices: tuple[str, ...] = ()
    quarantine: str | None = None
    reason: str = ""
    newest: float | None = None


@dataclass(frozen=True)
class BatchQuarantined:
    """A batch broke the contract; its bytes wait, whole, for a person.

    Attributes:
        model: the model.
        quarantine: id of the waiting batch.
        digest: of the raw bytes.
        rows: rows read, 0 where they could not be counted.
        findings: what breaks the contract, with file, row and column, as JSON.
        findings_count: how many there are; `findings` lists the first of them.
        sources: names of the files.
        blobs: the raw bytes, one blob a file.
    """

    model: str
    quarantine: str
    digest: str
    rows: int
    findings: str
    findings_count: int
    sources: tuple[str, ...]
    blobs: tuple[str, ...]


@dataclass(frozen=True)
class BatchRejected:
    """A person threw a quarantined batch away (its bytes stay until they are collected)."""

    model: str
    quarantine: str
    reason: str


@dataclass(frozen=True)
class BatchAccepted:
    """A person accepted a quarantined batch whose rows had arrived meanwhile, as `version`."""

    model: str
    quarantine: str
    version: int
    reason: str


@dataclass(frozen=True)
class RetrainRequested:
    """A person asked for a run without new data or a new recipe.

    With `full`, it trains from scratch where it would have updated the champion.
    """

    model: str
    request: str
    full: bool = False


@dataclass(frozen=True)
class Promoted:
    """A version became the champion without a rollout, as a person wants it or the recipe.

    An open rollout ends with it, and another candidate that was pending is retired. With `pins`,
    the version is the best so far as well.
    """

    model: str
    version: int
    bundle: str
    champion_before: int | None
    bundle_before: str | None
    reason: str
    request: str
    rollout: str | None = None
    challenger: int | None = None
    pins: bool = False
    candidate_before: int | None = None


@dataclass(frozen=True)
class RolledBack:
    """A person brought an older champion back, or ended a rollout in the champion's favour.

    Automatic promotion is held from here on. With `pins`, who was rolled back had been the best so
    far, and the version takes that place as well.
    """

    model: str
    version: int
    bundle: str
    champion_before: int | None
    bundle_before: str | None
    reason: str
    request: str
    rollout: str | None = None
    challenger: int | None = None
    pins: bool = False


@dataclass(frozen=True)
class Paused:
    """Runs of a model do not start until it is resumed."""

    model: str
    reason: str
    request: str


@dataclass(frozen=True)
class Resumed:
    """Runs start again, and promotion is no longer held."""

    model: str
    reason: str
    request: str


Fact = (
    RecipeChanged
    | DataArrived
    | BatchQuarantined
    | BatchRejected
    | BatchAccepted
    | RetrainRequested
    | RunPinned
    | Trained
    | TrainingFailed
    | Evaluated
    | LookPostponed
    | Concluded
    | RolloutOpened
    | RolloutMoved
    | RolloutEnded
    | Promoted
    | RolledBack
    | BestPinned
    | Paused
    | Resumed
)

# The names under which facts are stored. A class may be renamed; its name here may not.
FACTS: dict[str, type] = {
    "recipe_changed": RecipeChanged,
    "data_arrived": DataArrived,
    "batch_quarantined": BatchQuarantined,
    "batch_rejected": BatchRejected,
    "batch_accepted": BatchAccepted,
    "retrain_requested": RetrainRequested,
    "run_pinned": RunPinned,
    "trained": Trained,
    "training_failed": TrainingFailed,
    "evaluated": Evaluated,
    "look_postponed": LookPostponed,
    "concluded": Concluded,
    "rollout_opened": RolloutOpened,
    "rollout_moved": RolloutMoved,
    "rollout_ended": RolloutEnded,
    "promoted": Promoted,
    "rolled_back": RolledBack,
    "best_pinned": BestPinned,
    "paused": Paused,
    "resumed": Resumed,
}
F = TypeVar("F")
_NAMES = {kind: name for name, kind in FACTS.items()}
_ENCODER = msgspec.json.Encoder(order="deterministic")


@dataclass(frozen=True)
class Entry:
    """A fact in its place in the ledger.

    Attributes:
        n: position, from 1, without gaps.
        id: digest of what caused it.
        time: seconds since 1970, as the clock said when it was recorded.
        fact: the fact.
        hash: digest of this entry and the one before.
    """

    n: int
    id: str
    time: float
    fact: Fact
    hash: str = field(default="", compare=False)


def digest(*parts: str) -> str:
    """SHA-256 of the parts, each preceded by its length, in hexadecimal.

    >>> digest("ab", "c") != digest("a", "bc")
    True
    """
    state = hashlib.sha256()
    for part in parts:
        data = part.encode()
        state.update(len(data).to_bytes(8, "big"))
        state.update(data)
    return state.hexdigest()


def expected(entry: Entry | None, kind: type[F]) -> F:
    """The fact of an entry that must be there and of this kind.

    Raises:
        HealthError: it is not; somebody changed the ledger.
    """
    fact = None if entry is None else entry.fact
    if not isinstance(fact, kind):
        raise HealthError(
            "EB409",
            f"the ledger holds {type(fact).__name__} where {kind.__name__} should be",
            mend="everbake audit verify",
        )
    return fact


def run_id(model: str, cause: str, attempt: int) -> str:
    """The id of a run: the same cause and attempt are the same run, whatever dies."""
    return digest("run", model, cause, str(attempt))[:16]


def step_id(run: str, step: str) -> str:
    """The id of the fact that ends a step of a run."""
    return digest("step", run, step)


def name_of(fact: Fact) -> str:
    """The name under which a fact is stored."""
    return _NAMES[type(fact)]


def encode(fact: Fact) -> bytes:
    """The stored form: JSON with fields in a fixed order; equal facts give equal bytes."""
    return _ENCODER.encode(fact)


def decode(name: str, body: bytes | str) -> Fact:
    """The fact behind a stored name and body; `msgspec.ValidationError` if they do not fit."""
    fact: Fact = msgspec.json.decode(body, type=FACTS[name])
    return fact


def link(previous: str, n: int, entry_id: str, time: float, name: str, body: bytes) -> str:
    """The hash of an entry, which covers everything stored of it and the hash before it."""
    return digest(previous, str(n), entry_id, repr(time), name, body.decode())


def chained(head: tuple[int, str], entry_id: str, time: float, fact: Fact) -> Entry:
    """The entry that follows a head (position and hash), as it will be read back."""
    name, body = name_of(fact), encode(fact)
    n, time = head[0] + 1, float(time)  # a whole number would be read back as another text
    linked = link(head[1], n, entry_id, time, name, body)
    return Entry(n, entry_id, time, decode(name, body), linked)
