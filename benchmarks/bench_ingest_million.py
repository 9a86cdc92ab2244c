"""Ingest of 1,000,000 rows x 30 columns of Parquet, the model paused: no run, only the data.

Contract, row hashes, digest, staged files, commit, fact. The peak is that of all processes of the
command together, polled.

Run it with `python benchmarks/bench_ingest_million.py`.
"""

import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from timing import EVERBAKE, machine, told

ROWS, COLUMNS, RUNS = 1_000_000, 30, 3
RECIPE = """
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_squared_error
from everbake import Gate, Recipe, Table

def train(rows):
    return LinearRegression().fit(rows[["c0"]], rows["label"])

def predict(model, rows):
    return model.predict(rows[["c0"]])

recipe = Recipe(
    name="wide", data=Table(label="label"), train=train, predict=predict,
    gate=Gate(mean_squared_error),
)
"""


def main() -> None:
    """Pause the model, then time the big batch."""
    print(machine())
    seconds, peaks = [], []
    for run in range(RUNS):
        with tempfile.TemporaryDirectory() as folder:
            taken, peak = _ingest(Path(folder), run)
            seconds.append(taken)
            peaks.append(peak)
    told(f"ingest of {ROWS:,} x {COLUMNS} of Parquet, model paused", seconds, 5.0)
    print(f"peak memory of all processes: {max(peaks) / 2**30:.2f} GiB, budget 1.5 GB")


def _ingest(project: Path, seed: int) -> tuple[float, int]:
    (project / "recipe.py").write_text(RECIPE)
    big = _write(project / "big.parquet", ROWS, seed)
    small = _write(project / "small.parquet", 200, seed + 100)
    for words in (["ingest", "wide", str(small)], ["pause", "wide"]):
        done = subprocess.run([EVERBAKE, *words], cwd=project, capture_output=True, check=False)
        if done.returncode in (1, 2, 3, 8):
            raise SystemExit(done.stderr.decode())
    started, peak = time.perf_counter(), 0
    process = subprocess.Popen(
        [EVERBAKE, "ingest", "wide", str(big)], cwd=project, stdout=subprocess.PIPE
    )
    while process.poll() is None:
        peak = max(peak, _resident(process.pid))
        time.sleep(0.01)
    taken = time.perf_counter() - started
    process.stdout.close()
    if process.returncode:
        raise SystemExit(f"ingest ended with {process.returncode}")
    return taken, peak


def _write(path: Path, rows: int, seed: int) -> Path:
    random = np.random.default_rng(seed)
    columns = {f"c{i}": random.normal(size=rows) for i in range(COLUMNS - 1)}
    pq.write_table(pa.table({**columns, "label": random.normal(size=rows)}), path)
    return path


def _resident(pid: int) -> int:
    total = 0
    try:
        parent = psutil.Process(pid)
        for process in [parent, *parent.children(recursive=True)]:
            total += process.memory_info().rss
    except psutil.NoSuchProcess:
        return total
    return total


if __name__ == "__main__":
    main()
