"""Shows whether a user's `predict` only hands columns of the rows to the model.

`predict` is called with a stand-in for the model, which notes what it is given and answers with
values that any arithmetic would change: huge, tiny, negative, exactly 0 and 1, not finite. Only if
each answer comes back unchanged, and each input is columns of the rows, is `predict` no more than
that, as far as asking can show. It knows nothing of what the model computes.
"""

import warnings
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import numpy as np

from everbake.host.probes import distinct, extremes, is_number, is_text

if TYPE_CHECKING:
    import pandas as pd

    Predict: TypeAlias = Callable[[Any, pd.DataFrame], object]

Array: TypeAlias = np.ndarray[Any, Any]

METHODS = ("predict", "predict_proba", "decision_function")
_FORWARDED = ("classes_", "feature_names_in_", "n_features_in_", "n_outputs_")
_PROBE_ROWS = 100
_BEYOND = 1e30  # larger than any limit that somebody would write
_ADVERSARIAL = np.array(
    [
        *(0.0, 1.0, -1.0, 0.5, 1 / 3, 1e-17, -1e-300, 1e300, -1e300, 1e15 + 0.3, -7.25, np.pi),
        *(np.nextafter(1.0, 2.0), np.inf, -np.inf, np.nan, -1e-9, 123456.789),
    ]
)


@dataclass(frozen=True)
class Traced:
    """What `predict` is: `model.method(rows[columns])`, or `[:, output_column]` of that."""

    method: str
    columns: tuple[str, ...]
    output_column: int | None


class _NotShownError(Exception):
    """What `predict` does is not shown to be only a call of the model."""


class _StandIn:
    """Answers in the model's place; everything about the model that could steer is refused."""

    def __init__(self, model: object, answer: Callable[[str, object], Array]) -> None:
        self._model = model
        self._answer = answer
        self.calls: list[tuple[str, object, Array]] = []
        self.refused: list[str] = []  # kept, because `predict` may swallow the exception

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # type: ignore[explicit-override]
        # `isinstance` in `predict` must take the branch that it takes with the model.
        return type(self._model)

    def __getattr__(self, name: str) -> object:
        if name not in METHODS and name not in _FORWARDED:
            self.refused.append(name)
            raise _NotShownError(f"predict uses model.{name}")
        value = getattr(self._model, name)
        if name in METHODS:
            return lambda X: self._call(name, X)  # noqa: N803 - scikit-learn's own name
        return value.copy() if isinstance(value, np.ndarray) else value

    def _call(self, method: str, given: object) -> Array:
        copy = getattr(given, "copy", None)
        kept = copy() if callable(copy) else given
        answer = self._answer(method, given)
        self.calls.append((method, kept, answer.copy()))
        return answer


@dataclass(frozen=True)
class _Asked:
    """One call of `predict`: what the model got, what it answered, what came out."""

    method: str
    given: object
    answer: Array
    returned: object


def trace_predict(
    predict: "Predict", rows: "pd.DataFrame", model: object, features: object = None
) -> Traced | str:
    """What `predict` is, or the reason why it must run natively.

    Args:
        predict: the user's `(model, rows) -> scores`.
        rows: real rows; 100 of them are used.
        model: the fitted model.
        features: the user's `features`, if there is one.
    """
    if features is not None:
        return "native: the recipe has a features function"
    if rows.empty or not rows.columns.is_unique:
        return "native: there are no rows to ask predict with"
    try:
        return _trace(predict, rows.head(_PROBE_ROWS), model)
    except _NotShownError as reason:
        return f"native: {reason}"


