"""The facts of a rollout: what happened on the way from a winner to the champion."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Exposure:
    """What a challenger gets to see during one stage of its rollout.

    Attributes:
        kind: `shadow` or `canary`.
        unit: what is assigned: a caller's `key`, or each `request`.
        salt: of the assignment.
        share: of the units.
    """

    kind: str
    unit: str
    salt: str
    share: float


@dataclass(frozen=True)
class RolloutOpened:
    """A version began to take over, by a plan that is fixed from here on.

    Attributes:
        model: the model.
        rollout: id of the rollout.
        version: the challenger.
        bundle: and its bundle.
        champion: who serves meanwhile.
        plan: all parts and stages, with the champion's figures before, as JSON.
        exposure: of the first stage.
        reason: of a person who asked for it.
        request: the person's request.
        candidate_before: the pending candidate until now; it is retired, unless it is the one.
    """

    model: str
    rollout: str
    version: int
    bundle: str
    champion: int
    plan: str
    exposure: Exposure
    reason: str = ""
    request: str = ""
    candidate_before: int | None = None


@dataclass(frozen=True)
class RolloutMoved:
    """A rollout went on to its next stage.

    Attributes:
        model: the model.
        rollout: id of the rollout.
        version: the challenger.
        part: of the plan, from 0.
        stage: of the part, from 0.
        exposure: from here on.
        because: one sentence.
        evidence: what the step rests on, as JSON.
    """

    model: str
    rollout: str
    version: int
    part: int
    stage: int
    exposure: Exposure
    because: str
    evidence: str


@dataclass(frozen=True)
class RolloutEnded:
    """A rollout ended: by its evidence, at its limit, or by a person.

    Attributes:
        model: the model.
        rollout: id of the rollout.
        version: the challenger.
        bundle: and its bundle.
        outcome: `promoted`, `rolled_back`, `undecided`, `invalid`, or `failed` (it could not be
            loaded).
        champion_before: who served meanwhile.
        bundle_before: and the bundle.
        because: one sentence.
        evidence: what it rests on, as JSON.
        candidate_before: a newer version that waits meanwhile.
        pins: whether the challenger is the best version so far from here on.
    """

    model: str
    rollout: str
    version: int
    bundle: str
    outcome: str
    champion_before: int | None
    bundle_before: str | None
    because: str
    evidence: str
    candidate_before: int | None = None
    pins: bool = False
