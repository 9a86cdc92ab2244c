"""How rollouts behave in simulation, beside the figures they are specified to have.

False roll-backs under equal models, requests until a worse model is found, a ramp of the traffic
with an incident in the middle, whole canaries with three metrics, unequal variances.
The evidence comes from the product's own functions, as tables of the least number of canary events
that is enough; all looks are after every request unless a line says otherwise.

Run: python benchmarks/bench_rollout_simulation.py
"""

from dataclasses import replace
from functools import cache
from math import log, sqrt
from time import perf_counter, process_time

import numpy as np
from figures import at_least, at_most, median_line, share_line

from everbake.core.rollout import (
    Baseline,
    Loss,
    LossBaseline,
    Options,
    Stage,
    Tally,
    assess,
    make_plan,
)
from everbake.core.rollout.disagreement import segment_shifts
from everbake.core.rollout.tally import Arm, Shadow, StageTally
from everbake.statistics.running import START, Moments, moments, one_sided, unpaired
from everbake.statistics.sequential import Split, uneven_traffic, worse

REQUESTS = 50_000
CHUNK = 100
Z = 1.6449  # one-sided 5 %
RAMP = ((0.01, 10_000), (0.05, 10_000), (0.25, 10_000), (0.5, 20_000))
INCIDENT = slice(35_000, 37_000)


# --- tables from the product's functions ----------------------------------------------------------


@cache
def least_canary(share, alpha, most, least=0):
    """By number of events n: the least number of canary events at which ln E+(1) is enough."""
    bar, table = log(1 / alpha), np.full(most + 1, most + 2)
    b = 0
    for n in range(1, most + 1):
        while b <= n and worse([Split(share, b, n)]) < bar:
            b += 1
        table[n] = max(b, least)
    return table


@cache
def widths(alpha, most):
    """One-sided standard errors by number of observations."""
    return np.array([0.0] + [one_sided(t, alpha) for t in range(1, most + 1)])


# --- simulations ----------------------------------------------------------------------------------


