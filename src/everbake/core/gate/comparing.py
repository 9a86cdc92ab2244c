"""From two sets of answers to an interval: picks the method that the metric allows."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import isclose, sqrt
from warnings import catch_warnings, simplefilter

import numpy as np

from everbake.core.gate.findings import (
    Array,
    Findings,
    Flags,
    Floats,
    HeldOut,
    Rounding,
    answer_differences,
    margins,
    rounding,
)
from everbake.core.gate.rules import Rules
from everbake.core.gate.scoring import Indices, Scorer, is_numeric
from everbake.core.metrics import Metric, known_metric, metric_of, positives
from everbake.errors import UserCodeError
from everbake.statistics.auroc import auroc_interval
from everbake.statistics.bootstrap import Plan, Weights, bootstrap_interval, weighted_interval
from everbake.statistics.interval import Interval
from everbake.statistics.mean import FEW_DIFFERENCES, mean_interval
from everbake.statistics.proportions import share_interval
from everbake.statistics.smooth import explained_differences, root_differences
from everbake.statistics.weighted import WEIGHTED

LEVEL = 0.05
NEW, IN_USE = "the new model", "the model in use"
_SAME_LOSS = 1e-9
_AGREE = 1e-6
BINARY = 2
_ROW_KINDS = {"mean", "share", "root", "explained"}


class ChampionError(Exception):
    """The metric cannot read the champion's answers: they were made for another one."""


@dataclass(frozen=True)
class Losses:
    """The loss of each row under both models; rounding counts as 0.

    Attributes:
        champion: the champion's.
        candidate: the candidate's.
        largest_error: the largest error of either model, in units of the outcome.
        means: both means before rounding was taken out.
    """

    champion: Floats
    candidate: Floats
    largest_error: float
    means: tuple[float, float]

    @property
    def differences(self) -> Floats:
        """The improvement of each row; what is lost in rounding is 0."""
        d = self.champion - self.candidate
        scale = max(float(np.mean(self.champion)), float(np.mean(self.candidate)))
        d[np.abs(d) <= _SAME_LOSS * scale] = 0.0
        return d


@dataclass(frozen=True)
class Duel:
    """Both models on the held-out rows, with all that can be said before an interval.

    `values` is None where the metric has none on these rows.
    """

    metric: Metric
    held: HeldOut
    before: Array
    scorer: Scorer
    values: tuple[float, float] | None
    losses: Losses | None
    apart: Floats
    rounding: Rounding

    @property
    def differing(self) -> Flags:
        """Rows that tell the two models apart: by their loss, else by their answers."""
        if self.losses is not None:
            return np.asarray(self.losses.differences != 0)
        return np.asarray(self.apart > self.rounding.step)


def effective(rules: Rules) -> Metric:
    """What is known of the metric; for a stranger only its direction."""
    known = metric_of(rules.metric)
    return known or Metric(rules.name, rules.better, float("nan"))


def undefined(metric: Metric, y: Array) -> str | None:
    """Why the metric has no value on these outcomes, or None."""
    if metric.kind not in {"ranking", "classes", "explained"}:
        return None
    labels = np.unique(y)
    if len(labels) > 1:
        return None
    rows = "the one held-out row has" if len(y) == 1 else f"all {len(y)} held-out rows have"
    needs = "outcomes that differ" if metric.kind == "explained" else "both"
    return f"{rows} the outcome {labels[0]}; {metric.name} needs {needs}"


def score(metric: Metric, scorer: Scorer, answers: Array, whose: str) -> float:
    """The metric's value, NaN or infinite where it has none.

    A probability loss of scikit-learn's is also scored where only one outcome occurs.
    """
    one_class = metric.probabilities and len(np.unique(scorer.y)) == 1
    ours = str(getattr(scorer.metric, "__module__", "")).startswith("sklearn.")
    if one_class and ours and answers.ndim == 1 and metric.row_loss and is_numeric(scorer.y):
        return float(np.mean(metric.row_loss(scorer.y, answers)))
    return scorer.value(answers, whose)


def duel(held: HeldOut, rules: Rules, before: Array) -> Duel:
    """Score both models; `before` are the champion's answers, its value may be NaN.

    Raises:
        ChampionError: the metric raised for the champion's answers, and not for the candidate's.
    """
    metric = effective(rules)
    scorer = Scorer(rules.name, rules.metric, held.y, held.rows)
    values = None
    if undefined(metric, held.y) is None:
        after = scorer.finite(score(metric, scorer, held.candidate, NEW), NEW)
        values = _in_use(metric, scorer, before), after
    step = rounding(held.y, before, held.candidate)
    losses = _losses(metric, held, before, step)
    if losses is not None and values is not None and not _agree(metric, held, losses, values):
        metric, losses = replace(metric, kind="other", row_loss=None, scale="none"), None
    apart = answer_differences(before, held.candidate)
    return Duel(metric, held, before, scorer, values, losses, apart, step)


