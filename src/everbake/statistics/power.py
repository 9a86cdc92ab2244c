"""How many rows a verdict needs."""

from math import ceil, sqrt

from everbake.statistics.quantiles import normal, student, student_power

_POWER = 0.8
_CERTAIN = 30.0  # standard errors, beyond which the series stops converging
_MOST = 1e8  # root of the largest number of rows that is told
_LARGE = 1_000_000  # beyond it Student's and the normal quantile agree to the row


def rows_for(sd: float, delta: float, level: float = 0.05) -> int | None:
    """Rows for which a true difference `delta` is shown with a probability of 80 %.

    Args:
        sd: standard deviation of the row differences.
        delta: the difference to be shown (or, for non-inferiority, ruled out).
        level: the total error of both sides of the interval.

    Returns:
        The number of rows, or None where no number is honest (`delta` not above 0).
    """
    if not delta > 0 or not sd < float("inf"):
        return None
    n = normal_rows(sd, delta, level)
    while n < _LARGE and _reached(n, delta / sd if sd else float("inf"), level) < _POWER:
        n += 1
    return n


def normal_rows(sd: float, delta: float, level: float = 0.05) -> int:
    """The first approximation of `rows_for`, from the normal distribution; 2 to 10^16."""
    z = normal(1 - level / 2) + normal(_POWER)
    return max(2, ceil(min(z * sd / delta, _MOST) ** 2))


def _reached(n: int, effect: float, level: float) -> float:
    if effect * sqrt(n) > _CERTAIN:
        return 1.0
    return student_power(effect * sqrt(n), n - 1, student(1 - level / 2, n - 1))
