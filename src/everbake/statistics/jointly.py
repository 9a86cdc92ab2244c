"""How much several columns tell of a label together: the measure for one that tells much alone.

Each column comes as what it foretells (`alone.foretold`). A model over them is fitted on one half
of the rows and read on the other: for classes a logistic regression a class over the columns' log
odds, for numbers a linear one over their mean ranks; both with a small ridge.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from everbake.statistics.alone import Flags, Floats, Label, explained, row_losses

Fit = Callable[[Floats, Floats], Floats]

# Of what there is to tell, what a column must tell alone. The outcome of a person, a loan or a
# machine is mostly chance, and no single honest reading takes half of it away (the area under the
# ROC curve is about .95 there). What orders numbers is often one cause, such as the hour of the
# day, so there the column must leave no more than a tenth.
ENOUGH = 0.5
NEARLY_ALL = 0.9
_PEERS = 5  # weaker columns, without which being ahead of them says little: then, too, nearly all
_ERRORS = 2.0  # standard errors by which it must be ahead of the rest
_MOST = 50  # of the weaker columns, the strongest that are taken together
_NOTHING = 0.001  # what a column tells that is left out of the joint model: noise
_RIDGE = 1.0  # penalty, in rows
_STEPS = 30  # of Newton's method, at most
_HALVINGS = 20  # of one step
_CLOSE = 1e-8  # relative gain of a step that is the last
_LEAST = 1e-9  # the smallest rate, of which a logarithm is taken


@dataclass(frozen=True)
class StandingOut:
    """Columns each of which tells more alone than all weaker ones together.

    Attributes:
        names: the strongest first.
        rest: share that all others explain together.
    """

    names: tuple[str, ...]
    rest: float


def standing_out(
    told: Mapping[str, Floats], label: Label, half: Flags, apart: Collection[str] = ()
) -> StandingOut | None:
    """The columns that tell more alone than all weaker ones together.

    The weakest column that does, of those that tell enough alone, brings all stronger ones with
    it: their copies would hide them otherwise.

    Args:
        told: what each column foretells of each row.
        label: what is foretold.
        half: which half each row is in.
        apart: columns that are known to give the label away: no measure for others.
    """
    shares = {name: explained(each, label) for name, each in told.items()}
    order = sorted(shares, key=lambda name: -shares[name])
    for place in reversed(range(len(order) - 1)):
        peers = len(order) - place - 1
        enough = ENOUGH if label.classes and peers >= _PEERS else NEARLY_ALL
        if shares[order[place]] < enough:
            continue
        weaker = [name for name in order[place + 1 :] if name not in apart]
        telling = [told[name] for name in weaker if shares[name] > _NOTHING][:_MOST]
        rest = together(telling, label, half) if telling else _usual(label)
        if _ahead(told[order[place]], rest, label):
            return StandingOut(tuple(order[: place + 1]), max(0.0, explained(rest, label)))
    return None


def _ahead(told: Floats, rest: Floats, label: Label) -> bool:
    """Whether one tells more, by more than chance: the losses of the same rows are compared."""
    gain = row_losses(rest, label) - row_losses(told, label)
    error = float(np.std(gain)) / np.sqrt(len(gain))
    return bool(gain.mean() > _ERRORS * error)


def _usual(label: Label) -> Floats:
    """What is foretold of each row by nothing but how often each class is."""
    if not label.classes:
        return np.full((len(label.values), 1), label.values.mean())
    shares = np.bincount(label.values, minlength=label.classes) / len(label.values)
    return np.tile(shares, (len(label.values), 1))


def together(columns: Sequence[Floats], label: Label, half: Flags) -> Floats:
    """What the columns foretell of each row jointly: the rate of each class, or the mean rank."""
    if not label.classes:
        return _crossed(np.hstack(columns), label.values, half, _linear)[:, None]
    # Of two classes, one is enough: the other has the same odds, upside down.
    chosen = range(1 if label.classes == 2 else 0, label.classes)  # noqa: PLR2004
    rates = np.column_stack([_rate(columns, label, half, each) for each in chosen])
    if len(chosen) < label.classes:
        rates = np.column_stack([1 - rates, rates])
    return np.asarray(rates / rates.sum(axis=1, keepdims=True))


def _rate(columns: Sequence[Floats], label: Label, half: Flags, chosen: int) -> Floats:
    odds = np.column_stack([_log_odds(column[:, chosen]) for column in columns])
    is_it = (label.values == chosen).astype(np.float64)
    return _probability(_crossed(odds, is_it, half, _logistic))


def _crossed(columns: Floats, y: NDArray[Any], half: Flags, fit: Fit) -> Floats:
    """For each row, what the model of the other half says."""
    told = np.empty(len(y))
    for side in (half, ~half):
        middle = columns[~side].mean(axis=0)
        weights = fit(_with_constant(columns[~side] - middle), y[~side])
        told[side] = _with_constant(columns[side] - middle) @ weights
    return told


def _with_constant(columns: Floats) -> Floats:
    return np.hstack([np.ones((len(columns), 1)), columns])


def _linear(columns: Floats, y: Floats) -> Floats:
    penalty = _penalty(columns)
    # In units of what the columns vary by, for a mean rank varies by much less than 1.
    spread = float(np.mean(np.var(columns[:, 1:], axis=0))) or 1.0
    curve = columns.T @ columns + spread * penalty
    return np.asarray(np.linalg.solve(curve, columns.T @ y), np.float64)


def _logistic(columns: Floats, y: Floats) -> Floats:
    """Newton's method; a step that does not help is halved until it does."""
    penalty = _penalty(columns)
    weights = np.zeros(columns.shape[1])
    weights[0] = _log_odds(np.array([y.mean()]))[0]

    def loss(at: Floats) -> float:
        z = columns @ at
        return float(np.sum(np.logaddexp(0, z) - y * z) + at @ penalty @ at / 2)

    now = loss(weights)
    for _ in range(_STEPS):
        rate = _probability(columns @ weights)
        slope = columns.T @ (rate - y) + penalty @ weights
        curve = (columns.T * (rate * (1 - rate))) @ columns + penalty
        step = np.linalg.solve(curve + _LEAST * np.eye(len(curve)), slope)
        for _ in range(_HALVINGS):
            if (then := loss(weights - step)) <= now:
                break
            step = step / 2
        else:
            return weights
        weights, gain, now = weights - step, now - then, then
        if gain <= _CLOSE * abs(now):
            return weights
    return weights


def _penalty(columns: Floats) -> Floats:
    """Of all weights but the constant's."""
    return _RIDGE * np.diag([0.0, *np.ones(columns.shape[1] - 1)])


def _log_odds(rate: Floats) -> Floats:
    clipped = np.clip(rate, _LEAST, 1 - _LEAST)
    return np.log(clipped / (1 - clipped))


def _probability(log_odds: Floats) -> Floats:
    rate: Floats = np.clip(1 / (1 + np.exp(-np.clip(log_odds, -40, 40))), _LEAST, 1 - _LEAST)
    return rate
