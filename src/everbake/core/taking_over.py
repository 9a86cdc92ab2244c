"""What a decision changes about who serves, and about which version is the best so far."""

from dataclasses import dataclass

import msgspec

from everbake.core.decision import Verdict
from everbake.core.loop import ModelState
from everbake.core.run_facts import Evaluated, RunPinned


@dataclass(frozen=True)
class TakingOver:
    """What follows from a decision, for the model as it is when its run ends.

    Attributes:
        verdict: of the decision.
        serves: the version serves at once.
        rolls: it takes over by its recipe's rollout.
        surpasses: it is shown to be better than the best version so far, or the only one that
            answers.
        pins: it is the best version so far from here on.
        unpins: the best so far no longer runs, and the champion takes that place.
    """

    verdict: Verdict
    serves: bool
    rolls: bool
    surpasses: bool
    pins: bool
    unpins: bool

    @property
    def wins(self) -> bool:
        """Whether the version takes over, now or by its rollout."""
        return self.serves or self.rolls


class _Decision(msgspec.Struct):
    verdict: Verdict
    code: str


def verdict_of(decision: str) -> Verdict:
    """The verdict in a decision as JSON."""
    return msgspec.json.decode(decision, type=_Decision).verdict


def taking_over(pinned: RunPinned, evaluated: Evaluated, model: ModelState) -> TakingOver:
    """What follows from a decision. People may have acted since the run was pinned."""
    decision = msgspec.json.decode(evaluated.decision, type=_Decision)
    verdict = decision.verdict
    # A winner over somebody who no longer serves has not beaten the one who does.
    free = not model.held and model.rollout is None and model.champion == pinned.champion
    if pinned.pending is not None:  # somebody may have settled it by hand
        free = free and model.candidate == pinned.pending.version
    won = verdict == "promoted" and free
    rolls = won and bool(pinned.spec.rollout) and model.champion is not None
    serves = won and not rolls
    same = model.best == pinned.best
    alone = decision.code == "champion_broken" and pinned.best == pinned.champion
    surpasses = evaluated.surpasses or alone
    return TakingOver(
        verdict=verdict,
        serves=serves,
        rolls=rolls,
        surpasses=surpasses,
        pins=serves and same and surpasses,
        unpins=same and evaluated.best_broken and model.champion not in (None, model.best),
    )
