"""What every ledger promises, whatever it is made of."""

import threading
from contextlib import ExitStack
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from everbake.adapters.memory_ledger import MemoryLedger
from everbake.core.facts import GENESIS, DataArrived, Paused, RecipeChanged, RetrainRequested
from everbake.core.loop import due, model_state, order_of, state_of
from everbake.core.project import Projections, fold
from everbake.core.run_facts import Concluded, RunPinned, Trained
from everbake.core.spec import GateSpec, RecipeSpec, SplitSpec, Table
from everbake.core.tables import COLUMNS, KEYS

KINDS = ["memory", "sqlite", "postgres"]


class Ticks:
    """A clock that is turned by being looked at."""

    def __init__(self):
        self.time = 1_700_000_000

    def now(self):
        self.time += 0.25
        return self.time


class Replay:
    """A clock that says given times."""

    def __init__(self, times):
        self.times = iter(times)

    def now(self):
        return next(self.times)


def spec(name):
    gate = GateSpec("mse", "lower", "refresh", 0.01, 0.0, 0.0, "keep")
    limits = {
        "refit": False,
        "seed": 0,
        "trigger_rows": 1,
        "memory_bytes": 1 << 30,
        "time_seconds": 60.0,
        "threads": 1,
    }
    table = Table(label="y")
    return RecipeSpec(name, table, gate, SplitSpec("hash", 0.2), params={}, **limits)


def loop_of(model):
    """The facts of one model: a recipe, two batches, a run that serves, one under way."""
    pinned = RunPinned(
        model, f"{model}-r1", "c", "data", 1, 1, "d", 1, "s", None, None, 7, "e", None, spec(model)
    )
    ended = Concluded(
        model=model,
        run=f"{model}-r1",
        state="finished",
        data_version=1,
        recipe="d",
        cause="c",
        attempt=1,
        verdict="promoted",
        version=1,
        bundle="b1",
        runtime="linear",
        decision="{}",
        serves=True,
        champion_before=None,
        bundle_before=None,
        candidate_before=None,
        seconds=3,
    )
    return [
        RecipeChanged(model, 1, "d", "s", spec(model)),
        DataArrived(model, 1, "d1", 5, 0, 0, "{}", ("a.csv", "b.csv")),
        pinned,
        Trained(model, f"{model}-r1", "b1", "linear", 5, 2, 0.1, 1000, "log"),
        ended,
        DataArrived(model, 2, "d2", 3, 5, 1, "{}", ("c.csv",)),
        replace(pinned, run=f"{model}-r2", champion=1, champion_bundle="b1", data_version=2),
    ]


@pytest.fixture(params=KINDS)
def fresh(request, tmp_path_factory):
    """Makes empty ledgers of one kind."""
    with ExitStack() as stack:
        yield lambda: _fresh(request, tmp_path_factory, stack)


def _fresh(request, folders, stack):
    if request.param == "memory":
        return MemoryLedger(Ticks())
    if request.param == "sqlite":
        from everbake.adapters.sql.sqlite import SqliteLedger

        return stack.enter_context(SqliteLedger(folders.mktemp("x") / "ledger.sqlite", Ticks()))
    from everbake.adapters.sql.postgres import PostgresLedger

    url = request.getfixturevalue("postgres")()
    return stack.enter_context(PostgresLedger(url, Ticks(), folders.mktemp("x")))


def record(ledger, facts):
    return [ledger.record(f"id{n}", fact) for n, fact in enumerate(facts)]


def with_all_columns(projections):
    return {
        table: [dict.fromkeys(KEYS[table] + COLUMNS[table]) | rows[key] for key in sorted(rows)]
        for table, rows in projections.tables.items()
    }


def test_an_empty_ledger_has_no_facts_no_rows_and_a_head_before_the_first(fresh):
    ledger = fresh()
    assert ledger.head() == (0, GENESIS)
    assert list(ledger.facts()) == []
    assert list(ledger.stored()) == []
    assert ledger.find("id0") is None
    assert all(ledger.rows(table) == [] for table in KEYS)


def test_the_first_fact_of_an_id_is_kept_and_returned(fresh):
    ledger = fresh()
    first = ledger.record("a", Paused("line", "because", "r"))
    again = ledger.record("a", RetrainRequested("line", "q"))
    assert again == first
    assert again.hash == first.hash
    assert ledger.find("a") == first
    assert [entry.fact for entry in ledger.facts()] == [Paused("line", "because", "r")]
    assert ledger.rows("models")[0]["retrain_fact"] is None


