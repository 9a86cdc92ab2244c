"""What to do after the demo: commands that work as they stand."""

import json
import shlex
import shutil
import sys
from pathlib import Path

import pyarrow as pa

from everbake.interfaces.demo.loop import Loop
from everbake.interfaces.demo.year import LABEL, MODEL, as_requests, busiest, months


def steps(year: pa.Table, loop: Loop, address: str) -> dict[str, str]:
    """What to do, and the command that does it.

    Args:
        year: the rows that were replayed.
        loop: whose model answers.
        address: where its prediction server is, or will be.
    """
    row = busiest(months(year)[-1].rows)
    asked, happened = as_requests(row)[0], row.column(LABEL)[0].as_py()
    folder, program = shlex.quote(str(loop.project)), _program()
    return {
        "serve, and learn from whatever arrives": f"cd {folder} && {program} up",
        f"ask it about {asked['time']}, when {happened} bikes were rented": _curl(
            address, {name: asked[name] for name in _needed(loop)}
        ),
        "see why a version serves or does not": f"cd {folder} && {program} why {MODEL}",
    }


def _needed(loop: Loop) -> list[str]:
    version = loop.state.champion
    inputs = loop.bundle(version).inputs if version is not None else ()
    return [each.name for each in inputs if each.needed]


def _curl(address: str, row: dict[str, object]) -> str:
    body = shlex.quote(json.dumps({"rows": [row]}))
    url = f"{address}/v1/models/{MODEL}/predict"
    return f"curl -s {url} -H 'content-type: application/json' -d {body}"


def _program() -> str:
    """What the shell must be told to run this very everbake."""
    called, found = Path(sys.argv[0]), shutil.which("everbake")
    if called.name != "everbake":
        return "everbake" if found else f"{shlex.quote(sys.executable)} -m everbake"
    if found is not None and called.resolve() == Path(found).resolve():
        return "everbake"
    return shlex.quote(str(called.absolute()))