def equal_arms(rng, share, rate, runs):
    """Whether E+ and a z-test, both looked at after every request, cry harm under equal arms."""
    harm, z_harm = [], []
    table = least_canary(share, 0.05, int(rate * REQUESTS + 10 * sqrt(rate * REQUESTS)))
    for _ in range(runs // CHUNK):
        failed = rng.random((CHUNK, REQUESTS), dtype=np.float32) < rate
        canary = rng.random((CHUNK, REQUESTS), dtype=np.float32) < share
        n, b = (
            np.cumsum(failed, axis=1, dtype=np.int32),
            np.cumsum(failed & canary, axis=1, dtype=np.int32),
        )
        harm.append((b >= table[n]).any(axis=1))
        units = np.cumsum(canary, axis=1, dtype=np.int32)
        z_harm.append(_z_of(b, n, units)[:, 100:].max(axis=1) > Z)
    return np.concatenate(harm), np.concatenate(z_harm)


def _z_of(b, n, units):
    total = np.arange(1, REQUESTS + 1, dtype=np.float32)
    others = np.maximum(total - units, 1)
    mine = np.maximum(units, 1)
    pooled = n / total
    error = np.sqrt(pooled * (1 - pooled) * (1 / mine + 1 / others))
    return np.where(error > 0, (b / mine - (n - b) / others) / np.maximum(error, 1e-12), 0)


def detection(rng, share, rates, runs, alpha=0.05):
    """Requests until a canary that is worse is found: geometric gaps and arm labels of events."""
    champion, canary = rates
    rate = share * canary + (1 - share) * champion
    return _events_until(rng, (share, share * canary / rate), rate, runs, alpha)


def _events_until(rng, chances, rate, runs, alpha=0.05, most=2500):
    """`chances`: of an event to be the canary's, by the null and in truth."""
    share, truth = chances
    b = np.cumsum(rng.random((runs, most)) < truth, axis=1)
    found = b >= least_canary(share, alpha, most)[1:]
    assert found.any(axis=1).all()
    requests = np.cumsum(rng.geometric(rate, (runs, most)), axis=1)
    return requests[np.arange(runs), found.argmax(axis=1)]


def traffic(rng, share, runs):
    """Requests until a split of `share` instead of one half is found; 0 where it is not."""
    upper = np.zeros(REQUESTS + 1, dtype=np.int32)
    b = 0
    for n in range(1, REQUESTS + 1):
        b = max(b, n // 2)
        while b <= n and uneven_traffic([Split(0.5, b, n)]) < log(1000):
            b += 1
        upper[n] = b
    stops, total = [], np.arange(1, REQUESTS + 1, dtype=np.int32)
    for _ in range(runs // CHUNK):
        canary = rng.random((CHUNK, REQUESTS), dtype=np.float32) < share
        seen = np.cumsum(canary, axis=1, dtype=np.int32)
        found = np.maximum(seen, total - seen) >= upper[1:]
        stops.append(np.where(found.any(axis=1), found.argmax(axis=1) + 1, 0))
    return np.concatenate(stops)


def segments(rng, runs):
    """Whether the one segment with a true shift is named first: by lower bound, by the largest."""
    sizes = np.geomspace(200, 20_000, 20).astype(int)
    options = Options("shadow", "s", segments=tuple(f"g{i}" for i in range(20)))
    plan = make_plan(options, Baseline(score_sd=1.0))
    by_bound, by_size, null = [], [], []
    for _ in range(runs):
        means = rng.normal(size=20) / np.sqrt(sizes)
        spreads = rng.chisquare(sizes - 1)
        for shift, named in ((0.1, by_bound), (0.0, null)):
            moved = means + shift * (np.arange(20) == 18)
            kept = [
                (f"g{i}", Moments(int(n), float(m), float(s)))
                for i, (n, m, s) in enumerate(zip(sizes, moved, spreads, strict=True))
            ]
            first = segment_shifts(plan, Shadow(segments=tuple(kept)))[0]
            named.append(first.at_least > 0 and (first.name == "g18" or named is null))
            if named is by_bound:
                by_size.append(np.abs(moved).argmax() == 18)
    return np.array(by_bound), np.array(by_size), np.array(null)


def ramp(rng, runs):
    """A ramp with an incident in both arms: by stage after every event; pooled rates at the end."""
    shares = np.repeat([share for share, _ in RAMP], [n for _, n in RAMP])
    stage = np.repeat(range(len(RAMP)), [n for _, n in RAMP])
    rates = np.full(REQUESTS, 0.01)
    rates[INCIDENT] = 0.2
    by_stage, pooled = [], []
    for _ in range(runs):
        canary = rng.random(REQUESTS) < shares
        events = np.flatnonzero(rng.random(REQUESTS) < rates)
        by_stage.append(_stage_wise(stage[events], canary[events]))
        b, units = canary[events].sum(), canary.sum()
        p = len(events) / REQUESTS
        error = sqrt(p * (1 - p) * (1 / units + 1 / (REQUESTS - units)))
        pooled.append((b / units - (len(events) - b) / (REQUESTS - units)) / error > Z)
    return np.array(by_stage), np.array(pooled)


def _stage_wise(stages, canary):
    """Only a canary event can raise E+, so only those are looked at."""
    both, mine = [0] * len(RAMP), [0] * len(RAMP)
    for s, hit in zip(stages.tolist(), canary.tolist(), strict=True):
        both[s] += 1
        mine[s] += hit
        if hit:
            seen = [Split(RAMP[i][0], mine[i], both[i]) for i in range(s + 1)]
            if worse(seen) >= log(20):
                return True
    return False


def whole_canary(rng, share, runs):
    """Whether any of three metrics of an equal canary cries harm: 2 %, 1 % and 2 %."""
    hits = []
    for _ in range(runs // CHUNK):
        hit = np.zeros(CHUNK, dtype=bool)
        for rate, alpha in ((0.01, 0.02), (0.05, 0.01)):
            most = int(rate * REQUESTS + 10 * sqrt(rate * REQUESTS))
            counts = rng.binomial(REQUESTS, rate, CHUNK)
            b = np.cumsum(rng.random((CHUNK, most)) < share, axis=1)
            found = b >= least_canary(share, alpha, most, 5)[1:]
            hit |= (found & (np.arange(most) < counts[:, None])).any(axis=1)
        losses = rng.exponential(size=(CHUNK, int(0.3 * REQUESTS)))
        difference, error, n = _running(rng, losses, share)
        hit |= (difference - error * widths(0.02, losses.shape[1])[n] > 0).any(axis=1)
        hits.append(hit)
    return np.concatenate(hits)


def false_better(rng, runs, n=20_000, share=0.1):
    """Whether a canary of the same skewed losses looks better, by both kinds of variance."""
    largest, separate = [], []
    width = widths(0.05, n)
    for _ in range(runs // CHUNK):
        losses = rng.lognormal(sigma=1, size=(CHUNK, n))
        state = rng.bit_generator.state
        for kind, kept in (("max", largest), ("separate", separate)):
            rng.bit_generator.state = state  # the same arms for both
            difference, error, t = _running(rng, losses, share, kind)
            kept.append((difference + error * width[t] < 0).any(axis=1))
    return np.concatenate(largest), np.concatenate(separate)


def _running(rng, losses, share, kind="max"):
    """Difference and standard error after every label; 0 and infinite before the start."""
    canary = rng.random(losses.shape) < share
    arms = []
    for chosen in (canary, ~canary):
        n = np.cumsum(chosen, axis=1)
        mean = np.cumsum(losses * chosen, axis=1) / np.maximum(n, 1)
        square = np.cumsum(losses**2 * chosen, axis=1)
        arms.append((n, mean, (square - n * mean**2) / np.maximum(n - 1, 1)))
    (nb, mb, vb), (na, ma, va) = arms
    _check(losses[0], canary[0], mb[0, -1] - ma[0, -1])
    if kind == "max":
        variance = np.maximum(vb, va) * (1 / np.maximum(nb, 1) + 1 / np.maximum(na, 1))
    else:
        variance = vb / np.maximum(nb, 1) + va / np.maximum(na, 1)
    ready = np.minimum(nb, na) >= START
    return np.where(ready, mb - ma, 0), np.where(ready, np.sqrt(variance), np.inf), nb + na


def _check(losses, canary, difference):
    """The product's own moments say the same."""
    b, a = moments(losses[canary].tolist()), moments(losses[~canary].tolist())
    estimate = unpaired([(b, a)])
    assert estimate is not None
    assert abs(estimate.difference - difference) < 1e-9


def through_assess(rng, share, runs, ratio=1.0, step=500):
    """Steps of whole canaries through `assess`, looked at after every 500 requests."""
    reference = LossBaseline(Moments(10**5, 1.0, 1e5 - 1), 9.0, 4.6)
    options = Options("canary", "s", stages=(Stage(share, 0.0, 1000),), loss=Loss("loss", "mean"))
    plan = make_plan(options, Baseline(10**5, 1000, None, 0.3, reference))
    latency = replace(plan.rates[1], ratio=1.2, cap=0.06)
    plan = replace(plan, rates=(plan.rates[0], latency), most_requests=200_000)
    steps, stops = [], []
    for _ in range(runs):
        tally, passed, seen = Tally(), frozenset(), None
        while seen is None or seen.step == "wait":
            tally = tally.merge(_batch(rng, share, ratio, step))
            seen = assess(plan, tally, 0, 1.0, 1.0, passed)
            passed = seen.passed
        steps.append(seen.step)
        stops.append(tally.stages[0].canary.units + tally.stages[0].champion.units)
    return np.array(steps), np.array(stops)


def _batch(rng, share, ratio, n):
    canary = int(rng.binomial(n, share))
    arms = []
    for units, worse_by in ((canary, ratio), (n - canary, 1.0)):
        errors, slow = int(rng.binomial(units, 0.01 * worse_by)), int(rng.binomial(units, 0.05))
        losses = moments(rng.exponential(size=rng.binomial(units, 0.3)).tolist())
        arms.append(Arm(units, errors, slow, losses.n, losses))
    return Tally((StageTally(*arms),))


def at_the_margin(rng, runs, step=500, most=50_000):
    """Whether errors pass at exactly the ratio and the cap, roll-back switched off."""
    options = Options("canary", "s", stages=(Stage(0.5, 0.0, 10**9),), most_requests=most)
    plan = make_plan(options, Baseline(10**5, 1000))
    rule = replace(plan.rates[0], ratio=1.5, cap=0.015, alpha=1e-30)
    plan, passes = replace(plan, rates=(rule,)), []
    for _ in range(runs):
        tally, passed = Tally(), frozenset()
        for _ in range(most // step):
            tally = tally.merge(_batch(rng, 0.5, 1.5, step))
            passed = assess(plan, tally, 0, 1.0, 1.0, passed).passed
            if passed:
                break
        passes.append(bool(passed))
    return np.array(passes)


# --- the report -----------------------------------------------------------------------------------


def rates(runs=2000):
    """Equal arms, and requests until a worse canary is found."""
    for share, seed in ((0.5, 20240601), (0.1, 20240602)):
        hits, z_hits = equal_arms(np.random.default_rng(seed), share, 0.01, runs)
        name = f"equal arms, 1 %, 50,000 requests, share {share}"
        share_line(name, hits, "<= .05 (.040/.021)", at_most(0.05))
        share_line("  z-test on the same data", z_hits, ">= .30 (.394/.444)", at_least(0.3))
    cases = (
        (0.5, (0.01, 0.02), 3750),
        (0.1, (0.01, 0.02), 10_100),
        (0.5, (0.001, 0.01), 1670),
        (0.1, (0.001, 0.01), 3520),
    )
    for share, (champion, canary), wanted in cases:
        rng = np.random.default_rng(20240601)
        stops = detection(rng, share, (champion, canary), runs)
        name = f"{champion:.1%} to {canary:.0%}, share {share}: median/90 %"
        median_line(name, stops, wanted, 0.08)


def shadows(runs=2000):
    """Discordant pairs, the check of the traffic, and segments."""
    rng = np.random.default_rng(20240637)
    b = np.cumsum(rng.random((runs, 1500)) < 0.5, axis=1)
    hits = (b >= least_canary(0.5, 0.05, 1500)[1:]).any(axis=1)
    share_line(
        "discordant pairs, equal models, 1,500 of them", hits, "<= .05 (.036)", at_most(0.05)
    )
    for lost, wanted in ((0.01, 3997), (0.02, 964)):
        chances = (0.5, (0.06 + lost) / 2 / 0.06)
        stops = _events_until(rng, chances, 0.06, runs)
        median_line(f"  accuracy - {lost:.0%}, 6 % discordant", stops, wanted, 0.08)
    rng = np.random.default_rng(20240605)
    stops = traffic(rng, 0.5, runs)
    share_line("traffic split as declared, 50,000", stops > 0, "<= .003 (.0005)", at_most(0.003))
    stops = traffic(rng, 0.48, runs // 2)
    share_line("  48/52: found", stops > 0, ">= .99", at_least(0.99))
    median_line("  48/52: requests", stops[stops > 0], 9720, 0.08)
    named, largest, null = segments(np.random.default_rng(20240630), runs // 2)
    share_line(
        "segments: true shift ranked first by lower bound", named, ">= .99 (1.00)", at_least(0.99)
    )
    share_line("  by the largest shift", largest, "(.63)", at_most(0.8))
    share_line("  any named without a shift", null, "<= .01 (0)", at_most(0.01))


def wholes(runs=2000):
    """Ramp and incident, whole canaries, unequal variances."""
    stage_wise, pooled = ramp(np.random.default_rng(20240604), runs // 2)
    share_line("ramp 1 to 50 %, incident, by stage", stage_wise, "<= .05 (.033)", at_most(0.05))
    share_line("  pooled rates, looked at once", pooled, ">= .95 (1.000)", at_least(0.95))
    hits = whole_canary(np.random.default_rng(20240614), 0.5, runs)
    share_line("whole canary, equal arms, 50,000", hits, "<= .05 (.035)", at_most(0.05))
    largest, separate = false_better(np.random.default_rng(20240638), runs)
    share_line('lognormal 10/90 "better", larger variance', largest, "<= .05 (.016)", at_most(0.05))
    share_line("  separate variances", separate, ">= .06 (.098)", at_least(0.06))


def assessed(runs=200):
    """Whole canaries through the state machine."""
    steps, stops = through_assess(np.random.default_rng(20240615), 0.5, runs)
    share_line(
        "through assess, equal: rolled back", steps == "roll_back", "<= .07 (.037)", at_most(0.07)
    )
    promoted = steps == "promote"
    share_line("  promoted", promoted, ">= .93 (.963)", at_least(0.93))
    median_line("  requests until promoted", stops[promoted], 14_900, 0.15)
    steps, stops = through_assess(np.random.default_rng(20240617), 0.5, runs, ratio=2.0)
    back = steps == "roll_back"
    share_line("through assess, errors x 2: rolled back", back, ">= .98 (.999)", at_least(0.98))
    median_line("  requests until rolled back", stops[back], 5020, 0.15)
    passes = at_the_margin(np.random.default_rng(20240620), runs)
    share_line(
        "through assess, errors at the margin: passed",
        passes,
        "<= .05 + error (.042)",
        at_most(0.08),
    )


def main():
    """Print all figures; in brackets what the method was specified with."""
    start, busy = perf_counter(), process_time()
    for part in (rates, shadows, wholes, assessed):
        part()
    print(
        f"{perf_counter() - start:.0f} s, of which {process_time() - busy:.0f} s of one processor"
    )


if __name__ == "__main__":
    main()
