"""The lines that the benchmark prints."""

import os
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path


def processor() -> str:
    """The machine in a line."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    name = next((x.partition(":")[2].strip() for x in lines if x.startswith("model name")), "?")
    system = f"Linux {platform.release()}, Python {platform.python_version()}"
    return f"{os.cpu_count()} cores {name}, {system}"


def heading(text: str) -> None:
    """Begin a section; the load tells what else ran on the machine."""
    print(f"\n== {text}   (load average {os.getloadavg()[0]:.2f})", flush=True)


def verdict(what: str, value: float, limit: float, unit: str = "", *, least: bool = False) -> None:
    """One line that says whether a figure was kept: at most `limit`, or at least with `least`."""
    kept = value >= limit if least else value <= limit
    word, sign = ("kept" if kept else "MISSED"), (">=" if least else "<=")
    shown = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    print(f"  {word:<6} {what}: {shown}{unit}, wanted {sign} {limit:,g}{unit}", flush=True)


def unmeasured(what: str, why: str) -> None:
    """One line for a figure that could not be had."""
    print(f"  MISSED {what}: not measured, {why}", flush=True)


def note(text: str) -> None:
    """Something that belongs to the figures."""
    print(f"  {text}", flush=True)


def cut(values: Sequence[float], share: float) -> float:
    """A quantile of unsorted values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def middle(values: Sequence[float]) -> float:
    """The median."""
    return statistics.median(values)
