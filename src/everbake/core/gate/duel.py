"""Two models on the same rows, scored, with all that can be said before an interval is made."""

from dataclasses import dataclass, replace
from math import isnan

import numpy as np

from everbake.core.gate.answers import effective, seen_by
from everbake.core.gate.findings import Rounding, answer_differences, rounding
from everbake.core.gate.heldout import Array, Flags, Floats, HeldOut, Indices
from everbake.core.gate.losses import (
    Losses,
    Pair,
    agree,
    average,
    right_or_wrong,
    row_losses,
    value_of,
)
from everbake.core.gate.rules import Rules
from everbake.core.gate.scoring import Scorer, is_composite, is_numeric
from everbake.core.metrics import Metric, known_metric, positives, usual
from everbake.errors import UsageError, UserCodeError

NEW, IN_USE = "the new model", "the model in use"
BINARY = 2
_RAISED = "EB310"
TWO_CLASS = frozenset({"ranking", "classes"})


class ChampionError(Exception):
    """The metric cannot read the champion's answers: they were made for another one."""


@dataclass(frozen=True)
class Duel:
    """Both models on the held-out rows.

    Attributes:
        metric: what is known of it.
        held: the rows.
        before: the champion's answers (or decisions) as the metric sees them.
        after: the candidate's.
        scorer: the metric on these rows.
        values: the champion's and the candidate's value; None where the metric has none here.
        losses: of the rows, where they have any.
        apart: how far the two answers of each row are apart.
        rounding: how far that may be and still be nothing.
        positive: True for each row of the positive class, where there are two.
    """

    metric: Metric
    held: HeldOut
    before: Array
    after: Array
    scorer: Scorer
    values: tuple[float, float] | None
    losses: Losses | None
    apart: Floats
    rounding: Rounding
    positive: Flags | None

    @property
    def differing(self) -> Flags:
        """Rows that tell the two models apart: by their loss, else by their answers."""
        if self.losses is not None:
            return np.asarray(self.losses.differences != 0)
        return np.asarray(self.apart > self.rounding.step)

    @property
    def difference(self) -> float:
        """The difference of the two values; above 0 where the candidate is better."""
        before, after = self.values or (0.0, 0.0)
        return after - before if self.metric.better == "higher" else before - after

    @property
    def rarest(self) -> int | None:
        """Rows of the smaller class, where the metric needs two."""
        if self.metric.kind not in TWO_CLASS or self.positive is None:
            return None
        count = int(np.sum(self.positive))
        return min(count, len(self.positive) - count)

    def take(self, index: Indices) -> "Duel":
        """The same duel on the rows `index`, not yet scored."""
        losses = self.losses
        held = replace(self.held, segments={}, champion=None, best=None)
        if losses is not None:
            held = replace(held, rows=None)
        return replace(
            self,
            held=held.take(index),
            before=self.before[index],
            after=self.after[index],
            scorer=self.scorer if losses else self.scorer.at(index),
            values=None,
            losses=None if losses is None else losses.take(index),
            apart=self.apart[index],
            positive=None if self.positive is None else self.positive[index],
        )

    def revalued(self) -> "Duel":
        """The same duel with the values of its own rows, from their losses if it has them.

        Raises:
            UserCodeError: the metric raised.
        """
        if self.losses is None:
            before = score(self.metric, self.scorer, self.before, IN_USE)
            return replace(self, values=(before, self.scorer.value(self.after, NEW)))
        weights, y = self.held.weights, self.held.y
        means = [average(a, weights) for a in (self.losses.champion, self.losses.candidate)]
        before, after = (value_of(self.metric, y, mean, weights) for mean in means)
        return replace(self, values=(before, after))


def undefined(metric: Metric, y: Array) -> str | None:
    """Why the metric has no value on these outcomes, or None."""
    if metric.wants == "decisions" and not usual(y):
        return one_outcome(metric.name, y)  # of one label nobody can say which one it is
    if metric.kind not in {*TWO_CLASS, "explained"}:
        return None
    return one_outcome(metric.name, y, "outcomes that differ" * (metric.kind == "explained"))


def one_outcome(name: str, y: Array, needs: str = "") -> str | None:
    """A sentence where all outcomes are the same, or None."""
    if is_composite(y):
        return None
    labels = np.unique(y) if y.dtype.kind != "O" else list(dict.fromkeys(y.flat))
    if len(labels) > 1:
        return None
    rows = "the one held-out row has" if len(y) == 1 else f"all {len(y)} held-out rows have"
    return f"{rows} the outcome {labels[0]}; {name} needs {needs or 'both'}"


def untold_by(error: UserCodeError, name: str, y: Array, answers: Array) -> str | None:
    """A sentence where a metric raised because an outcome does not occur, else None."""
    classless = isinstance(error.__cause__, ValueError | ArithmeticError | IndexError)
    if error.code != _RAISED or not classless:
        return None
    reason = one_outcome(name, y, "others, too") or _absent(name, y, answers)
    return None if reason is None else f"{reason} ({error.what})"


