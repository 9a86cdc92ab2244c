"""A recipe as plain data, without functions: it travels, is recorded, and is all the owner sees."""

import inspect
import re
from collections import abc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import wraps
from math import isfinite
from types import NoneType, UnionType
from typing import (
    Any,
    Literal,
    ParamSpec,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from everbake.core.dataset import Special
from everbake.core.metrics import known_metric
from everbake.errors import RecipeError

Better = Literal["lower", "higher"]
Rule = Literal["refresh", "challenge"]
IfInconclusive = Literal["keep", "reject", "promote", "lean"]

T = TypeVar("T")
P = ParamSpec("P")

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)B?", re.IGNORECASE)
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)", re.IGNORECASE)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_FOLDS = (2, 20)
LISTED = 10  # items in a list where nobody says how many
_BYTES = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


_WORDS = {
    str: "a text",
    int: "a whole number",
    float: "a finite number",
    bool: "True or False",
    Mapping: "a mapping of names to values",
    tuple: "a list",
    NoneType: "None",
}


def declared(kind: type[T]) -> type[T]:
    """Make a misspelt, missing or wrongly typed field an error that says how to mend it."""
    kind.__init__ = _checked(kind.__init__, kind.__name__, kind)  # type: ignore[method-assign]
    return kind


def declaring(name: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """The same for a function that makes a declaration, which is called `name`."""
    return lambda function: _checked(function, name, function)


def _checked(function: Callable[P, T], name: str, annotated: object) -> Callable[P, T]:
    signature = inspect.signature(function)

    @wraps(function)
    def checked(*args: P.args, **fields: P.kwargs) -> T:
        try:
            bound = signature.bind(*args, **fields)
        except TypeError as error:
            raise _misdeclared(name, signature, fields, str(error)) from None
        hints = get_type_hints(annotated)
        for field, value in bound.arguments.items():
            if field in hints and not _fits(value, hints[field]):
                raise _mistyped(f"{name}({field})", value, hints[field])
        return function(*args, **fields)

    return checked


def _misdeclared(
    name: str, signature: inspect.Signature, fields: Mapping[str, object], why: str
) -> RecipeError:
    known = [each for each in signature.parameters if each not in {"self", "cls"}]
    mend = f"{name}({', '.join(known)})"
    for field in fields:
        if field not in known:
            why = f"{field!r} is no field of {name}"
            near = get_close_matches(field, known, n=1)
            mend = f"did you mean {near[0]!r}?" if near else mend
            break
    return RecipeError("EB208", f"{name} cannot be declared like this", why=why, mend=mend)


def _fits(value: object, hint: Any) -> bool:  # noqa: ANN401 - whatever an annotation may be
    """Whether a value is of an annotated type; choices and functions are looked at elsewhere."""
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return any(_fits(value, each) for each in get_args(hint))
    if origin in (Literal, abc.Callable):
        return True
    if origin is tuple:
        return isinstance(value, tuple | list)
    if hint in (int, float):
        number = isinstance(value, int if hint is int else int | float)
        return number and not isinstance(value, bool) and isfinite(cast("float", value))
    return isinstance(value, origin or hint)


def _mistyped(place: str, value: object, hint: Any) -> RecipeError:  # noqa: ANN401
    choices = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    kinds = [get_origin(each) or each for each in choices]
    words = [_WORDS.get(each) or f"{each.__name__}(...)" for each in kinds]
    return RecipeError(
        "EB204", f"{place} is {value!r}", mend=f"it takes {' or '.join(dict.fromkeys(words))}"
    )


def parse_size(text: str) -> int:
    """Bytes in a size such as `"4G"`.

    >>> parse_size("1.5K")
    1536
    """
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise RecipeError("EB204", f"{text!r} is not a size", mend='write a size such as "4G"')
    return int(float(match[1]) * _BYTES[match[2].upper()])


def parse_span(text: str) -> float:
    """Seconds in a span such as `"30m"` or `"30d"`.

    >>> parse_span("30m")
    1800.0
    """
    match = _SPAN.fullmatch(text.strip())
    if not match:
        raise RecipeError("EB204", f"{text!r} is not a span of time", mend='write "30m" or "30d"')
    return float(match[1]) * _SECONDS[match[2].lower()]


@declared
@dataclass(frozen=True)
class Table:
    """Where the rows come from and what the special columns are called.

    Attributes:
        label: the column that the model learns.
        path: a pattern such as `"data/*.csv"`; `everbake up` takes each new file as one batch.
        time: the column that orders the rows; with it the newest rows are held out.
        key: the column that identifies a row.
        group: the column whose rows belong together (a patient, a user).
        weight: the column that says how much a row counts when models are judged.
        label_delay: how long after a prediction its label is known, such as `"45d"`.
        from_predictions: whether answers whose labels have come are rows to learn from.
        private: columns whose values stay out of the prediction log, findings and contracts.
    """

    label: str
    path: str | None = None
    time: str | None = None
    key: str | None = None
    group: str | None = None
    weight: str | None = None
    label_delay: str | None = None
    from_predictions: bool = False
    private: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.label:
            raise RecipeError("EB204", "Table(label=) is empty", mend="name the label column")
        if self.label_delay is not None:
            parse_span(self.label_delay)
        object.__setattr__(self, "private", tuple(self.private))
        if self.label in self.private:
            raise RecipeError(
                "EB204", "Table(private=) holds the label", mend="the label is judged in the open"
            )
        if self.private and self.from_predictions:
            raise RecipeError(
                "EB204",
                "Table(from_predictions=True) with private columns",
                why="the log, which is to be learnt from, does not hold their values",
                mend="drop one of the two",
            )

    @property
    def special(self) -> Special:
        """The columns that are more than features."""
        return Special(self.label, self.time, self.key, self.group, self.private)

    @property
    def maturity(self) -> float:
        """Seconds after a prediction, from which its label is final."""
        return 0.0 if self.label_delay is None else parse_span(self.label_delay)


@declared
@dataclass(frozen=True)
class Events:
    """Where the events of a ranking recipe come from: who chose what, and when.

    Attributes:
        user: the column that says who; lists are recommended to users.
        item: the column that says what; lists are made of items.
        time: the column that orders the events; the newest are held out.
        weight: the column that says how much an event counts as a wish for its item; an item's
            gain is the sum over the user's events with it. None: every wanted item counts 1.
        path: a pattern such as `"data/*.csv"`; `everbake up` takes each new file as one batch.
        private: columns whose values stay out of the prediction log, findings and contracts.
        repeats: whether an item that the user had chosen before, in the rows that were trained
            on, counts as wanted when models are judged.
    """

    user: str
    item: str
    time: str
    weight: str | None = None
    path: str | None = None
    private: tuple[str, ...] = ()
    repeats: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "private", tuple(self.private))
        named = [n for n in (self.user, self.item, self.time, self.weight) if n is not None]
        if len(set(named)) < len(named) or "" in named:
            raise RecipeError(
                "EB204",
                f"Events names its columns {', '.join(map(repr, named))}",
                mend="name a column of its own for each of user, item, time and weight",
            )
        if self.item in self.private:
            raise RecipeError(
                "EB204", "Events(private=) holds the item", mend="answers are lists of items"
            )

    @property
    def table(self) -> Table:
        """The events as a table: what a model learns is which item comes next for whom."""
        return Table(
            self.item,
            path=self.path,
            time=self.time,
            group=self.user,
            weight=self.weight,
            private=self.private,
        )


