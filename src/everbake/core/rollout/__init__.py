"""How a new model takes over step by step: the frozen plan, what is counted, what it means."""

from everbake.core.rollout.assessing import Assessment, Step, assess
from everbake.core.rollout.assignment import arm_of_key
from everbake.core.rollout.plan import Plan, QualityRule, RateRule, Stage
from everbake.core.rollout.planning import Baseline, Loss, LossBaseline, Options, make_plan
from everbake.core.rollout.tally import (
    Matured,
    Pair,
    Served,
    Tally,
    tally_losses,
    tally_paired_losses,
    tally_pairs,
    tally_requests,
)

__all__ = [
    "Assessment",
    "Baseline",
    "Loss",
    "LossBaseline",
    "Matured",
    "Options",
    "Pair",
    "Plan",
    "QualityRule",
    "RateRule",
    "Served",
    "Stage",
    "Step",
    "Tally",
    "arm_of_key",
    "assess",
    "make_plan",
    "tally_losses",
    "tally_paired_losses",
    "tally_pairs",
    "tally_requests",
]