def _absent(name: str, y: Array, answers: Array) -> str | None:
    """A sentence where there are probabilities of more outcomes than occur, or None."""
    if y.ndim > 1 or answers.ndim != BINARY or is_composite(y):
        return None
    labels = len(np.unique(y))
    if labels >= answers.shape[1]:
        return None
    known = f"{labels} of the {answers.shape[1]} outcomes that the model knows"
    return f"only {known} occur on {len(y)} held-out rows; {name} needs all"


def score(metric: Metric, scorer: Scorer, answers: Array, whose: str) -> float:
    """The metric's value, NaN or infinite where it has none.

    A probability loss of scikit-learn's is also scored where only one outcome occurs.
    """
    ours = str(getattr(scorer.metric, "__module__", "")).startswith("sklearn.")
    one_class = metric.probabilities and ours and _one_known_class(scorer.y)
    if one_class and answers.shape[1:] in {(), (BINARY,)} and metric.row_loss:
        return average(metric.row_loss(scorer.y, answers), scorer.weights)
    return scorer.value(answers, whose)


def scorer_of(held: HeldOut, rules: Rules) -> Scorer:
    """The metric that decides, on these rows.

    Raises:
        UsageError: the rows have weights, and the metric takes none.
    """
    scorer = Scorer(rules.name, rules.metric, held.y, held.rows, held.weights)
    if held.weights is None or scorer.takes_weights:
        return scorer
    raise UsageError(
        "EB054",
        f"the rows have sample weights, and the metric {rules.name} takes none",
        why="its value would not be that of the weighted rows",
        mend=f"give {rules.name} a parameter sample_weight, or leave the weights out",
    )


def facing(held: HeldOut, rules: Rules) -> Duel:
    """Both models on the rows, not yet scored.

    Raises:
        UsageError: the rows have weights, and the metric takes none.
    """
    if held.champion is None:
        raise ValueError("nothing to compare with")
    metric = effective(rules)
    before = seen_by(metric, held.champion, held.y, held.thresholds[0])
    after = seen_by(metric, held.candidate, held.y, held.thresholds[1])
    step = rounding(metric, held.y, before, after)
    losses = row_losses(metric, Pair(held.y, before, after, held.weights), step)
    if losses is not None and metric.kind == "share" and not right_or_wrong(losses):
        metric = replace(metric, kind="mean")
    two = losses is None or metric.kind in TWO_CLASS
    positive = _positive(held.y) if two else None
    apart, scorer = answer_differences(metric, before, after), scorer_of(held, rules)
    return Duel(metric, held, before, after, scorer, None, losses, apart, step, positive)


def scored(pair: Duel) -> Duel:
    """The same duel with both values, as the metric itself gives them; the champion's may be NaN.

    Raises:
        ChampionError: the metric raised for the champion's answers, and not for the candidate's.
        UserCodeError: the metric raised for the candidate's answers, has no finite value of them,
            or not always the same.
    """
    metric, scorer, held = pair.metric, pair.scorer, pair.held
    if undefined(metric, held.y) is not None:
        return pair
    new = scorer.finite(score(metric, scorer, pair.after, NEW), NEW)
    values = _in_use(metric, scorer, pair.before), new
    rows = Pair(held.y, pair.before, pair.after, held.weights)
    if pair.losses is not None and agree(metric, rows, pair.losses, values):
        return replace(pair, values=values)
    scorer.steady(new, pair.after, NEW)
    if pair.losses is None:
        return replace(pair, values=values)
    stranger = replace(metric, kind="other", row_loss=None, scale="none")
    positive = _positive(held.y)
    return replace(pair, metric=stranger, losses=None, values=values, positive=positive)


def log_loss_duel(pair: Duel) -> Duel | None:
    """The same duel under log loss, if both models answer with probabilities."""
    metric, y = known_metric("log_loss"), pair.held.y
    told = _one_known_class(y) or len(np.unique(y)) == BINARY
    before, after = pair.held.champion, pair.held.candidate  # the scores, if the models decide
    if metric is None or before is None:
        return None
    if not (told and _probable(before) and _probable(after)):
        return None
    answers = Pair(pair.held.y, before, after, pair.held.weights)
    losses = row_losses(metric, answers, pair.rounding)
    if losses is None:
        return None
    return replace(pair, metric=metric, before=before, after=after, losses=losses).revalued()


def _in_use(metric: Metric, scorer: Scorer, before: Array) -> float:
    try:
        return score(metric, scorer, before, IN_USE)
    except UserCodeError as error:
        raise ChampionError(error.what) from error


def _one_known_class(y: Array) -> bool:
    """Whether all outcomes are of one class, and it is plain which one."""
    return bool(y.ndim == 1 and is_numeric(y) and np.all(y == y[0]) and y[0] in (-1, 0, 1))


def _positive(y: Array) -> Flags | None:
    """True for each row of the positive class, None where there are not two classes."""
    if y.ndim > 1 or is_composite(y) or len(np.unique(y)) > BINARY:
        return None
    return np.asarray(positives(y), dtype=np.bool_)


def _probable(answers: Array) -> bool:
    if answers.ndim != 1 or answers.dtype.kind != "f" or isnan(float(answers[0])):
        return False
    labels = np.all((answers == 0) | (answers == 1))
    return bool(np.all((answers >= 0) & (answers <= 1)) and not labels)
