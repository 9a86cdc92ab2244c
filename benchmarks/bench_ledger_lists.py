"""How long `status`, `versions` and `runs` read a ledger of 10,000 versions and 100,000 runs.

Also how long an audit of it takes. Run it with `python benchmarks/bench_ledger_lists.py`.
"""

import argparse
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

from everbake.adapters.sql import rows
from everbake.adapters.sql.sqlite import SqliteLedger, SqliteReader, anchors_beside
from everbake.core.facts import GENESIS, DataArrived, RecipeChanged, chained, digest
from everbake.core.run_facts import Concluded, RunPinned
from everbake.core.spec import GateSpec, RecipeSpec, SplitSpec, Table
from everbake.engine.audit import verify
from everbake.interfaces.render import document
from everbake.views import lists

SPEC = RecipeSpec(
    name="line", table=Table("y"), gate=GateSpec("mse", "lower", "refresh", 0.01, 0.0, 0.0, "keep"),
    split=SplitSpec("hash", 0.2), refit=False, params={}, seed=0, trigger_rows=1,
    memory_bytes=1 << 30, time_seconds=60.0, threads=1,
)  # fmt: skip
METRIC = '{"name":"mse","candidate":0.5,"champion":0.6,"difference":0.1,"interval":[0.0,0.2],"n":9}'
DECISION = (
    '{"verdict":"promoted","code":"better","because":"'
    + "Because it is better. " * 60
    + f'","metric":{METRIC},"checks":[],"evidence":null}}'
)


class Clock:
    def now(self):
        return time.time()


def facts(versions, runs):
    """A recipe, a batch, and many runs; every so many of them gives a version that serves."""
    yield RecipeChanged("line", 1, "d" * 64, "s" * 64, SPEC)
    yield DataArrived("line", 1, "b" * 64, 1000, 0, 0, "{}", ("a.csv",))
    version = None
    for number in range(runs):
        run = {
            "model": "line", "run": digest(str(number))[:16], "cause": "c" * 64, "attempt": 1,
            "data_version": 1, "recipe": "d" * 64,
        }  # fmt: skip
        yield RunPinned(
            **run, cause_kind="data", recipe_number=1, snapshot="s" * 64, champion=version,
            champion_bundle=None, seed=0, environment="e" * 64,
            most_held_out=None, spec=SPEC,
        )  # fmt: skip
        wins = number % (runs // versions) == 0
        before, version = version, (version or 0) + 1 if wins else version
        yield Concluded(
            **run, state="finished" if wins else "failed", verdict="promoted" if wins else None,
            version=version if wins else None, bundle="f" * 64 if wins else None,
            runtime="linear" if wins else None, decision=DECISION if wins else None, serves=wins,
            champion_before=before, bundle_before=None, candidate_before=None, seconds=0.3,
        )  # fmt: skip


def fill(path, versions, runs):
    """Write them in one transaction: what is measured is reading."""
    with SqliteLedger(path, Clock()):
        pass
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN")
    head = (0, GENESIS)
    for fact in facts(versions, runs):
        entry = chained(head, digest(str(head[0])), 1.7e9 + head[0], fact)
        for query, values in rows.statements(entry):
            connection.execute(query, values)
        head = (entry.n, entry.hash)
    connection.execute("COMMIT")
    connection.close()
    anchors_beside(path).move(entry)


def timed(name, act, rounds=7):
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        found = act()
        seconds.append(time.perf_counter() - start)
    print(f"{name:<42} {statistics.median(seconds) * 1e3:9.2f} ms {found:>8} rows")


def measure(path):
    with SqliteReader(path) as reader:
        reader.head()

        def status():
            models = reader.rows("models")
            last = [reader.rows("runs", {"model": m["model"]}, newest=1) for m in models]
            return len(models) + len(last) + len(reader.rows("deployments"))

        timed("status: models, last run, deployment", status)
        timed("versions, the newest 20", lambda: len(reader.rows("versions", newest=20)))
        one = {"model": "line"}
        timed("everbake status, as JSON", lambda: len(document(lists.status(reader))) > 0)
        timed(
            "everbake versions, as JSON", lambda: len(document(lists.versions(reader, "line"))) > 0
        )
        timed("versions of a model, all", lambda: len(reader.rows("versions", one)))
        timed("runs, the newest 20", lambda: len(reader.rows("runs", newest=20)))
        timed(
            "runs of a model, the newest 1000", lambda: len(reader.rows("runs", one, newest=1000))
        )
        why = {"model": "line", "version": 5000}
        timed("why: one decision", lambda: len(reader.rows("decisions", why)))
        timed("version()", lambda: int(reader.version() > 0))
        with reader.snapshot(anchors_beside(path)) as anchors:
            timed("audit verify", lambda: verify(reader, anchors).facts, rounds=1)
            print("intact:", verify(reader, anchors).intact)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--versions", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=100_000)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.sqlite"
        fill(path, wanted.versions, wanted.runs)
        measure(path)


if __name__ == "__main__":
    main()