def _in_use(metric: Metric, scorer: Scorer, before: Array) -> float:
    try:
        return score(metric, scorer, before, IN_USE)
    except UserCodeError as error:
        raise ChampionError(error.what) from error


def log_loss_duel(duel: Duel) -> Duel | None:
    """The same duel under log loss, if both models answer with probabilities."""
    metric = known_metric("log_loss")
    both = (duel.before, duel.held.candidate)
    if metric is None or metric.row_loss is None or not all(map(_probable, both)):
        return None
    losses = _losses(metric, duel.held, duel.before, duel.rounding)
    if losses is None:
        return None
    values = float(np.mean(losses.champion)), float(np.mean(losses.candidate))
    return replace(duel, metric=metric, losses=losses, values=values)


def find(duel: Duel, rules: Rules) -> Findings:
    """The interval of the improvement and everything that a rule needs beside it.

    Raises:
        UndefinedError: a resampled metric has no value on too many resamples.
    """
    duel = _without_root_of_zero(duel)
    if duel.values is None:
        raise ValueError("a duel without values has no interval")
    before, after = duel.values
    gap, tolerance, equal = margins(duel.metric, before, rules)
    rows_have_errors = duel.losses is not None and duel.metric.scale != "none"
    if duel.losses is not None and not np.any(duel.losses.champion) and not duel.metric.unit:
        gap = tolerance = equal = 0.0
    k = int(np.count_nonzero(duel.differing))
    interval = _interval(duel, k, rules)
    if not _conclusive(duel, k):
        interval = interval.barred()
    return Findings(
        metric=duel.metric,
        n=duel.held.n,
        champion=before,
        candidate=after,
        interval=interval,
        differing=k,
        gap=gap,
        tolerance=tolerance,
        equal_within=equal,
        largest_error=duel.losses.largest_error if duel.losses and rows_have_errors else None,
        notes=_notes(duel),
    )


def observed(duel: Duel, rules: Rules) -> float:
    """The difference of the two values; above 0 where the candidate is better."""
    before, after = duel.values or (0.0, 0.0)
    return after - before if rules.better == "higher" else before - after


def _interval(duel: Duel, k: int, rules: Rules) -> Interval:
    if duel.losses is not None:
        return _row_interval(duel, duel.losses, k)
    if duel.metric.kind == "ranking" and duel.before.ndim == duel.held.candidate.ndim == 1:
        flags = np.asarray(positives(duel.held.y), dtype=bool)
        scores = duel.before.astype(np.float64), duel.held.candidate.astype(np.float64)
        interval = auroc_interval(flags, *scores, LEVEL)
        # a user's own function of that name may be something else
        if isclose(interval.difference, observed(duel, rules), abs_tol=_AGREE):
            return interval
    return _resampled(duel, rules)


def _row_interval(duel: Duel, losses: Losses, k: int) -> Interval:
    kind = duel.metric.kind
    d = losses.differences
    if kind == "share":
        gained, lost = int(np.sum(d > 0)), int(np.sum(d < 0))
        return share_interval(gained, lost, len(d), LEVEL)
    if kind == "root":
        d = root_differences(losses.champion, losses.candidate)
    elif kind == "explained":
        truth = duel.held.y.astype(np.float64)
        d = explained_differences(truth, losses.champion, losses.candidate)
    return mean_interval(d, LEVEL, differing=k)


def _resampled(duel: Duel, rules: Rules) -> Interval:
    held, scorer, seen = duel.held, duel.scorer, observed(duel, rules)
    labels, codes = np.unique(held.y, return_inverse=True)
    plan = Plan(held.n, codes.reshape(-1) if len(labels) == BINARY else None, held.seed)
    fast = _weighted(duel, seen)
    if fast is not None:
        return weighted_interval(fast, seen, plan, LEVEL)
    sign = 1.0 if rules.better == "higher" else -1.0

    def difference(index: Indices) -> float:
        return sign * (scorer.on(index, held.candidate) - scorer.on(index, duel.before))

    with catch_warnings():
        simplefilter("ignore")  # a resample without a class is no news to anybody
        return bootstrap_interval(difference, seen, plan, LEVEL)


