"""The prediction server beside its peers, each figure with a verdict.

    python benchmarks/bench_serving.py [A B C log overload swap batch] [--seconds 5] [--times 5]

The server has core 0, the load generator `wrk` has core 1. MLServer, MLflow and FastAPI run in
locked environments of their own (benchmarks/peers), which are made in --cache when first needed.
Everything is measured in the same run, servers in turns; a missed figure is printed as MISSED.
"""

import argparse
import shutil
from collections.abc import Callable
from pathlib import Path

from serving import batch, logcost, overload, swap, throughput
from serving.environments import CACHE
from serving.report import processor

Section = Callable[[throughput.Ask], None]
SECTIONS: dict[str, Section] = {
    "A": throughput.section_a,
    "B": throughput.section_b,
    "C": throughput.section_c,
    "log": logcost.section,
    "overload": overload.section,
    "swap": swap.section,
    "batch": batch.section,
}


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, []], metavar="SECTION")
    parser.add_argument("--seconds", type=float, default=5.0, help="of one run")
    parser.add_argument("--times", type=int, default=5, help="runs, of which the median is told")
    parser.add_argument("--cache", type=Path, default=CACHE, help="of the peers' environments")
    parser.add_argument("--rows", type=int, default=10_000_000, help="of the scored file")
    told = parser.parse_args()
    for program in ("taskset", "wrk"):
        if shutil.which(program) is None:
            raise SystemExit(f"this needs {program}: apt-get install wrk util-linux")
    print(processor())
    ask = throughput.Ask(told.seconds, told.times, told.cache, told.rows)
    for name in told.sections or SECTIONS:
        SECTIONS[name](ask)


if __name__ == "__main__":
    main()
