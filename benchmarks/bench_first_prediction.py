"""From an empty directory to the first served prediction, cold, beside MLflow.

everbake: `everbake ingest line old.csv`, then `everbake predict line -`: validated, trained,
judged, recorded, answered. MLflow (benchmarks/peers/mlflow_line.py): the same model fitted,
logged, registered, given an alias, loaded by it in a second process, answered; nothing is
validated or judged there.

Run it with `python benchmarks/bench_first_prediction.py [PYTHON]`, where PYTHON is the interpreter
of an environment with `mlflow==3.17.*`; without it only everbake is timed, and that is said.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from timing import EVERBAKE, ROOT, machine, repeated, seconds_of, told

RUNS = 5
PEER = ROOT / "benchmarks" / "peers" / "mlflow_line.py"


def everbake() -> float:
    """One cold loop."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(shutil.copytree(ROOT / "examples" / "line", Path(folder) / "line"))
        taken = seconds_of([EVERBAKE, "ingest", "line", "old.csv"], project)
        return taken + seconds_of([EVERBAKE, "predict", "line", "-"], project, '{"feature": 9}')


def mlflow(python: str) -> float:
    """The same in MLflow, on a SQLite file."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(ROOT / "examples" / "line" / "old.csv", folder)
        taken = seconds_of([python, str(PEER), "train"], Path(folder))
        return taken + seconds_of([python, str(PEER), "predict"], Path(folder))


def main() -> None:
    """Time both in turns."""
    print(machine())
    ours, theirs = [], []
    for _ in range(RUNS):
        ours += repeated(1, everbake)
        if len(sys.argv) > 1:
            theirs += repeated(1, lambda: mlflow(sys.argv[1]))
    told("everbake: empty directory to first prediction", ours, 2.5)
    if theirs:
        told("MLflow: the same model, no validation, no gate", theirs)
    else:
        print("MLflow was not timed: give the interpreter of an environment that has it")


if __name__ == "__main__":
    main()
