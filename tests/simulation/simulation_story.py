"""What people do in a story, and how it is lived through any number of crashes."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import simulation_world as world_of
from simulation_crash import Crash, Never, Wire

from everbake.core.facts import encode, name_of
from everbake.core.loop import due, state_of
from everbake.core.project import fold
from everbake.core.rollout_facts import RolloutEnded, RolloutMoved
from everbake.core.run_facts import Concluded, RunPinned
from everbake.core.tables import COLUMNS
from everbake.engine import release
from everbake.engine.owner import Owner
from everbake.engine.release import Request
from everbake.errors import ConflictError, EverbakeError, Retry, UsageError
from everbake.ports import Ports

# What a command may answer when it was done before and only its answer was lost.
DONE_BEFORE = {"EB411", "EB412", "EB413", "EB414", "EB421"}
MOST_LIVES = 60
CODES = (
    "fine",
    "bad",
    "broken",
    "unsure until 40",
    "unsure until 90 superb",
    "unsure until 50 mute",
)


@dataclass(frozen=True)
class Wiring:
    """How the ports of a life are made; the faults replace one of these.

    Attributes:
        ledger: of a world, for one life.
        blobs: of a world, for one life.
        owner: of ports.
    """

    ledger: Callable = lambda world: world.ledger
    blobs: Callable = world_of.Blobs
    owner: Callable = Owner


@dataclass
class Step:
    """One thing that happens: outside first, once; then a command, until it is answered."""

    name: str
    command: Callable
    outside: Callable = lambda world: None


def write(path, rows):
    """A file appears."""

    def outside(world):
        world.files[path] = rows

    return outside


def edit(model, text):
    """Somebody edits a recipe."""

    def outside(world):
        world.recipes[model] = text

    return outside


def ingest(model, path, rows):
    """A file is ingested, and what is due is run."""

    def command(owner):
        owner.ingest(model, (path,), (path,))
        owner.settle(model)

    return Step(f"ingest {model} {path}", command, write(path, rows))


def asked(kind, model, number, version=None, reason="because"):
    """Somebody decides who serves."""

    def command(owner):
        getattr(release, kind)(Request(model, version, reason, f"{kind}-{number}"), owner)
        owner.settle(model)

    return Step(f"{kind} {model}", command)


def retrain(model, number, *, full=False):
    """Somebody asks for a run."""

    def command(owner):
        owner.request_retrain(model, f"retrain-{number}", full=full)
        owner.settle(model)

    return Step(f"retrain {model}", command)


def settle_quarantine(kind, model):
    """Somebody accepts or rejects a batch that waits: the same one, however often it is said."""
    chosen = []

    def command(owner):
        rows = owner.ports.ledger.rows("quarantine", {"model": model, "state": "waiting"})
        if not chosen:
            chosen.append(rows[0]["id"] if rows else None)
        if chosen[0] in [row["id"] for row in rows]:
            getattr(owner, kind)(model, str(chosen[0]), "looked at")
        owner.settle(model)

    return Step(f"{kind} {model}", command, lambda world: chosen.clear())


def looked(model):
    """What follows for the version that is in its rollout: one step, however often one looks."""
    place = []

    def command(owner):
        rows = owner.ports.ledger.rows("rollouts", {"model": model, "state": "open"})
        found = [(row["rollout"], row["part"], row["stage"]) for row in rows]
        if not place:
            place.append(found)
        if found and found == place[0]:
            owner.look_after_rollout(model)

    return Step(f"look {model}", command, lambda world: place.clear())


def edited(model, text):
    """A recipe is edited, and noticed."""

    def command(owner):
        owner.notice_recipes()
        owner.settle(model)

    return Step(f"edit {model}: {text}", command, edit(model, text))


def script():
    """The scripted history: everything that the loop can do, at least once."""
    n = world_of.numbers
    return [
        ingest("a", "/in/a1", n(0, 30, 5.0)),
        ingest("a", "/in/a2", n(100, 30, 5.2)),
        ingest("a", "/in/a1-again", n(0, 30, 5.0)),
        ingest("b", "/in/b1", n(0, 20, 1.0)),
        ingest("a", "/in/bad", ["many", *n(200, 5, 5.0)]),
        settle_quarantine("accept", "a"),
        ingest("a", "/in/worse", ["few"]),
        settle_quarantine("reject", "a"),
        edited("a", "code: bad"),
        edited("a", "code: broken"),
        edited("a", "code: good again"),
        retrain("b", 1),
        asked("rollback", "a", 1),
        ingest("a", "/in/a3", n(300, 30, 5.1)),
        asked("promote", "a", 2),
        asked("resume", "a", 3),
        asked("pause", "b", 4),
        ingest("b", "/in/b2", n(100, 20, 1.1)),
        asked("resume", "b", 5),
        ingest("c", "/in/c1", n(0, 30, 2.0)),
        ingest("c", "/in/c2", n(100, 30, 2.1)),
        looked("c"),
        looked("c"),
        ingest("c", "/in/c3", n(200, 30, 2.2)),
        asked("rollback", "c", 6),
        asked("resume", "c", 7),
        asked("promote", "c", 8, 1),
        looked("c"),
        asked("promote", "c", 9),
    ]


def undecided():
    """Candidates that cannot be decided about are looked at again, replaced, promoted."""
    n = world_of.numbers
    return [
        ingest("a", "/in/1", n(0, 10, 2.0)),
        edited("a", "code: unsure until 40 superb"),
        ingest("a", "/in/2", n(100, 10, 2.0)),  # looked at by 20, and a newer one retired
        ingest("a", "/in/3", n(-5000, 20, 2.0)),  # what came of these rows is not known: too early
        asked("pause", "a", 1),
        ingest("a", "/in/4", n(300, 25, 2.0)),
        asked("resume", "a", 2),  # promoted, and the best so far
        asked("pin", "a", 3, 1),
    ]


def chosen():
    """Looks that fail, that have to wait, that a person overtakes, and that a rollout follows."""
    n = world_of.numbers
    return [
        ingest("a", "/in/1", n(0, 10, 2.0)),
        edited("a", "code: unsure until 999 mute"),
        ingest("a", "/in/2", n(100, 10, 2.0)),  # the look fails, and is not tried at once
        asked("promote", "a", 1),
        ingest("c", "/in/3", n(0, 10, 2.0)),
        edited("c", "code: unsure until 20"),
        asked("rollback", "c", 2, 1),
        ingest("c", "/in/4", n(100, 12, 2.0)),  # held: nobody is looked at
        asked("resume", "c", 3),  # a look, and its rollout
        looked("c"),
        looked("c"),
    ]


def taught():
    """A model learns on; one run after another trains from scratch, and whenever it is asked."""
    n = world_of.numbers
    return [
        ingest("b", "/in/1", n(0, 20, 1.0)),
        ingest("b", "/in/2", n(100, 20, 1.0)),  # an update
        ingest("b", "/in/3", n(200, 20, 1.0)),  # from scratch
        retrain("b", 1),  # nothing is new: it counts for nothing
        ingest("b", "/in/4", n(300, 20, 1.0)),  # an update
        retrain("b", 2, full=True),
        asked("rollback", "b", 3, 1),
        ingest("b", "/in/5", n(400, 20, 1.0)),  # the first version is taught all that came since
        edited("b", "code: broken"),  # from scratch, as the code is another
        asked("resume", "b", 4),
        edited("b", "code: first"),  # the code that the champion came from is back
    ]


def any_script(dice):
    """A history at random."""
    steps, n = [ingest("a", "/in/0", world_of.numbers(0, 20, 5.0))], world_of.numbers
    makers = [
        lambda i: ingest("a", f"/in/{i}", n(i * 100, dice.randint(1, 30), dice.uniform(4, 6))),
        lambda i: ingest("b", f"/in/{i}", n(i * 100, dice.randint(1, 30), dice.uniform(0, 2))),
        lambda i: ingest("a", f"/in/{i}", ["text", *n(i * 100, 3, 5.0)]),
        lambda i: settle_quarantine(dice.choice(["accept", "reject"]), "a"),
        lambda i: edited(dice.choice("ab"), f"code: {dice.choice(CODES)} {i}"),
        lambda i: edited("c", f"code: unsure until {dice.randint(10, 90)} {i}"),
        lambda i: ingest("a", f"/in/{i}", n(i * 100, dice.randint(30, 60), 5.0)),
        lambda i: asked("pin", "a", i),
        lambda i: retrain("a", i),
        lambda i: retrain("b", i, full=dice.random() < 0.5),
        lambda i: asked("rollback", "a", i),
        lambda i: asked("promote", "a", i),
        lambda i: asked("pause", dice.choice("ab"), i),
        lambda i: asked("resume", dice.choice("abc"), i),
        lambda i: ingest("c", f"/in/{i}", n(i * 100, dice.randint(1, 30), dice.uniform(1, 3))),
        lambda i: looked("c"),
        lambda i: asked(dice.choice(["promote", "rollback", "pause"]), "c", i),
    ]
    return steps + [dice.choice(makers)(i) for i in range(1, dice.randint(4, 10))]


@dataclass
class Played:
    """A story that has come to its end."""

    world: world_of.Durable
    wire: Wire
    lives: int
    complaints: list = field(default_factory=list)


def play(steps, plan=None, wiring=None):
    """Live through a story: after each crash a new owner, and the command once more."""
    wiring = wiring or Wiring()
    world = world_of.Durable(recipes=dict.fromkeys("abc", "code: first"))
    played = Played(world, Wire(plan or Never()), 0)
    owner = None
    for step in [*steps, Step("settle", _settle_all)]:
        step.outside(world)
        answered = False
        while not answered:
            try:
                if owner is None:
                    played.lives += 1
                    assert played.lives < MOST_LIVES, "it does not come to an end"
                    owner = wiring.owner(ports(world, played.wire, wiring))
                    owner.start()
                answered = _perform(step, owner, played)
            except (Crash, Retry):
                owner = None
                world.leisure.clear()
    for act in world.leisure:
        act()
    return played


def _settle_all(owner):
    for model in owner.notice_recipes():
        owner.settle(model)


def _perform(step, owner, played):
    """Do it once; errors that a user would see are answers, too."""
    try:
        step.command(owner)
    except Retry:
        return False  # it says so itself: repeat the command
    except (ConflictError, UsageError) as error:
        if error.code not in DONE_BEFORE | {"EB121", "EB004", "EB007"}:
            played.complaints.append(f"{step.name}: {error}")
    except EverbakeError as error:
        played.complaints.append(f"{step.name}: {error}")
    return True


def ports(world, wire, wiring):
    """The ports of one life."""
    tables, blobs = world_of.Tables(world), wiring.blobs(world)
    made = {
        "ledger": wiring.ledger(world),
        "tables": tables,
        "blobs": blobs,
        "recipes": world_of.Recipes(world, blobs),
        "contracts": world_of.Contracts(world),
        "training": world_of.Training(world, blobs, tables),
        "release": world_of.Release(world, blobs),
        "records": world_of.Records(),
        "clock": world.clock,
    }
    return Ports(**{name: wire.wrap(name, port) for name, port in made.items()})


def violations(played, plain):
    """What is wrong at the end, beside the same story without a crash."""
    return [
        *played.complaints,
        *_ledger(played.world, plain.world),
        *_tables(played.world),
        *_blobs(played.world),
        *_runs(played.world),
        *_looks(played.world),
        *_taught(played.world),
    ]


def _ledger(world, plain):
    told, expected = _story(world), _story(plain)
    if told != expected:
        at = next(
            i
            for i, pair in enumerate(zip([*told, ""], [*expected, ""], strict=False))
            if pair[0] != pair[1]
        )
        yield f"fact {at + 1} is {[*told, 'none'][at][:80]}, not {[*expected, 'none'][at][:80]}"
    folded = fold(world.ledger.facts()).tables
    for table, columns in COLUMNS.items():
        blank = dict.fromkeys(columns)
        rows = [blank | row for _, row in sorted(folded[table].items())]
        if rows != world.ledger.rows(table):
            yield f"the table {table} is not what the facts say"
    if world.contracts != plain.contracts:
        yield "contract files differ"
    served = {str(r["model"]): r["generation"] for r in world.ledger.rows("deployments")}
    if served != world.released:
        yield f"{world.released} is served, not {served}"


def _story(world):
    """All facts, without times (attempt numbers are part of run ids only for later attempts)."""
    return [f"{name_of(e.fact)} {encode(_timeless(e.fact)).decode()}" for e in world.ledger.facts()]


def _timeless(fact):
    """A step of a rollout says how long the stage has lasted; a run, how new its data are."""
    if isinstance(fact, RolloutMoved | RolloutEnded):
        return replace(fact, because="", evidence="")
    if isinstance(fact, RunPinned):
        return replace(fact, data_time=None)
    if isinstance(fact, Concluded):
        return replace(fact, data_time=None, full_time=None)
    return fact


def _taught(world):
    """Who was taught knows what its base knew, and its new rows; its base was the champion."""
    versions = {(r["model"], r["version"]): r for r in world.ledger.rows("versions")}
    for entry in world.ledger.facts():
        fact = entry.fact
        bakes = isinstance(fact, RunPinned) and fact.pending is None
        if bakes and fact.learning.base not in (None, fact.champion):
            yield f"{fact.model}: {fact.learning.base} is taught, and {fact.champion} serves"
    for (model, version), row in versions.items():
        base = versions.get((model, row["base"]))
        if base and row["rows_learned"] != base["rows_learned"] + row["new_rows"]:
            yield f"{model}@{version}: {row['rows_learned']} rows, of {base['rows_learned']}"


def _tables(world):
    for model, commits in world.tables.items():
        versions = [fact.version for fact, _ in commits]
        known = [r["version"] for r in world.ledger.rows("data_versions", {"model": model})]
        if versions != known or versions != list(range(1, len(versions) + 1)):
            yield f"{model}: commits {versions}, facts {known}"
        rows = [row for _, rows in commits for row in rows]
        if len(set(rows)) != len(rows):
            yield f"{model}: a row is in the table twice"


def _blobs(world):
    named = set()
    for entry in world.ledger.facts():
        for field_name in ("snapshot", "environment", "bundle", "serves", "log"):
            value = getattr(entry.fact, field_name, None)
            if isinstance(value, str) and value:
                named.add(value)
        named |= set(getattr(entry.fact, "blobs", ()))
        if look := getattr(entry.fact, "look", None):
            named.add(look.judged)
    for blob in sorted(named - world.blobs.keys()):
        yield f"blob {blob[:8]} is named by a fact and is not there"


def _runs(world):
    state = state_of(fold(world.ledger.facts()))
    for order in due(state, 1e9):
        yield f"run {order.run} of {order.model} is still due"
    for row in world.ledger.rows("runs"):
        if row["state"] == "running":
            yield f"run {row['run']} is unfinished"
    for model in state.models:
        numbers = [r["version"] for r in world.ledger.rows("versions", {"model": model})]
        if numbers != list(range(1, len(numbers) + 1)):
            yield f"{model}: versions {numbers}"


def _looks(world):
    """A version is looked at again by twice as many rows as the last time, or not at all."""
    judged = {}
    for row in sorted(world.ledger.rows("decisions"), key=lambda row: row["n"]):
        before = judged.setdefault((row["model"], row["version"]), [])
        if before and row["rows"] < 2 * before[-1]:
            yield f"{row['model']}@{row['version']}: {row['rows']} rows after {before}"
        before.append(row["rows"])


def dice_of(seed):
    """Everything random in a story comes from here."""
    return random.Random(seed)


__all__ = [
    "Path",
    "Played",
    "Wiring",
    "any_script",
    "chosen",
    "dice_of",
    "play",
    "script",
    "undecided",
    "violations",
]