def _trace(predict: "Predict", rows: "pd.DataFrame", model: Any) -> Traced:  # noqa: ANN401
    real = _ask(predict, rows, _StandIn(model, lambda name, x: np.array(getattr(model, name)(x))))
    answers = _Answers(model, real.method, real.answer)
    first = distinct(rows)
    asked = _ask(predict, first, _StandIn(model, answers.one))
    traced = Traced(real.method, _columns_of(asked.given, first), _which(asked))
    reads: list[str] = []  # kept, because `predict` may swallow the exception
    for probe in [*_probes(rows), _poisoned(first, traced.columns, reads)]:
        _confirm(predict, probe, _StandIn(model, answers.one), traced)
    if reads:
        raise _NotShownError(f'predict reads column "{reads[0]}", which the model does not get')
    for _ in range(len(_ADVERSARIAL)):
        _confirm(predict, first.head(1), _StandIn(model, answers.one), traced)
    _check_same(rows, real, traced)
    return traced


class _Answers:
    """Answers in the shape and type of the model's real ones, a different one each time."""

    def __init__(self, model: object, method: str, real: Array) -> None:
        self._random = np.random.default_rng(0)
        self._shape = real.shape[1:]
        self._dtype = real.dtype
        labels = method == "predict" and hasattr(model, "classes_")
        self._values = np.asarray(getattr(model, "classes_")) if labels else _ADVERSARIAL  # noqa: B009
        self._turn = 0
        if not labels and real.dtype.kind != "f":
            raise _NotShownError(f"the model answers with {real.dtype}")

    def one(self, _: str, given: object) -> Array:
        shape = (len(given), *self._shape)  # type: ignore[arg-type]
        size = int(np.prod(shape))
        self._turn += 1
        order = np.resize(np.roll(self._values, self._turn), size)
        if size > len(self._values):
            order = order[self._random.permutation(size)]
        with np.errstate(over="ignore"):
            return order.astype(self._dtype).reshape(shape)


def _probes(rows: "pd.DataFrame") -> "list[pd.DataFrame]":
    """Further rows: real ones, extreme ones, ones with gaps, one row, another index."""
    # Few rows are repeated: each kind of extreme value must occur.
    many = rows.iloc[np.resize(np.arange(len(rows)), _PROBE_ROWS)].reset_index(drop=True)
    edges = extremes(many, np.random.default_rng(0))
    beyond = extremes(many, np.random.default_rng(1), huge=_BEYOND)
    gaps = rows.copy()
    for place, name in enumerate(rows.columns):
        if is_number(gaps[name]) and gaps[name].to_numpy().dtype.kind == "f":
            gaps.iloc[place % len(gaps), place] = np.nan
        elif is_text(gaps[name]):
            gaps.iloc[place % len(gaps), place] = None
    moved = distinct(rows).iloc[::-1]
    return [rows, edges, beyond, gaps, moved, rows.head(1), edges.tail(1)]


class _Poison:
    """A cell that must not be read: whoever compares, counts or prints it uses its column."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, column: str, reads: list[str]) -> None:
        self._column = column
        self._reads = reads

    def _read(self, *_: object) -> NoReturn:
        self._reads.append(self._column)
        raise _NotShownError(f'predict reads column "{self._column}", which the model does not get')

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _read
    __bool__ = __int__ = __float__ = __index__ = __str__ = __repr__ = _read
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = _read
    __rtruediv__ = __neg__ = __abs__ = _read


def _poisoned(rows: "pd.DataFrame", used: Collection[str], reads: list[str]) -> "pd.DataFrame":
    """The rows with cells that must not be read in all columns but those that the model gets."""
    made = rows.copy()
    for name in rows.columns:
        if name not in used:
            cells = np.empty(len(rows), object)
            for place in range(len(rows)):
                cells[place] = _Poison(str(name), reads)
            made[name] = cells
    reads.clear()  # what pandas looked at by itself
    return made


def _ask(predict: "Predict", rows: "pd.DataFrame", standin: _StandIn) -> _Asked:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            returned = predict(standin, rows.copy())
    except _NotShownError:
        raise
    except (Exception, SystemExit) as error:  # the user's code may raise anything
        kind = type(error).__name__
        raise _NotShownError(f"predict raised {kind} on rows made to probe it") from error
    if standin.refused:
        raise _NotShownError(f"predict uses model.{standin.refused[0]}")
    if len(standin.calls) != 1:
        raise _NotShownError(f"predict calls the model {len(standin.calls)} times, not once")
    method, given, answer = standin.calls[0]
    if answer.ndim not in {1, 2} or len(answer) != len(rows):
        raise _NotShownError("the model does not answer once a row")
    return _Asked(method, given, answer, returned)


def _which(asked: _Asked) -> int | None:
    """Which column of the model's answer came back; None: all of it."""
    returned = np.asarray(asked.returned)
    if _unchanged(returned, asked.answer):
        return None
    if asked.answer.ndim == 2:  # noqa: PLR2004
        for column in range(asked.answer.shape[1]):
            if _unchanged(returned, asked.answer[:, column]):
                return column
    raise _NotShownError("predict changes what the model answers")


