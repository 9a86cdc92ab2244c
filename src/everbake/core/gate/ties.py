"""Cases that are settled before any interval: ties, too few rows, outcomes that tell nothing."""

import numpy as np

from everbake.core.gate import wording
from everbake.core.gate.duel import Duel, undefined
from everbake.core.gate.rules import Rules
from everbake.core.gate.verdicts import Ruling
from everbake.core.gate.wording import row_count, rows

FEWEST = 6
RAREST = 10


def tie(duel: Duel, rules: Rules) -> Ruling | None:
    """The ruling where nothing on these rows tells the two models apart."""
    same = same_answers(duel, rules)
    if same is not None:
        return same
    text = _both_exact(duel)
    if text is not None:
        return even("both_exact", text, duel, rules)
    if duel.losses is None or np.any(duel.differing):
        return None
    return same_loss(duel, rules)


def same_answers(duel: Duel, rules: Rules) -> Ruling | None:
    """The ruling where both models give the same answers."""
    text = _same_answers(duel)
    return None if text is None else even("same_predictions", text, duel, rules)


def even(code: str, text: str, duel: Duel, rules: Rules) -> Ruling:
    """A tie: a refresh passes, a challenge has shown nothing."""
    if rules.rule == "challenge":
        return Ruling("inconclusive", code, f"{text}; the change brings no visible difference")
    a = duel.held.more_rows
    tail = "nothing speaks against the new one"
    if a > 0:
        tail = f"the new one has learned from {wording.more(a)} and nothing speaks against it"
    return Ruling("promoted", code, f"{text}; {tail}")


def same_loss(duel: Duel, rules: Rules) -> Ruling:
    """Equal value, no spread: the answers differ, the metric does not see it."""
    return even("same_loss", _same_loss(duel), duel, rules)


def untold(duel: Duel) -> Ruling | None:
    """The ruling where the outcomes do not allow the metric."""
    reason = undefined(duel.metric, duel.held.y)
    if reason is not None:
        return Ruling("inconclusive", "one_class", f"{reason}. {wording.STAYS}")
    flags, count = duel.positive, duel.rarest
    if flags is None or count is None or count >= RAREST:
        return None
    rare = np.sum(flags) == count
    label = duel.held.y[flags][0] if rare else duel.held.y[~flags][0]
    have = "1 row has" if count == 1 else f"{count} rows have"
    text = f"only {have} the outcome {label}; {RAREST} are needed for {duel.metric.name}"
    return Ruling("inconclusive", "rare_class", f"{text}. {wording.STAYS}")


def too_few(duel: Duel) -> Ruling | None:
    """The ruling below six rows, or what is worth as little."""
    n, worth = duel.held.n, duel.held.worth
    if worth >= FEWEST or duel.values is None:
        return None
    before = duel.values[0]
    gap = abs(duel.metric.best - before) if np.isfinite(duel.metric.best) else abs(before)
    say = wording.Amounts(duel.metric.better, duel.metric.best, gap)
    told = say.told(duel.difference)
    only = f"only {row_count(n)}" if n < FEWEST else wording.worth(n, worth)
    text = f"{only}; at least {FEWEST} are needed to judge and 20 to show a gain"
    chance = f"So far the new model is {told}, which can be chance. {wording.STAYS}"
    return Ruling("inconclusive", "too_few_rows", f"{text}. {chance}", duel.difference)


def _same_answers(duel: Duel) -> str | None:
    largest = float(np.max(duel.apart))
    if largest > duel.rounding.step:
        return None
    text = f"on {rows(duel.held.n)} both models give the same answers"
    if largest == 0:
        return text
    return f"{text} (largest difference {wording.rough(largest)}, rounding only)"


def _both_exact(duel: Duel) -> str | None:
    losses = duel.losses
    if losses is None or duel.metric.scale == "none":
        return None
    if np.any(losses.champion) or np.any(losses.candidate):
        return None
    error, size = wording.rough(losses.largest_error), wording.figure(duel.rounding.size)
    right = f"both models are right on {rows(duel.held.n)} to within rounding"
    return f"{right} (largest error {error} where values reach {size})"


def _same_loss(duel: Duel) -> str:
    q = int(np.count_nonzero(duel.apart > duel.rounding.step))
    if q == 1:
        return "the answers differ on 1 row, but both are equally right on it"
    return f"the answers differ on {q} rows, but both are equally right on every one"
