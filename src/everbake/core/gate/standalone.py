"""`everbake.judge`: the gate on plain arrays, with no project and no disk."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import numpy as np

from everbake.core.decision import Decision
from everbake.core.gate.given import Given
from everbake.core.gate.heldout import Array
from everbake.core.gate.judging import judge_rows
from everbake.core.gate.lists import read_lists
from everbake.core.gate.rules import IfInconclusive, Rail, Rule, Rules, direction, number, rail
from everbake.core.gate.scoring import as_answers, present
from everbake.core.metrics import AtLeast, AtMost, Better, metric_name
from everbake.errors import UsageError

_PAIR = 2


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
    confidence: float | None = None,
    segments: Mapping[str | tuple[str, str], object] | None = None,
    all_must_pass: bool = False,
    groups: object | None = None,
    order: object | None = None,
    weights: object | None = None,
    rows: object | None = None,
    seed: int | None = None,
    look: int = 1,
) -> Decision:
    """Judge a new model against the one in use, on rows that neither has learned from.

    Args:
        y_true: the outcomes, one a row (or a row of several outputs). A metric of ranked lists
            such as `ndcg(10)` wants for each user the items, or a dict of their gains.
        champion: the answers of the model in use; None if there is none yet.
        candidate: the answers of the new model.
        metric: `(y_true, y_pred)` or `(y_true, y_pred, rows)` -> float; scikit-learn's own do. It
            gets `sample_weight` if it has a parameter of that name.
        better: "lower" or "higher"; may be left out for scikit-learn's metrics and everbake's own.
        rule: "refresh" (not worse is enough) or "challenge" (a gain must be shown).
        tolerance: share of the champion's distance from the best value whose loss must be ruled
            out.
        equal_within: share of that distance that counts as equal; by default a fifth of tolerance.
        min_gain: a challenge that cannot gain more than this is rejected (units of the metric).
        if_inconclusive: "keep", "reject", "promote", or "lean" (promote a refresh that points
            upwards). It never lifts a guardrail that could not be checked.
        guardrails: absolute limits on the candidate, `AtLeast` and `AtMost`.
        confidence: one-sided, with which guardrails must be met; None: the value alone counts.
        segments: by name, one value a row: subgroups that may not be hurt. A name may be a pair
            of names whose value is the pair of columns.
        all_must_pass: whether every segment must be shown to be no worse, too.
        groups: what each row belongs to, where rows of one group (a user, a patient) depend on
            each other.
        order: times, or any values that order the rows in time, where they are ordered.
        weights: how much each row counts, 0 or above.
        rows: the held-out rows, for metrics with a third parameter `rows`.
        seed: of the resampling, for metrics that need it; by default derived from the outcomes.
        look: the how-manieth decision by these rows this is, from 1; each look is stricter.

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
    number(tolerance, "tolerance")
    way, name = direction(metric, better), metric_name(metric)
    equal = tolerance / 5 if equal_within is None else equal_within
    rules = Rules(name, metric, way, rule, tolerance, equal, min_gain, if_inconclusive)
    rules = replace(rules, guardrails=_rails(guardrails), confidence=confidence)
    segments = {} if segments is None else segments
    columns, seed = _columns(segments), None if seed is None else _whole(seed, "seed", 0)
    rules = replace(rules, segments=tuple(segments), all_must_pass=all_must_pass, seed=seed)
    look = _whole(look, "look", 1)
    given = Given(y_true, champion, candidate, rows, weights, groups, order, columns, look=look)
    given = read_lists(given, rules)
    _check_arguments(as_answers(given.y), given.champion, given.candidate)
    return judge_rows(given, rules)


def _whole(value: object, what: str, least: int) -> int:
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
        raise UsageError(
            "EB052", f"{what} is {value!r}", mend=f"pass a whole number, {least} or above"
        )
    return int(value)


def _rails(guardrails: object) -> tuple[Rail, ...]:
    if not isinstance(guardrails, Iterable):
        raise UsageError(
            "EB052",
            f"guardrails is {guardrails!r}, not a list",
            mend="guardrails=[AtLeast(metric, limit)]",
        )
    return tuple(rail(each) for each in guardrails)


def _columns(segments: object) -> dict[str, object]:
    """The columns of all segments, each once. A frame is a mapping, too."""
    if not hasattr(segments, "items"):
        raise UsageError(
            "EB052",
            f"segments is of type {type(segments).__name__}",
            why="judge knows the rows only by what it is given",
            mend='segments={"sex": sex}: by name, one value a row',
        )
    columns: dict[str, object] = {}
    for name, values in segments.items():
        if isinstance(name, str):
            columns[name] = values
            continue
        pair = list(values) if isinstance(values, Iterable) else []
        names = name if isinstance(name, tuple) else ()
        if not len(names) == len(pair) == _PAIR or not all(isinstance(n, str) for n in names):
            raise UsageError(
                "EB052",
                f"segments[{name!r}] is no pair of columns",
                mend='segments={("sex", "age"): (sex, age)}',
            )
        columns |= zip(names, pair, strict=True)
    return columns


def _check_arguments(truth: Array, champion: object | None, candidate: object) -> None:
    if truth.ndim not in {1, _PAIR} or not len(truth):
        fault = "empty" if truth.ndim and not len(truth) else f"an array of shape {truth.shape}"
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
        if shape[: truth.ndim] != truth.shape:
            raise UsageError(
                "EB050",
                f"{name} has the shape {shape}, y_true {truth.shape}",
                mend="pass one prediction for each row and output",
            )