def _unchanged(returned: Array, answer: Array) -> bool:
    text = {"O", "U", "T"}
    kinds = {returned.dtype.kind, answer.dtype.kind}
    if returned.shape != answer.shape or (len(kinds) > 1 and not kinds <= text):
        return False
    if answer.dtype.kind != "f":
        return bool(np.all(returned == answer))
    same_sign = np.signbit(returned) == np.signbit(answer)
    return np.array_equal(returned, answer, equal_nan=True) and bool(
        np.all(same_sign | np.isnan(answer))
    )


def _columns_of(given: object, rows: "pd.DataFrame") -> tuple[str, ...]:
    """The columns of the rows that the model was given, by name or else by their values."""
    names = getattr(given, "columns", None)
    if names is not None:
        return tuple(names)
    if not isinstance(given, np.ndarray) or given.ndim != 2:  # noqa: PLR2004
        raise _NotShownError("predict does not give the model a table")
    found: list[str] = []
    for place in range(given.shape[1]):
        hits = [str(n) for n in rows.columns if _equal(given[:, place], rows[n].to_numpy())]
        if len(hits) != 1:
            raise _NotShownError("predict gives the model something else than columns of the rows")
        found.append(hits[0])
    return tuple(found)


def _confirm(predict: "Predict", rows: "pd.DataFrame", standin: _StandIn, traced: Traced) -> None:
    _check_same(rows, _ask(predict, rows, standin), traced)


def _check_same(rows: "pd.DataFrame", asked: _Asked, traced: Traced) -> None:
    """Raise unless this call of `predict` was the same computation as the traced one."""
    answer = asked.answer
    if traced.output_column is not None:
        answer = answer[:, traced.output_column]
    if asked.method != traced.method or not _unchanged(np.asarray(asked.returned), answer):
        raise _NotShownError("predict changes what the model answers")
    given: Any = asked.given
    names = getattr(given, "columns", None)
    if names is not None and tuple(names) != traced.columns:
        raise _NotShownError("predict gives the model other columns for other rows")
    for place, name in enumerate(traced.columns):
        if name not in rows.columns or len(given) != len(rows):
            raise _NotShownError("predict gives the model something else than columns of the rows")
        values = given.iloc[:, place].to_numpy() if names is not None else given[:, place]
        if not _equal(values, rows[name].to_numpy()):
            raise _NotShownError(f'predict changes column "{name}" before the model sees it')


def _equal(left: Array, right: Array) -> bool:
    """Equal cell by cell, where missing equals missing and a number never equals a text."""
    if left.shape != right.shape:
        return False
    if left.dtype.kind in "biuf" and right.dtype.kind in "biuf":
        return np.array_equal(left, right, equal_nan=True)
    pairs = zip(left.tolist(), right.tolist(), strict=True)
    return all(a is b or a == b or (_absent(a) and _absent(b)) for a, b in pairs)


def _absent(value: object) -> bool:
    return value is None or bool(value != value)  # noqa: PLR0124 - NaN alone differs from itself
