"""Rows that decide more than once: each look at them spends a part of one error budget."""

BUDGET = 0.10  # the errors of all looks together
_MOST = 300_000  # looks, beyond which a level is too small to be told from certainty


def level_of(look: int) -> float:
    """The two-sided error of the `look`-th decision by the same rows, from 1.

    The parts sum up to the budget: 1/(j (j + 1)) over all j is 1.

    >>> level_of(1), round(level_of(2), 4)
    (0.05, 0.0167)
    """
    look = min(look, _MOST)
    return BUDGET / (look * (look + 1))
