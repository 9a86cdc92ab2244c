"""How long the interval of a per-row loss takes on 100,000 rows. Target: below 50 ms.

Run: python benchmarks/bench_judge_rows.py
"""

from statistics import median
from time import perf_counter

import numpy as np

from everbake.core.gate import Given, Rules, judge_rows
from everbake.core.metrics import squared_error
from everbake.statistics.mean import mean_interval

ROWS = 100_000
ROUNDS = 15


def mean_squared_error(y, p):
    """The metric without a library, so that only the gate is timed."""
    return float(np.mean((y - p) ** 2))


def timed(call):
    """The median of a few rounds, in milliseconds; the first loads what is loaded lazily."""
    call()
    seconds = []
    for _ in range(ROUNDS):
        start = perf_counter()
        call()
        seconds.append(perf_counter() - start)
    return 1000 * median(seconds)


def main():
    """Print the medians."""
    rng = np.random.default_rng(0)
    y = rng.normal(size=ROWS)
    before, after = y + rng.normal(size=ROWS), y + rng.normal(size=ROWS)
    losses = squared_error(y, before) - squared_error(y, after)
    rules = Rules("mean_squared_error", mean_squared_error, "lower")
    print(f"interval of {ROWS} row losses: {timed(lambda: mean_interval(losses)):.1f} ms (median)")
    whole = timed(lambda: judge_rows(Given(y, before, after), rules))
    print(f"whole judgement of {ROWS} rows: {whole:.1f} ms (median, target < 50 ms)")


if __name__ == "__main__":
    main()
