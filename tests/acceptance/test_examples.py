"""The examples in generated worlds whose truth is known: do the verdicts find it?"""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import pytest
from worlds.loops import EXAMPLES, WORLDS, looping

SEEDS = 20
FOUND, FALSE, FRESH = 18, 3, 18  # of 20: what is hurt is named, what is not; fresh beats frozen
BESIDE = 2  # worlds at a time


def named(loops, segment=""):
    """How often the second version was rejected with a sentence that names a segment."""
    about = [loop.decisions[1] for loop in loops]
    return sum(
        decision["code"] == "segment_hurt" and segment in decision["because"] for decision in about
    )


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_verdicts_find_what_is_true_in_generated_worlds(example, tmp_path, counted, told):
    seeds = counted(SEEDS)
    with looping(example, tmp_path / "project", seeds) as run, ThreadPoolExecutor(BESIDE) as pool:
        made = list(pool.map(lambda each: run.through(*each), product(WORLDS, range(seeds))))
        worlds = {world: [loop for loop in made if loop.world == world] for world in WORLDS}
        fresh = list(pool.map(lambda loop: loop.fresh_beside_frozen(), worlds["drift"]))
        late = [loop.lateness() for loop in made if example.key is not None]
    for world, loops in worlds.items():
        codes = dict(Counter(loop.decisions[1]["code"] for loop in loops))
        told(f"{example.name}, {world}: {codes}")
    found, beats = named(worlds["hurt"], example.segment), sum(d.interval[0] > 0 for d in fresh)
    told(f"{found} of {seeds} name {example.segment}; in {beats} of {seeds} fresh beats frozen\n")
    assert found >= seeds * FOUND / SEEDS
    assert max(named(worlds["off"]), named(worlds["drift"])) <= seeds * FALSE / SEEDS
    assert beats >= seeds * FRESH / SEEDS
    assert all(-1 <= days <= 0 for days in late)  # and the last label came just before
