"""The owner and a version in its rollout: what is recorded, and what follows from what was seen."""

from dataclasses import dataclass, field, replace

import pytest
import simulation_world as world_of

from everbake import Canary, Shadow
from everbake.core.facts import name_of
from everbake.core.project import fold
from everbake.core.rollout.planning import Baseline
from everbake.core.rollout.tally import Arm, StageTally, Tally
from everbake.core.rollout.tally import Shadow as Followed
from everbake.engine import release
from everbake.engine.owner import Owner
from everbake.engine.release import Request
from everbake.errors import ConflictError
from everbake.ports import Ports

DAY = 86400.0
MODEL = "m"
FINE_AT_A_TENTH = StageTally(Arm(units=500), Arm(units=4500))
FINE = StageTally(Arm(units=2000), Arm(units=2000))
BROKEN = StageTally(Arm(units=2000, errors=400), Arm(units=2000))
UNEVEN = StageTally(Arm(units=2000), Arm(units=20))
TOLD = {"rollout_opened", "rollout_moved", "rollout_ended", "promoted", "rolled_back"}
NOBODY = dict.fromkeys(
    ("challenger", "challenger_bundle", "rollout", "kind", "unit", "salt", "share")
)


class Recipes(world_of.Recipes):
    """Recipes that declare a rollout."""

    rollout = ()

    def changed(self, sources, known):
        """What is new, with the rollout that is declared at the moment."""
        found = super().changed(sources, known)
        return [replace(each, spec=replace(each.spec, rollout=self.rollout)) for each in found]


class Release(world_of.Release):
    """Servers that may refuse to load a version."""

    why = None

    def refused(self, model, generation):
        """Why, if they do."""
        return self.why


@dataclass
class Records:
    """What was counted, as the test says."""

    seen: dict = field(default_factory=dict)  # part -> Tally
    before: Baseline = field(default_factory=Baseline)

    def baseline(self, model, version, since, budget):
        """The champion's week."""
        return self.before

    def tally(self, rollout, part):
        """Of one part."""
        return self.seen.get(part, Tally()), frozenset()


class World:
    """One model, its owner, and the outside."""

    def __init__(self, rollout):
        self.durable = world_of.Durable(recipes={MODEL: "code: first"})
        blobs = world_of.Blobs(self.durable)
        tables = world_of.Tables(self.durable)
        self.recipes = Recipes(self.durable, blobs)
        self.recipes.rollout = rollout.described()
        self.records, self.release = Records(), Release(self.durable, blobs)
        self.ledger = self.durable.ledger
        self.owner = Owner(
            Ports(
                ledger=self.ledger,
                tables=tables,
                blobs=blobs,
                recipes=self.recipes,
                contracts=world_of.Contracts(self.durable),
                training=world_of.Training(self.durable, blobs, tables),
                release=self.release,
                records=self.records,
                clock=self.durable.clock,
            )
        )
        self._batches = 0

    def ingest(self):
        """A batch that fits; the run that it asks for."""
        self._batches += 1
        path = f"/in/{self._batches}"
        self.durable.files[path] = world_of.numbers(self._batches * 100, 30, 2.0)
        self.owner.ingest(MODEL, (path,), (path,))
        return self.owner.settle(MODEL)

    def rejected(self):
        """A version that the gate turns away."""
        self.durable.recipes[MODEL] = "code: bad"
        self.owner.notice_recipes()
        (run,) = self.owner.settle(MODEL)
        assert run.verdict == "rejected"
        return run.version

    def ask(self, kind, version=None, reason="because", request="asked"):
        """What a person asks for."""
        return getattr(release, kind)(Request(MODEL, version, reason, request), self.owner)

    def look(self, after=DAY):
        """Some time later: the fact that follows, if one does."""
        self.durable.clock.sleep(after)
        entry = self.owner.look_after_rollout(MODEL)
        return None if entry is None else entry.fact

    @property
    def model(self):
        """The row of `models`."""
        return self.ledger.rows("models")[0]

    @property
    def deployment(self):
        """The row of `deployments`."""
        return self.ledger.rows("deployments")[0]

    @property
    def states(self):
        """Of the versions, in order."""
        return [row["state"] for row in self.ledger.rows("versions")]

    @property
    def rollouts(self):
        """All of them, in the order in which they opened."""
        return sorted(self.ledger.rows("rollouts"), key=lambda row: row["n"])

    def names(self):
        """Of all facts about rollouts and people."""
        names = [name_of(entry.fact) for entry in self.ledger.facts()]
        return [name for name in names if name in TOLD]


