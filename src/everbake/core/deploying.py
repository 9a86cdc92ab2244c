"""What the facts about who serves change in the tables: runs that end, people, rollouts."""

from everbake.core.facts import Entry, Promoted, RolledBack
from everbake.core.look_facts import BestPinned
from everbake.core.rollout_facts import Exposure, RolloutEnded, RolloutMoved, RolloutOpened
from everbake.core.run_facts import Concluded
from everbake.core.tables import Put, Row

_NOBODY_BESIDE: Row = dict.fromkeys(
    ("challenger", "challenger_bundle", "rollout", "kind", "unit", "salt", "share")
)
_NOBODY_PENDING: Row = dict.fromkeys(
    ("candidate", "candidate_fact", "candidate_recipe", "candidate_due", "candidate_since")
)
_STATES = {"promoted": "candidate", "inconclusive": "candidate", "rejected": "rejected"}
# What becomes of a version whose rollout ends; one that was not shown worse may be promoted later.
_ENDED = {"promoted": "champion", "rolled_back": "rejected", "failed": "rejected"}


def concluded(fact: Concluded, entry: Entry) -> tuple[Put, ...]:
    """A run ended; its version is numbered, and serves or waits or goes."""
    if fact.looked:
        return _looked(fact, entry)
    model: Row = {
        **_ended(fact, entry),
        "covered": fact.data_version,
        "covered_recipe": fact.recipe,
        "updates": fact.updates,
        "full_time": fact.full_time,
    }
    puts = [_run(fact, entry)]
    if fact.version is not None:
        model |= {"versions": fact.version, **_pending_after(fact, entry)}
        puts += _numbered(fact, entry)
        if fact.rolls:
            model |= {"winner": fact.version, "winner_bundle": fact.bundle}
    puts.append(Put("models", (fact.model,), model))
    if fact.serves:
        puts += _deployed(fact, entry)
    return tuple(puts)


def _run(fact: Concluded, entry: Entry) -> Put:
    columns: Row = {
        "state": fact.state,
        "step": "conclude",
        "verdict": fact.verdict,
        "version": fact.version,
        "seconds": fact.seconds,
        "ended": entry.time,
        "log": fact.log,
    }
    return Put("runs", (fact.run,), columns)


def _ended(fact: Concluded, entry: Entry) -> Row:
    """What a run that has ended leaves of itself, and of a best version that no longer ran."""
    model: Row = {
        "running": None,
        "last_run": fact.run,
        "last_cause": fact.cause,
        "last_attempt": fact.attempt,
        "last_again": int(fact.again),
        "last_ended": entry.time,
    }
    if fact.unpins:
        model |= {"best": fact.champion_before, "best_bundle": fact.bundle_before}
    return model


def _keeps(fact: Concluded) -> bool:
    """Whether the candidate that was pending before keeps its place."""
    return fact.verdict == "rejected" if fact.keeps is None else fact.keeps


def _pending_after(fact: Concluded, entry: Entry) -> Row:
    """The pending candidate from here on; empty if that does not change."""
    if fact.serves or fact.rolls:
        return _NOBODY_PENDING
    if fact.candidate_before is not None and _keeps(fact):
        return {}
    if fact.verdict == "rejected":
        return _NOBODY_PENDING
    return {
        "candidate": fact.version,
        "candidate_fact": entry.id,
        "candidate_recipe": fact.recipe,
        "candidate_due": fact.next_look,
        "candidate_since": fact.data_time,
    }


