"""kill -9 at any moment loses nothing that was acknowledged, and does nothing twice."""

import os
import random

import pytest
from kills.harness import EDGES, PLACES, Harness, ended, least_hit
from kills.project import Project
from kills.tape import STEPS


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
        edges = chance.sample(EDGES, counted(len(EDGES)))
        for turn, place in enumerate([*edges, *least_hit(harness, each_step)]):
            harness.kill_at(place, with_up=turn % 2 == 1)
        found = harness.finish()
    told(f"{len(harness.kills)} kills; each step: {dict(harness.hits)}\n")
    assert found == []
    assert all(harness.hits[step] >= each_step for step in STEPS)
    assert len(harness.acknowledged) == len(harness.project.batches)


@pytest.mark.parametrize(
    ("wiring", "expected"),
    [
        ("acknowledged-early", {"early", "lost"}),
        ("orphans-left", {"refused", "orphan"}),
        ("run-renamed", {"unfinished"}),
    ],
)
def test_the_harness_finds_a_planted_fault(tmp_path, told, chance, wiring, expected):
    with ended(Harness(Project(tmp_path, wiring), chance, told)) as harness:
        if wiring == "acknowledged-early":
            harness.kill_after_acknowledgement()
        else:
            harness.kill_at(PLACES[_KILLED_AT[wiring]][0], with_up=False)
        found = harness.finish()
    told(f"{wiring}: {found}\n")
    assert expected <= {violation.split(":")[0] for violation in found}


_KILLED_AT = {"orphans-left": "gap", "run-renamed": "train"}