@pytest.fixture
def begin():
    """A world in which version 1 serves and version 2 is in its rollout."""

    def made(rollout=None):
        world = World(rollout or Canary(share=(0.1, 0.5)))
        world.ingest()
        world.ingest()
        return world

    return made


def test_the_first_version_serves_at_once():
    world = World(Canary())
    (run,) = world.ingest()
    assert (run.serves, run.rolls) == (True, False)
    assert (world.model["champion"], world.model["rollout"], world.rollouts) == (1, None, [])


def test_a_winner_opens_its_rollout_and_does_not_serve(begin):
    world = begin()
    (rollout,) = world.rollouts
    assert world.states == ["champion", "rollout"]
    assert (world.model["champion"], world.model["rollout"]) == (1, rollout["rollout"])
    assert (world.model["candidate"], world.model["winner"]) == (None, None)
    told = {name: rollout[name] for name in ("version", "champion", "part", "stage", "state")}
    assert told == {"version": 2, "champion": 1, "part": 0, "stage": 0, "state": "open"}
    beside = world.deployment
    assert (beside["version"], beside["challenger"]) == (1, 2)
    assert (beside["kind"], beside["unit"], beside["share"]) == ("canary", "request", 0.1)
    assert beside["generation"] == rollout["n"] == world.durable.released[MODEL]


def test_it_goes_through_its_stages_and_is_promoted_at_the_end(begin):
    world = begin()
    assert world.look() is None  # nothing was counted yet
    world.records.seen[0] = Tally((FINE_AT_A_TENTH,))
    moved = world.look()
    assert (moved.part, moved.stage, moved.exposure.share) == (0, 1, 0.5)
    assert (world.deployment["share"], world.model["champion"]) == (0.5, 1)
    assert world.look() is None  # the stage has lasted long enough, and saw nobody yet
    world.records.seen[0] = Tally((FINE_AT_A_TENTH, FINE))
    ended = world.look()
    assert ended.outcome == "promoted"
    assert ended.because.startswith("Because ")
    assert world.states == ["retired", "champion"]
    assert (world.model["champion"], world.model["rollout"]) == (2, None)
    beside = world.deployment
    assert {name: beside[name] for name in NOBODY} == NOBODY
    assert (beside["version"], beside["previous"]) == (2, 1)
    steps = [row["step"] for row in world.ledger.rows("rollout_steps")]
    assert (steps, world.rollouts[0]["state"]) == (["advance", "promoted"], "promoted")


@pytest.mark.parametrize(
    ("seen", "after", "outcome", "state"),
    [
        (BROKEN, 0.0, "rolled_back", "rejected"),
        (UNEVEN, 0.0, "invalid", "candidate"),
        (StageTally(), 15 * DAY, "undecided", "candidate"),
    ],
)
def test_it_ends_in_the_champions_favour(begin, seen, after, outcome, state):
    world = begin(Canary(share=0.5))
    world.records.seen[0] = Tally((seen,))
    assert world.look(after).outcome == outcome
    assert world.states == ["champion", state]
    assert world.rollouts[0]["state"] == outcome
    assert (world.model["champion"], world.model["rollout"]) == (1, None)
    assert world.model["candidate"] == (2 if state == "candidate" else None)
    assert {name: world.deployment[name] for name in NOBODY} == NOBODY
    assert world.look() is None


def test_an_undecided_version_may_be_put_into_another_rollout(begin):
    world = begin()
    world.look(15 * DAY)
    shifted = world.ask("promote")
    first, second = world.rollouts
    assert (first["state"], second["state"]) == ("undecided", "open")
    assert shifted.rollout == second["rollout"] != first["rollout"]
    assert (shifted.champion, shifted.champion_before) == (1, 1)
    assert (world.states, world.model["candidate"]) == (["champion", "rollout"], None)


