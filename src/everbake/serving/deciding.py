"""What a score means for who asked: "positive" from the version's own threshold on."""

from collections.abc import Sequence


def decided(predictions: Sequence[object], threshold: float) -> list[bool | None]:
    """Whether each prediction reaches the threshold; None where there is no number.

    >>> decided([0.2, 0.1, None], 0.2)
    [True, False, None]
    """
    return [one >= threshold if isinstance(one, float | int) else None for one in predictions]
