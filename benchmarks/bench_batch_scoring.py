"""Batch scoring beside its peer: reading the same Parquet file and the bare model's own `predict`.

Both answer with the same HistGradientBoosting model of 100 trees on 30 columns, with all cores;
the peer streams the file by row groups and writes nothing. Targets: at most 1.3 times the peer's
time, and under 1 GB in all processes together (proportional set size, sampled).

Run: python benchmarks/bench_batch_scoring.py [--rows 10000000] [--rounds 3]
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

from timing import EVERBAKE, machine

COLUMNS = 30
GROUP = 1_000_000
RATIO = 1.3
GIGABYTES = 1.0
RECIPE = """
from everbake import Gate, Recipe, Table
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import mean_squared_error


def train(rows):
    model = HistGradientBoostingRegressor(max_iter=100, early_stopping=False, random_state=0)
    return model.fit(rows.drop(columns="y"), rows["y"])


def predict(model, rows):
    return model.predict(rows)


recipe = Recipe(
    name="trees", data=Table(label="y"), train=train, predict=predict,
    gate=Gate(mean_squared_error),
)
"""
PEER = """
import sys
import numpy as np
import pyarrow.parquet as pq
from pathlib import Path
from everbake.host.artifacts import load

model = load(sys.argv[2], Path(sys.argv[1]).read_bytes())
total = 0.0
file = pq.ParquetFile(sys.argv[3], pre_buffer=False)
for group in range(file.num_row_groups):
    total += float(np.sum(model.predict(file.read_row_group(group).to_pandas())))
print(total)
"""


def write(place: Path, rows: int, *, label: bool) -> None:
    """A Parquet file of so many rows, in row groups of a million."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(7)
    writer = None
    for start in range(0, rows, GROUP):
        x = rng.normal(size=(min(GROUP, rows - start), COLUMNS))
        columns = {f"x{i:02d}": np.ascontiguousarray(x[:, i]) for i in range(COLUMNS)}
        if label:
            columns["y"] = x[:, 0] * x[:, 1] + np.sin(3 * x[:, 2]) + x[:, 3:].sum(axis=1) / 9
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(place, table.schema)
        writer.write_table(table, row_group_size=GROUP)
    writer.close()


def measured(words: list[str], cwd: Path) -> tuple[float, float]:
    """Seconds, and the most gigabytes that the processes of a command held together."""
    began = time.perf_counter()
    process = subprocess.Popen(words, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    peak = [0]
    watcher = threading.Thread(target=watch, args=(process, peak))
    watcher.start()
    _, complaint = process.communicate()
    seconds = time.perf_counter() - began
    watcher.join()
    if process.returncode:
        raise SystemExit(f"{words} ended with {process.returncode}:\n{complaint.decode()}")
    return seconds, peak[0] / 2**30


def watch(process: subprocess.Popen, peak: list[int]) -> None:
    """Sum the memory of a process and all below it until it ends."""
    import psutil

    root = psutil.Process(process.pid)
    while process.poll() is None:
        held = 0
        with suppress(psutil.Error):
            for each in [root, *root.children(recursive=True)]:
                with suppress(psutil.Error):
                    held += each.memory_full_info().pss
        peak[0] = max(peak[0], held)
        time.sleep(0.1)


def project(folder: Path) -> tuple[str, str]:
    """A project with a champion; where its model lies, and its format."""
    from everbake import wiring
    from everbake.core.bundle import Bundle

    (folder / "recipe.py").write_text(RECIPE)
    write(folder / "train.parquet", 50_000, label=True)
    subprocess.run([EVERBAKE, "ingest", "trees", "train.parquet"], cwd=folder, check=True)
    row = wiring.reader(folder).rows("deployments", {"model": "trees"})[0]
    blobs = wiring.blobs(folder)
    bundle = Bundle.decode(blobs.get(str(row["bundle"])))
    print(f"runtime: {bundle.runtime}")
    return str(blobs.path(bundle.artifact)), bundle.artifact_format


def main() -> int:
    """Print both figures and the verdicts; 1 if one is missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    told = parser.parse_args()
    print(f"{machine()}; {told.rows:,} rows x {COLUMNS}")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        model, form = project(folder)
        write(folder / "big.parquet", told.rows, label=False)
        peer = [sys.executable, "-c", PEER, model, form, "big.parquet"]
        ours = [EVERBAKE, "predict", "trees", "big.parquet", "-o", "out.parquet"]
        runs: dict[str, list[tuple[float, float]]] = {"peer": [], "everbake": []}
        for _ in range(told.rounds):
            runs["peer"].append(measured(peer, folder))
            (folder / "out.parquet").unlink(missing_ok=True)
            runs["everbake"].append(measured(ours, folder))
    middle = {name: statistics.median(s for s, _ in each) for name, each in runs.items()}
    peaks = {name: max(gigabytes for _, gigabytes in each) for name, each in runs.items()}
    for name in runs:
        print(f"{name:<9} {middle[name]:8.2f} s   {peaks[name]:.2f} GB in all processes")
    ratio = middle["everbake"] / middle["peer"]
    good = ratio <= RATIO, peaks["everbake"] <= GIGABYTES
    verdicts = ["kept" if each else "MISSED" for each in good]
    print(f"ratio     {ratio:8.2f}      target {RATIO}: {verdicts[0]}")
    print(f"memory    {peaks['everbake']:8.2f} GB   target {GIGABYTES}: {verdicts[1]}")
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
