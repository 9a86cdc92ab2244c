"""What a model answered: whether it is an answer at all, and what the metric is to see of it."""

from dataclasses import dataclass

import numpy as np

from everbake.core.gate.heldout import Array, Flags
from everbake.core.gate.rules import Rules
from everbake.core.gate.scoring import is_numeric, present
from everbake.core.metrics import Metric, decisive, known_metric, metric_of, named

_KNOWN_MODULES = ("sklearn.", "everbake.")


@dataclass(frozen=True)
class Fault:
    """Rows without a valid answer.

    Attributes:
        usable: True for each row with a valid answer; all False where no row has one.
        why: as in "missing or infinite values".
    """

    usable: Flags
    why: str

    @property
    def count(self) -> int:
        """How many rows have none."""
        return int(np.sum(~self.usable))


def effective(rules: Rules) -> Metric:
    """What is known of the metric that decides; for a stranger only its direction."""
    return metric_of(rules.metric) or Metric(rules.name, rules.better, float("nan"))


def fault_of(answers: Array, y: Array, rules: Rules, threshold: float | None) -> Fault | None:
    """What is wrong with a model's answers, or None; `threshold`: at which it decides."""
    why = _misfit(answers, y, rules, threshold) or _undecided(answers, rules, threshold)
    if why is not None:
        return Fault(np.zeros(len(y), dtype=np.bool_), why)
    usable = present(answers)
    if not np.all(usable):
        return Fault(usable & _probable(answers, rules), "missing or infinite values")
    usable = _probable(answers, rules)
    return None if np.all(usable) else Fault(usable, "probabilities outside 0 to 1")


def seen_by(metric: Metric, answers: Array, y: Array, threshold: float | None) -> Array:
    """What the metric is computed on: the answers, or what the model decides by them."""
    if threshold is None or not _decided(metric, answers):
        return answers
    # In float64, as in serving: a score of float32 may lie on the other side in its own precision.
    decisions = answers.astype(np.float64) >= threshold
    return named(y, decisions) if metric.wants == "labels" else decisions.astype(np.int64)


def _decided(metric: Metric, answers: Array) -> bool:
    """Whether the metric wants what a model with a threshold makes of such answers."""
    return metric.wants != "scores" and answers.ndim == 1 and is_numeric(answers)


def _misfit(answers: Array, y: Array, rules: Rules, threshold: float | None) -> str | None:
    """Why the answers as a whole cannot be what is asked for, or None."""
    if answers.ndim == 0:
        return "one value for all"
    if len(answers) != len(y):
        return f"{len(answers)} answers in all"
    shape = answers.shape
    if (y.ndim > 1 and shape != y.shape) or (answers.ndim > 1 and _one_answer_a_row(rules, y)):
        wants = f"outcomes of shape {y.shape}" if y.ndim > 1 else f"{rules.name} takes one a row"
        return f"answers of shape {shape}; {wants}"
    metric = effective(rules)
    labels = threshold is None or not _decided(metric, answers)
    if metric.kind == "share" and labels and _text(answers) != _text(y) and len(y):
        told = ("text", "numbers") if _text(answers) else ("numbers", "text")
        return f"{told[0]} where the outcomes are {told[1]}"
    return None


def _undecided(answers: Array, rules: Rules, threshold: float | None) -> str | None:
    """Why answers are no decisions, where the metric wants such, or None."""
    if effective(rules).wants != "decisions" or threshold is not None or not is_numeric(answers):
        return None
    known = answers[present(answers)]
    return None if decisive(known) else "scores where decisions are needed: it has no threshold"


def _one_answer_a_row(rules: Rules, y: Array) -> bool:
    """Whether the metric is a known one that takes no matrix (a namesake of the user's may)."""
    module = str(getattr(rules.metric, "__module__", ""))
    known = known_metric(rules.name)
    plain = y.ndim == 1 and known is not None and not known.probabilities
    return plain and module.startswith(_KNOWN_MODULES)


def _probable(answers: Array, rules: Rules) -> Flags:
    """True for each row whose answer lies where the metric wants it."""
    if not effective(rules).probabilities or not is_numeric(answers):
        return np.ones(len(answers), dtype=np.bool_)
    inside = (answers >= 0) & (answers <= 1)
    return inside if inside.ndim == 1 else np.asarray(inside.all(axis=1))


def _text(values: Array) -> bool:
    """Whether there is text among the values (missing ones aside)."""
    if values.dtype.kind == "O":
        return any(isinstance(value, str | bytes) for value in values.flat)
    return values.dtype.kind in "US"
