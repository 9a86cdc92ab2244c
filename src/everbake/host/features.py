"""Follows the columns of a table through the steps of a fitted scikit-learn pipeline.

Classes are known by their exact name inside scikit-learn: a subclass may compute anything, so it
is not followed. Fitted estimators are untyped; `Fitted` marks them.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from everbake.host.heads import Fitted, Unfoldable, class_name, plain
from everbake.runtimes.columns import Category
from everbake.runtimes.trees import OPERATIONS, Operation

Names: TypeAlias = tuple[str, ...] | None


@dataclass(frozen=True)
class Number:
    """A feature that is `(x - center) * scale` of one column, or `fill` where x is missing.

    Attributes:
        column: where x comes from.
        center: of all steps together.
        scale: of all steps together.
        fill: None refuses a missing value, or hands it on.
        steps: the very operations, one by one: trees jump at the last bit.
    """

    column: str
    center: float = 0.0
    scale: float = 1.0
    fill: object = None
    steps: tuple[tuple[Operation, float], ...] = ()

    @property
    def raw(self) -> bool:
        """Whether the column's own values arrive unchanged."""
        return self.center == 0.0 and self.scale == 1.0

    def after(self, operation: Operation, value: float) -> "Number":
        """This feature after one step of arithmetic."""
        center, scale = _AFFINE[operation](value)
        return Number(
            self.column,
            self.center + center / self.scale,
            self.scale * scale,
            None if self.fill is None else float(OPERATIONS[operation](real(self.fill), value)),
            (*self.steps, (operation, value)),
        )

    def filled(self, value: object) -> "Number":
        """This feature after an imputer."""
        if self.fill is not None:
            return self
        number = isinstance(value, (int, float))
        steps = (*self.steps, ("fill", real(value))) if number else self.steps
        return replace(self, fill=value, steps=steps)


_AFFINE: dict[Operation, Callable[[float], tuple[float, float]]] = {
    "subtract": lambda value: (value, 1.0),
    "add": lambda value: (-value, 1.0),
    "multiply": lambda value: (0.0, value),
    "divide": lambda value: (0.0, 1.0 / value),
}


@dataclass(frozen=True)
class Level:
    """A feature that is looked up by the category in one column; None refuses the row."""

    column: str
    values: dict[Category, float]
    unseen: float | None
    missing: float | None

    def _each(self, change: Callable[[float], float]) -> "Level":
        return Level(
            self.column,
            {category: change(value) for category, value in self.values.items()},
            None if self.unseen is None else change(self.unseen),
            None if self.missing is None else change(self.missing),
        )

    def after(self, operation: Operation, value: float) -> "Level":
        """This feature after one step of arithmetic."""
        return self._each(lambda old: float(OPERATIONS[operation](old, value)))

    def filled(self, value: object) -> "Level":
        """This feature after an imputer."""
        return self._each(lambda old: real(value) if math.isnan(old) else old)


@dataclass(frozen=True)
class Product:
    """A feature that is `(product of numbers - center) * scale`; it never misses."""

    factors: tuple[Number, ...]
    center: float = 0.0
    scale: float = 1.0

    def after(self, operation: Operation, value: float) -> "Product":
        """This feature after one step of arithmetic."""
        center, scale = _AFFINE[operation](value)
        return Product(self.factors, self.center + center / self.scale, self.scale * scale)

    def filled(self, _: object) -> "Product":
        """This feature after an imputer."""
        return self


Feature = Number | Level | Product
Features = tuple[Feature, ...]


def columns_of(features: Features) -> tuple[str, ...]:
    """The columns that features come from, each once."""
    names = (
        [factor.column for factor in f.factors] if isinstance(f, Product) else [f.column]
        for f in features
    )
    return tuple(dict.fromkeys(name for each in names for name in each))


@dataclass(frozen=True)
class Followed:
    """What a pipeline comes to.

    Attributes:
        last: the last estimator.
        features: what it gets.
        sparse: whether it gets them as a sparse matrix.
    """

    last: Fitted
    features: Features
    sparse: bool


def follow(model: Fitted, columns: tuple[str, ...]) -> Followed:
    """Follow the columns up to the last estimator.

    Raises:
        Unfoldable: a step before it cannot be followed.
    """
    features, last = _through(model, tuple(Number(name) for name in columns), columns)
    return Followed(last, features, _sparse(getattr(model, "best_estimator_", model)))


def _sparse(step: Fitted) -> bool:
    """Whether what comes out of the last transformer is sparse, as it said when it was fitted."""
    name = class_name(step)
    if name == "ColumnTransformer":
        return bool(step.sparse_output_)
    if name == "OneHotEncoder":
        return bool(step.sparse_output)
    if name != "Pipeline":
        return False
    makers = ("ColumnTransformer", "OneHotEncoder", "Pipeline")
    found = [inner for _, inner in step.steps if class_name(inner) in makers]
    return bool(found) and _sparse(found[-1])


