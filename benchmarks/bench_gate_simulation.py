"""How often the gate errs, in simulation, beside published figures.

Coverage of its intervals, power of its rules, segments, looks at a pending candidate, a year of
nightly retraining, and what it promises. Intervals, corrections and levels are the product's own
functions; bootstraps and other rules stand beside them as peers.

Run: python benchmarks/bench_gate_simulation.py [--quick | --full] [--only coverage ...]
`--quick` has fewer replications and no peers; `--full` has ten times as many.
"""

import argparse
import sys
from time import perf_counter, process_time

from gate_simulation import (
    calibrated,
    coverage,
    dependent,
    exact,
    looks,
    power,
    segments,
    statements,
    year,
)
from gate_simulation.report import Report
from gate_simulation.rows import Size

PARTS = {
    "coverage": coverage.report,
    "exact": exact.report,
    "dependent": dependent.report,
    "power": power.report,
    "segments": segments.report,
    "looks": looks.report,
    "year": year.report,
    "calibrated": calibrated.report,
    "statements": statements.report,
}


def quick(out):
    """The figures on which most rests."""
    size = Size(0.1, peers=False)
    statements.acceptance(out)
    dependent.groups(out, size, (20,))
    year.report(out, size, year.RATCHET, ("never better",))
    exact.report(out, size)
    statements.report(out, size)


def main():
    """Print all figures; the status is 1 if a promise, or more than a chance figure, is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    chosen = parser.parse_args()
    start, busy, out = perf_counter(), process_time(), Report()
    if chosen.quick:
        quick(out)
    else:
        for name in chosen.only:
            PARTS[name](out, Size(10.0 if chosen.full else 1.0))
    status = out.summary()
    taken, used = perf_counter() - start, process_time() - busy
    print(f"{taken:.0f} s, of which {used:.0f} s of processors")
    sys.exit(status)


if __name__ == "__main__":
    main()
