"""How long `everbake --help` and `import everbake` take, whole processes.

Run it with `python benchmarks/bench_start.py`.
"""

import sys

from timing import EVERBAKE, ROOT, machine, repeated, seconds_of, told

RUNS = 21


def main() -> None:
    """Time both, and the bare interpreter beside them."""
    print(machine())
    bare = [sys.executable, "-c", "pass"]
    told("python -c pass", repeated(RUNS, lambda: seconds_of(bare, ROOT)))
    help_ = [EVERBAKE, "--help"]
    told("everbake --help", repeated(RUNS, lambda: seconds_of(help_, ROOT)), 0.15)
    import_ = [sys.executable, "-c", "import everbake"]
    told("import everbake", repeated(RUNS, lambda: seconds_of(import_, ROOT)), 0.25)
    names = [sys.executable, "-c", "from everbake import Recipe, Gate, Table"]
    told(
        "from everbake import Recipe, Gate, Table",
        repeated(RUNS, lambda: seconds_of(names, ROOT)),
        0.25,
    )


if __name__ == "__main__":
    main()