def _through(model: Fitted, features: Features, names: Names) -> tuple[Features, Fitted]:
    """Follow the features up to the last estimator."""
    name = class_name(model)
    if name in ("GridSearchCV", "RandomizedSearchCV"):
        return _through(model.best_estimator_, features, names)
    if name != "Pipeline":
        return features, model
    for _, step in model.steps[:-1]:
        features, names = _transform(step, features, names), None
    return _through(model.steps[-1][1], features, names)


def _transform(step: Fitted, features: Features, names: Names) -> Features:
    if step is None or step == "passthrough":
        return features
    name = class_name(step)
    if name == "Pipeline":
        for _, inner in step.steps:
            features, names = _transform(inner, features, names), None
        return features
    if name == "ColumnTransformer":
        return _side_by_side(step, features, names)
    if name not in _TRANSFORMS:
        raise Unfoldable(f"{name} is not folded")
    seen = getattr(step, "n_features_in_", len(features))
    if seen != len(features):
        raise Unfoldable(f"{name} saw {seen} columns, not {len(features)}")
    return _TRANSFORMS[name](step, features)


def _side_by_side(step: Fitted, features: Features, names: Names) -> Features:
    if step.transformer_weights is not None:
        raise Unfoldable("ColumnTransformer with transformer_weights is not folded")
    made: list[Feature] = []
    for _, inner, chosen in step.transformers_:
        if isinstance(inner, str) and inner == "drop":
            continue
        places = _places(chosen, names, len(features))
        if places:
            subnames = None if names is None else tuple(names[p] for p in places)
            made += _transform(inner, tuple(features[p] for p in places), subnames)
    return tuple(made)


def _places(chosen: Fitted, names: Names, count: int) -> list[int]:
    """The positions that a column selector of a ColumnTransformer means."""
    if isinstance(chosen, slice) and not isinstance(chosen.start or chosen.stop, str):
        return list(range(count))[chosen]
    if isinstance(chosen, (str, int)):
        chosen = [chosen]
    items = [plain(item) for item in chosen] if np.iterable(chosen) else [None]
    if items and all(isinstance(item, bool) for item in items):
        return [place for place, wanted in enumerate(items) if wanted]
    if names is not None and all(isinstance(item, str) and item in names for item in items):
        return [names.index(str(item)) for item in items]
    if all(isinstance(item, int) for item in items):
        return [range(count)[item] for item in items if isinstance(item, int)]
    raise Unfoldable("the columns of a ColumnTransformer could not be followed")


def _each(features: Features, operation: Operation, values: Fitted) -> Features:
    """The features after one step of arithmetic, each with its own value."""
    numbers = np.asarray(values, dtype=np.float64)
    nothing = operation in ("multiply", "divide") and not np.all(numbers)
    if nothing or not np.isfinite(numbers).all():
        raise Unfoldable("a scaler that is not finite is not folded")
    each = zip(features, numbers.tolist(), strict=True)
    return tuple(feature.after(operation, value) for feature, value in each)


def _standard(step: Fitted, features: Features) -> Features:
    if step.with_mean:
        features = _each(features, "subtract", step.mean_)
    return _each(features, "divide", step.scale_) if step.with_std else features


def _min_max(step: Fitted, features: Features) -> Features:
    if step.clip:
        raise Unfoldable("MinMaxScaler(clip=True) is not folded")
    return _each(_each(features, "multiply", step.scale_), "add", step.min_)


def _max_abs(step: Fitted, features: Features) -> Features:
    if getattr(step, "clip", False):
        raise Unfoldable("MaxAbsScaler(clip=True) is not folded")
    return _each(features, "divide", step.scale_)


def _robust(step: Fitted, features: Features) -> Features:
    if step.with_centering:
        features = _each(features, "subtract", step.center_)
    return _each(features, "divide", step.scale_) if step.with_scaling else features


def _impute(step: Fitted, features: Features) -> Features:
    marker = step.missing_values
    if not (isinstance(marker, float) and math.isnan(marker)):
        raise Unfoldable(f"SimpleImputer(missing_values={marker!r}) is not folded")
    values = [plain(value) for value in step.statistics_]
    if any(value is None or _is_nan(value) for value in values):
        raise Unfoldable("SimpleImputer of a column without values is not folded")
    filled = tuple(f.filled(value) for f, value in zip(features, values, strict=True))
    if not step.add_indicator:
        return filled
    return (*filled, *(_gap(features[place]) for place in step.indicator_.features_))


