"""The gate: two models' answers on the same held-out rows in, a decision with its reason out.

The order of the cases is fixed: bad answers, unknown outcomes, no champion, ties, too few rows,
then the interval; guardrails are looked at beside it, and the worst of both counts.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from hashlib import sha256
from math import isfinite

import numpy as np

from everbake.core.decision import Decision
from everbake.core.gate import ties, wording
from everbake.core.gate.comparing import (
    NEW,
    ChampionError,
    Duel,
    duel,
    effective,
    find,
    log_loss_duel,
    observed,
    score,
    undefined,
)
from everbake.core.gate.findings import Array, Flags, HeldOut
from everbake.core.gate.given import Given
from everbake.core.gate.rails import guarded
from everbake.core.gate.rules import IfInconclusive, Rail, Rule, Rules, direction, rail
from everbake.core.gate.scoring import Scorer, as_answers, is_numeric, present, take_rows
from everbake.core.gate.verdicts import Ruling, decide, undecidable
from everbake.core.metrics import AtLeast, AtMost, Better, Metric, known_metric, metric_name
from everbake.errors import UsageError
from everbake.statistics.bootstrap import UndefinedError

_KNOWN_MODULES = ("sklearn.", "everbake.")
_DIGITS = 16  # hexadecimal digits of a digest that become a seed


def judge_rows(given: Given, rules: Rules) -> Decision:
    """Judge a candidate on held-out rows.

    Args:
        given: the answers of both models, and what is known of the rows.
        rules: the metric and the rule.

    Raises:
        UserCodeError: the metric raised, or has no finite value for the candidate.
    """
    truth, new = as_answers(given.y), as_answers(given.candidate)
    digest = given.rows_digest or _digest(truth)
    seed = _seed(digest) if rules.seed is None else rules.seed
    held = HeldOut(truth, None, new, given.rows, digest, seed, given.more_rows)
    refusal = _bad_answers(held, rules)
    if refusal is not None:
        return undecidable(held, rules, refusal)
    known = present(truth)
    if given.champion is None:
        return guarded(_first(_keep(held, known), rules), _keep(held, known), rules.guardrails)
    return _against(_keep(held, known), as_answers(given.champion), known, rules)


def judge(  # noqa: PLR0913 - the public face: everything after the first three is by keyword
    y_true: object,
    champion: object | None,
    candidate: object,
    *,
    metric: Callable[..., float],
    better: Better | None = None,
    rule: Rule = "refresh",
    tolerance: float = 0.05,
    equal_within: float | None = None,
    min_gain: float = 0.0,
    if_inconclusive: IfInconclusive = "keep",
    guardrails: Iterable[AtLeast | AtMost | Rail] = (),
    rows: object | None = None,
    seed: int | None = None,
) -> Decision:
    """Judge a new model against the one in use, on rows that neither has learned from.

    Args:
        y_true: the outcomes.
        champion: the answers of the model in use; None if there is none yet.
        candidate: the answers of the new model.
        metric: `(y_true, y_pred)` or `(y_true, y_pred, rows)` -> float; scikit-learn's own do.
        better: "lower" or "higher"; may be left out for scikit-learn's metrics.
        rule: "refresh" (not worse is enough) or "challenge" (a gain must be shown).
        tolerance: share of the champion's distance from the best value whose loss must be ruled
            out.
        equal_within: share of that distance that counts as equal; by default a fifth of tolerance.
        min_gain: a challenge that cannot gain more than this is rejected (units of the metric).
        if_inconclusive: "keep", "reject", "promote", or "lean" (promote a refresh that points
            upwards).
        guardrails: absolute limits on the candidate, `AtLeast` and `AtMost`.
        rows: the held-out rows, for metrics with a third parameter `rows`.
        seed: of the resampling, for metrics that need it; by default derived from the outcomes.

    Returns:
        The decision: `verdict`, `because`, `difference` (> 0: the candidate is better), `interval`.

    Raises:
        UsageError: the arguments do not fit each other.
        UserCodeError: the metric raised, or has no finite value for the candidate.

    >>> from sklearn.metrics import mean_squared_error
    >>> judge([2, 4], [2, 4], [2, 4], metric=mean_squared_error).verdict
    'promoted'
    """
    if not callable(metric):
        raise UsageError("EB052", f"metric is {metric!r}, not a function", mend="pass a function")
    name = metric_name(metric)
    rules = Rules(
        name=name,
        metric=metric,
        better=direction(name, better),
        rule=rule,
        tolerance=tolerance,
        equal_within=tolerance / 5 if equal_within is None else equal_within,
        min_gain=min_gain,
        if_inconclusive=if_inconclusive,
        guardrails=tuple(rail(guardrail) for guardrail in guardrails),
        seed=seed,
    )
    _check_arguments(as_answers(y_true), champion, candidate)
    return judge_rows(Given(y_true, champion, candidate, rows=rows), rules)


def _check_arguments(truth: Array, champion: object | None, candidate: object) -> None:
    if truth.ndim != 1 or not len(truth):
        fault = f"an array of shape {truth.shape}" if truth.ndim != 1 else "empty"
        raise UsageError("EB050", f"y_true is {fault}", mend="pass one outcome for each row")
    missing = int(np.sum(~present(truth)))
    if missing:
        raise UsageError(
            "EB050",
            f"y_true has no finite value on {missing} of {len(truth)} rows",
            mend="leave out the rows whose outcome is not known",
        )
    for name, answers in (("champion", champion), ("candidate", candidate)):
        shape = truth.shape if answers is None else as_answers(answers).shape
        if shape[:1] != truth.shape:
            raise UsageError(
                "EB050",
                f"{name} has the shape {shape}, y_true has {len(truth)} rows",
                mend="pass one prediction for each row",
            )


def _one_answer_a_row(rules: Rules) -> bool:
    """Whether the metric is a known one that takes no matrix (a namesake of the user's may)."""
    module = str(getattr(rules.metric, "__module__", ""))
    known = known_metric(rules.name)
    return known is not None and not known.probabilities and module.startswith(_KNOWN_MODULES)


def _bad_answers(held: HeldOut, rules: Rules) -> Ruling | None:
    """The ruling on a candidate that does not answer every row."""
    n, answers = held.n, held.candidate
    if answers.ndim == 0 or len(answers) != n:
        got = "one value" if answers.ndim == 0 else f"{len(answers)} answers"
        text = f"the new model gives {got} for {wording.row_count(n)}"
        return Ruling("rejected", "wrong_length", text)
    if answers.ndim > 1 and _one_answer_a_row(rules):
        text = f"the new model gives answers of shape {answers.shape}; {rules.name} takes one a row"
        return Ruling("rejected", "bad_output", text)
    usable = _usable(answers, effective(rules))
    bad = int(np.sum(~usable))
    if not bad:
        return None
    finite = present(answers)
    code = "bad_output" if np.all(finite) else "not_finite"
    fault = "probabilities outside 0 to 1" if code == "bad_output" else "missing or infinite values"
    first = int(np.argmin(usable)) + 1
    text = f"the new model gives no valid answer on {bad} of {n} held-out rows"
    return Ruling("rejected", code, f"{text} ({fault}; first: row {first})")


def _usable(answers: Array, metric: Metric) -> Flags:
    """True for each row with a valid answer."""
    flags = present(answers)
    if metric.probabilities and is_numeric(answers):
        inside = (answers >= 0) & (answers <= 1)
        flags &= inside if inside.ndim == 1 else np.asarray(inside.all(axis=1))
    return flags


def _keep(held: HeldOut, flags: Flags, note: str = "{} rows without a known outcome") -> HeldOut:
    """The rows where `flags`, with a note on how many were left out."""
    left_out = int(np.sum(~flags))
    if not left_out:
        return held
    index = np.flatnonzero(flags)
    return replace(
        held,
        y=as_answers(held.y[index]),
        champion=None if held.champion is None else held.champion[index],
        candidate=held.candidate[index],
        rows=take_rows(held.rows, index),
        notes=(*held.notes, f"{note.format(left_out)} were left out."),
    )


def _first(held: HeldOut, rules: Rules, broken: Ruling | None = None) -> Decision:
    """Nothing to compare with: the candidate's value alone."""
    ruling = broken
    if held.n == 0:
        text = "there is no earlier model to compare with and no held-out row to measure it on"
        return undecidable(held, rules, ruling or Ruling("promoted", "first_version", text))
    metric = effective(rules)
    reason = undefined(metric, held.y)
    value = None
    if reason is None:
        scorer = Scorer(rules.name, rules.metric, held.y, held.rows)
        value = scorer.finite(score(metric, scorer, held.candidate, NEW), NEW)
    told = f"its {rules.name} on {wording.row_count(held.n)} is "
    told = reason or f"{told}{wording.figure(value or 0.0)}"
    text = f"there is no earlier model to compare with; {told}"
    return undecidable(
        held, rules, ruling or Ruling("promoted", "first_version", text), candidate=value
    )


def _against(held: HeldOut, before: Array, known: Flags, rules: Rules) -> Decision:
    """The comparison with the model in use."""
    total = held.n
    if total == 0:
        text = "no held-out row with a known outcome is left, so nothing can be compared"
        ruling = Ruling("inconclusive", "no_rows", f"{text}. {wording.STAYS}")
        return guarded(undecidable(held, rules, ruling), held, rules.guardrails)
    misshapen = before.ndim > 1 and _one_answer_a_row(rules)
    if before.ndim == 0 or len(before) != len(known) or misshapen:
        return _champion_broken(held, total, rules)
    before = before[known]
    usable = _usable(before, effective(rules))
    if not np.any(usable):
        return _champion_broken(held, total, rules)
    note = "{} rows without a valid answer of the model in use"
    held = _keep(replace(held, champion=as_answers(before)), usable, note)
    return guarded(_compared(held, rules), held, rules.guardrails)


def _champion_broken(held: HeldOut, q: int, rules: Rules) -> Decision:
    text = f"the model in use gives no valid answer on {q} of {wording.row_count(held.n)}"
    ruling = Ruling("promoted", "champion_broken", f"{text}; the new one answers all")
    return guarded(_first(held, rules, ruling), held, rules.guardrails)


def _compared(held: HeldOut, rules: Rules) -> Decision:
    if held.champion is None:
        raise ValueError("nothing to compare with")
    try:
        pair = duel(held, rules, held.champion)
    except ChampionError as error:
        text = f"the model in use cannot be scored ({error}); the new one answers all"
        return _first(held, rules, Ruling("promoted", "champion_broken", text))
    return _paired(pair, rules)


def _paired(pair: Duel, rules: Rules) -> Decision:
    if pair.values is not None and not isfinite(pair.values[0]):
        text = f"{rules.name} has no finite value for the model in use"
        told = f"for the new one it is {wording.figure(pair.values[1])}"
        ruling = Ruling("promoted", "champion_broken", f"{text}; {told}")
        return undecidable(pair.held, rules, ruling, candidate=pair.values[1])
    tie = ties.tie(pair, rules)
    if tie is not None:
        return _settled(pair, rules, tie, 0.0)
    untold = ties.untold(pair)
    if untold is not None:
        other = log_loss_duel(pair) if pair.metric.kind in {"ranking", "classes"} else None
        if other is None:
            return _settled(pair, rules, untold, None)
        return _by_log_loss(other, rules, untold)
    return _measured(pair, rules)


def _by_log_loss(pair: Duel, rules: Rules, untold: Ruling) -> Decision:
    """Decide by log loss and say why."""
    rules = replace(rules, name="log_loss", better="lower")
    why = untold.text.removesuffix(f" {wording.STAYS}").removesuffix(".")
    decision = _measured(pair, rules)
    rest = decision.because.removeprefix("Because ")
    return replace(decision, because=f"Because {why}, so log loss decides: {rest}")


def _measured(pair: Duel, rules: Rules) -> Decision:
    held = pair.held
    few = ties.too_few(pair, rules)
    if few is not None:
        return _settled(pair, rules, few, observed(pair, rules))
    try:
        found = find(pair, rules)
    except UndefinedError:
        text = f"{rules.name} has no value on too many resamples of {wording.rows(held.n)}"
        ruling = Ruling("inconclusive", "undefined_resamples", f"{text}. {wording.STAYS}")
        return _settled(pair, rules, ruling, observed(pair, rules))
    if found.interval.difference == 0 and found.interval.sd == 0:
        return _settled(pair, rules, ties.same_loss(pair, rules), 0.0)
    return decide(found, held, rules)


def _settled(pair: Duel, rules: Rules, ruling: Ruling, difference: float | None) -> Decision:
    before, after = pair.values or (None, None)
    return undecidable(
        pair.held, rules, ruling, champion=before, candidate=after, difference=difference
    )


def _digest(y: Array) -> str:
    content = repr(y.tolist()).encode() if y.dtype.kind == "O" else y.tobytes()
    return sha256(f"{y.dtype.str}{y.shape}".encode() + content).hexdigest()


def _seed(digest: str) -> int:
    return int(sha256(digest.encode()).hexdigest()[:_DIGITS], 16) >> 1
