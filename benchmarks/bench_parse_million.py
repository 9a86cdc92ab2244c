"""Times the parsing of a million rows of 30 float columns of Parquet, in a process of its own.

Run with: python benchmarks/bench_parse_million.py [rows]
"""

import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path

SECONDS = 4.0
GIGABYTES = 1.2
COLUMNS = 30


def write(path: Path, rows: int) -> None:
    """Write the input, in row groups of a million rows as pandas does."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(7)
    table = pa.table({f"x{i:02d}": rng.normal(size=rows) for i in range(COLUMNS)})
    pq.write_table(table, path)


def measure(folder: str, queue: "multiprocessing.Queue[tuple[float, float, int]]") -> None:
    """Parse with a contract of earlier rows, and tell seconds, peak gigabytes and rows."""
    from everbake.core.contract import ColumnRule, Contract
    from everbake.core.dataset import Special
    from everbake.host.parsing import ParseOrder, parse

    rules = [
        ColumnRule(f"x{i:02d}", "float64", nullable=False, min=-5.0, max=5.0)
        for i in range(COLUMNS)
    ]
    special = Special("x00")
    contract = Contract(tuple(rules), special, rows=1000)
    source = str(Path(folder) / "rows.parquet")
    began = time.perf_counter()
    stage = str(Path(folder) / "stage")
    parsed = parse(ParseOrder((source,), ("rows.parquet",), stage, contract, 1000, special))
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    queue.put((seconds, peak, len(parsed.findings) or parsed.rows))


def main() -> int:
    """Print the figures; 1 if one is missed."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        write_it = context.Process(target=write, args=(Path(folder) / "rows.parquet", rows))
        write_it.start()
        write_it.join()
        queue: multiprocessing.Queue[tuple[float, float, int]] = context.Queue()
        child = context.Process(target=measure, args=(folder, queue))
        child.start()
        seconds, peak, parsed = queue.get(timeout=600)
        child.join()
    sys.stdout.write(
        f"parse {parsed:,} rows x {COLUMNS} columns: {seconds:.2f} s (< {SECONDS}), "
        f"peak {peak:.2f} GB (< {GIGABYTES})\n"
    )
    return 0 if seconds < SECONDS and peak < GIGABYTES and parsed == rows else 1


if __name__ == "__main__":
    sys.exit(main())
