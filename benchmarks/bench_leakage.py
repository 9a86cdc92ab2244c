"""How long the leakage checks take on 1,000,000 rows of 40 columns, a quarter of them texts.

Run: python benchmarks/bench_leakage.py
"""

from statistics import median
from time import perf_counter

import numpy as np
import pyarrow as pa

from everbake.core.spec import Table
from everbake.host.alone import survey

ROWS = 1_000_000
NUMBERS, TEXTS = 30, 10
ROUNDS = 5


def columns(random):
    """Numbers of growing strength, and texts of 10 to 100,000 levels."""
    y = random.random(ROWS) < 0.1
    made = {"y": y}
    for i in range(NUMBERS):
        made[f"x{i}"] = random.normal(size=ROWS) + 0.05 * i * y
    for i in range(TEXTS):
        levels = np.array([f"level {j}" for j in range(10 ** (1 + i % 5))])
        made[f"s{i}"] = levels[random.integers(0, len(levels), ROWS)]
    return made


def told(what, table):
    """The median of a few rounds."""
    seconds = []
    for _ in range(ROUNDS):
        started = perf_counter()
        found = survey(table, Table(label="y"))
        seconds.append(perf_counter() - started)
    print(f"{what:<24} {median(seconds):6.2f} s (median of {ROUNDS}, on {found.rows:,} rows)")


def main():
    """Print the medians for a label of two classes, of ten, and of numbers."""
    random = np.random.default_rng(0)
    made = columns(random)
    told("two classes", pa.table(made))
    told("ten classes", pa.table({**made, "y": random.integers(0, 10, ROWS)}))
    told("numbers", pa.table({**made, "y": random.normal(size=ROWS)}))


if __name__ == "__main__":
    main()
