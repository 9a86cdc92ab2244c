"""Folds a fitted pipeline that ends in a linear model into the file of the linear runtime.

It knows nothing of the user's functions, and proves nothing: `parity` does.
"""

import math

import msgspec
import numpy as np

from everbake.host.features import Features, Followed, Level, Number, Product, columns_of, real
from everbake.host.heads import Asked, Head, Unfoldable, head_of
from everbake.runtimes.columns import Category, Floats, Levels, pack
from everbake.runtimes.linear import LinearFile, Numbers, Products


def fold(followed: Followed, asked: Asked) -> bytes:
    """The data file that answers as the last estimator does from its features.

    Raises:
        Unfoldable: there is none.
    """
    head = head_of(followed.last, asked.method)
    return msgspec.msgpack.encode(_file(followed.features, head, asked.output_column))


def _file(features: Features, head: Head, output_column: int | None) -> LinearFile:
    if output_column is not None and head.output != "matrix":
        raise Unfoldable("one column of an answer that has none is not folded")
    if head.coefficients.shape[1] != len(features):
        raise Unfoldable("the pipeline's features could not be followed")
    columns = columns_of(features)
    if not columns:
        raise Unfoldable("a model without input columns is not folded")
    weights = head.coefficients.T
    return LinearFile(
        columns=columns,
        numbers=_numbers(features, weights),
        products=_products(features, weights),
        levels=tuple(_levels(column, features, weights) for column in _looked_up(features)),
        intercept=pack(head.intercept - _centers(features, weights)),
        link=head.link,
        output=head.output if output_column is None else "column",
        column=output_column or 0,
        classes=head.classes,
    )


def _numbers(features: Features, weights: Floats) -> Numbers:
    chosen = _factors(features)
    own = np.zeros((len(chosen), weights.shape[1]))
    for feature, weight in zip(features, weights, strict=True):
        if isinstance(feature, Number):
            own[chosen[feature]] += weight
    fills = [math.nan if feature.fill is None else real(feature.fill) for feature in chosen]
    return Numbers(
        columns=tuple(feature.column for feature in chosen),
        center=pack([feature.center for feature in chosen]),
        scale=pack([feature.scale for feature in chosen]),
        fill=pack(fills),
        weights=pack(own),
    )


def _factors(features: Features) -> dict[Number, int]:
    """The numbers among the features, and in their products, each with its place."""
    found: dict[Number, int] = {}
    for feature in features:
        each = feature.factors if isinstance(feature, Product) else (feature,)
        for number in each:
            if isinstance(number, Number):
                found.setdefault(number, len(found))
    return found


def _products(features: Features, weights: Floats) -> Products:
    places = _factors(features)
    mine = [(f, w) for f, w in zip(features, weights, strict=True) if isinstance(f, Product)]
    return Products(
        factors=tuple(tuple(places[factor] for factor in f.factors) for f, _ in mine),
        weights=pack([value for f, weight in mine for value in (weight * f.scale).tolist()]),
    )


def _centers(features: Features, weights: Floats) -> Floats:
    """What centring the products takes from the outputs."""
    total: Floats = np.zeros(weights.shape[1])
    for feature, weight in zip(features, weights, strict=True):
        if isinstance(feature, Product):
            total += feature.center * feature.scale * weight
    return total


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
