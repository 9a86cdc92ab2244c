"""Simulated days: candidates that are pending, the ledger of looks, and the best version so far."""

import json
from dataclasses import replace

import msgspec
import numpy as np
import pytest
import simulation_world as world_of

from everbake.core.facts import name_of
from everbake.core.gate import Given, Rules, judge_rows
from everbake.core.gate.looks import level_of
from everbake.core.look_facts import Look
from everbake.core.pending import rows_wanted
from everbake.core.project import fold
from everbake.core.tables import COLUMNS
from everbake.engine import release
from everbake.engine.audit import verify
from everbake.engine.owner import Owner
from everbake.engine.release import Request
from everbake.errors import ConflictError, UsageError
from everbake.metrics import mean_squared_error
from everbake.ports import Anchor, Compared, Ports, TooFew

DAY = 86400.0
MODEL = "m"


class Guessing(world_of.Training):
    """Models that answer with the number in their code, judged by the newest fifth of the rows.

    The gate is the real one.
    """

    def train(self, pinned, arrived, files):
        made = super().train(pinned, arrived, files)
        code = self._code(made.bundle)
        if "guess" not in code:
            return made
        model = {"guess": float(code.split()[-1]), "code": code}
        bundle = self._blobs.put(json.dumps(model).encode())
        return replace(made, bundle=bundle)

    def evaluate(self, pinned, bundle, arrived, files, earlier):
        count = len(self._values(pinned.model, arrived.version))
        judge = set(range(count - count // 5, count))
        sets = [set(json.loads(self._blobs.get(look.judged))) for look in earlier]
        shared = sum(2 * len(judge & each) > len(judge) for each in sets)
        return self._judged(pinned, bundle, judge, 1 + shared)

    def look(self, pinned, arrived, files):
        pending = pinned.pending
        before = set(json.loads(self._blobs.get(pending.judged)))
        count = len(self._values(pinned.model, arrived.version))
        judge = before | set(range(max(before) + 1, count))
        if len(judge) < rows_wanted(pending.rows):
            return TooFew(len(judge), 1.0)
        return self._judged(pinned, pending.bundle, judge, pending.look)

    def _judged(self, pinned, bundle, judge, number):
        truth = np.array(self._values(pinned.model, 10**6))[sorted(judge)]
        champion, best = pinned.champion_bundle, pinned.best_bundle
        given = Given(
            y=truth,
            champion=None if champion is None else self._answers(champion, truth),
            candidate=self._answers(bundle, truth),
            best=None if best in (None, champion) else self._answers(best, truth),
            best_name=f"version {pinned.best}",
            look=number,
        )
        decision = judge_rows(given, RULES)
        rows = self._blobs.put(json.dumps(sorted(judge)).encode())
        return Compared(
            decision=msgspec.json.encode(decision.to_dict()).decode(),
            serves=bundle,
            seconds=1.0,
            look=Look(number, level_of(number), len(judge), rows, rows),
            surpasses=decision.surpasses,
            best_broken=decision.best_broken,
        )


RULES = Rules("mean_squared_error", mean_squared_error, "lower", "refresh", 0.05, 0.01)


class World:
    """One model, its owner, and the outside."""

    def __init__(self, training=world_of.Training, code="code: first"):
        self.durable = world_of.Durable(recipes={MODEL: code})
        blobs, tables = world_of.Blobs(self.durable), world_of.Tables(self.durable)
        self.ledger = self.durable.ledger
        self.owner = Owner(
            Ports(
                ledger=self.ledger,
                tables=tables,
                blobs=blobs,
                recipes=world_of.Recipes(self.durable, blobs),
                contracts=world_of.Contracts(self.durable),
                training=training(self.durable, blobs, tables),
                release=world_of.Release(self.durable, blobs),
                records=world_of.Records(),
                clock=self.durable.clock,
            )
        )
        self.batches = 0

    def ingest(self, rows, days=1.0):
        """A batch, some days after the one before; the runs that it asks for."""
        self.durable.clock.sleep(days * DAY)
        self.batches += 1
        path = f"/in/{self.batches}"
        self.durable.files[path] = list(rows)
        self.owner.ingest(MODEL, (path,), (path,))
        return self.owner.settle(MODEL)

    def edit(self, code):
        """Somebody edits the recipe; the runs that this asks for."""
        self.durable.recipes[MODEL] = f"code: {code}"
        self.owner.notice_recipes()
        return self.owner.settle(MODEL)

    def ask(self, kind, version=None, reason="because"):
        """What a person asks for."""
        self.batches += 1
        request = Request(MODEL, version, reason, f"request {self.batches}")
        asked = getattr(release, kind)(request, self.owner)
        self.owner.settle(MODEL)
        return asked

    @property
    def model(self):
        """The row of `models`."""
        return self.ledger.rows("models")[0]

    @property
    def states(self):
        """Of the versions, in order."""
        return [row["state"] for row in self.ledger.rows("versions")]

    def looks(self, version):
        """The decisions about a version, in order: look, rows, verdict."""
        rows = self.ledger.rows("decisions", {"version": version})
        ordered = sorted(rows, key=lambda row: row["n"])
        verdicts = [json.loads(row["decision"])["verdict"] for row in ordered]
        return [(row["look"], row["rows"], v) for row, v in zip(ordered, verdicts, strict=True)]

    def check(self):
        """The tables are what the facts say, and nothing is due any more."""
        folded = fold(self.ledger.facts()).tables
        for table, columns in COLUMNS.items():
            blank = dict.fromkeys(columns)
            rows = [blank | row for _, row in sorted(folded[table].items())]
            assert rows == self.ledger.rows(table)
        assert verify(self.ledger, [Anchor("head", *self.ledger.head())]).findings == ()
        assert self.owner.next_run(MODEL) is None


def outcomes(seed, count):
    """Numbers around 5."""
    return (5 + np.random.default_rng(seed).normal(size=count)).tolist()


def test_a_candidate_that_is_undecided_at_first_is_promoted_once_its_rows_suffice():
    world = World(Guessing, "code: guess 5.08")
    world.ingest(outcomes(1, 100))
    (run,) = world.edit("guess 4.96")
    assert (run.version, run.verdict) == (2, "inconclusive")
    nights = 0
    while world.model["champion"] == 1:
        nights += 1
        assert nights < 30
        world.ingest(outcomes(100 + nights, 50))
    looks = world.looks(2)
    assert world.model["champion"] == 2
    levels = {row["look"]: row["level"] for row in world.ledger.rows("decisions", {"version": 2})}
    assert levels == {look: level_of(look) for look in (1, 2, 3)}
    # Newer candidates that were undecided as well did not take its place meanwhile; the last one
    # was judged against it.
    assert world.states == ["retired", "champion", "retired", "retired", "candidate"]
    assert looks == [(1, 20, "inconclusive"), (2, 70, "inconclusive"), (3, 170, "promoted")]
    world.check()


def undecidable(world, count):
    """A champion, and a candidate that no number of rows decides about, of the newest of them."""
    world.ingest(range(count))
    (run,) = world.edit("unsure until 99999")
    assert run.verdict == "inconclusive"
    return run.version


def test_an_undecided_candidate_takes_the_place_of_one_that_is_30_days_older():
    world = World()
    first = undecidable(world, 20)
    world.ingest(range(100, 102), days=29.9)
    assert (world.model["candidate"], world.states) == (first, ["champion", "candidate", "retired"])
    world.ingest(range(200, 202), days=0.2)
    assert world.model["candidate"] == 4
    assert world.states == ["champion", "retired", "retired", "candidate"]
    assert world.looks(first) == [(1, 20, "inconclusive")]  # whose rows never doubled
    world.check()


def test_a_winner_takes_the_place_of_a_candidate_that_is_pending():
    world = World()
    undecidable(world, 20)
    world.durable.recipes[MODEL] = "code: fine"
    (run,) = world.edit("fine")
    assert (run.verdict, world.states) == ("promoted", ["retired", "retired", "champion"])
    assert world.model["candidate"] is world.model["candidate_due"] is None
    world.check()


def test_a_candidate_goes_once_its_recipe_was_edited_also_if_the_edit_is_rejected():
    world = World()
    undecidable(world, 20)
    (run,) = world.edit("bad")
    assert (run.verdict, world.states) == ("rejected", ["champion", "retired", "rejected"])
    assert world.model["candidate"] is None
    world.ingest(range(100, 180))
    assert [row["cause_kind"] for row in world.ledger.rows("runs")].count("pending") == 0
    world.check()


def test_an_edit_that_raises_keeps_the_candidate_waiting_for_its_own_recipe():
    world = World()
    pending = undecidable(world, 20)
    world.edit("broken")
    world.ingest(range(100, 160))
    assert (world.model["candidate"], len(world.looks(pending))) == (pending, 1)
    world.edit("unsure until 99999")
    assert len(world.looks(pending)) == 2  # and then the recipe's own run
    world.check()


def test_nobody_is_looked_at_while_promotion_is_held_and_then_against_whoever_serves():
    world = World()
    world.ingest(range(10))
    world.ingest(range(100, 110))
    pending = world.edit("unsure until 60")[0].version
    world.ask("rollback")
    world.ingest(range(200, 230))
    assert (world.model["champion"], len(world.looks(pending))) == (1, 1)
    world.ask("resume")
    assert [rows for _, rows, _ in world.looks(pending)] == [20, 50]
    last = world.ledger.rows("decisions", {"version": pending}, newest=1)[0]
    assert last["champion_before"] == 1
    world.ingest(range(300, 360))
    assert world.looks(pending)[-1] == (3, 110, "promoted")
    assert world.ledger.rows("versions", {"version": pending})[0]["served"]
    world.check()


def test_whoever_somebody_chooses_leaves_no_candidate_behind():
    world = World()
    world.ingest(range(10))
    world.ingest(range(100, 110))
    world.edit("unsure until 40")
    world.ask("promote", 1)
    assert world.states == ["champion", "retired", "retired"]
    assert world.model["candidate"] is None
    world.ingest(range(200, 260))
    assert len(world.looks(3)) == 1
    world.check()


def test_a_candidate_that_somebody_promotes_is_not_looked_at_again():
    world = World()
    pending = undecidable(world, 10)
    world.ask("promote")
    world.ingest(range(200, 260))
    assert world.model["champion"] == pending
    assert len(world.looks(pending)) == 1
    world.check()


def test_a_look_that_rejects_ends_it():
    world = World(Guessing, "code: guess 5.0")
    world.ingest(outcomes(1, 100))
    (run,) = world.edit("guess 5.5")
    assert run.verdict == "inconclusive"
    nights = 0
    while world.model["candidate"] == 2:
        nights += 1
        assert nights < 10
        world.durable.recipes[MODEL] = "code: guess 5.5"
        world.ingest(outcomes(10 + nights, 50))
    assert [verdict for _, _, verdict in world.looks(2)][-1] == "rejected"
    assert (world.model["champion"], world.states[1]) == (1, "rejected")
    world.check()


def test_the_first_champion_is_the_best_so_far_until_one_is_shown_to_be_better():
    world = World()
    world.ingest(range(10))
    assert world.model["best"] == 1
    world.ingest(range(100, 110))
    assert (world.model["champion"], world.model["best"]) == (2, 1)
    world.edit("superb")
    assert (world.model["champion"], world.model["best"]) == (3, 3)
    world.check()


def test_a_best_version_that_does_not_run_any_more_gives_its_place_to_the_champion():
    world = World(code="code: fragile")
    world.ingest(range(10))
    world.edit("fine")  # nobody but the champion was the best so far
    assert (world.model["champion"], world.model["best"]) == (2, 1)
    (run,) = world.ingest(range(100, 110))
    assert run.unpins
    assert (world.model["champion"], world.model["best"]) == (3, 2)
    world.check()


def test_whoever_is_rolled_back_is_not_the_best_so_far():
    world = World()
    world.ingest(range(10))
    world.edit("superb")
    world.ingest(range(100, 110))
    assert (world.model["champion"], world.model["best"]) == (3, 3)
    world.ask("rollback")
    assert (world.model["champion"], world.model["best"]) == (2, 2)
    world.check()


def test_somebody_says_which_version_is_the_best_so_far():
    world = World()
    world.ingest(range(10))
    world.ingest(range(100, 110))
    undecided = world.edit("unsure until 999")[0].version
    asked = world.ask("pin", reason="audited in May")
    assert (asked.best, world.model["best"]) == (2, 2)
    with pytest.raises(UsageError, match="EB005"):
        world.ask("pin", 1, reason="")
    with pytest.raises(ConflictError, match="EB422"):
        world.ask("pin", undecided)
    with pytest.raises(UsageError, match="EB008"):
        world.ask("pin", 9)
    assert [name_of(entry.fact) for entry in world.ledger.facts()].count("best_pinned") == 1
    world.check()


def test_nobody_is_the_best_before_somebody_serves():
    world = World()
    world.edit("fine")
    with pytest.raises(ConflictError, match="EB422"):
        world.ask("pin")


def test_candidates_that_are_no_better_do_not_drift_below_the_best_so_far():
    """Each is a little worse than the one before: the ratchet of many small losses."""
    world = World(Guessing, "code: guess 5.0")
    world.ingest(outcomes(1, 1000))
    for step in range(1, 12):
        world.edit(f"guess {5 + 0.05 * step}")
        world.ingest(outcomes(step + 1, 200))
    served = [row["version"] for row in world.ledger.rows("versions") if row["served"]]
    champion = world.ledger.rows("versions", {"version": served[-1]})[0]
    guess = json.loads(world.durable.blobs[champion["bundle"]])["guess"]
    assert world.model["best"] == 1
    assert (guess - 5.0) ** 2 < 0.05  # of the variance, which is 1
    world.check()
