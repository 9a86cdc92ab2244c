"""Folds a fitted scikit-learn pipeline of linear steps into the file of the linear runtime.

Classes are known by their exact name inside scikit-learn: a subclass may compute anything, so it
is not folded. Fitted estimators are untyped; `Fitted` marks them. It knows nothing of the user's
functions, and proves nothing: `parity` does.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import msgspec
import numpy as np

from everbake.host.heads import Fitted, Head, Unfoldable, class_name, head_of, plain
from everbake.runtimes.linear import Category, Floats, Levels, LinearFile, Numbers, pack

Names: TypeAlias = tuple[str, ...] | None


@dataclass(frozen=True)
class Number:
    """A feature that is `(x - center) * scale` of one column, or `fill` where x is missing."""

    column: str
    center: float = 0.0
    scale: float = 1.0
    fill: object = None

    @property
    def raw(self) -> bool:
        """Whether the column's own values arrive unchanged."""
        return self.center == 0.0 and self.scale == 1.0

    def affine(self, center: float, scale: float) -> "Number":
        """This feature after `(y - center) * scale`."""
        moved = self.center + center / self.scale
        fill = None if self.fill is None else (_real(self.fill) - center) * scale
        return Number(self.column, moved, self.scale * scale, fill)

    def filled(self, value: object) -> "Number":
        """This feature after an imputer."""
        return self if self.fill is not None else replace(self, fill=value)


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

    def affine(self, center: float, scale: float) -> "Level":
        """This feature after `(y - center) * scale`."""
        return self._each(lambda value: (value - center) * scale)

    def filled(self, value: object) -> "Level":
        """This feature after an imputer."""
        return self._each(lambda old: _real(value) if math.isnan(old) else old)


Feature = Number | Level
Features = tuple[Feature, ...]


def fold(
    model: object, method: str, columns: tuple[str, ...], output_column: int | None
) -> bytes | str:
    """The data file that answers as `model.method(X)` does, or why there is none.

    Args:
        model: a fitted estimator or pipeline.
        method: `predict`, `predict_proba` or `decision_function`.
        columns: the columns of X, in order.
        output_column: k where the answer is `[:, k]` of what the method returns.
    """
    try:
        features: Features = tuple(Number(name) for name in columns)
        features, last = _through(model, features, columns)
        head = head_of(last, method)
        return msgspec.msgpack.encode(_file(features, head, output_column))
    except Unfoldable as reason:
        return f"native: {reason}"


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


def _affine(features: Features, centers: Fitted, scales: Fitted) -> Features:
    count = len(features)
    center = np.zeros(count) if centers is None else np.asarray(centers, dtype=np.float64)
    scale = np.ones(count) if scales is None else np.asarray(scales, dtype=np.float64)
    if not (np.isfinite(center).all() and np.isfinite(scale).all() and np.all(scale != 0)):
        raise Unfoldable("a scaler that is not finite is not folded")
    each = zip(features, center.tolist(), scale.tolist(), strict=True)
    return tuple(feature.affine(c, s) for feature, c, s in each)


def _standard(step: Fitted, features: Features) -> Features:
    scale = 1.0 / step.scale_ if step.with_std else None
    return _affine(features, step.mean_ if step.with_mean else None, scale)


def _min_max(step: Fitted, features: Features) -> Features:
    if step.clip:
        raise Unfoldable("MinMaxScaler(clip=True) is not folded")
    return _affine(features, -step.min_ / step.scale_, step.scale_)


def _max_abs(step: Fitted, features: Features) -> Features:
    if getattr(step, "clip", False):
        raise Unfoldable("MaxAbsScaler(clip=True) is not folded")
    return _affine(features, None, 1.0 / step.scale_)


def _robust(step: Fitted, features: Features) -> Features:
    scale = 1.0 / step.scale_ if step.with_scaling else None
    return _affine(features, step.center_ if step.with_centering else None, scale)


def _impute(step: Fitted, features: Features) -> Features:
    marker = step.missing_values
    if not (isinstance(marker, float) and math.isnan(marker)):
        raise Unfoldable(f"SimpleImputer(missing_values={marker!r}) is not folded")
    if step.add_indicator:
        raise Unfoldable("SimpleImputer(add_indicator=True) is not folded")
    values = [plain(value) for value in step.statistics_]
    if any(value is None or _is_nan(value) for value in values):
        raise Unfoldable("SimpleImputer of a column without values is not folded")
    return tuple(f.filled(value) for f, value in zip(features, values, strict=True))


