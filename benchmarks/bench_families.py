"""Families of models: the runtime each gets, how far it is from the native model, and its pace.

For each family, alone and behind an imputer, a scaler and one-hot, trained on small data sets that
scikit-learn ships: what the compiler says, the largest difference in the parity suite, and the
microseconds of one row, compiled and by the native model from a one-row DataFrame.

Run it with `OMP_NUM_THREADS=1 python benchmarks/bench_families.py`.
"""

import sys
import time
import warnings
from statistics import median

from timing import ROOT, machine

sys.path.insert(0, str(ROOT / "tests" / "host"))

from sample_families import CLASSIFIERS, REGRESSORS, fitted, table, trained
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC

from everbake.host.compile import build_runtime
from everbake.runtimes.kinds import load

NATIVE = [KNeighborsClassifier(), SVC(), MLPClassifier(max_iter=50), GaussianNB()]
CALLS = 50
LABELS = ("LinearSVC", "RidgeClassifier", "Perceptron")  # which know no chances


def microseconds(call) -> float:
    """The median of one call."""
    taken = []
    for _ in range(CALLS):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return median(taken) * 1e6


def line(name: str, behind: str, case) -> str:
    """What is known of one case."""
    built = build_runtime(case.model, case.predict, None, case.rows, 0)
    row = case.rows.head(1)
    native = microseconds(lambda: case.predict(case.model, row))
    known = f"{name:<40} {behind:<8} {built.kind:<7}"
    if built.data is None:
        return f"{known} {'':>8} {'':>9} {native:9.0f} {'':>12}  {built.why}"
    runtime, record = load(built.kind, built.data), row.to_dict("records")
    compiled = microseconds(lambda: runtime.answer(record))
    above = "never" if built.native_above is None else f"{built.native_above} rows"
    largest = f"{built.parity.largest:8.1e}"
    return f"{known} {largest} {compiled:9.1f} {native:9.0f} {above:>12}"


def cases():
    """All families, by name."""
    for name in REGRESSORS:
        for behind in ("alone", "one-hot"):
            yield name, behind, trained(name, "numbers", behind)
    for name in CLASSIFIERS:
        method = "predict" if name in LABELS else "predict_proba"
        for kind in ("two", "three"):
            if (name, kind) == ("SGDClassifier", "three"):
                method = "predict"  # its chances are those of one model a class
            for behind in ("alone", "one-hot"):
                yield f"{name}.{method}, {kind}", behind, trained(name, kind, behind, method)
    for model in NATIVE:
        yield type(model).__name__, "alone", fitted(model, *table("two"))


def main() -> None:
    """Print the table."""
    warnings.simplefilter("ignore")
    print(machine())
    titles = f"{'largest':>8} {'us':>9} {'native us':>9} {'native above':>12}"
    print(f"{'family':<40} {'behind':<8} {'runtime':<7} {titles}")
    for name, behind, case in cases():
        print(line(name, behind, case), flush=True)


if __name__ == "__main__":
    main()
