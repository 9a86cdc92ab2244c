"""The gate: the rule that decides whether a new model may take over from the one in use."""

from everbake.core.gate.calibrating import with_curves
from everbake.core.gate.given import Given, Thresholds
from everbake.core.gate.judging import judge_rows
from everbake.core.gate.jumps import jump_check
from everbake.core.gate.rules import Rail, Rules, rail
from everbake.core.gate.standalone import judge

__all__ = [
    "Given",
    "Rail",
    "Rules",
    "Thresholds",
    "judge",
    "judge_rows",
    "jump_check",
    "rail",
    "with_curves",
]
