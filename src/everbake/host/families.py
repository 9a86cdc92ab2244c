"""The ensembles of trees that are compiled: how each is read, and what it takes.

Classes are known by their exact name, as everywhere in compiling.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from everbake.host.features import Features, level
from everbake.host.heads import Fitted, Unfoldable, class_name, plain

if TYPE_CHECKING:
    from treelite import Model


def _as_they_are(_: Fitted, features: Features) -> Features:
    return features


@dataclass(frozen=True)
class Family:
    """Models that are read in one way.

    Attributes:
        ensemble: the model's trees.
        single: whether it reads its features as float32.
        missing: whether it takes missing values.
        infinite: whether it takes infinite values.
        zero: whether a score of exactly 0 means the second of two classes.
        tiny: it reads numbers of at most this size as 0.
        features: what it makes of its features before the trees.
    """

    ensemble: "Callable[[Fitted], Model]"
    single: bool
    missing: Callable[[Fitted], bool]
    infinite: bool
    zero: bool = False
    tiny: float | None = None
    features: Callable[[Fitted, Features], Features] = _as_they_are


def family_of(model: object) -> Family | None:
    """The family of a fitted estimator, if its trees can be compiled."""
    return _FAMILIES.get(class_name(model))


def _always(_: Fitted) -> bool:
    return True


def _never(_: Fitted) -> bool:
    return False


def _tagged(model: Fitted) -> bool:
    """Whether trees take missing values, by their own account."""
    from sklearn.utils import get_tags

    return bool(get_tags(model).input_tags.allow_nan) and model.monotonic_cst is None


def _forest(model: Fitted) -> "Model":
    from treelite.sklearn import import_model

    if hasattr(model, "classes_") and model.n_outputs_ != 1:
        raise Unfoldable("a classifier of several labels at once is not compiled")
    return import_model(_counted(model))


def _counted(model: Fitted) -> Fitted:
    """The model, saying how many trees there are instead of how many were asked for."""
    counted = copy.copy(model)
    counted.n_estimators = len(model.estimators_)
    return counted


def _alone(forest: str) -> "Callable[[Fitted], Model]":
    """Reads one tree as the only one of a forest."""

    def read(model: Fitted) -> "Model":
        from sklearn import ensemble

        shell = getattr(ensemble, forest)()
        shell.estimators_ = [model]
        for name in ("n_features_in_", "n_outputs_", "n_classes_", "classes_"):
            if hasattr(model, name):
                setattr(shell, name, getattr(model, name))
        return _forest(shell)

    return read


def _boosted(model: Fitted) -> "Model":
    from treelite.sklearn import import_model

    return _base_first(import_model(_counted(model)))


def _histogram(model: Fitted) -> "Model":
    from treelite.sklearn import import_model

    return _base_first(import_model(_by_code(model)))


def _by_code(model: Fitted) -> Fitted:
    """The model, splitting its categorical features by their codes: treelite knows no words."""
    if model.is_categorical_ is None:
        return model
    coded, preprocessor = copy.copy(model), copy.copy(model._preprocessor)  # noqa: SLF001
    name, encoder, places = preprocessor.transformers_[0]
    encoder = copy.copy(encoder)
    encoder.categories_ = [np.arange(len(known)) for known in encoder.categories_]
    preprocessor.transformers_ = [(name, encoder, places), *preprocessor.transformers_[1:]]
    coded._preprocessor = preprocessor  # noqa: SLF001
    return coded


def _categories(model: Fitted, features: Features) -> Features:
    """The features, each categorical one as its codes; what is unknown or missing has none."""
    if model.is_categorical_ is None:
        return features
    encoder = model._preprocessor.transformers_[0][1]  # noqa: SLF001
    made, known = list(features), iter(encoder.categories_)
    for place in np.flatnonzero(model.is_categorical_).tolist():
        categories = [plain(category) for category in next(known)]
        codes = [math.nan if c != c else float(at) for at, c in enumerate(categories)]  # noqa: PLR0124
        made[place] = level(features[place], categories, codes, math.nan)
    return tuple(made)


def _lightgbm(model: Fitted) -> "Model":
    from treelite.frontend import from_lightgbm

    return from_lightgbm(getattr(model, "booster_", model))


def _xgboost(model: Fitted) -> "Model":
    from treelite.frontend import from_xgboost

    booster = model.get_booster()
    if model.early_stopping_rounds is not None:
        booster = booster[: model.best_iteration + 1]
    return _base_first(from_xgboost(booster))


def _base_first(ensemble: "Model") -> "Model":
    """The same sums, begun with the base score as the library does: rounding depends on it.

    The base of each output moves into the leaves of the first tree that adds to it.
    """
    header = ensemble.get_header_accessor()
    base = np.asarray(header.get_field("base_scores"))
    outputs = np.maximum(header.get_field("class_id"), 0)
    outputs = np.maximum(outputs, np.maximum(header.get_field("target_id"), 0))
    kind = np.dtype(ensemble.output_type)
    firsts = [np.flatnonzero(outputs == output)[:1] for output in range(len(base))]
    if not all(len(first) for first in firsts):
        return ensemble  # trees that add to all outputs at once keep the base at the end
    for first, value in zip(firsts, base, strict=True):
        tree = ensemble.get_tree_accessor(int(first[0]))
        leaves = np.asarray(tree.get_field("leaf_value"), kind)
        tree.set_field("leaf_value", leaves + kind.type(value))
    header.set_field("base_scores", np.zeros_like(base))
    return ensemble


_TREES = Family(_forest, single=True, missing=_tagged, infinite=False)
_BOOSTED = Family(_boosted, single=True, missing=_never, infinite=False, zero=True)
_HISTOGRAM = Family(_histogram, single=False, missing=_always, infinite=True, features=_categories)
_LIGHTGBM = Family(
    _lightgbm, single=False, missing=_always, infinite=True, tiny=float(np.float32(1e-35))
)
_XGBOOST = Family(_xgboost, single=True, missing=_always, infinite=True)

_FAMILIES: dict[str, Family] = {
    "DecisionTreeClassifier": replace(_TREES, ensemble=_alone("RandomForestClassifier")),
    "DecisionTreeRegressor": replace(_TREES, ensemble=_alone("RandomForestRegressor")),
    "ExtraTreeClassifier": replace(_TREES, ensemble=_alone("ExtraTreesClassifier")),
    "ExtraTreeRegressor": replace(_TREES, ensemble=_alone("ExtraTreesRegressor")),
    "RandomForestClassifier": _TREES,
    "RandomForestRegressor": _TREES,
    "ExtraTreesClassifier": _TREES,
    "ExtraTreesRegressor": _TREES,
    "GradientBoostingClassifier": _BOOSTED,
    "GradientBoostingRegressor": _BOOSTED,
    "HistGradientBoostingClassifier": _HISTOGRAM,
    "HistGradientBoostingRegressor": _HISTOGRAM,
    "lightgbm.sklearn.LGBMClassifier": _LIGHTGBM,
    "lightgbm.sklearn.LGBMRegressor": _LIGHTGBM,
    "lightgbm.basic.Booster": _LIGHTGBM,
    "xgboost.sklearn.XGBClassifier": _XGBOOST,
    "xgboost.sklearn.XGBRegressor": _XGBOOST,
    "xgboost.sklearn.XGBRFClassifier": _XGBOOST,
    "xgboost.sklearn.XGBRFRegressor": _XGBOOST,
}
