"""Metrics of two classes under many row weights at once, for the bootstrap.

Each function takes `(positive, answers, weights)`; `weights` has one line a resample, the result
one value a line. A resample is nothing but a count for each row, so all of them share one sort.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Weighted = Callable[[Flags, NDArray[Any], Floats], Floats]


def f1(positive: Flags, answers: NDArray[Any], weights: Floats) -> Floats:
    """F1: the harmonic mean of precision and recall."""
    hits, called, there = _counts(positive, answers, weights)
    return _share(2 * hits, called + there)


def precision(positive: Flags, answers: NDArray[Any], weights: Floats) -> Floats:
    """Precision: how many of those called positive are."""
    hits, called, _ = _counts(positive, answers, weights)
    return _share(hits, called)


def recall(positive: Flags, answers: NDArray[Any], weights: Floats) -> Floats:
    """Recall: how many of the positives are called so."""
    hits, _, there = _counts(positive, answers, weights)
    return _share(hits, there)


def jaccard(positive: Flags, answers: NDArray[Any], weights: Floats) -> Floats:
    """Jaccard: those called and there among those called or there."""
    hits, called, there = _counts(positive, answers, weights)
    return _share(hits, called + there - hits)


def average_precision(positive: Flags, answers: NDArray[Any], weights: Floats) -> Floats:
    """Average precision: precision summed over the steps of recall."""
    order = np.argsort(-answers, kind="stable")
    ranked = answers[order]
    last = np.append(ranked[1:] != ranked[:-1], True)
    sorted_weights = weights[:, order]
    called = np.cumsum(sorted_weights, axis=1)
    sorted_weights *= positive[order]
    hits = np.cumsum(sorted_weights, axis=1, out=sorted_weights)
    if not last.all():
        called, hits = called[:, last], hits[:, last]
    precisions = np.divide(hits, called, out=called, where=called > 0)
    precisions[:, 1:] *= np.diff(hits, axis=1)
    precisions[:, 0] *= hits[:, 0]
    return _share(np.sum(precisions, axis=1), hits[:, -1])


WEIGHTED: dict[str, Weighted] = {
    "f1_score": f1,
    "precision_score": precision,
    "recall_score": recall,
    "jaccard_score": jaccard,
    "average_precision_score": average_precision,
}


def _counts(
    positive: Flags, answers: NDArray[Any], weights: Floats
) -> tuple[Floats, Floats, Floats]:
    """Weights of the positives that are called so, of all called positive, of all positives."""
    called = np.asarray(answers == 1)
    columns = np.stack([positive & called, called, positive], axis=1).astype(np.float64)
    sums = weights @ columns
    return sums[:, 0], sums[:, 1], sums[:, 2]


def _share(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
