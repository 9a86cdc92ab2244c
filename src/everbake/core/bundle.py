"""A bundle: everything that a version needs to answer and to be baked again, by digest."""

from dataclasses import dataclass, field
from typing import Literal

import msgspec

from everbake.core.dataset import ColumnType


@dataclass(frozen=True)
class Input:
    """A column that a request may hold.

    Attributes:
        name: of the column.
        type: as in the contract.
        nullable: whether `null` is allowed.
        needed: whether the model fails, or answers differently, without it.
        private: whether its values stay out of the prediction log.
        within: the smallest and the largest whole number it may be; None: any.
    """

    name: str
    type: ColumnType
    nullable: bool
    needed: bool
    private: bool = False
    within: tuple[int, int] | None = None


LONGEST_LIST = 1_000  # items that a request may ask for


def ranking_inputs(user: ColumnType, *, private: bool) -> tuple[Input, ...]:
    """What a request to a ranking recipe holds: whom to recommend to, and how many items.

    Args:
        user: the type of the events' user column.
        private: whether users stay out of the prediction log.
    """
    return (
        Input("user", user, nullable=False, needed=True, private=private),
        Input("k", "int64", nullable=True, needed=False, within=(1, LONGEST_LIST)),
    )


@dataclass(frozen=True)
class Threshold:
    """The score from which a version decides "positive", and how it was found.

    Attributes:
        value: scores of at least this are decided positive.
        false_positive: what deciding "positive" costs where the outcome is not.
        false_negative: what missing a positive outcome costs.
        ideal: the cheapest threshold of calibrated probabilities (Elkan 2001).
        method: `out-of-fold` for the cheapest on predictions by models that had not seen the rows;
            `ideal` where there were none.
        folds: how many models were trained for it.
        plan: how rows were dealt to them: `rows`, `groups`, or `time` (each model is older than
            what it predicts).
        rows: that these models predicted.
        positives: of these.
        cost: of a row at `value`, in the mean over these rows.
        cost_at_ideal: the same at `ideal`.
        seed: of the dealing.
        note: a sentence, where something is worth knowing.
    """

    value: float
    false_positive: float
    false_negative: float
    ideal: float
    method: Literal["out-of-fold", "ideal"]
    folds: int
    plan: Literal["rows", "groups", "time"]
    rows: int
    positives: int
    cost: float | None
    cost_at_ideal: float | None
    seed: int
    note: str = ""


@dataclass(frozen=True)
class Bundle:
    """What a version is made of; its own digest names it.

    Attributes:
        model: the model's name.
        recipe: digest of the recipe.
        snapshot: blob of the recipe's files.
        source: the recipe file among them.
        environment: blob that lists Python, packages, platform, commit and uncommitted changes.
        data_version: trained on rows up to here.
        data_digest: of these rows' last batch.
        params: given to `train`.
        seed: given to `train`.
        runtime: `linear`, `trees` or `native`.
        runtime_data: blob of a compiled runtime, None for a native one.
        why_runtime: one sentence: why it is compiled, or why not.
        artifact: blob of the model.
        artifact_format: `skops` or `cloudpickle`.
        inputs: the columns of a request.
        trained_rows: blob of the set of rows it was trained on.
        rows: how many these are.
        refit: whether it was trained once more on all rows.
        seconds: of training.
        peak_memory: of training, bytes.
        python: version of Python.
        example: a row that it was trained on, as a request would hold it; empty in old bundles.
        native_above: rows in a call above which a compiled version is faster natively; or None.
        base: digest of the bundle whose model was updated; None: it was trained from scratch.
        new_rows: rows that were new to `base`.
        updates: how many updates lie between the last full training and this model.
        threshold: from which score it decides "positive"; None where it gives scores alone.
    """

    model: str
    recipe: str
    snapshot: str
    source: str
    environment: str
    data_version: int
    data_digest: str
    params: dict[str, object]
    seed: int
    runtime: str
    runtime_data: str | None
    why_runtime: str
    artifact: str
    artifact_format: str
    inputs: tuple[Input, ...]
    trained_rows: str
    rows: int
    refit: bool
    seconds: float
    peak_memory: int
    python: str
    example: dict[str, object] = field(default_factory=dict)
    native_above: int | None = None
    base: str | None = None
    new_rows: int = 0
    updates: int = 0
    threshold: Threshold | None = None

    def encode(self) -> bytes:
        """Deterministic JSON: equal bundles give equal bytes."""
        return msgspec.json.encode(self, order="deterministic")

    @staticmethod
    def decode(data: bytes) -> "Bundle":
        """The bundle behind its JSON."""
        return msgspec.json.decode(data, type=Bundle)
