"""How long a whole judgement takes, beside `scipy.stats.bootstrap` in the same run.

Ours is `everbake.judge` from arrays to the decision with its sentence: the median of a few calls,
after one that loads what is loaded lazily. Budgets are seconds of a processor, which what else
runs on the machine does not lengthen; on an idle one the clock says the same.

SciPy's bootstrap gives an interval alone, by percentiles (BCa would need a jackknife of as many
samples as rows). Where its statistic is vectorised it gets the row losses, or the users' values,
ready made; elsewhere it calls scikit-learn once a resample and model. What would take minutes is
run with fewer resamples and scaled up, as the column tells.

The last line judges 10 million rows in a process of its own: time, and memory beside the arrays.

Run: python benchmarks/bench_gate.py [--rows 100000] [--million 10] [--rounds 5]
"""

import argparse
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np
from scipy.stats import bootstrap
from sklearn import metrics as sk
from timing import machine

from everbake import judge
from everbake.metrics import mean_squared_error, ndcg

USERS, WANTED, ITEMS, CUT, SEGMENTS = 20_000, 8, 3000, 10, 50
RESAMPLES = 2000
MEMORY = 1000.0  # MB that a judgement of 10 million rows may take beside its arrays
_MEGA = 1_000_000


@dataclass(frozen=True)
class Case:
    """One kind of judgement.

    Attributes:
        name: what is judged.
        ours: judges it.
        peer: SciPy's bootstrap with that number of resamples.
        drawn: resamples that the peer is run with; the time is scaled up to 2,000.
        budget: seconds of ours, or None where none is promised.
    """

    name: str
    ours: Callable[[], Any]
    peer: Callable[[int], Any]
    drawn: int = RESAMPLES
    budget: float | None = None


def resampled(data, statistic, count, *, vectorized):
    """SciPy's paired bootstrap."""
    return bootstrap(
        data,
        statistic,
        n_resamples=count,
        paired=True,
        vectorized=vectorized,
        batch=20,
        method="percentile",
        rng=np.random.default_rng(0),
    )


def of_losses(champion, candidate):
    """SciPy on two arrays of row losses (or of users' scores)."""

    def difference(first, second, axis=-1):
        return np.mean(first, axis=axis) - np.mean(second, axis=axis)

    return lambda count: resampled((champion, candidate), difference, count, vectorized=True)


def of_metric(metric, y, champion, candidate):
    """SciPy on outcomes and answers, by a metric of scikit-learn's form."""

    def difference(truth, first, second):
        return metric(truth, second) - metric(truth, first)

    return lambda count: resampled((y, champion, candidate), difference, count, vectorized=False)


def ninetieth_percentile_error(y, p):
    """A metric that everbake knows nothing of."""
    return float(np.quantile(np.abs(y - p), 0.9))


def regression(rng, n):
    """Outcomes and the answers of two models that are equally good."""
    y = rng.normal(size=n)
    return y, y + rng.normal(size=n), y + rng.normal(size=n)


def classification(rng, n):
    """Outcomes, one in ten positive, and scores of two models."""
    y = rng.random(n) < 0.1
    common = 1.5 * y + rng.normal(size=n)
    first, second = common + 0.5 * rng.normal(size=(2, n))
    return y.astype(int), 1 / (1 + np.exp(-first)), 1 / (1 + np.exp(-second))


def lists(rng):
    """What users wanted, and two lists of ten items for each."""
    wanted = [rng.choice(ITEMS, WANTED, replace=False).tolist() for _ in range(USERS)]
    shown = [
        [(wants[:3] + rng.integers(0, ITEMS, CUT - 3).tolist()) for wants in wanted]
        for _ in range(2)
    ]
    return wanted, [[rng.permutation(line).tolist() for line in lines] for lines in shown]


