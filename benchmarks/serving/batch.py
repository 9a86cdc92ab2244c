"""Section batch: a large Parquet file scored, beside the bare model in one process."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from serving import fitted
from serving.processes import SERVER, Peak, peak_of, pinned
from serving.project import Project, create
from serving.report import heading, note, unmeasured, verdict
from serving.servers import ONE_THREAD
from serving.throughput import Ask
from timing import EVERBAKE

SEED = 20240229
GROUP = 100_000  # rows of a row group
_SAID = 400  # characters of an error that are shown


def section(ask: Ask) -> None:
    """Time and memory of `everbake predict NAME FILE -o OUT`."""
    heading(f"batch: {ask.rows:,} rows x 30, HistGradientBoosting, 100 trees; all on one core")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        project = create(folder / "project", "b")
        big = folder / "big.parquet"
        _write(big, ask.rows)
        size = big.stat().st_size / 2**20
        note(f"numpy seed {SEED}, row groups of {GROUP:,}, {size:,.0f} MB; file in the page cache")
        bare = _run([sys.executable, __file__, "bare", str(big)], project)
        ours = _run([EVERBAKE, "predict", project.name, str(big), "-o", "out.parquet"], project)
        scored = _rows(project.folder / "out.parquet")
    if isinstance(bare, str) or isinstance(ours, str) or scored != ask.rows:
        why = next((x for x in (bare, ours) if isinstance(x, str)), f"{scored} rows were scored")
        unmeasured("batch scoring", why)
        return
    for who, each in (("reading and the bare model", bare), ("everbake predict", ours)):
        note(f"{who}: {each.seconds:.1f} s, {each.megabytes:,.0f} MB at most (all processes)")
    verdict("batch, times reading and the bare model", ours.seconds / bare.seconds, 1.3, "x")
    verdict("batch, memory", ours.megabytes, 1024, " MB")


def _run(words: list[str], project: Project) -> Peak | str:
    """The peak of a command, or why there is none."""
    log = project.folder / "batch.log"
    paths = (str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", ""))
    extra = ONE_THREAD | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    with log.open("w") as said:
        process = subprocess.Popen(
            pinned(SERVER, *words),
            cwd=project.folder,
            env=os.environ | extra,
            stdout=said,
            stderr=said,
            text=True,
        )
        peak = peak_of(process)
    if process.returncode:
        return f"{Path(words[0]).name} ended with {process.returncode}: {log.read_text()[-_SAID:]}"
    return peak


def _rows(path: Path) -> int:
    import pyarrow.parquet

    return pyarrow.parquet.ParquetFile(path).metadata.num_rows if path.exists() else 0


def _write(path: Path, rows: int) -> None:
    """Values that are spread like those of the model's own rows, so that all trees are walked."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    random = np.random.default_rng(SEED)
    known = fitted.rows()[fitted.NAMES].to_numpy()
    low, high = known.min(axis=0), known.max(axis=0)
    schema = pa.schema([(name, pa.float64()) for name in fitted.NAMES])
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, rows, GROUP):
            drawn = random.uniform(low, high, (min(GROUP, rows - start), len(fitted.NAMES)))
            writer.write_table(pa.table(list(drawn.T), schema=schema), row_group_size=GROUP)


def bare(path: str) -> None:
    """Read the file group by group and let scikit-learn answer: the yardstick."""
    import pyarrow.parquet as pq

    table = fitted.rows()
    model = fitted.fit("b", table[fitted.NAMES], table["target"])
    count = 0
    for batch in pq.ParquetFile(path).iter_batches(batch_size=GROUP):
        count += len(fitted.answer("b", model, batch.to_pandas()))
    print(count)


if __name__ == "__main__":
    bare(sys.argv[2])
