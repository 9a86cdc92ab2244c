"""Real flights, one after the other, on a faster clock: versions take over in the open, or go."""

import time

from rollouts.flights import MODEL, Flights, Traffic, days, moment

_RATE = 25_000.0  # a day in 3.5 seconds
_BOUND = 240.0  # seconds for anything to happen


def _until(what, condition):
    end = time.monotonic() + _BOUND
    while not (found := condition()):
        assert time.monotonic() < end, what
        time.sleep(0.2)
    return found


def _ended(flights, version):
    """The last word about a version's rollout, once there is one."""
    told = flights.ask("why", f"{MODEL}@{version}")["rollout"]
    return told if told is not None and told["state"] != "open" else None


def _week(flights):
    """A week of the champion alone, with labels: what the plan is made from."""
    _until("a week", lambda: flights.now() >= moment("2013-01-22"))


def _good(flights, kind):
    """A better recipe and another week: a version that wins, and is in its rollout."""
    _week(flights)
    flights.write()
    decision = flights.ingest("2013-01-14", "2013-01-22")["decision"]
    assert decision["verdict"] == "promoted", decision
    status = flights.status()
    assert (status["champion"], status["stage"]) == (1, kind)
    return status["candidate"]


def _broken(flights):
    """A recipe that adds a unit: the gate turns it away, and somebody promotes it all the same."""
    flights.write(broken=True)
    decision = flights.ingest("2013-01-22", "2013-01-25")["decision"]
    assert decision["verdict"] == "rejected", decision
    name = f"{MODEL}@{decision['version']}"
    flights.ask("promote", name, "--reason", "to see it go")
    return decision["version"]


def test_a_canary_lets_a_good_version_in_and_turns_a_broken_one_away(tmp_path, told):
    rollout = 'Canary(share=0.5, unit="request", limit="60d", latency="1s")'
    flights = Flights(tmp_path / "project", rollout, _RATE, "2013-01-13")
    flights.ingest("2013-01-01", "2013-01-14")
    flights.start()
    with flights.up() as address, Traffic(flights, address) as traffic:
        good = _good(flights, "canary")
        ended = _until("a promotion", lambda: _ended(flights, good))
        told(f"{days(flights)} version {good}: {ended['state']}. {ended['because']}")
        assert (ended["state"], flights.status()["champion"]) == ("promoted", good)
        broken = _broken(flights)
        ended = _until("a roll-back", lambda: _ended(flights, broken))
        told(f"{days(flights)} version {broken}: {ended['state']}. {ended['because']}")
        assert (ended["state"], flights.status()["champion"]) == ("rolled_back", good)
        before = traffic.answers[good]
        _until("answers", lambda: traffic.answers[good] > before + 50)
    assert traffic.failures == []
    assert min(traffic.answers[1], traffic.answers[good], traffic.answers[broken]) > 0
    told(f"answers by version: {dict(sorted(traffic.answers.items()))}\n")


def test_a_shadow_answers_nobody_and_takes_over(tmp_path, told):
    rollout = 'Shadow(segments=["origin"])'
    flights = Flights(tmp_path / "project", rollout, _RATE, "2013-01-13")
    flights.ingest("2013-01-01", "2013-01-14")
    flights.start()
    with flights.up() as address, Traffic(flights, address) as traffic:
        good = _good(flights, "shadow")
        ended = _until("an end", lambda: _ended(flights, good))
        told(f"{days(flights)}: {ended['state']}. {ended['because']}")
        for check in ended["checks"]:
            told(f"  {check['name']} {check['state']}: {check['detail']}")
        assert ended["state"] == "promoted"
        seen = {check["name"]: check["detail"] for check in ended["checks"]}
        assert "differs on" in seen["disagreement"]
        _until("answers", lambda: traffic.answers[good] > 50)
    assert traffic.failures == []
