"""When a request may still wait for a host. Times are given, nothing is measured here."""

import random
from collections.abc import Iterable
from itertools import accumulate

from everbake.serving.pace import Pace, Queued

ROW = 0.002


def asked(arrivals: Iterable[float], *, noise: float = 0.0) -> list[float]:
    """The times from acceptance to answer, where a row takes 2 ms.

    A call takes longer by up to the share that is noise.
    """
    pace = Pace(64)
    chance = random.Random(1)
    waiting: list[float] = []
    at_work: list[float] = []
    taken: list[float] = []
    until = 0.0
    for arrival in arrivals:
        while at_work and until <= arrival:
            taken += [until - each for each in at_work]
            pace.end(until)
            at_work, waiting = waiting, []
            if at_work:
                pace.begin(len(at_work), until)
                until += len(at_work) * ROW * (1 + noise * chance.random())
        if pace.admits(Queued(len(waiting), len(waiting)), 1, arrival):
            if at_work:
                waiting.append(arrival)
            else:
                at_work, until = [arrival], arrival + ROW
                pace.begin(1, arrival)
    return taken


def evenly(seconds: float, every: float) -> list[float]:
    return [number * every for number in range(int(seconds / every))]


def test_under_three_times_what_it_can_do_the_accepted_are_answered_soon():
    taken = sorted(asked(evenly(60, ROW / 3)))
    assert len(taken) > 0.95 * 60 / ROW
    assert taken[int(0.99 * len(taken))] < 0.030 + ROW  # of 50 ms that are promised


def test_also_where_calls_are_held_up_the_accepted_are_answered_soon():
    taken = sorted(asked(evenly(60, ROW / 3), noise=1.5))
    assert taken[int(0.99 * len(taken))] < 0.050 + ROW


def test_below_what_it_can_do_nobody_is_refused():
    assert len(asked(evenly(10, 1.25 * ROW))) >= 10 / (1.25 * ROW) - 2


def test_callers_that_know_nothing_of_each_other_are_hardly_refused_at_four_fifths_of_it():
    chance = random.Random(2)
    arrivals = list(accumulate(chance.expovariate(0.8 / ROW) for _ in range(20_000)))
    assert len(asked(arrivals)) > 0.98 * len(arrivals)


def test_a_burst_on_an_idle_host_is_taken_up_to_the_number():
    pace = Pace(64)
    pace.begin(1, 0.0)
    pace.end(1.0)  # a second a row
    assert pace.admits(Queued(0, 0), 1, 5.0)
    pace.begin(1, 5.0)
    accepted = [pace.admits(Queued(n, n), 1, 5.01) for n in range(70)]
    assert accepted == [True] * 64 + [False] * 6


def test_a_queue_that_stands_is_refused_but_one_may_wait_behind_another():
    pace = Pace(64)
    pace.begin(1, 0.0)
    pace.end(1.0)
    pace.begin(1, 1.0)
    assert pace.admits(Queued(5, 5), 1, 1.5)  # the first call of a host starts cold
    pace.end(2.0)
    pace.begin(1, 2.0)
    pace.end(3.0)
    pace.begin(1, 3.0)
    assert pace.admits(Queued(0, 0), 1, 3.5)
    assert not pace.admits(Queued(5, 5), 1, 3.5)


def test_one_call_that_was_held_up_makes_no_row_dear():
    pace = Pace(64)
    for call in range(10):
        pace.begin(10, call * 0.01)
        pace.end(call * 0.01 + 0.01)  # 1 ms a row, without a rest
    pace.begin(1, 0.1)
    pace.end(0.4)
    pace.begin(1, 0.4)
    assert pace.admits(Queued(6, 6), 1, 0.4)


def test_work_without_a_pause_allows_no_long_queue():
    pace = Pace(64)
    for call in (-2, -1):
        pace.begin(1, call * 0.002)
        pace.end(call * 0.002 + 0.002)
    pace.begin(100, 0.0)
    pace.end(0.2)  # 2 ms a row
    pace.begin(1, 0.202)
    accepted = [pace.admits(Queued(n, n), 1, 0.202) for n in range(64)]
    assert 3 <= sum(accepted) <= 10


def test_a_call_that_costs_the_same_for_many_rows_refuses_nobody():
    pace, chance = Pace(64), random.Random(3)
    coming = [chance.uniform(0, 0.001) for _ in range(16)]  # of callers that wait for their answers
    now, waiting = 0.0, 0
    for _ in range(200):
        now = max(now, min(coming))
        waiting = sum(each <= now for each in coming)
        coming = sorted(coming)[waiting:]
        pace.begin(waiting, now)
        end = now + 0.015 + 1e-5 * waiting  # without a rest
        for queued, arrival in enumerate(each for each in coming if each < end):
            assert pace.admits(Queued(queued, queued), 1, arrival)
        pace.end(end)
        coming += [end + chance.uniform(0, 0.002) for _ in range(waiting)]
        now = end
