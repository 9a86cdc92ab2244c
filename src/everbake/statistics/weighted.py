"""Metrics of two classes under many row weights at once, for the bootstrap and sample weights.

`metric(positive, answers)` does once what does not depend on weights, such as sorting, and gives
a function of weights: it takes one line a resample and gives one value a line. A resample is
nothing but a count for each row, so all of them share the work.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from everbake.statistics.auroc import weighted_area

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Weights = NDArray[np.uint8] | Floats
OfWeights = Callable[[Weights], Floats]
Weighted = Callable[[Flags, NDArray[Any]], OfWeights]


@dataclass(frozen=True)
class Counts:
    """Weights of the rows that are called positive and are, are called so, are so, and of all."""

    hits: Floats
    called: Floats
    there: Floats
    all: Floats


def f1(counts: Counts) -> Floats:
    """F1: the harmonic mean of precision and recall."""
    return _share(2 * counts.hits, counts.called + counts.there)


def precision(counts: Counts) -> Floats:
    """Precision: how many of those called positive are."""
    return _share(counts.hits, counts.called)


def recall(counts: Counts) -> Floats:
    """Recall: how many of the positives are called so."""
    return _share(counts.hits, counts.there)


def jaccard(counts: Counts) -> Floats:
    """Jaccard: those called and there among those called or there."""
    return _share(counts.hits, counts.called + counts.there - counts.hits)


def balanced_accuracy(counts: Counts) -> Floats:
    """The mean of both classes' recalls; NaN where a class is missing."""
    rest = counts.all - counts.there
    rejected = rest - (counts.called - counts.hits)
    recalls = _share(counts.hits, counts.there, np.nan), _share(rejected, rest, np.nan)
    return (recalls[0] + recalls[1]) / 2


def matthews(counts: Counts) -> Floats:
    """Matthews' correlation of answers and outcomes; 0 where either does not vary."""
    covered = counts.hits * counts.all - counts.called * counts.there
    varying = counts.called * (counts.all - counts.called)
    varying *= counts.there * (counts.all - counts.there)
    return _share(covered, np.sqrt(varying))


def average_precision(positive: Flags, answers: NDArray[Any]) -> OfWeights:
    """Average precision: precision summed over the steps of recall; NaN without positives.

    Only a threshold that takes in a positive is a step of recall, so hits are summed over
    positives and all calls up to the end of each positive's ties.
    """
    order = np.argsort(-answers, kind="stable")
    ranked, flags = answers[order], positive[order]
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    found = np.flatnonzero(flags)
    step = np.searchsorted(last, found)  # the threshold that takes in each positive
    final = np.flatnonzero(np.append(step[1:] != step[:-1], True))[: len(found)]
    ends, positives = last[step[final]], order[found]

    def value(weights: Weights) -> Floats:
        called = _summed(weights, order)[:, ends]
        hits = _summed(weights, positives)[:, final].astype(np.float64)
        precisions = np.divide(hits, called, out=np.zeros_like(hits), where=called > 0)
        gained = np.diff(hits, axis=1, prepend=0.0)
        whole = hits[:, -1] if len(final) else np.zeros(len(weights))
        return _share(np.einsum("ij,ij->i", precisions, gained), whole, np.nan)

    return value


def of_counts(metric: Callable[[Counts], Floats]) -> Weighted:
    """A metric of yes and no: 1 is yes, everything else no."""

    def prepared(positive: Flags, answers: NDArray[Any]) -> OfWeights:
        called = np.asarray(answers == 1)
        columns = np.stack([positive & called, called, positive, np.ones_like(called)], axis=1)
        columns = columns.astype(np.float64)

        def value(weights: Weights) -> Floats:
            return metric(Counts(*(weights @ columns).T))

        return value

    return prepared


WEIGHTED: dict[str, Weighted] = {
    "f1_score": of_counts(f1),
    "precision_score": of_counts(precision),
    "recall_score": of_counts(recall),
    "jaccard_score": of_counts(jaccard),
    "balanced_accuracy_score": of_counts(balanced_accuracy),
    "matthews_corrcoef": of_counts(matthews),
    "average_precision_score": average_precision,
    "roc_auc_score": weighted_area,
}


def _summed(weights: Weights, order: NDArray[np.intp]) -> NDArray[Any]:
    """Running sums in that order; of counts as whole numbers, which is fast and exact."""
    whole = weights.dtype == np.uint8
    return np.cumsum(np.take(weights, order, axis=1), axis=1, dtype=np.int32 if whole else None)


def _share(part: Floats, whole: Floats, otherwise: float = 0.0) -> Floats:
    return np.divide(part, whole, out=np.full_like(part, otherwise), where=whole > 0)
