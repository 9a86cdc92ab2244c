"""Everything that a judgement rests on."""

from collections.abc import Mapping
from dataclasses import dataclass, field

Thresholds = tuple[float | None, float | None, float | None]


@dataclass(frozen=True)
class Given:
    """Two models' answers on the same held-out rows, and what is known of these rows.

    Attributes:
        y: the outcomes; rows whose outcome is missing are left out and counted.
        champion: the answers of the model in use, or None if there is none.
        candidate: the answers of the new model.
        rows: the held-out rows, for metrics with a third parameter `rows`.
        weights: how much each row counts; None: all the same.
        groups: what each row belongs to (a patient, a user), where rows of one group depend on
            each other.
        order: values that order the rows in time, where they are ordered.
        segments: the columns by which the rows are divided into segments.
        thresholds: at which score each model decides "positive": champion, candidate, best.
        best: the answers of the best model so far, if it is another one than the champion.
        best_name: what to call it, as in "version 3".
        rows_digest: names the set of rows; derived from `y` where it is empty.
        more_rows: rows that the candidate has learned from and the champion has not.
        look: the how-manieth decision by these rows this is, from 1.
    """

    y: object
    champion: object | None
    candidate: object
    rows: object | None = None
    weights: object | None = None
    groups: object | None = None
    order: object | None = None
    segments: Mapping[str, object] = field(default_factory=dict)
    thresholds: Thresholds = (None, None, None)
    best: object | None = None
    best_name: str = ""
    rows_digest: str = ""
    more_rows: int = 0
    look: int = 1
