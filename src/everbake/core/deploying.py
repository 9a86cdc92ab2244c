"""What the facts about who serves change in the tables: runs that end, people, rollouts."""

from everbake.core.facts import Concluded, Entry, Promoted, RolledBack
from everbake.core.rollout_facts import Exposure, RolloutEnded, RolloutMoved, RolloutOpened
from everbake.core.tables import Put, Row

_NOBODY_BESIDE: Row = dict.fromkeys(
    ("challenger", "challenger_bundle", "rollout", "kind", "unit", "salt", "share")
)
# What becomes of a version whose rollout ends; one that was not shown worse may be promoted later.
_ENDED = {"promoted": "champion", "rolled_back": "rejected", "failed": "rejected"}


def concluded(fact: Concluded, entry: Entry) -> tuple[Put, ...]:
    """A run ended; its version is numbered, and serves or waits or goes."""
    run: Row = {
        "state": fact.state,
        "step": "conclude",
        "verdict": fact.verdict,
        "version": fact.version,
        "seconds": fact.seconds,
        "ended": entry.time,
        "log": fact.log,
    }
    model: Row = {
        "running": None,
        "covered": fact.data_version,
        "covered_recipe": fact.recipe,
        "last_run": fact.run,
        "last_cause": fact.cause,
        "last_attempt": fact.attempt,
        "last_again": int(fact.again),
        "last_ended": entry.time,
        "updates": fact.updates,
        "full_time": fact.full_time,
    }
    puts = [Put("runs", (fact.run,), run)]
    if fact.version is not None:
        model |= {"versions": fact.version, "candidate": _candidate_after(fact)}
        puts += _numbered(fact, entry)
        if fact.rolls:
            model |= {"winner": fact.version, "winner_bundle": fact.bundle}
    puts.append(Put("models", (fact.model,), model))
    if fact.serves:
        puts += _deployed(fact, entry)
    return tuple(puts)


def _candidate_after(fact: Concluded) -> int | None:
    if fact.serves or fact.rolls:
        return None
    return fact.candidate_before if fact.verdict == "rejected" else fact.version


def _numbered(fact: Concluded, entry: Entry) -> list[Put]:
    """The rows of a new version and its decision; a candidate that it replaces is retired."""
    states = {"promoted": "candidate", "inconclusive": "candidate", "rejected": "rejected"}
    columns: Row = {
        "n": entry.n,
        "state": states[str(fact.verdict)],
        "run": fact.run,
        "bundle": fact.bundle,
        "runtime": fact.runtime,
        "recipe": fact.recipe,
        "data_version": fact.data_version,
        "time": entry.time,
        "base": fact.base,
        "rows_learned": fact.rows,
        "new_rows": fact.new_rows,
    }
    puts = [
        Put("versions", (fact.model, fact.version), columns),
        Put(
            "decisions",
            (fact.run,),
            {
                "n": entry.n,
                "model": fact.model,
                "version": fact.version,
                "decision": fact.decision,
                "champion_before": fact.champion_before,
                "time": entry.time,
            },
        ),
    ]
    if fact.candidate_before is not None and fact.verdict != "rejected":
        puts.append(Put("versions", (fact.model, fact.candidate_before), {"state": "retired"}))
    return puts


def rollout_opened(fact: RolloutOpened, entry: Entry) -> tuple[Put, ...]:
    """The challenger stands beside the champion."""
    rollout: Row = {
        "n": entry.n,
        "model": fact.model,
        "version": fact.version,
        "bundle": fact.bundle,
        "champion": fact.champion,
        "plan": fact.plan,
        "part": 0,
        "stage": 0,
        "state": "open",
        "opened": entry.time,
        "part_opened": entry.time,
        "stage_opened": entry.time,
        "reason": fact.reason,
    }
    beside: Row = {
        "challenger": fact.version,
        "challenger_bundle": fact.bundle,
        "rollout": fact.rollout,
        **_exposed(fact.exposure, entry),
    }
    # Whoever is in its rollout is no candidate, or the next one would replace it.
    waiting: Row = dict.fromkeys(("candidate", "winner", "winner_bundle"))
    model: Row = {"rollout": fact.rollout, **waiting}
    return (
        Put("rollouts", (fact.rollout,), rollout),
        Put("versions", (fact.model, fact.version), {"state": "rollout"}),
        Put("models", (fact.model,), model),
        Put("deployments", (fact.model,), beside),
    )


def rollout_moved(fact: RolloutMoved, entry: Entry) -> tuple[Put, ...]:
    """The challenger sees more."""
    rollout: Row = {"part": fact.part, "stage": fact.stage, "stage_opened": entry.time}
    if fact.stage == 0:
        rollout["part_opened"] = entry.time
    return (
        Put("rollouts", (fact.rollout,), rollout),
        Put("deployments", (fact.model,), _exposed(fact.exposure, entry)),
        _step(fact, "advance", entry),
    )