def _gap(feature: Feature) -> Level:
    """Whether the column's value is missing: nothing is known, and everything else is 0."""
    if not isinstance(feature, Number):
        raise Unfoldable("an indicator of missing categories is not folded")
    return Level(feature.column, {}, 0.0, 1.0 if feature.fill is None else 0.0)


def _one_hot(step: Fitted, features: Features) -> Features:
    drops = [None] * len(features) if step.drop_idx_ is None else list(step.drop_idx_)
    made: list[Feature] = []
    for at, (feature, categories, drop) in enumerate(
        zip(features, step.categories_, drops, strict=True)
    ):
        known = [plain(category) for category in categories]
        rare = _rare(step, at)
        if rare and drop is not None:
            raise Unfoldable("OneHotEncoder that drops beside infrequent categories is not folded")
        kept = [place for place in range(len(known)) if place not in (drop, *rare)]
        for places in [*([place] for place in kept), *([rare] if rare else [])]:
            codes = [float(place in places) for place in range(len(known))]
            made.append(level(feature, known, codes, _of_unknown(step, places is rare)))
    return tuple(made)


def _rare(step: Fitted, at: int) -> list[int]:
    """The places of the categories that an encoder puts together as infrequent."""
    if step.min_frequency is None and step.max_categories is None:
        return []
    found = step.infrequent_categories_[at]
    rare = [] if found is None else found.tolist()
    gap = any(_is_nan(category) for category in rare)
    known = enumerate(step.categories_[at].tolist())
    return [place for place, c in known if c in rare or (gap and _is_nan(c))]


def _of_unknown(step: Fitted, together: bool) -> float | None:  # noqa: FBT001 - of the column
    """What an unknown category is in a column; None refuses it."""
    if step.handle_unknown == "error":
        return None
    return float(together and step.handle_unknown == "infrequent_if_exist")


def _ordinal(step: Fitted, features: Features) -> Features:
    if step.min_frequency is not None or step.max_categories is not None:
        raise Unfoldable("OrdinalEncoder with infrequent categories is not folded")
    unseen = None if step.handle_unknown == "error" else float(step.unknown_value)
    made: list[Feature] = []
    for feature, categories in zip(features, step.categories_, strict=True):
        known = [plain(category) for category in categories]
        codes = [
            float(step.encoded_missing_value if _is_nan(category) else place)
            for place, category in enumerate(known)
        ]
        made.append(level(feature, known, codes, unseen))
    return tuple(made)


def level(feature: Feature, known: list[object], codes: list[float], unseen: float | None) -> Level:
    """An encoded feature; a missing value is a category of its own, or the imputer's, or unseen."""
    if not isinstance(feature, Number) or not feature.raw:
        raise Unfoldable("an encoder of columns that were changed before is not folded")
    values: dict[Category, float] = {}
    gaps: list[float] = []
    for category, code in zip(known, codes, strict=True):
        if category is None or _is_nan(category):
            gaps.append(code)
        elif isinstance(category, (str, int, float, bool)):
            values[category] = code
        else:
            raise Unfoldable(f"categories of type {type(category).__name__} are not folded")
    if len(gaps) > 1:
        raise Unfoldable("an encoder that tells None from NaN is not folded")
    missing = gaps[0] if gaps else unseen
    if isinstance(feature.fill, (str, int, float, bool)):
        missing = values.get(feature.fill, unseen)
    return Level(feature.column, values, unseen, missing)


def _polynomial(step: Fitted, features: Features) -> Features:
    numbers = [feature for feature in features if isinstance(feature, Number)]
    if len(numbers) != len(features):
        raise Unfoldable("PolynomialFeatures of categories is not folded")
    made: list[Feature] = []
    for powers in step.powers_.tolist():
        pairs = zip(numbers, powers, strict=True)
        factors = tuple(number for number, power in pairs for _ in range(power))
        made.append(factors[0] if len(factors) == 1 else Product(factors))
    return tuple(made)


def _identity(step: Fitted, features: Features) -> Features:
    if step.func is not None:
        raise Unfoldable("FunctionTransformer(func) is not folded")
    return features


_TRANSFORMS: dict[str, Callable[[Fitted, Features], Features]] = {
    "FunctionTransformer": _identity,
    "StandardScaler": _standard,
    "MinMaxScaler": _min_max,
    "MaxAbsScaler": _max_abs,
    "RobustScaler": _robust,
    "SimpleImputer": _impute,
    "OneHotEncoder": _one_hot,
    "OrdinalEncoder": _ordinal,
    "PolynomialFeatures": _polynomial,
}


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def real(value: Any) -> float:  # noqa: ANN401 - a fitted statistic, of whatever type it is
    """The number that a statistic is."""
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise Unfoldable(f"{value!r} is used as a number") from error
