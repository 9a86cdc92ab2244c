"""The last step of a pipeline: which linear models can be folded, and what they answer."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from everbake.runtimes.columns import Category, Floats
from everbake.runtimes.ending import Link, Output

if TYPE_CHECKING:
    from collections.abc import Callable

Fitted: TypeAlias = Any  # scikit-learn has no types; this says that we know

_REGRESSORS = frozenset(
    [
        "LinearRegression",
        "Ridge",
        "RidgeCV",
        "Lasso",
        "LassoCV",
        "ElasticNet",
        "ElasticNetCV",
        "SGDRegressor",
        "BayesianRidge",
        "HuberRegressor",
        "LinearSVR",
    ]
)
_GENERALIZED = frozenset(["PoissonRegressor", "GammaRegressor", "TweedieRegressor"])
_LOGISTIC = frozenset(["LogisticRegression", "LogisticRegressionCV"])
_CLASSIFIERS = _LOGISTIC | {"RidgeClassifier", "SGDClassifier", "LinearSVC", "Perceptron"}


class Unfoldable(Exception):  # noqa: N818 - not an error: the model is served natively instead
    """Why a model is not folded, as the end of a sentence that begins with "native: "."""


@dataclass(frozen=True)
class Asked:
    """What is asked of a model: a method, and which column of its answer."""

    method: str
    output_column: int | None


@dataclass(frozen=True)
class Head:
    """A linear model, taken apart; `coefficients` is shaped (outputs, features)."""

    coefficients: Floats
    intercept: Floats
    link: Link
    output: Output
    classes: tuple[Category, ...] = ()


def class_name(estimator: object) -> str:
    """The class of an estimator, in full unless scikit-learn itself defines it."""
    kind = type(estimator)
    own = kind.__module__.split(".")[0] == "sklearn"
    return kind.__qualname__ if own else f"{kind.__module__}.{kind.__qualname__}"


def plain(value: object) -> object:
    """A numpy scalar as Python's own."""
    return value.item() if isinstance(value, np.generic) else value


def head_of(model: Fitted, method: str) -> Head:
    """Take a fitted linear model apart.

    Raises:
        Unfoldable: it is none, or is not known to answer `method` linearly.
    """
    name = class_name(model)
    if name in _REGRESSORS and method == "predict":
        return _regressor(model)
    if name in _GENERALIZED and method == "predict":
        return _generalized(model)
    if name not in _CLASSIFIERS:
        known = name in _REGRESSORS | _GENERALIZED
        raise Unfoldable(f"{name}.{method} is not folded" if known else f"{name} is not folded")
    answers: dict[str, Callable[[Fitted], Head]] = {
        "predict": _labels,
        "decision_function": _scores,
    }
    if name in _LOGISTIC or (name == "SGDClassifier" and model.loss == "log_loss"):
        answers["predict_proba"] = _chances
    if method not in answers:
        raise Unfoldable(f"{name}.{method} is not folded")
    return answers[method](model)


def _arrays(model: Fitted) -> tuple[Floats, Floats]:
    coefficients = model.coef_
    if not isinstance(coefficients, np.ndarray) or coefficients.dtype != np.float64:
        raise Unfoldable("coefficients that are not float64 are not folded")
    table = np.atleast_2d(coefficients)
    intercept = np.broadcast_to(np.asarray(model.intercept_, dtype=np.float64), (len(table),))
    return table, intercept.copy()


def _regressor(model: Fitted) -> Head:
    table, intercept = _arrays(model)
    return Head(table, intercept, "identity", "scalar" if model.coef_.ndim == 1 else "matrix")


def _generalized(model: Fitted) -> Head:
    table, intercept = _arrays(model)
    kind = getattr(model, "link", "log")
    if kind == "auto":
        kind = "identity" if model.power <= 0 else "log"
    return Head(table, intercept, "exponential" if kind == "log" else "identity", "scalar")


def _classes(model: Fitted, outputs: int) -> tuple[Category, ...]:
    labels = labels_of(model)
    if outputs != (1 if len(labels) == 2 else len(labels)):  # noqa: PLR2004
        raise Unfoldable("a classifier of several labels at once is not folded")
    return labels


def labels_of(model: Fitted) -> tuple[Category, ...]:
    """The labels that a classifier answers with.

    Raises:
        Unfoldable: they are several at once, or of a type that a data file cannot hold.
    """
    classes = np.asarray(model.classes_)
    if classes.ndim != 1:
        raise Unfoldable("a classifier of several labels at once is not folded")
    labels: list[Category] = []
    for value in classes:
        label = plain(value)
        if not isinstance(label, (str, int, float, bool)):
            raise Unfoldable(f"labels of type {type(label).__name__} are not folded")
        labels.append(label)
    return tuple(labels)


def _scores(model: Fitted) -> Head:
    table, intercept = _arrays(model)
    _classes(model, len(table))
    return Head(table, intercept, "identity", "scalar" if len(table) == 1 else "matrix")


def _labels(model: Fitted) -> Head:
    table, intercept = _arrays(model)
    classes = _classes(model, len(table))
    return Head(table, intercept, "identity", "label", classes)


def _chances(model: Fitted) -> Head:
    table, intercept = _arrays(model)
    _classes(model, len(table))
    one = len(table) == 1
    each = class_name(model) == "SGDClassifier" or getattr(model, "multi_class", "auto") == "ovr"
    if not one and each:
        raise Unfoldable("probabilities of one model a class are not folded")
    return Head(table, intercept, "logistic" if one else "softmax", "matrix")
