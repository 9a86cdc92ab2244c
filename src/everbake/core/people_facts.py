"""The facts of what people decide about a model."""

from dataclasses import dataclass


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


@dataclass(frozen=True)
class BestPinned:
    """A person said which version is the best so far: no candidate may fall behind it.

    Attributes:
        model: the model.
        version: the version.
        bundle: what it answers with.
        best_before: the version that was the best before.
        reason: why.
        request: the person's request.
    """

    model: str
    version: int
    bundle: str
    best_before: int | None
    reason: str
    request: str
