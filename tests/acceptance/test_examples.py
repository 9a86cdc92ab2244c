"""The examples in generated worlds whose truth is known: do the verdicts find it?"""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import pytest
from worlds.loops import EXAMPLES, WORLDS, looping

SEEDS = 20
HURT, FALSE, FRESH = 18, 3, 18  # of 20: rejections in hurt worlds, in sound ones; fresh is better
BESIDE = 2  # worlds at a time


def names(decision, segment):
    """Whether a decision is a rejection whose sentence names a segment."""
    return decision["verdict"] == "rejected" and segment in decision["because"]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_verdicts_find_what_is_true_in_generated_worlds(example, tmp_path, counted, told):
    seeds = counted(SEEDS)
    with looping(example, tmp_path / "project", seeds) as loops, ThreadPoolExecutor(BESIDE) as pool:
        made = list(pool.map(lambda each: loops.through(*each), product(WORLDS, range(seeds))))
        by_world = {world: [loop for loop in made if loop.world == world] for world in WORLDS}
        hurt = sum(names(loop.decisions[1], example.segment) for loop in by_world["hurt"])
        false = sum(loop.decisions[1]["code"] == "segment_hurt" for loop in by_world["off"])
        fresh = [loop.fresh_beside_frozen() for loop in by_world["drift"]]
        better = sum(decision.interval[0] > 0 for decision in fresh)
        early = [loop.too_early() for loop in made if example.key is not None]
    codes = {w: dict(Counter(loop.decisions[1]["code"] for loop in by_world[w])) for w in WORLDS}
    told(f"{example.name}, {seeds} seeds: {codes}")
    told(f"{hurt} name {example.segment}; {false} of sound worlds name a segment; {better} better")
    assert hurt >= seeds * HURT / SEEDS
    assert false <= seeds * FALSE / SEEDS
    assert better >= seeds * FRESH / SEEDS
    assert all(count == 0 and rows > 0 for count, rows in early)