def rollout_ended(fact: RolloutEnded, entry: Entry) -> tuple[Put, ...]:
    """The challenger serves, or is gone."""
    state = _ENDED.get(fact.outcome, "candidate")
    model: Row = {"rollout": None}
    if state == "candidate" and fact.candidate_before is None:
        model["candidate"] = fact.version
    elif state == "candidate":  # a newer one has come meanwhile
        state = "retired"
    puts = [
        _closed(fact.rollout, fact.outcome, entry),
        Put("versions", (fact.model, fact.version), {"state": state}),
        Put("models", (fact.model,), model),
        _step(fact, fact.outcome, entry),
    ]
    if fact.outcome == "promoted":
        return (*puts, *_deployed(fact, entry))
    alone: Row = {**_NOBODY_BESIDE, "generation": entry.n, "time": entry.time}
    return (*puts, Put("deployments", (fact.model,), alone))


def promoted(fact: Promoted, entry: Entry) -> tuple[Put, ...]:
    """A person's choice serves, and no rollout is open any more."""
    # A winner that waited leaves the queue; another pending candidate is not asked for any more.
    free: Row = {"candidate": None, "rollout": None, "winner": None, "winner_bundle": None}
    closed = _left(fact, "promoted", "retired", entry)
    return (*closed, Put("models", (fact.model,), free), *_deployed(fact, entry))


def rolled_back(fact: RolledBack, entry: Entry) -> tuple[Put, ...]:
    """An older champion serves, or the champion alone; promotion is held."""
    held: Row = {"held": 1, "rollout": None, "winner": None, "winner_bundle": None}
    closed = _left(fact, "rolled_back", "rejected", entry)
    return (*closed, Put("models", (fact.model,), held), *_deployed(fact, entry))


def _exposed(exposure: Exposure, entry: Entry) -> Row:
    return {
        "kind": exposure.kind,
        "unit": exposure.unit,
        "salt": exposure.salt,
        "share": exposure.share,
        "generation": entry.n,
        "time": entry.time,
    }


def _closed(rollout: str, state: str, entry: Entry) -> Put:
    return Put("rollouts", (rollout,), {"state": state, "ended": entry.time})


def _left(
    fact: Promoted | RolledBack, state: str, challenger: str, entry: Entry
) -> tuple[Put, ...]:
    """What a person's decision ends: the open rollout, with what becomes of its challenger."""
    if fact.rollout is None or fact.challenger is None:
        return ()
    place = (fact.model, fact.challenger)
    columns: Row = {
        "n": entry.n,
        "model": fact.model,
        "version": fact.challenger,
        "step": state,
        "because": f"Because somebody decided so: {fact.reason or 'no reason was given'}",
        "evidence": "{}",
        "time": entry.time,
    }
    return (
        _closed(fact.rollout, state, entry),
        Put("versions", place, {"state": challenger}),
        Put("rollout_steps", (fact.rollout, entry.n), columns),
    )


def _step(fact: RolloutMoved | RolloutEnded, step: str, entry: Entry) -> Put:
    columns: Row = {
        "n": entry.n,
        "model": fact.model,
        "version": fact.version,
        "step": step,
        "because": fact.because,
        "evidence": fact.evidence,
        "time": entry.time,
    }
    return Put("rollout_steps", (fact.rollout, entry.n), columns)


def _deployed(fact: Concluded | Promoted | RolledBack | RolloutEnded, entry: Entry) -> list[Put]:
    """A version serves now; whoever served before is retired and kept warm."""
    puts = []
    if fact.champion_before not in (None, fact.version):
        left: Row = {"state": "retired"}
        if isinstance(fact, RolledBack):  # whoever was rolled back brings nobody back
            left["replaced"] = None
        puts.append(Put("versions", (fact.model, fact.champion_before), left))
    now: Row = {"state": "champion", "served": 1}
    if not isinstance(fact, RolledBack):  # which goes back: what it replaces is not to come back
        now["replaced"] = fact.champion_before
    puts.append(Put("versions", (fact.model, fact.version), now))
    deployment: Row = {
        "version": fact.version,
        "bundle": fact.bundle,
        "generation": entry.n,
        "time": entry.time,
        **_NOBODY_BESIDE,
    }
    if fact.champion_before != fact.version:  # else only a rollout ended
        deployment |= {"previous": fact.champion_before, "previous_bundle": fact.bundle_before}
    puts.append(Put("deployments", (fact.model,), deployment))
    champion: Row = {"champion": fact.version, "champion_bundle": fact.bundle}
    puts.append(Put("models", (fact.model,), champion))
    return puts