def _one_hot(step: Fitted, features: Features) -> Features:
    if step.min_frequency is not None or step.max_categories is not None:
        raise Unfoldable("OneHotEncoder with infrequent categories is not folded")
    drops = [None] * len(features) if step.drop_idx_ is None else list(step.drop_idx_)
    made: list[Feature] = []
    for feature, categories, drop in zip(features, step.categories_, drops, strict=True):
        known = [plain(category) for category in categories]
        kept = [place for place in range(len(known)) if place != drop]
        refuses = step.handle_unknown == "error"
        for place in kept:
            codes = [float(place == other) for other in range(len(known))]
            made.append(_level(feature, known, codes, None if refuses else 0.0))
    return tuple(made)


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
        made.append(_level(feature, known, codes, unseen))
    return tuple(made)


def _level(
    feature: Feature, known: list[object], codes: list[float], unseen: float | None
) -> Level:
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
}


def _file(features: Features, head: Head, output_column: int | None) -> LinearFile:
    if output_column is not None and head.output != "matrix":
        raise Unfoldable("one column of an answer that has none is not folded")
    if head.coefficients.shape[1] != len(features):
        raise Unfoldable("the pipeline's features could not be followed")
    columns = tuple(dict.fromkeys(feature.column for feature in features))
    if not columns:
        raise Unfoldable("a model without input columns is not folded")
    weights = head.coefficients.T
    return LinearFile(
        columns=columns,
        numbers=_numbers(features, weights),
        levels=tuple(_levels(column, features, weights) for column in _looked_up(features)),
        intercept=pack(head.intercept),
        link=head.link,
        output=head.output if output_column is None else "column",
        column=output_column or 0,
        classes=head.classes,
    )


def _numbers(features: Features, weights: Floats) -> Numbers:
    places = [place for place, feature in enumerate(features) if isinstance(feature, Number)]
    chosen = [feature for feature in features if isinstance(feature, Number)]
    fills = [math.nan if feature.fill is None else _real(feature.fill) for feature in chosen]
    return Numbers(
        columns=tuple(feature.column for feature in chosen),
        center=pack([feature.center for feature in chosen]),
        scale=pack([feature.scale for feature in chosen]),
        fill=pack(fills),
        weights=pack(weights[places]),
    )


def _looked_up(features: Features) -> list[str]:
    return list(dict.fromkeys(f.column for f in features if isinstance(f, Level)))


def _levels(column: str, features: Features, weights: Floats) -> Levels:
    """All features of one categorical column, weighted and added up by category."""
    mine = [
        (feature, weights[place])
        for place, feature in enumerate(features)
        if isinstance(feature, Level) and feature.column == column
    ]
    sums: dict[Category, Floats] = {}
    for category in dict.fromkeys(c for feature, _ in mine for c in feature.values):
        total = _added([(f.values.get(category, f.unseen), weight) for f, weight in mine])
        if total is not None:
            sums[category] = total
    unseen = _added([(feature.unseen, weight) for feature, weight in mine])
    missing = _added([(feature.missing, weight) for feature, weight in mine])
    if unseen is not None and len(sums) < len({c for f, _ in mine for c in f.values}):
        raise Unfoldable("a category without a number is not folded")
    return Levels(
        column=column,
        categories=tuple(sums),
        weights=pack(np.concatenate(list(sums.values())) if sums else []),
        unseen=None if unseen is None else pack(unseen),
        missing=None if missing is None else pack(missing),
    )


def _added(parts: list[tuple[float | None, Floats]]) -> Floats | None:
    """The weighted sum, or None if a part refuses the row or is not a number."""
    total: Floats = np.zeros_like(parts[0][1])
    for value, weight in parts:
        if value is None or math.isnan(value):
            return None
        total = total + value * weight
    return total


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _real(value: Any) -> float:  # noqa: ANN401 - a fitted statistic, of whatever type it is
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise Unfoldable(f"{value!r} is used as a number") from error