def _weighted(duel: Duel, seen: float) -> Callable[[Weights], Floats] | None:
    """The difference under row counts, where the metric is what its name promises."""
    held, metric = duel.held, WEIGHTED.get(duel.metric.name)
    numeric = is_numeric(held.y) and is_numeric(duel.before) and is_numeric(held.candidate)
    if metric is None or not numeric or duel.before.ndim + held.candidate.ndim > BINARY:
        return None
    flags = np.asarray(positives(held.y), dtype=bool)
    before, after = (a.astype(np.float64) for a in (duel.before, held.candidate))

    new, old = metric(flags, after), metric(flags, before)

    def difference(weights: Weights) -> Floats:
        return new(weights) - old(weights)

    plain = float(difference(np.ones((1, held.n)))[0])
    return difference if isclose(plain, seen, abs_tol=_AGREE) else None


def _conclusive(duel: Duel, k: int) -> bool:
    """Whether enough rows tell the two models apart for a gain to be claimed."""
    if duel.held.n < FEW_DIFFERENCES:
        return False
    return duel.metric.kind == "share" or k >= FEW_DIFFERENCES


def _losses(metric: Metric, held: HeldOut, before: Array, step: Rounding) -> Losses | None:
    row_loss = metric.row_loss
    numeric = metric.kind == "share" or (is_numeric(before) and is_numeric(held.candidate))
    flat = before.ndim == 1 and held.candidate.ndim == 1
    if row_loss is None or not numeric or not (flat or metric.name == "log_loss"):
        return None
    if metric.scale != "none" and not (metric.probabilities or is_numeric(held.y)):
        return None
    if not flat and {before.shape[-1], held.candidate.shape[-1]} != {len(np.unique(held.y))}:
        return None
    pair = [row_loss(held.y, answers) for answers in (before, held.candidate)]
    means = float(np.mean(pair[0])), float(np.mean(pair[1]))
    if metric.scale == "none":
        return Losses(pair[0], pair[1], float("nan"), means)
    squared = metric.scale == "squared"
    largest = float(max(np.max(pair[0]), np.max(pair[1])))
    limit = step.step**2 if squared else step.step
    pair = [np.where(loss <= limit, 0.0, loss) for loss in pair]
    return Losses(pair[0], pair[1], sqrt(largest) if squared else largest, means)


def _agree(metric: Metric, held: HeldOut, losses: Losses, values: tuple[float, float]) -> bool:
    """Whether the user's function is the metric that its name promises."""
    pairs = zip(losses.means, values, strict=True)
    implied = [(_implied(metric, held, mean), value) for mean, value in pairs]
    tiny = max(1e-12, *(abs(value) for value in values)) * _AGREE
    return all(isclose(a, b, rel_tol=_AGREE, abs_tol=tiny) for a, b in implied)


def _implied(metric: Metric, held: HeldOut, mean: float) -> float:
    if metric.kind == "root":
        return sqrt(mean)
    if metric.kind == "explained":
        return 1 - mean / float(np.var(held.y.astype(np.float64)))
    return 1 - mean if metric.better == "higher" else mean


def _without_root_of_zero(duel: Duel) -> Duel:
    losses = duel.losses
    if duel.metric.kind != "root" or losses is None:
        return duel
    if np.any(losses.champion) and np.any(losses.candidate):
        return duel
    name = duel.metric.name.removeprefix("root_")
    metric = replace(duel.metric, name=name, kind="mean")
    values = float(np.mean(losses.champion)), float(np.mean(losses.candidate))
    return replace(duel, metric=metric, values=values)


def _notes(duel: Duel) -> tuple[str, ...]:
    notes = duel.held.notes
    after, before = duel.held.candidate, duel.before
    if _constant(after) and not _constant(before):
        notes += ("the new model gives the same answer on every row.",)
    if duel.metric.name == "log_loss":
        certain = [int(np.sum((p == 0) | (p == 1))) for p in (before, after)]
        if any(certain):
            counts = f"{certain[0]} of the model in use, {certain[1]} of the new one"
            notes += (f"probabilities of exactly 0 or 1 were clipped: {counts}.",)
    return notes


def _constant(answers: Array) -> bool:
    return bool(np.all(answers == answers[0]))


def _probable(answers: Array) -> bool:
    if answers.ndim != 1 or answers.dtype.kind != "f":
        return False
    labels = np.all((answers == 0) | (answers == 1))
    return bool(np.all((answers >= 0) & (answers <= 1)) and not labels)
