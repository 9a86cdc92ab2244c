"""A version in its rollout: who gets it, what is logged, and that nobody waits for a shadow."""

import asyncio
from collections import Counter

import pytest

from everbake.core.bundle import Input
from everbake.core.frames import Answered
from everbake.core.rollout_facts import Exposure
from everbake.serving.router import Challenger, Live
from everbake.serving.shadows import Shadows

URL = "/v1/models/line/predict"


def ask(client, feature=1.0, key=None):
    headers = {} if key is None else {"Everbake-Key": key}
    return client.post(URL, json={"rows": [{"feature": feature}]}, headers=headers)


@pytest.fixture
def rolling(served):
    """Begins a rollout and waits until the worker has taken it over."""

    def begin(**how):
        runtime = how.pop("runtime", "linear")
        bundle = served.bundle(factor=3.0, runtime=runtime)
        served.wait_for(served.roll(2, bundle, **how))
        return served

    return begin


def test_a_canary_answers_its_share_and_says_so(rolling, client):
    served = rolling(share=0.3)
    versions = Counter(ask(client).json()["version"] for _ in range(400))
    # A binomial of 400 at 0.3 lies outside of this once in ten million times.
    assert 72 < versions[2] < 170
    logged = served.logged()
    assert Counter(one.role for one in logged) == {"champion": versions[1], "canary": versions[2]}
    assert {(one.role, one.version) for one in logged} == {("champion", 1), ("canary", 2)}
    assert all(one.predictions == [1.0 * (one.version + 1)] for one in logged)
    assert {one.generation for one in logged} == {2}
    assert all(one.seconds > 0 for one in logged)


def test_who_names_the_champion_gets_it_and_takes_no_part_in_the_rollout(rolling, client):
    served = rolling(share=0.5)
    tensor = {"name": "feature", "shape": [1], "datatype": "FP64", "data": [1.0]}
    address = "/v2/models/line/versions/1/infer"
    answers = [client.post(address, json={"inputs": [tensor]}).json() for _ in range(40)]
    assert {answer["model_version"] for answer in answers} == {"1"}
    assert {(one.role, one.generation) for one in served.logged()} == {("champion", 0)}


def test_a_key_stays_with_its_version_on_every_worker_and_after_a_restart(rolling, client):
    served = rolling(unit="key", share=0.5)
    first = {key: ask(client, key=key).json()["version"] for key in map(str, range(60))}
    assert set(first.values()) == {1, 2}
    served.processes[0].kill()
    served.processes[0].wait()
    served.acknowledgement(0).unlink()
    served.start(worker=1)
    with served.client() as other:
        assert {key: ask(other, key=key).json()["version"] for key in first} == first


def test_a_growing_share_takes_nobody_back(rolling, client, served):
    rolling(unit="key", share=0.2)
    keys = [str(n) for n in range(100)]
    before = {key for key in keys if ask(client, key=key).json()["version"] == 2}
    rolling(unit="key", share=0.6)
    after = {key for key in keys if ask(client, key=key).json()["version"] == 2}
    assert before < after


def test_requests_without_a_key_stay_with_the_champion(rolling, client):
    rolling(unit="key", share=0.9)
    assert {ask(client).json()["version"] for _ in range(30)} == {1}


def test_a_shadow_scores_what_the_champion_answered_and_nobody_sees_it(rolling, client):
    served = rolling(kind="shadow", share=0.0)
    ids = [ask(client, feature=n).json()["ids"][0] for n in range(20)]
    shadows = served.wait(
        lambda: (
            [f for f in served.logged() if f.role == "shadow"][19:]
            and [f for f in served.logged() if f.role == "shadow"]
        )
    )
    assert [one.ids[0] for one in shadows] == ids
    assert [one.predictions for one in shadows] == [[3.0 * n] for n in range(20)]
    assert {one.version for one in shadows} == {2}
    champions = [one for one in served.logged() if one.role == "champion"]
    assert [one.predictions for one in champions] == [[2.0 * n] for n in range(20)]


def test_a_slow_shadow_delays_nobody_and_is_shed(rolling, client):
    served = rolling(kind="shadow", share=0.0, runtime="native")
    # The shadow takes 0.2 s for 555; what it cannot follow is dropped.
    answers = [ask(client, feature=555) for _ in range(300)]
    assert {answer.json()["predictions"][0] for answer in answers} == {1110.0}
    shadows = [one for one in served.frames() if one.role == "shadow"]
    assert len(shadows) < 300


def test_shadows_wait_in_bounded_memory():
    async def offered():
        shed = Counter()
        shadows = Shadows(None, lambda: 0.0, shed)
        exposure = Exposure("shadow", "request", "salt", 0.0)
        live = Live(1, 7, None, Challenger(2, None, exposure))
        answered = Answered(["id"] * 6_000, 0.0, 1, [], [], None, "champion", 7, 0.0)
        for _ in range(5):  # nothing else runs in between: none is scored
            shadows.offer("line", live, lambda _: [], answered)
        await shadows.close()
        return shed

    assert asyncio.run(offered()) == {"line": 3}


def test_a_failing_canary_fails_its_requests_and_they_are_counted(rolling, client):
    served = rolling(share=0.5, runtime="native")
    answers = [ask(client, feature=666) for _ in range(40)]
    failed = [answer for answer in answers if answer.status_code == 500]
    assert 0 < len(failed) < 40
    assert {answer.json()["code"] for answer in failed} == {"EB517"}
    errors = [one for one in served.frames() if one.error is not None]
    assert len(errors) == len(failed)
    assert {(one.role, one.version, one.error) for one in errors} == {("canary", 2, "EB517")}


def test_who_is_refused_by_the_canary_is_not_drawn_again(served, client):
    names = ("feature", "further")
    strict = tuple(Input(name, "float64", nullable=False, needed=True) for name in names)
    served.wait_for(served.roll(2, served.bundle(factor=3.0, inputs=strict), share=0.5))
    refused = sum(ask(client).status_code == 422 for _ in range(400))
    # A binomial of 400 at a half; had each refused one a second chance, it would be at a quarter.
    assert 140 < refused < 260


def test_what_the_champion_fails_a_shadow_is_asked_as_well(served, client):
    served.deploy(1, served.bundle(factor=2.0, runtime="native"))
    served.wait_for(served.roll(2, served.bundle(factor=3.0), kind="shadow", share=0.0))
    assert ask(client, feature=666).status_code == 500

    def both():
        seen = {one.role: one for one in served.frames() if one.role in ("champion", "shadow")}
        return seen if len(seen) == 2 else None

    seen = served.wait(both)
    assert seen["champion"].error == "EB517"
    assert seen["shadow"].error is None
    assert seen["shadow"].ids == seen["champion"].ids
    assert seen["shadow"].predictions == [3.0 * 666]


def test_a_challenger_that_cannot_be_loaded_leaves_the_champion_alone(served, client):
    generation = served.roll(2, "0" * 64)
    said = served.wait(
        lambda: (found := served.acknowledged()) and "line" in found["failed"] and found
    )
    assert said["failed"]["line"] == generation
    assert {ask(client).json()["version"] for _ in range(20)} == {1}
