"""The whole loop on memory ports, in virtual time, with a crash at every port call."""

import os
import sys
from contextlib import contextmanager

import pytest
from simulation_crash import At, Dice
from simulation_faults import FAULTS
from simulation_story import any_script, dice_of, play, script, violations

SIDES = ("before", "after", "lost")


@pytest.fixture(scope="module")
def plain():
    """The scripted history without a crash."""
    played = play(script())
    assert violations(played, played) == []
    return played


def test_the_scripted_history_does_everything_the_loop_can_do(plain):
    told = {entry.fact.__class__.__name__ for entry in plain.world.ledger.facts()}
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
        "Concluded",
        "Promoted",
        "RolloutEnded",
        "RolloutMoved",
        "RolloutOpened",
        "RolledBack",
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


def sweep(plain, wiring=None):
    """Every port call, on each side: what is wrong at the end, with where the crash was."""
    for call in range(1, plain.wire.calls + 1):
        for side in SIDES:
            played = play(script(), At(call, side), wiring)
            for wrong in violations(played, plain):
                yield f"crash {side} call {call} ({plain.wire.names[call - 1]}): {wrong}"


def test_a_crash_at_any_port_call_changes_nothing(plain, capsys):
    found = list(sweep(plain))
    assert found == [], "\n".join(found[:20])
    with capsys.disabled():
        points = len(SIDES) * plain.wire.calls
        sys.stdout.write(f"\nsimulation: {plain.wire.calls} port calls, {points} crash points\n")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found_by_crashes_alone(plain, fault):
    assert violations(play(script(), None, FAULTS[fault]), plain) == []
    assert any(TELLING[fault] in wrong for wrong in sweep(plain, FAULTS[fault]))


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
