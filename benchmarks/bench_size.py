"""What an installation weighs: everbake and all it needs at run time, in a fresh environment.

Run it with `python benchmarks/bench_size.py`; it needs a package registry.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from timing import ROOT, machine

BUDGET = 800


def main() -> None:
    """Install the locked packages and this one, and add up the files."""
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "site"
        pip = [sys.executable, "-m", "pip", "install", "-q", "--no-compile", "--target", str(place)]
        subprocess.run([*pip, str(ROOT)], check=True)
        megabytes = sum(f.stat().st_size for f in place.rglob("*") if f.is_file()) / 1e6
    verdict = "kept" if megabytes < BUDGET else "MISSED"
    print(f"installed, with all run-time needs: {megabytes:.0f} MB, budget {BUDGET}: {verdict}")


if __name__ == "__main__":
    main()