def test_the_head_moves_with_each_fact_and_the_version_tells(fresh):
    ledger = fresh()
    versions = [ledger.version()]
    for n, fact in enumerate(loop_of("line"), 1):
        entry = ledger.record(f"id{n}", fact)
        assert ledger.head() == (n, entry.hash) == (entry.n, entry.hash)
        versions.append(ledger.version())
    assert len(set(versions)) == len(versions)
    assert ledger.version() == ledger.version()


def test_facts_are_read_from_any_place_in_order(fresh):
    ledger = fresh()
    entries = record(ledger, [RetrainRequested("line", str(n)) for n in range(1300)])
    assert list(ledger.facts()) == entries
    assert list(ledger.facts(after=1100)) == entries[1100:]
    assert list(ledger.facts(after=1300)) == []
    assert [stored.n for stored in ledger.stored(1298)] == [1299, 1300]


def test_rows_are_found_by_their_columns(fresh):
    ledger = fresh()
    record(ledger, loop_of("line") + loop_of("churn"))
    assert [row["run"] for row in ledger.rows("runs")] == [
        "churn-r1", "churn-r2", "line-r1", "line-r2",
    ]  # fmt: skip
    found = ledger.rows("runs", {"model": "line", "state": "running"})
    assert [row["run"] for row in found] == ["line-r2"]
    assert [row["run"] for row in ledger.rows("runs", {"verdict": None}, newest=9)] == [
        "churn-r2", "line-r2",
    ]  # fmt: skip
    assert ledger.rows("runs", {"model": "nobody"}) == []
    assert ledger.rows("runs", {"run": "line-r1"})[0]["seconds"] == 3.0
    with pytest.raises(ValueError, match="no column"):
        ledger.rows("runs", {"colour": "red"})


@pytest.mark.parametrize("table", KEYS)
def test_the_newest_rows_come_first(fresh, table):
    ledger = fresh()
    record(ledger, loop_of("line") + loop_of("churn"))
    every = ledger.rows(table, newest=100)
    assert sorted(map(str, every)) == sorted(map(str, ledger.rows(table)))
    assert ledger.rows(table, newest=1) == every[:1]
    place = {"models": "recipe_n", "deployments": "generation"}.get(table, "n")
    assert [row[place] for row in every] == sorted((row[place] for row in every), reverse=True)


def test_the_state_in_the_rows_is_the_state_in_the_facts(fresh):
    ledger = fresh()
    record(ledger, loop_of("line") + loop_of("churn"))
    state = state_of(fold(ledger.facts()))
    assert {str(row["model"]): model_state(row) for row in ledger.rows("models")} == state.models
    running = [order_of(row) for row in ledger.rows("runs", {"state": "running"})]
    assert running == due(state, 0.0) == [state.unfinished["churn"], state.unfinished["line"]]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_rows_are_those_that_folding_the_facts_gives(fresh, histories, data):
    ledger, facts = fresh(), data.draw(histories)
    entries = record(ledger, facts)
    peer = MemoryLedger(Replay([entry.time for entry in entries]))
    assert [entry.fact for entry in entries] == facts
    assert list(ledger.facts()) == entries
    expected = with_all_columns(fold(entries))
    assert {table: ledger.rows(table) for table in KEYS} == expected
    assert [entry.hash for entry in record(peer, facts)] == [entry.hash for entry in entries]
    for table in KEYS:
        assert peer.rows(table) == ledger.rows(table)
        assert peer.rows(table, newest=2) == ledger.rows(table, newest=2)
    assert list(peer.stored()) == list(ledger.stored())
    assert Projections() == fold([])


def test_threads_that_record_at_once_leave_no_gap_and_lose_nothing(fresh):
    ledger = fresh()
    start = threading.Barrier(4)
    seen = []

    def work(name):
        start.wait()
        for n in range(10):
            ledger.record(f"{name}-{n}", RetrainRequested("line", f"{name}-{n}"))
            ledger.record(f"shared-{n}", RetrainRequested("line", name))
            seen.append(len(ledger.rows("models")))

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [entry.n for entry in ledger.facts()] == list(range(1, 51))
    assert len({entry.id for entry in ledger.facts()}) == 50
    assert seen == [1] * 40


def test_text_and_numbers_come_back_as_they_were(fresh):
    ledger = fresh()
    odd = "\x00 \x1a %s ? '\" \\ \N{SNOWMAN} \U0001f600\nend"
    ledger.record(odd, Paused(odd, odd, odd))
    arrived = DataArrived(odd, 2**53, odd, 2**62, 0, 0, odd, (odd,), (), odd, odd)
    entry = ledger.record("b", arrived)
    assert list(ledger.facts(1)) == [entry]
    assert ledger.find(odd).fact == Paused(odd, odd, odd)
    assert ledger.rows("models", {"model": odd})[0]["rows"] == 2**62
    assert ledger.rows("quarantine", {"id": odd})[0]["reason"] == odd
