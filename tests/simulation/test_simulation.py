"""The whole loop on memory ports, in virtual time, with a crash at every port call."""

import os
import sys
from contextlib import contextmanager

import pytest
from simulation_crash import At, Dice
from simulation_faults import FAULTS
from simulation_story import (
    any_script,
    chosen,
    dice_of,
    play,
    script,
    taught,
    undecided,
    violations,
)

SIDES = ("before", "after", "lost")


@pytest.fixture(scope="module")
def plain():
    """The scripted history without a crash."""
    played = play(script())
    assert violations(played, played) == []
    return played


@pytest.fixture(scope="module")
def looked_at():
    """The histories of candidates that cannot be decided about, without a crash."""
    return {story: smooth(story) for story in (undecided, chosen)}


def smooth(story):
    played = play(story())
    assert violations(played, played) == []
    return played


def test_the_scripted_histories_do_everything_the_loop_can_do(plain, looked_at):
    played = (plain, *looked_at.values())
    told = {each.fact.__class__.__name__ for p in played for each in p.world.ledger.facts()}
    assert told == {
        "RecipeChanged",
        "DataArrived",
        "BatchQuarantined",
        "BatchRejected",
        "RetrainRequested",
        "RunPinned",
        "Trained",
        "TrainingFailed",
        "Evaluated",
        "LookPostponed",
        "Concluded",
        "Promoted",
        "RolloutEnded",
        "RolloutMoved",
        "RolloutOpened",
        "RolledBack",
        "BestPinned",
        "Paused",
        "Resumed",
    }
    verdicts = {row["verdict"] for row in plain.world.ledger.rows("runs")}
    assert {"promoted", "rejected", None} <= verdicts
    assert {row["state"] for row in plain.world.ledger.rows("quarantine")} == {
        "accepted",
        "rejected",
    }


# What each fault leaves behind.
TELLING = {
    "a fact recorded before its blob": "is named by a fact and is not there",
    "an acknowledgement before the commit": "fact ",
    "a second version number": "is concluded",
    "a lost quarantine": "batch_quarantined",
    "a run not resumed": "is unfinished",
}


def sweep(plain, story=script, wiring=None):
    """Every port call, on each side: what is wrong at the end, with where the crash was."""
    for call in range(1, plain.wire.calls + 1):
        for side in SIDES:
            played = play(story(), At(call, side), wiring)
            for wrong in violations(played, plain):
                yield f"crash {side} call {call} ({plain.wire.names[call - 1]}): {wrong}"


def test_a_crash_at_any_port_call_changes_nothing(plain, capsys):
    found = list(sweep(plain))
    assert found == [], "\n".join(found[:20])
    with capsys.disabled():
        points = len(SIDES) * plain.wire.calls
        sys.stdout.write(f"\nsimulation: {plain.wire.calls} port calls, {points} crash points\n")


@pytest.mark.parametrize("story", [undecided, chosen])
def test_a_crash_at_any_port_call_changes_nothing_about_who_is_pending(looked_at, story):
    found = list(sweep(looked_at[story], story))
    assert found == [], "\n".join(found[:20])


def test_a_crash_at_any_port_call_changes_nothing_about_who_is_taught_what():
    smoothly = smooth(taught)
    ledger = smoothly.world.ledger
    made = [(r["base"], r["rows_learned"], r["new_rows"]) for r in ledger.rows("versions")]
    assert made == [
        (None, 20, 0),
        (1, 40, 20),
        (None, 60, 0),
        (3, 60, 0),
        (4, 80, 20),
        (None, 80, 0),
        (1, 100, 80),
        (1, 100, 80),
    ]
    found = list(sweep(smoothly, taught))
    assert found == [], "\n".join(found[:20])


def looks(ledger, model):
    """What became of each look at a candidate that was pending."""
    runs = sorted(ledger.rows("runs", {"model": model}), key=lambda row: row["n"])
    looked = [row for row in runs if row["cause_kind"] == "pending"]
    return [(row["version"], row["state"], row["verdict"]) for row in looked]


def states(ledger, model):
    """Of the versions, in order."""
    return [row["state"] for row in ledger.rows("versions", {"model": model})]


def test_what_becomes_of_candidates_that_cannot_be_decided_about(looked_at):
    ledger = looked_at[undecided].world.ledger
    assert looks(ledger, "a") == [
        (2, "finished", "inconclusive"),
        (2, "postponed", None),
        (2, "finished", "promoted"),
    ]
    decided = sorted(
        ledger.rows("decisions", {"model": "a", "version": 2}), key=lambda row: row["n"]
    )
    assert [(row["look"], row["rows"]) for row in decided] == [(1, 10), (2, 20), (3, 45)]
    # The third and the fourth were undecided beside the second; the fifth won against it.
    assert states(ledger, "a") == ["retired", "retired", "retired", "retired", "champion"]
    assert ledger.rows("models", {"model": "a"})[0]["best"] == 1  # as somebody said at the end


def test_a_look_that_fails_waits_for_more_rows_and_a_winner_takes_over_by_its_rollout(looked_at):
    ledger = looked_at[chosen].world.ledger
    assert looks(ledger, "a") == [(2, "failed", None)]
    assert states(ledger, "a") == ["retired", "champion", "retired"]
    assert looks(ledger, "c") == [(2, "finished", "promoted")]
    assert states(ledger, "c")[:2] == ["retired", "champion"]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found_by_crashes_alone(plain, fault):
    assert violations(play(script(), None, FAULTS[fault]), plain) == []
    assert any(TELLING[fault] in wrong for wrong in sweep(plain, wiring=FAULTS[fault]))


@contextmanager
def replayed(seed):
    """Whatever goes wrong, the seed is told with it."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"EVERBAKE_SEED={seed} replays this")
        raise


def test_random_histories_with_random_crashes(counted, capsys):
    asked = os.environ.get("EVERBAKE_SEED")
    seeds = [int(asked)] if asked else range(counted(1000))
    crashes = 0
    for seed in seeds:
        dice = dice_of(seed)
        story = any_script(dice)
        with replayed(seed):
            smooth, rough = play(story), play(story, Dice(dice))
            assert violations(rough, smooth) + violations(smooth, smooth) == []
        crashes += rough.lives - 1
    with capsys.disabled():
        sys.stdout.write(f"\nsimulation: {len(seeds)} histories, {crashes} crashes lived through\n")