def test_a_rejected_version_that_somebody_puts_into_a_rollout_is_no_candidate_when_it_goes(begin):
    world = begin(Canary(share=0.5))
    world.look(15 * DAY)
    world.ask("promote")
    world.records.seen[0] = Tally((BROKEN,))
    assert world.look().outcome == "rolled_back"
    assert world.model["candidate"] is None
    with pytest.raises(ConflictError, match="EB412"):
        world.ask("promote", request="again")


def test_a_version_that_no_server_can_load_has_failed(begin):
    world = begin()
    world.release.why = "a file of it is damaged"
    ended = world.look(0.0)
    assert (ended.outcome, world.states) == ("failed", ["champion", "rejected"])
    assert "a file of it is damaged" in ended.because


def test_a_shadow_is_followed_by_a_canary_with_its_share(begin):
    world = begin(Shadow() >> Canary(share=0.3, unit="key"))
    assert (world.deployment["kind"], world.deployment["share"]) == ("shadow", 0.0)
    salt = world.deployment["salt"]
    world.records.seen[0] = Tally(shadow=Followed(pairs=1000, answered=1000))
    moved = world.look()
    assert (moved.part, moved.stage) == (1, 0)
    beside = world.deployment
    assert (beside["kind"], beside["unit"], beside["share"]) == ("canary", "key", 0.3)
    assert beside["salt"] != salt
    assert world.rollouts[0]["part_opened"] == world.rollouts[0]["stage_opened"]
    assert world.look() is None
    world.records.seen[1] = Tally((StageTally(Arm(units=3000), Arm(units=7000)),))
    assert world.look().outcome == "promoted"


def test_a_shadow_alone_ends_with_a_promotion(begin):
    world = begin(Shadow())
    world.records.seen[0] = Tally(shadow=Followed(pairs=1000, answered=1000))
    assert world.look().outcome == "promoted"
    assert world.model["champion"] == 2


def test_a_shadow_alone_is_never_promoted_without_evidence(begin):
    world = begin(Shadow())
    # Both fail now and then, too often for what is known of the champion.
    world.records.seen[0] = Tally(shadow=Followed(pairs=1000, answered=950))
    assert world.look() is None
    assert world.look(15 * DAY).outcome == "undecided"


def test_a_winner_serves_at_once_where_the_recipe_has_come_to_declare_no_rollout(monkeypatch):
    world = World(Canary())
    world.ingest()
    with monkeypatch.context() as patched:
        patched.setattr(world.owner, "begin_rollout", lambda _: None)  # as if killed before it
        world.ingest()
    assert (world.model["champion"], world.model["winner"]) == (1, 2)
    world.recipes.rollout = ()
    world.durable.recipes[MODEL] = "code: another"
    world.owner.notice_recipes()
    fact = world.owner.begin_rollout(MODEL).fact
    assert (fact.version, fact.champion_before) == (2, 1)
    assert fact.reason == "it won, and the recipe declares no rollout any more"
    assert (world.model["champion"], world.model["winner"]) == (2, None)
    assert world.owner.begin_rollout(MODEL) is None


def test_a_winner_waits_while_another_version_is_in_its_rollout(begin):
    world = begin()
    (run,) = world.ingest()
    assert (run.verdict, run.state, run.serves, run.rolls) == ("promoted", "waiting", False, False)
    assert world.states == ["champion", "rollout", "candidate"]
    assert len(world.rollouts) == 1


def test_a_newer_winner_is_the_candidate_after_an_undecided_rollout(begin):
    world = begin()
    world.ingest()
    assert world.look(15 * DAY).outcome == "undecided"
    assert (world.states, world.model["candidate"]) == (["champion", "retired", "candidate"], 3)


def test_a_pause_holds_steps_forward_but_no_roll_back(begin):
    world = begin()
    world.ask("pause")
    world.records.seen[0] = Tally((FINE_AT_A_TENTH,))
    assert world.look() is None
    world.records.seen[0] = Tally((StageTally(Arm(units=1000, errors=200), Arm(units=9000)),))
    assert world.look().outcome == "rolled_back"


