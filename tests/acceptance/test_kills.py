"""kill -9 at any moment loses nothing that was acknowledged, and does nothing twice."""

import os
import random

import pytest
from kills.harness import PLACES, Harness, ended, least_hit
from kills.project import Project
from kills.tape import STEPS


@pytest.fixture
def told(capsys):
    """Prints at once, whatever pytest does with output."""

    def tell(text):
        with capsys.disabled():
            print(f"\n{text}", end="", flush=True)

    return tell


@pytest.fixture
def chance(told):
    seed = int(os.environ.get("EVERBAKE_SEED") or random.randrange(10**6))
    told(f"EVERBAKE_SEED={seed} replays the kills")
    return random.Random(seed)


def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path, counted, chance, told):
    kills, each_step = counted(50), 2 if counted(10) == 10 else 1
    with ended(Harness(Project(tmp_path), chance, told)) as harness:
        while len(harness.kills) < kills:
            harness.kill_at_random(with_up=len(harness.kills) % 4 >= 2)
        for turn, place in enumerate(least_hit(harness, each_step)):
            harness.kill_at(place, with_up=turn % 2 == 1)
        found = harness.finish()
    told(f"{len(harness.kills)} kills; each step: {dict(harness.hits)}\n")
    assert found == []
    assert all(harness.hits[step] >= each_step for step in STEPS)
    assert len(harness.acknowledged) == len(harness.project.batches)


@pytest.mark.parametrize(
    ("wiring", "place", "with_up", "expected"),
    [
        ("acknowledged-early", "", True, {"early", "lost"}),
        ("orphans-left", PLACES["gap"][0], False, {"refused", "orphan"}),
        ("run-renamed", PLACES["train"][0], False, {"unfinished"}),
    ],
)
def test_the_harness_finds_a_planted_fault(
    tmp_path, told, chance, wiring, place, with_up, expected
):
    with ended(Harness(Project(tmp_path, wiring), chance, told)) as harness:
        if place:
            harness.kill_at(place, with_up=with_up)
        else:
            harness.kill_after_acknowledgement()
        found = harness.finish()
    told(f"{wiring}: {found}\n")
    assert expected <= {violation.split(":")[0] for violation in found}
