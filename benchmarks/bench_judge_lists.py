"""How long it takes to judge ranked lists by user. Target: NDCG@10 of 20,000 users below 2 s.

Run: python benchmarks/bench_judge_lists.py
"""

import resource
from statistics import median
from time import perf_counter

import numpy as np

from everbake import AtLeast, AtMost, judge
from everbake.core.ranking import Audience
from everbake.metrics import coverage, ndcg, popularity

ITEMS = 5_000
WANTED = 5
ROUNDS = 3
SIZES = ((20_000, 10, "target < 2 s"), (200_000, 20, "no target"))


def lists(wishes, k, share, random):
    """Random lists; those of a share of the users begin with a wanted item."""
    drawn = random.integers(0, ITEMS, (len(wishes), k)).tolist()
    hits = random.random(len(wishes)) < share
    for line, wish, hit in zip(drawn, wishes, hits, strict=True):
        if hit:
            line[0] = next(iter(wish))
    return drawn


def seconds(call):
    """The median of a few rounds."""
    spent = []
    for _ in range(ROUNDS):
        start = perf_counter()
        call()
        spent.append(perf_counter() - start)
    return median(spent)


def main():
    """Print the medians."""
    random = np.random.default_rng(0)
    for users, k, target in SIZES:
        drawn = random.integers(0, ITEMS, (users, WANTED)).tolist()
        wishes = [dict.fromkeys(line, 1.0) for line in drawn]
        before, after = (lists(wishes, k, share, random) for share in (0.3, 0.35))
        events = {item: 1 + item % 7 for item in range(ITEMS)}
        audience = Audience(np.arange(users), np.zeros(users, bool), events)
        rails = [AtLeast(coverage(k), 0.2), AtMost(popularity(k, events), 0.01)]

        def plain(k=k, data=(wishes, before, after)):
            judge(*data, metric=ndcg(k))

        def guarded(k=k, data=(wishes, before, after), rails=rails, audience=audience):
            judge(*data, metric=ndcg(k), guardrails=rails, rows=audience)

        print(f"ndcg@{k} of {users:,} users: {seconds(plain):.2f} s (median, {target})")
        print(f"  with coverage and popularity as guardrails: {seconds(guarded):.2f} s")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"  peak memory of this process, its data included: {peak:,.0f} MB")


if __name__ == "__main__":
    main()