def _numbered(fact: Concluded, entry: Entry) -> list[Put]:
    """The rows of a new version and its decision; of two that are pending, one is retired."""
    before, state = fact.candidate_before, _STATES[str(fact.verdict)]
    wins = fact.serves or fact.rolls
    stays = before is not None and not wins and _keeps(fact)
    columns: Row = {
        "n": entry.n,
        "state": "retired" if stays and state == "candidate" else state,
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
    puts = [Put("versions", (fact.model, fact.version), columns), _decided(fact, entry)]
    if before is not None and not stays:
        puts.append(Put("versions", (fact.model, before), {"state": "retired"}))
    return puts


def _decided(fact: Concluded, entry: Entry) -> Put:
    """The decision, and its place in the ledger of looks."""
    columns: Row = {
        "n": entry.n,
        "model": fact.model,
        "version": fact.version,
        "decision": fact.decision,
        "champion_before": fact.champion_before,
        "time": entry.time,
        "best_before": fact.best_before,
        "surpasses": int(fact.surpasses),
    }
    if fact.look is not None:
        columns |= {
            "look": fact.look.number,
            "level": fact.look.level,
            "rows": fact.look.rows,
            "digest": fact.look.digest,
            "judged": fact.look.judged,
        }
    return Put("decisions", (fact.run,), columns)


def _looked(fact: Concluded, entry: Entry) -> tuple[Put, ...]:
    """A pending candidate was looked at again, unless it was too early, or the run failed.

    What became of it meanwhile by somebody's hand stays as it is.
    """
    model = _ended(fact, entry)
    puts = [_run(fact, entry)]
    if fact.verdict is not None:
        puts.append(_decided(fact, entry))
    if fact.version is not None and fact.candidate_before == fact.version:
        model |= _still_pending(fact, entry)
        if fact.verdict is not None:
            columns: Row = {"state": _STATES[fact.verdict], "bundle": fact.bundle}
            puts.append(Put("versions", (fact.model, fact.version), columns))
        if fact.rolls:
            model |= {"winner": fact.version, "winner_bundle": fact.bundle}
    puts.append(Put("models", (fact.model,), model))
    if fact.serves:
        puts += _deployed(fact, entry)
    return tuple(puts)


def _still_pending(fact: Concluded, entry: Entry) -> Row:
    """Whether the candidate that was looked at waits for another look."""
    if fact.serves or fact.rolls or fact.verdict == "rejected":
        return _NOBODY_PENDING
    return {"candidate_fact": entry.id, "candidate_due": fact.next_look}


def best_pinned(fact: BestPinned, entry: Entry) -> tuple[Put, ...]:  # noqa: ARG001 - one shape for all
    """A person says which version no candidate may fall behind."""
    columns: Row = {"best": fact.version, "best_bundle": fact.bundle}
    return (Put("models", (fact.model,), columns),)


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
    waiting: Row = {**_NOBODY_PENDING, "winner": None, "winner_bundle": None}
    model: Row = {"rollout": fact.rollout, **waiting}
    return (
        Put("rollouts", (fact.rollout,), rollout),
        *_passed_over(fact),
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
        # It waits for a person: the rows at the gate have done their part.
        model |= {**_NOBODY_PENDING, "candidate": fact.version}
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
    free: Row = {**_NOBODY_PENDING, "rollout": None, "winner": None, "winner_bundle": None}
    closed = (*_left(fact, "promoted", "retired", entry), *_passed_over(fact))
    return (*closed, Put("models", (fact.model,), free), *_deployed(fact, entry))


def rolled_back(fact: RolledBack, entry: Entry) -> tuple[Put, ...]:
    """An older champion serves, or the champion alone; promotion is held."""
    held: Row = {"held": 1, "rollout": None, "winner": None, "winner_bundle": None}
    closed = _left(fact, "rolled_back", "rejected", entry)
    return (*closed, Put("models", (fact.model,), held), *_deployed(fact, entry))


def _passed_over(fact: Promoted | RolloutOpened) -> tuple[Put, ...]:
    """A candidate that was pending while somebody chose another version."""
    if fact.candidate_before in (None, fact.version):
        return ()
    return (Put("versions", (fact.model, fact.candidate_before), {"state": "retired"}),)


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
    if fact.pins or fact.champion_before is None:  # the first champion is the best so far
        champion |= {"best": fact.version, "best_bundle": fact.bundle}
    puts.append(Put("models", (fact.model,), champion))
    return puts