@dataclass(frozen=True)
class Ranked:
    """What makes a recipe a ranking recipe.

    Attributes:
        events: what the table's columns are.
        k: by how many items a list is judged.
    """

    events: Events
    k: int


@declared
@dataclass(frozen=True)
class CostThreshold:
    """Decide by what the two kinds of mistakes cost; a correct decision costs nothing.

    Each version gets the score from which it decides "positive": the cheapest one on predictions
    for training rows by models that have not seen these rows.

    Attributes:
        false_positive: the cost of deciding "positive" where the outcome is not.
        false_negative: the cost of missing a positive outcome.
        folds: how many models are trained for it, beside the one that serves; 0 takes the scores
            for the probabilities that they should be, and trains none.
    """

    false_positive: float
    false_negative: float
    folds: int = 5

    def __post_init__(self) -> None:
        for name, cost in (
            ("false_positive", self.false_positive),
            ("false_negative", self.false_negative),
        ):
            if cost <= 0:
                raise RecipeError(
                    "EB204",
                    f"CostThreshold({name}) is {cost}",
                    why="without two costs one decision is right for every row",
                    mend="give what each mistake costs, such as 1 and 20; only their ratio counts",
                )
        if self.folds != 0 and not _FOLDS[0] <= self.folds <= _FOLDS[1]:
            raise RecipeError(
                "EB204",
                f"CostThreshold(folds) is {self.folds}",
                mend=f"a number from {_FOLDS[0]} to {_FOLDS[1]}, or 0 to trust the probabilities",
            )


