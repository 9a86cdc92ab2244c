"""What must hold after the last start, whatever was killed."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import msgspec
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError
from kills.project import Batch, Project, marked

from everbake import wiring
from everbake.core.facts import DataArrived, Entry, Fact, name_of
from everbake.core.run_facts import Concluded, RunPinned
from everbake.ports import Reader


@contextmanager
def reading(folder: Path) -> Iterator[Reader]:
    """The project's ledger, to look at."""
    with closing(wiring.reader(folder)) as reader:
        yield reader


def entries(folder: Path) -> list[Entry]:
    """All entries of a project's ledger."""
    with reading(folder) as reader:
        return list(reader.facts())


def last_fact(folder: Path) -> str:
    """Position and name of the newest fact."""
    found = entries(folder)
    return f"{found[-1].n} {name_of(found[-1].fact)}" if found else "none yet"


def arrived(folder: Path, batch: Batch) -> bool:
    """Whether the fact of a batch is recorded."""
    facts = (entry.fact for entry in entries(folder))
    return any(isinstance(f, DataArrived) and str(batch.path) in f.sources for f in facts)


def violations(project: Project, acknowledged: list[Batch]) -> list[str]:
    """What does not hold; each begins with the name of the rule."""
    facts = [entry.fact for entry in entries(project.folder)]
    return [
        *_rows(project, acknowledged),
        *_commits(project, facts),
        *_coverage(facts),
        *_unfinished(facts),
        *_numbers(facts),
        *_audit(project),
        *[f"leftover: process {pid} is alive" for pid in marked(project.mark)],
    ]


def _table(project: Project) -> DeltaTable | None:
    """The table; None before its first commit."""
    with suppress(TableNotFoundError):
        return DeltaTable(project.folder / ".everbake" / "tables" / "line")
    return None


def _rows(project: Project, acknowledged: list[Batch]) -> list[str]:
    table = _table(project)
    rows = table.to_pyarrow_table().to_pylist() if table else []
    found = Counter((row["feature"], row["target"]) for row in rows)
    wrong = [f"twice: row {row} is there {n} times" for row, n in found.items() if n > 1]
    for batch in acknowledged:
        there = sum(found[feature, 2 * feature] for feature in batch.features)
        if there < len(batch.features):
            wrong.append(f"lost: batch {batch.number} was acknowledged, {there} rows are there")
    known = {(f, 2 * f) for batch in project.batches for f in batch.features}
    wrong += [f"strange: row {row} was never sent" for row in found.keys() - known]
    return wrong


def _commits(project: Project, facts: list[Fact]) -> list[str]:
    """The table's commits are the facts' data versions, no more and no fewer."""
    table = _table(project)
    history = table.history() if table else []
    bodies = [commit["everbake.fact"] for commit in history if "everbake.fact" in commit]
    committed = sorted(msgspec.json.decode(body, type=DataArrived).version for body in bodies)
    recorded = [fact.version for fact in facts if isinstance(fact, DataArrived)]
    wrong = [f"orphan: commit {v} has no fact" for v in committed if v not in recorded]
    wrong += [f"no commit: data version {v}" for v in recorded if v not in committed]
    if recorded != list(range(1, len(recorded) + 1)):
        wrong.append(f"gap: data versions {recorded}")
    return wrong


def _coverage(facts: list[Fact]) -> list[str]:
    """Each data version lies in the range of exactly one finished run: what was covered when it
    was pinned, up to what it was pinned to."""
    covered, ranges, times = 0, {}, Counter()
    for fact in facts:
        if isinstance(fact, RunPinned):
            ranges[fact.run] = range(covered + 1, fact.data_version + 1)
        if isinstance(fact, Concluded):
            covered = fact.data_version
            if fact.state == "finished":
                times.update(ranges[fact.run])
    versions = [fact.version for fact in facts if isinstance(fact, DataArrived)]
    return [
        f"coverage: data version {v} has {times[v]} finished runs"
        for v in versions
        if times[v] != 1
    ]


def _unfinished(facts: list[Fact]) -> list[str]:
    pinned = [fact.run for fact in facts if isinstance(fact, RunPinned)]
    ended = {fact.run for fact in facts if isinstance(fact, Concluded)}
    return [f"unfinished: run {run}" for run in pinned if run not in ended]


def _numbers(facts: list[Fact]) -> list[str]:
    numbers = [f.version for f in facts if isinstance(f, Concluded) and f.version is not None]
    expected = list(range(1, len(numbers) + 1))
    return [] if numbers == expected else [f"gap: versions {numbers}"]


def _audit(project: Project) -> list[str]:
    command = [sys.executable, "-c", "from everbake.interfaces.cli import main; main()"]
    command += ["-C", str(project.folder), "audit", "verify", "--json"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    intact = told.returncode == 0 and json.loads(told.stdout)["intact"]
    return [] if intact else [f"audit: {told.stdout or told.stderr}"]
