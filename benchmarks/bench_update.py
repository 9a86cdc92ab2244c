"""With `everbake up` running: from a new batch to the new champion answering.

`everbake ingest` returns when every prediction worker answers from the new deployment; the time is
that of the whole command, and of it the user's own `fit` is told apart.

Run it with `python benchmarks/bench_update.py`.
"""

import json
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from timing import EVERBAKE, ROOT, machine, told

RUNS = 15


def main() -> None:
    """Time commands against a running server."""
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        project = Path(shutil.copytree(ROOT / "examples" / "line", Path(folder) / "line"))
        subprocess.run([EVERBAKE, "ingest", "line", "old.csv"], cwd=project, check=True)
        server = subprocess.Popen(
            [EVERBAKE, "up", "--port", "0"], cwd=project, stdout=subprocess.PIPE, text=True
        )
        try:
            server.stdout.readline()
            taken = [_update(project, number) for number in range(RUNS + 1)][1:]
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait()
    told("ingest to the new champion answering", taken, 0.5)


def _update(project: Path, number: int) -> float:
    x = 100 + 2 * number
    (project / "more.csv").write_text(f"feature,target\n{x},{2 * x}\n{x + 1},{2 * x + 2}\n")
    started = time.perf_counter()
    done = subprocess.run(
        [EVERBAKE, "ingest", "line", "more.csv", "--json"],
        cwd=project,
        capture_output=True,
        text=True,
        check=True,
    )
    taken = time.perf_counter() - started
    assert json.loads(done.stdout)["decision"]["verdict"] == "promoted", done.stdout
    return taken


if __name__ == "__main__":
    main()