@dataclass(frozen=True)
class GuardrailSpec:
    """A guardrail as plain data: `kind` is "at_least" or "at_most"."""

    kind: str
    metric: str
    limit: float


@dataclass(frozen=True)
class GateSpec:
    """A gate as plain data."""

    metric: str
    better: Better
    rule: Rule
    tolerance: float
    equal_within: float
    min_gain: float
    if_inconclusive: IfInconclusive
    guardrails: tuple[GuardrailSpec, ...] = ()
    segments: tuple[str | tuple[str, str], ...] = ()
    all_must_pass: bool = False
    confidence: float | None = None


@dataclass(frozen=True)
class SplitSpec:
    """A split as plain data: kind "time", "hash" or "group"."""

    kind: str
    share: float | None
    span_seconds: float | None = None
    stratify: str | None = None


@dataclass(frozen=True)
class PartSpec:
    """One part of a rollout as plain data.

    Attributes:
        kind: a `shadow` only follows, a `canary` answers its share.
        shares: of the units, one after the other; a single 0 for a shadow.
        unit: what is assigned: a caller's `key`, or each `request`.
        dwell: seconds to stay at each share, at least; the last entry is for the last share.
        least: requests of the challenger at each share, at least; the last for the last share.
        limit: seconds, after which the part ends undecided.
        most: requests of both, after which it ends undecided.
        latency: seconds that an answer may take; None for what the champion keeps 95 times in 100.
        error_rate: of the champion, where it has answered too little to know.
        margins: what may be lost: share of errors, share of slow answers.
        relative: what may be lost of a rate, as a share of it.
        margin: what the loss may grow by; None for a tenth of its standard deviation.
        segments: columns by which a shadow's differences are split.
    """

    kind: Literal["shadow", "canary"]
    shares: tuple[float, ...]
    unit: Literal["key", "request"]
    dwell: tuple[float, ...]
    least: tuple[int, ...]
    limit: float
    most: int
    latency: float | None
    error_rate: float
    margins: tuple[float, float]
    relative: float
    margin: float | None
    segments: tuple[str, ...] = ()


@dataclass(frozen=True)
class UpdateSpec:
    """Models that learn on: when one is trained from scratch all the same.

    Attributes:
        after_runs: once so many runs have updated.
        after_seconds: once the data are so much newer than those of the last full training.
    """

    after_runs: int | None = None
    after_seconds: float | None = None


@dataclass(frozen=True)
class RecipeSpec:
    """A recipe as plain data, without functions: what the owner and the ledger see."""

    name: str
    table: Table
    gate: GateSpec
    split: SplitSpec
    refit: bool
    params: dict[str, object]
    seed: int
    trigger_rows: int
    memory_bytes: int
    time_seconds: float
    threads: int
    rows_form: str = "pandas"
    source: str = "recipe.py"
    rollout: tuple[PartSpec, ...] = ()
    ranked: Ranked | None = None
    threshold: CostThreshold | None = None
    update: UpdateSpec | None = None

    @property
    def answer_metric(self) -> str:
        """The gate's metric, if a logged answer is what it sees; else an empty text.

        Of a model that decides, it may be about decisions or the labels that they stand for.
        """
        known = known_metric(self.gate.metric)
        decided = self.threshold is not None and known is not None and known.wants != "scores"
        return "" if decided else self.gate.metric