def cases(n):
    """All of them."""
    rng = np.random.default_rng(0)
    y, before, after = regression(rng, n)
    squares = (y - before) ** 2, (y - after) ** 2
    parts = rng.integers(0, SEGMENTS, n)
    names = np.array([f"region {code}" for code in range(SEGMENTS)])[parts]
    flags, first, second = classification(rng, n)
    wanted, (old, new) = lists(rng)
    metric = ndcg(CUT)
    by_user = [
        np.array([metric([w], [s]) for w, s in zip(wanted, one, strict=True)]) for one in (old, new)
    ]
    return [
        Case(
            "squared error",
            lambda: judge(y, before, after, metric=mean_squared_error),
            of_losses(*squares),
            200,
            0.05,
        ),
        Case(
            f"squared error, {SEGMENTS} segments",
            lambda: judge(y, before, after, metric=mean_squared_error, segments={"region": names}),
            _each_segment(squares, parts),
            200,
            0.5,
        ),
        Case(
            "AUROC",
            lambda: judge(flags, first, second, metric=sk.roc_auc_score),
            of_metric(sk.roc_auc_score, flags, first, second),
            20,
            0.5,
        ),
        Case(
            "average precision, 2,000 resamples",
            lambda: judge(flags, first, second, metric=sk.average_precision_score),
            of_metric(sk.average_precision_score, flags, first, second),
            20,
            10.0,
        ),
        Case(
            "a callable it knows nothing of",
            lambda: judge(y, before, after, metric=ninetieth_percentile_error, better="lower"),
            of_metric(ninetieth_percentile_error, y, before, after),
            50,
        ),
        Case(
            f"NDCG@{CUT}, {USERS:,} users",
            lambda: judge(wanted, old, new, metric=metric),
            of_losses(*by_user),
            RESAMPLES,
            2.0,
        ),
    ]


def _each_segment(squares, parts):
    """SciPy on the rows of each segment, one after the other."""

    def run(count):
        for part in range(SEGMENTS):
            of_losses(*(loss[parts == part] for loss in squares))(count)

    return run


def timed(call):
    """What the call gives, its seconds by the processor and by the clock."""
    start, used = perf_counter(), process_time()
    given = call()
    return given, process_time() - used, perf_counter() - start


def line(case, rounds):
    """Measure and print one case; whether it kept its budget."""
    case.ours()
    runs = [timed(case.ours) for _ in range(rounds)]
    evidence = runs[0][0].evidence
    busy, clock = (median(column) for column in list(zip(*runs, strict=True))[1:])
    scale = RESAMPLES / case.drawn
    _, peer_busy, _ = timed(lambda: case.peer(case.drawn))
    scaled = "" if scale == 1 else f" ({case.drawn} x {scale:.0f})"
    how = f"{evidence.method}, {evidence.resamples:,} resamples".removesuffix(", 0 resamples")
    kept = case.budget is None or busy <= case.budget
    told = "" if case.budget is None else f"{case.budget:g} s {_told(kept)}"
    _print(case.name, busy, clock, f"{peer_busy * scale:7.1f} s{scaled}", told, how)
    return kept


def _print(name, busy, clock, peer, budget, how):
    ours = f"{busy:6.3f} s ({clock:.3f} s)"
    print(f"{name:<36} | {ours:<19} | {peer:<21} | {budget:<13} | {how}", flush=True)


def _told(kept):
    return "ok" if kept else "MISSED"


def many(n):
    """Judge `n` rows and print seconds, processor seconds and memory beyond the arrays in MB."""
    rng = np.random.default_rng(1)
    y, before, after = regression(rng, n)
    judge(y[:1000], before[:1000], after[:1000], metric=mean_squared_error)
    held = _peak()
    start, used = perf_counter(), process_time()
    judge(y, before, after, metric=mean_squared_error)
    print(perf_counter() - start, process_time() - used, held, _peak() - held)


def _peak():
    """The most memory that this process ever had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def many_line(millions):
    """The same in a process of its own; whether its memory kept its bound."""
    words = [sys.executable, __file__, "--child", str(millions)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    seconds, busy, held, more = map(float, done.stdout.split())
    bound = MEMORY * max(millions / 10, 0.1)
    told = f"{bound:g} MB {_told(more <= bound)}"
    how = f"peak {held + more:.0f} MB, {more:.0f} of them beside process and arrays"
    _print(f"squared error, {millions:g} million rows", busy, seconds, "not run", told, how)
    return more <= bound


def main():
    """Print the table; the status is 1 if a budget is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--million", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--child", type=float, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child is not None:
        many(int(chosen.child * _MEGA))
        return
    print(f"{machine()}; {chosen.rows:,} rows; {chosen.rounds} calls of ours, median")
    print(
        f"{'what':<36} | {'ours (by the clock)':<19} | {'scipy, 2,000':<21} | {'budget':<13} | how"
    )
    kept = [line(case, chosen.rounds) for case in cases(chosen.rows)]
    kept.append(many_line(chosen.million))
    sys.exit(not all(kept))


if __name__ == "__main__":
    main()
