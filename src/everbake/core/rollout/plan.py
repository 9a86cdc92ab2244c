"""The plan of a rollout: frozen when it opens, for evidence counts only under rules set before.

Any edit closes the rollout and opens another one, with its own salt and its own counts.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["canary", "shadow"]
Unit = Literal["key", "request"]
Event = Literal["failure", "success"]

QUALITY = "quality"


@dataclass(frozen=True)
class Stage:
    """A share of the traffic, and what has to be over before the next one.

    Attributes:
        share: chance of a unit to be assigned to the canary.
        dwell: seconds that the stage lasts at least.
        least: canary requests (or users, see `Plan.unit`) since the start of the rollout; of a
            shadow, requests that both models answered.
    """

    share: float
    dwell: float
    least: int


@dataclass(frozen=True)
class RateRule:
    """How a rate is judged, such as that of errors or of requests over the latency budget.

    Attributes:
        name: "errors", "latency" or "quality".
        alpha: chance of a false roll-back by this rate.
        p0: the champion's rate of failures before the rollout; None where it is not known well
            enough, and the canary has to stay under the cap alone.
        ratio: canary to champion, in rates of `event`; a pass rules out this ratio and all that
            are worse.
        cap: rate of failures of the canary that a pass rules out likewise.
        event: what is counted. Where the champion fails often, successes say more.
    """

    name: str
    alpha: float
    p0: float | None
    ratio: float
    cap: float
    event: Event = "failure"


@dataclass(frozen=True)
class QualityRule:
    """How a loss is judged once labels have matured; lower is better.

    Attributes:
        name: the metric.
        kind: "rate" for losses of 0 or 1, else "mean".
        alpha: chance of a false roll-back by quality.
        margin: difference of the mean loss that a pass rules out.
        clip: losses above count as this; None where tails are harmless. The caller clips, see
            `clipped`.
        rate: how a loss of kind "rate" is judged.
    """

    name: str
    kind: Literal["rate", "mean"]
    alpha: float
    margin: float
    clip: float | None = None
    rate: RateRule | None = None

    def clipped(self, loss: float) -> float:
        """The loss as it counts."""
        return loss if self.clip is None else min(loss, self.clip)


@dataclass(frozen=True)
class Plan:
    """All that was agreed before the first request.

    Attributes:
        kind: "canary" answers a share of the requests; "shadow" answers all beside the champion
            and nobody sees it.
        unit: what is assigned, and therefore counted: requests, or keys (users) of whom only the
            first event counts.
        salt: see `arm_of_key`.
        stages: in order.
        rates: at most one rule a name.
        quality: None where no label can tell.
        quality_note: why quality is not judged, where one would expect it to be.
        maturity: age in seconds from which on a label counts.
        most_seconds: limit of the rollout, after which it is undecided.
        most_requests: the same in requests of both models, once the dwell of a stage is over.
        latency_budget: seconds above which a request is too slow; None where nobody knows.
        score_sd: standard deviation of the champion's scores, the scale of differences.
        segments: names declared beforehand; without any, the most there can be are allowed for.
        final: whether the canary becomes the champion behind it; every metric has to pass then.
    """

    kind: Kind
    unit: Unit
    salt: str
    stages: tuple[Stage, ...]
    rates: tuple[RateRule, ...]
    quality: QualityRule | None
    maturity: float
    most_seconds: float
    most_requests: int
    latency_budget: float | None = None
    quality_note: str = ""
    score_sd: float | None = None
    segments: tuple[str, ...] = ()
    final: bool = False