def test_a_rollout_that_was_paused_goes_on(begin):
    world = begin()
    world.records.seen[0] = Tally((FINE_AT_A_TENTH,))
    world.ask("pause")
    assert world.look() is None
    world.ask("resume")
    assert world.look().stage == 1


def test_a_person_ends_it_for_the_challenger(begin):
    world = begin()
    shifted = world.ask("promote", reason="it is urgent")
    assert (shifted.champion, shifted.champion_before) == (2, 1)
    assert world.states == ["retired", "champion"]
    assert (world.rollouts[0]["state"], world.model["rollout"]) == ("promoted", None)
    (step,) = world.ledger.rows("rollout_steps")
    assert (step["step"], step["version"]) == ("promoted", 2)
    assert "it is urgent" in step["because"]
    assert {name: world.deployment[name] for name in NOBODY} == NOBODY


def test_another_version_cannot_be_promoted_meanwhile(begin):
    world = begin()
    world.ingest()
    with pytest.raises(ConflictError, match="EB421"):
        world.ask("promote", version=3)
    assert world.states == ["champion", "rollout", "candidate"]


def test_a_person_ends_it_for_the_champion_and_promotion_is_held(begin):
    world = begin()
    shifted = world.ask("rollback", reason="complaints")
    assert (shifted.champion, shifted.champion_before) == (1, 1)
    assert world.states == ["champion", "rejected"]
    assert (world.rollouts[0]["state"], world.model["held"]) == ("rolled_back", 1)
    (step,) = world.ledger.rows("rollout_steps")
    assert step["step"] == "rolled_back"
    assert "complaints" in step["because"]
    (run,) = world.ingest()
    assert (run.state, len(world.rollouts)) == ("waiting", 1)


def test_the_same_request_twice_is_one_fact(begin):
    world = begin()
    world.look(15 * DAY)
    assert world.ask("promote", request="one") == world.ask("promote", request="one")
    assert world.ask("rollback", request="two") == world.ask("rollback", request="two")
    assert world.names() == ["rollout_opened", "rollout_ended", "rollout_opened", "rolled_back"]


def test_a_version_that_the_gate_turned_away_needs_a_reason_and_gets_a_rollout():
    world = World(Canary())
    world.ingest()
    version = world.rejected()
    shifted = world.ask("promote", version=version, reason="to see it go")
    assert shifted.rollout == world.model["rollout"]
    assert (world.model["champion"], world.rollouts[0]["reason"]) == (1, "to see it go")


def test_a_plan_stays_as_it_was_when_the_recipe_changes(begin):
    world = begin()
    before = world.rollouts[0]["plan"]
    world.recipes.rollout = Canary(share=0.9).described()
    world.durable.recipes[MODEL] = "code: with another rollout"
    world.owner.notice_recipes()
    world.owner.settle(MODEL)
    assert (world.rollouts[0]["plan"], world.deployment["share"]) == (before, 0.1)
    world.records.seen[0] = Tally((FINE_AT_A_TENTH,))
    assert world.look().exposure.share == 0.5


def test_the_champions_week_is_frozen_into_the_plan():
    world = World(Canary())
    world.ingest()
    world.records.before = Baseline(requests=10_000, errors=100, latency_p95=0.02)
    world.ingest()
    world.records.before = Baseline()
    assert '"latency_budget":0.02' in world.rollouts[0]["plan"]


def test_the_tables_follow_from_the_facts(begin):
    world = begin()
    world.look(15 * DAY)
    world.ask("promote", request="one")
    world.ask("promote", request="two")
    world.ask("rollback", request="three")
    folded = fold(world.ledger.facts()).tables
    for table in ("models", "versions", "deployments", "rollouts", "rollout_steps"):
        again = [row for _, row in sorted(folded[table].items())]
        assert [_known(row) for row in world.ledger.rows(table)] == [_known(row) for row in again]


def _known(row):
    """The cells of a row that have a value."""
    return {name: cell for name, cell in row.items() if cell is not None}
