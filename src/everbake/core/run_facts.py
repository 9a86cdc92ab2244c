"""What facts say about a run, from its first step to its last."""

from dataclasses import dataclass

from everbake.core.decision import Verdict
from everbake.core.look_facts import Look, Pending
from everbake.core.spec import RecipeSpec


@dataclass(frozen=True)
class Learning:
    """How the candidate of a run comes to know its rows.

    Attributes:
        base: the version that is taught the new rows; None: the candidate is trained from scratch.
        bundle: and its bundle.
        because: why from scratch, where the recipe has an `update`.
    """

    base: int | None = None
    bundle: str | None = None
    because: str = ""


@dataclass(frozen=True)
class RunPinned:
    """A run began, and what it works on was fixed.

    Attributes:
        model: the model.
        run: id of the run, the digest of model, cause and attempt.
        cause: id of the fact that started it.
        cause_kind: what kind of cause that is, for people: `data`, `recipe`, `request`, or
            `pending`: a version is looked at again, and nothing is trained.
        attempt: 1, or more after a failure that was not the user's.
        data_version: all rows up to this data version.
        recipe: digest of the recipe.
        recipe_number: the how-manieth recipe of this model.
        snapshot: blob of the recipe's files.
        champion: version that the candidate is compared with.
        champion_bundle: and its bundle.
        seed: of training.
        environment: blob that lists Python, packages, platform, commit and uncommitted changes.
        most_held_out: rows that a split in time holds out at most: more were not needed last time.
        spec: the recipe as plain data.
        best: the best version so far, behind which the candidate may not fall.
        best_bundle: and its bundle.
        pending: the version that is looked at again.
        data_time: how new the data are, in seconds since 1970.
        learning: whether the candidate is trained from scratch, or the champion taught new rows.
        reached: the best value of the metric that a champion had in the last decisions, if any.
    """

    model: str
    run: str
    cause: str
    cause_kind: str
    attempt: int
    data_version: int
    recipe: str
    recipe_number: int
    snapshot: str
    champion: int | None
    champion_bundle: str | None
    seed: int
    environment: str
    most_held_out: int | None
    spec: RecipeSpec
    best: int | None = None
    best_bundle: str | None = None
    pending: Pending | None = None
    data_time: float | None = None
    learning: Learning = Learning()
    reached: float | None = None


@dataclass(frozen=True)
class Trained:
    """A candidate exists.

    Attributes:
        model: the model.
        run: the run.
        bundle: digest of the bundle: everything that the candidate needs to answer.
        runtime: `linear` or `native`.
        rows: rows it was trained on.
        held_out: rows held out.
        seconds: wall-clock time of the job.
        peak_memory: bytes.
        log: blob of what it printed.
        new_rows: those of `rows` that were new to the version that was updated.
    """

    model: str
    run: str
    bundle: str
    runtime: str
    rows: int
    held_out: int
    seconds: float
    peak_memory: int
    log: str
    new_rows: int = 0


@dataclass(frozen=True)
class TrainingFailed:
    """The run cannot go on.

    Attributes:
        model: the model.
        run: the run.
        step: `train` or `evaluate`.
        code: error code.
        error: one line.
        log: blob of what it printed.
        again: whether the cause was not the user's code, so that another attempt makes sense.
    """

    model: str
    run: str
    step: str
    code: str
    error: str
    log: str
    again: bool = False


@dataclass(frozen=True)
class Evaluated:
    """Candidate and champion were compared on the same held-out rows.

    Attributes:
        model: the model.
        run: the run.
        decision: the decision, as JSON.
        serves: the bundle that will serve if it is promoted (another one after a refit).
        seconds: wall-clock time of the jobs.
        look: the decision's place in the ledger of looks.
        surpasses: whether the candidate was shown to be better than the best version so far.
        best_broken: whether the best version so far no longer runs.
    """

    model: str
    run: str
    decision: str
    serves: str
    seconds: float
    look: Look | None = None
    surpasses: bool = False
    best_broken: bool = False


@dataclass(frozen=True)
class Concluded:
    """A run ended: verdict, version number and deployment, in one fact.

    Attributes:
        model: the model.
        run: the run.
        state: `finished`, `failed`, `waiting` (a winner while promotion is held), or `postponed`
            (too few rows to look at a pending candidate again).
        data_version: the data versions up to here are covered.
        recipe: digest of the recipe.
        cause: id of the cause.
        attempt: of the run.
        verdict: None if the run failed, or was postponed.
        version: number of the version, None if the run failed before there was one.
        bundle: what that version serves.
        runtime: how it answers.
        decision: as JSON, or None.
        serves: whether the new version was deployed at once.
        rolls: whether it is to take over by its recipe's rollout.
        champion_before: who served before.
        bundle_before: its bundle.
        candidate_before: the pending candidate until now.
        error: of a failed run.
        again: a failed run that was not the user's fault.
        seconds: the time of its jobs.
        log: blob of what its jobs printed.
        looked: whether `version` was there before, and was looked at again.
        keeps: whether `candidate_before` keeps its place and an undecided new version is retired;
            None: it does if the new version was rejected.
        look: the decision's place in the ledger of looks.
        next_look: rows of the table from which on an undecided version is looked at again.
        data_time: how new the data are, in seconds since 1970.
        best_before: the best version so far, with which the candidate was compared.
        surpasses: whether it was shown to be better than that.
        pins: whether the version is the best so far from here on.
        unpins: whether the best so far no longer ran, and `champion_before` takes its place.
        base: the version that was updated; None for one that was trained from scratch.
        rows: rows that the version has learned from.
        new_rows: those that were new to `base`.
        updates: runs by update since the last full training, this one among them.
        full_time: how new the data of that full training were, in seconds since 1970.
    """

    model: str
    run: str
    state: str
    data_version: int
    recipe: str
    cause: str
    attempt: int
    verdict: Verdict | None
    version: int | None
    bundle: str | None
    runtime: str | None
    decision: str | None
    serves: bool
    champion_before: int | None
    bundle_before: str | None
    candidate_before: int | None
    error: str = ""
    again: bool = False
    seconds: float = 0.0
    log: str = ""
    rolls: bool = False
    looked: bool = False
    keeps: bool | None = None
    look: Look | None = None
    next_look: int | None = None
    data_time: float | None = None
    best_before: int | None = None
    surpasses: bool = False
    pins: bool = False
    unpins: bool = False
    base: int | None = None
    rows: int = 0
    new_rows: int = 0
    updates: int = 0
    full_time: float | None = None
