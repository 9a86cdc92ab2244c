"""How wrong answers were, once their labels are known: the recipe's metric as a loss a row."""

import json
import math
from collections.abc import Sequence
from typing import Any

from everbake.core.metrics import known_metric


def row_losses(metric: str, answers: Sequence[tuple[str, str]]) -> list[float | None]:
    """The loss of each answer, None where it has none (or the metric has none a row).

    Args:
        metric: as scikit-learn calls it.
        answers: prediction and label, each as JSON.
    """
    known = known_metric(metric)
    if known is None or known.row_loss is None or not answers:
        return [None] * len(answers)
    import numpy as np

    pairs = [(json.loads(prediction), json.loads(label)) for prediction, label in answers]
    found: list[float | None] = [None] * len(pairs)
    kinds: dict[bool, list[int]] = {True: [], False: []}
    for place, (prediction, label) in enumerate(pairs):
        if not isinstance(prediction, list | dict) and label is not None:
            kinds[isinstance(label, str)].append(place)
    for places in kinds.values():
        if places:
            truth = np.asarray([pairs[place][1] for place in places])
            given = np.asarray([pairs[place][0] for place in places])
            try:
                losses: Any = known.row_loss(truth, given)
            except (TypeError, ValueError):  # a text where the metric needs a number
                continue
            for place, loss in zip(places, losses.tolist(), strict=True):
                found[place] = loss if math.isfinite(loss) else None
    return found
