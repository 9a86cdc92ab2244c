"""A ledger as an older everbake left it: facts that do not know what came later."""

import dataclasses
import json

import pytest

from everbake.core.facts import (
    GENESIS,
    DataArrived,
    Promoted,
    RecipeChanged,
    RolledBack,
    encode,
    link,
    name_of,
)
from everbake.core.run_facts import Concluded, Evaluated, RunPinned, Trained
from everbake.core.spec import GateSpec, RecipeSpec, SplitSpec, Table

_SPEC = RecipeSpec(
    "line", Table("y"), GateSpec("mse", "lower", "refresh", 0.01, 0.0, 0.0, "keep"),
    SplitSpec("hash", 0.2), refit=False, params={}, seed=0, trigger_rows=1, memory_bytes=1,
    time_seconds=1.0, threads=1,
)  # fmt: skip


def _run(number, verdict, champion, candidate, *, serves):
    """A run over a data version, from its pinning to its end."""
    run, bundle = f"r{number}", None if champion is None else f"b{champion}"
    decision = json.dumps({"verdict": verdict, "code": "told", "metric": {"name": "mse"}})
    shared = {"model": "line", "run": run, "cause": f"id{number}", "attempt": 1}
    return [
        DataArrived("line", number, f"d{number}", 5, 5 * (number - 1), 0, "{}", ("a.csv",)),
        RunPinned(
            **shared, cause_kind="data", data_version=number, recipe="d", recipe_number=1,
            snapshot="s", champion=champion, champion_bundle=bundle, seed=7, environment="e",
            most_held_out=None, spec=_SPEC,
        ),
        Trained("line", run, f"b{number}", "linear", 5, 2, 0.1, 1000, "log"),
        Evaluated("line", run, decision, f"b{number}", 0.1),
        Concluded(
            **shared, state="finished", data_version=number, recipe="d", verdict=verdict,
            version=number, bundle=f"b{number}", runtime="linear", decision=decision,
            serves=serves, champion_before=champion, bundle_before=bundle,
            candidate_before=candidate,
        ),
    ]  # fmt: skip


def _story():
    return [
        RecipeChanged("line", 1, "d", "s", _SPEC),
        *_run(1, "promoted", None, None, serves=True),
        *_run(2, "promoted", 1, None, serves=True),
        *_run(3, "inconclusive", 2, None, serves=False),
        *_run(4, "inconclusive", 2, 3, serves=False),
        *_run(5, "rejected", 2, 4, serves=False),
        Promoted("line", 4, "b4", 2, "b2", "it looks good", "q1"),
        RolledBack("line", 1, "b1", 4, "b4", "it was not", "q2"),
        *_run(6, "inconclusive", 1, None, serves=False),
    ]


def _as_then(fact):
    """The stored form without the fields that have come since: all that have a default by now."""
    told = json.loads(encode(fact))
    kept = {"rolls", "seconds", "log", "error", "again", "rollout", "challenger", "notices"}
    later = [
        field.name
        for field in dataclasses.fields(fact)
        if field.name not in kept and field.default is not dataclasses.MISSING
    ]
    return json.dumps({name: told[name] for name in told if name not in later})


@pytest.fixture
def older():
    """The rows of its table `facts`: n, id, time, name, body, hash."""
    rows, last = [], GENESIS
    for n, fact in enumerate(_story(), 1):
        name, body = name_of(fact), _as_then(fact)
        last = link(last, n, f"id{n}", 1.5e9 + n, name, body.encode())
        rows.append((n, f"id{n}", 1.5e9 + n, name, body, last))
    return rows


@pytest.fixture
def brought_up():
    """Checks what a migration made of that ledger."""

    def check(ledger):
        model = ledger.rows("models")[0]
        assert (model["champion"], model["best"], model["best_bundle"]) == (1, 1, "b1")
        assert (model["candidate"], model["candidate_due"]) == (6, None)
        states = [row["state"] for row in ledger.rows("versions")]
        assert states == ["champion", "retired", "retired", "retired", "rejected", "candidate"]
        decisions = ledger.rows("decisions")
        assert len(decisions) == 6
        assert {row["look"] for row in decisions} == {row["judged"] for row in decisions} == {None}

    return check
