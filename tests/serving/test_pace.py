"""When a request may still wait for a host. Times are given, nothing is measured here."""

from everbake.serving.pace import Pace, Queued

ROW = 0.002


def overloaded(seconds: float, *, every: float, most: int = 64) -> list[float]:
    """The times from acceptance to answer, where a row takes 2 ms and one comes every so often."""
    pace = Pace(most)
    waiting: list[float] = []
    at_work: list[float] = []
    taken: list[float] = []
    until = arrival = 0.0
    while arrival < seconds:
        while at_work and until <= arrival:
            taken += [until - each for each in at_work]
            pace.end(until)
            at_work, waiting = waiting, []
            if at_work:
                pace.begin(len(at_work), until)
                until += len(at_work) * ROW
        if pace.admits(Queued(len(waiting), len(waiting)), 1, arrival):
            if at_work:
                waiting.append(arrival)
            else:
                at_work, until = [arrival], arrival + ROW
                pace.begin(1, arrival)
        arrival += every
    return taken


def test_under_three_times_what_it_can_do_the_accepted_are_answered_soon():
    taken = sorted(overloaded(60, every=ROW / 3))
    assert len(taken) > 0.95 * 60 / ROW
    assert taken[int(0.99 * len(taken))] < 0.050 + ROW


def test_below_what_it_can_do_nobody_is_refused():
    assert len(overloaded(10, every=1.25 * ROW)) >= 10 / (1.25 * ROW) - 2


def test_a_burst_on_an_idle_host_is_taken_up_to_the_number():
    pace = Pace(64)
    pace.begin(1, 0.0)
    pace.end(1.0)  # a second a row
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
    assert pace.admits(Queued(10, 10), 1, 0.4)


def test_a_short_gap_in_too_much_work_allows_no_long_queue():
    pace = Pace(64)
    for call in (-2, -1):
        pace.begin(1, call * 0.002)
        pace.end(call * 0.002 + 0.002)
    pace.begin(100, 0.0)
    pace.end(0.2)  # 2 ms a row
    pace.begin(1, 0.21)
    accepted = [pace.admits(Queued(n, n), 1, 0.21) for n in range(64)]
    assert 10 <= sum(accepted) <= 20


def test_a_call_that_costs_the_same_for_many_rows_refuses_nobody():
    pace, now = Pace(64), 0.0
    for call in range(200):
        rows = 1 + call % 16
        pace.begin(rows, now)
        assert all(pace.admits(Queued(n, n), 1, now) for n in range(16))
        now += 0.015 + 1e-5 * rows  # without a rest
        pace.end(now)
