"""The declaration of one model: what the user writes once, checked at construction.

`Recipe` holds the user's functions and lives only in the host; `core.spec` has the same declaration
as plain data.
"""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from math import isfinite
from typing import get_args

import msgspec

from everbake.core.exposure import Canary, Replace, Rollout, Shadow
from everbake.core.metrics import AtLeast, AtMost, metric_name, metric_of
from everbake.core.spec import (
    LISTED,
    Better,
    CostThreshold,
    Events,
    IfInconclusive,
    Ranked,
    Rule,
    Table,
    declared,
    declaring,
    parse_size,
    parse_span,
)
from everbake.core.splits import (
    GroupSplit,
    HashSplit,
    Split,
    TimeSplit,
    among,
)
from everbake.errors import RecipeError

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_FAIR = 0.5  # a bound of less confidence lies on the wrong side of the value
_SEEDS = 2**32  # of numpy's generator


@declared
@dataclass(frozen=True)
class Gate:
    """The rule that decides whether a candidate may take over.

    Attributes:
        metric: `(y_true, y_pred)` or `(y_true, y_pred, rows)` -> float; scikit-learn's own do.
        better: "lower" or "higher"; may be left out for metrics that everbake knows.
        rule: "refresh" (not worse) or "challenge" (a gain must be shown).
        tolerance: share of the champion's gap whose loss must be ruled out.
        equal_within: share of the gap that counts as equal; a fifth of the tolerance if left out.
        guardrails: absolute limits on the candidate.
        min_gain: what a challenge must gain, in units of the metric.
        if_inconclusive: what to do when the data cannot tell.
        segments: columns, or pairs of columns, whose values divide the rows into segments that may
            not be hurt.
        all_must_pass: whether every segment must be shown to be no worse, too.
        confidence: one-sided, with which a guardrail must be met; None: the value alone counts.
    """

    metric: Callable[..., float]
    better: Better | None = None
    rule: Rule = "refresh"
    tolerance: float = 0.05
    equal_within: float | None = None
    guardrails: tuple[AtLeast | AtMost, ...] = ()
    min_gain: float = 0.0
    if_inconclusive: IfInconclusive = "keep"
    segments: tuple[str | tuple[str, str], ...] = ()
    all_must_pass: bool = False
    confidence: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "guardrails", tuple(self.guardrails))
        object.__setattr__(self, "segments", tuple(map(_segment, self.segments)))
        if not callable(self.metric):
            raise RecipeError(
                "EB204",
                f"Gate(metric) is {self.metric!r}, not a function",
                mend="pass the function itself, such as sklearn.metrics.mean_squared_error",
            )
        if scored := getattr(self.metric, "_score_func", None):
            raise RecipeError(
                "EB204",
                "Gate(metric) is a scorer, which wants a model",
                mend=f"pass sklearn.metrics.{metric_name(scored)}",
            )
        object.__setattr__(self, "better", self.direction)
        among(self.rule, get_args(Rule), "Gate(rule)")
        among(self.if_inconclusive, get_args(IfInconclusive), "Gate(if_inconclusive)")
        if self.equal_within is None:
            object.__setattr__(self, "equal_within", self.tolerance / 5)
        self._check_margins()
        for guardrail in self.guardrails:
            _check_guardrail(guardrail)
        if self.confidence is not None and not _FAIR <= self.confidence < 1:
            raise RecipeError(
                "EB204",
                f"Gate(confidence) is {self.confidence}",
                mend="a number from 0.5 to below 1, such as 0.95",
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns by which rows are divided into segments, each once."""
        names = [
            each for one in self.segments for each in ((one,) if isinstance(one, str) else one)
        ]
        return tuple(dict.fromkeys(names))

    @property
    def equal(self) -> float:
        """The share that counts as equal."""
        return self.tolerance / 5 if self.equal_within is None else self.equal_within

    def _check_margins(self) -> None:
        if not 0 <= self.equal <= self.tolerance:
            raise RecipeError(
                "EB204",
                f"equal_within is {self.equal}, tolerance {self.tolerance}",
                mend="0 <= equal_within <= tolerance",
            )
        if self.min_gain and self.rule != "challenge":
            raise RecipeError(
                "EB204",
                f"min_gain is {self.min_gain}, and the rule is {self.rule!r}",
                why="only a challenge has to gain anything",
                mend='Gate(..., rule="challenge", min_gain=...)',
            )

    @property
    def direction(self) -> Better:
        """Which way is better: as given, or as known of the metric."""
        name = metric_name(self.metric)
        known = metric_of(self.metric)
        better = self.better or (known.better if known else None)
        if better is None:
            raise RecipeError(
                "EB205",
                f"everbake does not know which way {name} is better",
                mend=f'Gate({name}, better="lower") or better="higher"',
            )
        among(better, get_args(Better), "Gate(better)")
        if known is not None and known.better != better:
            raise RecipeError(
                "EB205",
                f"{name} is better when {known.better}, not {better}",
                mend=f'Gate({name}, better="{known.better}")',
            )
        return better


def _segment(declared: object) -> str | tuple[str, str]:
    if isinstance(declared, str):
        return declared
    match declared:
        case (str(first), str(second)):
            return first, second
    raise RecipeError(
        "EB204",
        f"Gate(segments) holds {declared!r}",
        mend='segments=["sex", ("sex", "age")]: columns, or pairs of columns',
    )


def _check_guardrail(guardrail: object) -> None:
    if not isinstance(guardrail, AtLeast | AtMost) or not callable(guardrail.metric):
        raise RecipeError(
            "EB204",
            f"Gate(guardrails) holds {guardrail!r}",
            mend="guardrails=[AtLeast(metric, limit), AtMost(metric, limit)]",
        )
    limit: object = guardrail.limit
    if not isinstance(limit, int | float) or not isfinite(limit):
        raise RecipeError(
            "EB204",
            f"the limit of a guardrail is {limit!r}",
            mend=f"{type(guardrail).__name__}({metric_name(guardrail.metric)}, 0.8)",
        )


@declared
@dataclass(frozen=True)
class NewData:
    """Start a run once at least `rows` new rows have arrived."""

    rows: int = 1

    def __post_init__(self) -> None:
        if self.rows < 1:
            raise RecipeError("EB204", f"NewData(rows) is {self.rows}", mend="NewData(rows=1)")


@declared
@dataclass(frozen=True)
class Limits:
    """What one job of the user's code may take: resident memory, wall-clock time, threads."""

    memory: str = "4G"
    time: str = "30m"
    threads: int = 1

    def __post_init__(self) -> None:
        parse_size(self.memory)
        parse_span(self.time)
        if self.threads < 1:
            raise RecipeError("EB204", f"Limits(threads) is {self.threads}", mend="threads=1")


_AT_ONCE = Replace()
_OFFERED = ("params", "seed", "log")  # what train and update may ask for by name


@declared
@dataclass(frozen=True)
class Recipe:
    """The frozen declaration of one model.

    Attributes:
        name: lower-case letters, digits, `_` and `-`.
        data: the table and its special columns.
        train: `(rows[, params, seed, log]) -> model`; the annotation of `rows` picks the form.
        predict: `(model, rows) -> scores`, an array with one entry a row.
        gate: the rule that decides.
        features: `(rows) -> rows`, the same code in training and serving.
        update: `(model, new_rows[, params, seed, log]) -> model`; candidates are the champion,
            taught the rows that it has not learned from.
        full_every: after so many runs by `update`, or once the data are newer by such a span
            (`"30d"`), one trains from scratch; None: only where there is nothing to update.
        split: which rows are held out; TimeSplit when `data.time` is given, else HashSplit.
        refit: after a pass, train once more on all rows (only with a time split).
        params: passed to `train` as `params`.
        seed: passed to `train` as `seed`; numpy and `random` are seeded with it, too.
        triggers: what starts a run.
        rollout: how a version that was promoted takes over.
        limits: what a job may take.
        threshold: what mistakes cost, for a score to become a decision.
        events: what the columns of a ranking recipe are, as `Recipe.ranking` sets it; `data` is
            their table then, and `predict` is `recommend`.
    """

    name: str
    data: Table
    train: Callable[..., object]
    predict: Callable[..., object]
    gate: Gate
    features: Callable[..., object] | None = None
    update: Callable[..., object] | None = None
    full_every: int | str | None = None
    split: Split | None = None
    refit: bool = False
    params: Mapping[str, object] = field(default_factory=dict)
    seed: int = 0
    triggers: NewData = NewData()
    rollout: Replace | Shadow | Canary | Rollout = _AT_ONCE
    limits: Limits = Limits()
    threshold: CostThreshold | None = None
    events: Events | None = None

    @classmethod
    @declaring("Recipe.ranking")
    def ranking(  # noqa: PLR0913 - a declaration, all of it by keyword
        cls,
        *,
        name: str,
        data: Events,
        train: Callable[..., object],
        recommend: Callable[..., object],
        gate: Gate,
        update: Callable[..., object] | None = None,
        full_every: int | str | None = None,
        split: TimeSplit | None = None,
        refit: bool = False,
        params: Mapping[str, object] | None = None,
        seed: int = 0,
        triggers: NewData | None = None,
        rollout: Replace | Shadow | Canary | Rollout = _AT_ONCE,
        limits: Limits | None = None,
    ) -> "Recipe":
        """Declare a model that recommends items to users.

        Args:
            name: lower-case letters, digits, `_` and `-`.
            data: the events and what their columns are called.
            train: `(rows[, params, seed, log]) -> model`; the annotation of `rows` picks the form.
            recommend: `(model, users, k) -> one list of items for each user`, best first.
            gate: the rule that decides, by a metric of ranked lists such as `ndcg(10)`.
            update: `(model, new_rows[, params, seed, log]) -> model`: candidates are the champion,
                taught the events that it has not learned from.
            full_every: when one is trained from scratch all the same: after so many runs by
                `update`, or such a span of data, as `"30d"`.
            split: which events are held out: the newest.
            refit: after a pass, train once more on all events.
            params: passed to `train` as `params`.
            seed: passed to `train` as `seed`; numpy and `random` are seeded with it, too.
            triggers: what starts a run.
            rollout: how a version that was promoted takes over.
            limits: what a job may take.
        """
        return cls(
            name=name,
            data=data.table,
            train=train,
            predict=recommend,
            gate=gate,
            update=update,
            full_every=full_every,
            split=split,
            refit=refit,
            params=params or {},
            seed=seed,
            triggers=triggers or NewData(),
            rollout=rollout,
            limits=limits or Limits(),
            events=data,
        )

    @property
    def ranked(self) -> Ranked | None:
        """Of a ranking recipe: its lists are judged by as many items as any metric looks at."""
        if self.events is None:
            return None
        cuts = [known.cut for metric in self._metrics if (known := metric_of(metric))]
        return Ranked(self.events, max([cut for cut in cuts if cut is not None], default=LISTED))

    @property
    def _metrics(self) -> tuple[Callable[..., float], ...]:
        return self.gate.metric, *(rail.metric for rail in self.gate.guardrails)

    def __post_init__(self) -> None:
        check_model_name(self.name)
        _check_function(self.train, "train", required=("rows",), keywords=_OFFERED)
        if self.events is None:
            _check_function(self.predict, "predict", required=("model", "rows"), keywords=())
        else:
            given = ("model", "users", "k")
            _check_function(self.predict, "recommend", required=given, keywords=())
        for metric in self._metrics:
            _check_kind(metric, self.events)
        if self.features is not None:
            _check_function(self.features, "features", required=("rows",), keywords=())
        if self.update is not None:
            _check_function(
                self.update, "update", required=("model", "new_rows"), keywords=_OFFERED
            )
        self._check_rhythm()
        if self.split is None:
            object.__setattr__(self, "split", TimeSplit() if self.data.time else HashSplit())
        self._check_split()
        if not 0 <= self.seed < _SEEDS:
            raise RecipeError("EB204", f"Recipe(seed) is {self.seed}", mend="0 <= seed < 2**32")
        try:
            msgspec.json.encode(dict(self.params))
        except (TypeError, ValueError, OverflowError) as error:
            raise RecipeError(
                "EB204",
                "Recipe(params) cannot be recorded",
                why=str(error),
                mend="plain numbers, texts, lists and dicts only",
            ) from error

    def _check_rhythm(self) -> None:
        if self.full_every is None:
            return
        if self.update is None:
            raise RecipeError(
                "EB204",
                f"full_every is {self.full_every!r}, and there is no update",
                why="without one, every run trains from scratch",
                mend="Recipe(..., update=..., full_every=...), or drop full_every",
            )
        if isinstance(self.full_every, str):
            parse_span(self.full_every)
        elif self.full_every < 1:
            raise RecipeError(
                "EB204", f"full_every is {self.full_every}", mend='full_every=10, or "30d"'
            )

    def _check_split(self) -> None:
        if isinstance(self.split, TimeSplit) and not self.data.time:
            raise RecipeError("EB204", "TimeSplit needs Table(time=)", mend="Table(..., time=...)")
        if isinstance(self.split, GroupSplit) and not self.data.group:
            raise RecipeError("EB204", "GroupSplit needs Table(group=)", mend="Table(..., group=)")
        if self.refit and not isinstance(self.split, TimeSplit):
            raise RecipeError("EB204", "refit needs a TimeSplit", mend="drop refit=True")


def check_model_name(name: str) -> None:
    """Raise RecipeError unless `name` may name a model, a folder and a part of an address."""
    if not _NAME.fullmatch(name):
        raise RecipeError(
            "EB201",
            f"{name!r} cannot name a model",
            why="names become folders and addresses",
            mend="use lower-case letters, digits, _ and -, 64 at most",
        )


def _check_function(
    function: object, role: str, *, required: tuple[str, ...], keywords: tuple[str, ...]
) -> None:
    form = f"{role}({', '.join(required)}{''.join(f', {k}' for k in keywords)})"
    if not callable(function):
        raise RecipeError("EB203", f"{role} is not a function", mend=f"def {form}: ...")
    parameters = list(inspect.signature(function).parameters.values())
    free = [p for p in parameters if p.kind is not p.VAR_KEYWORD]
    extra = [p for p in free[len(required) :] if p.name not in keywords and p.default is p.empty]
    if len(free) < len(required) or extra:
        signature = inspect.signature(function)
        why = ""
        if extra:
            near = get_close_matches(extra[0].name, keywords, n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            why = f"{extra[0].name!r} is not passed{hint}"
        raise RecipeError(
            "EB203", f"{role} has the signature {signature}", why=why, mend=f"def {form}: ..."
        )


def _check_kind(metric: Callable[..., float], events: Events | None) -> None:
    """Raise RecipeError where a metric is known to be for another kind of recipe."""
    known = metric_of(metric)
    if known is None or (known.cut is None) == (events is None):
        return
    if events is None:
        what, mend = "judges ranked lists, and the recipe gives none", "Recipe.ranking(...)"
    else:
        what, mend = "judges no ranked lists", "Gate(everbake.metrics.ndcg(10))"
    raise RecipeError("EB204", f"{known.name} {what}", mend=mend)
