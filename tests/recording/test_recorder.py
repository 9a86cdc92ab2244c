"""Each request is recorded once, whatever ends in the middle of what."""

import fcntl
import logging
import random
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace

import msgspec
import pytest

from everbake.core.frames import Answered, framed
from everbake.core.rollout import (
    Loss,
    Matured,
    Options,
    Pair,
    Served,
    Stage,
    make_plan,
    tally_losses,
    tally_pairs,
    tally_requests,
)
from everbake.core.rollout.planning import Baseline, LossBaseline
from everbake.core.rollout.tally import tally_events, tally_paired_losses
from everbake.core.spec import RecipeSpec, Table
from everbake.recording.hours import decoded
from everbake.recording.labels import Label
from everbake.recording.store import plain
from everbake.statistics.running import Moments

STAGES = (Stage(0.1, 3600.0, 200), Stage(0.5, 3600.0, 200))
BASELINE = Baseline(100_000, 1000, None, 0.25, LossBaseline(Moments(5000, 0.2, 200.0), 3.0, 0.9), 2)


def request(name, role="champion", generation=1, key=None, prediction=5.0, **more):
    rows = [] if "error" in more else [{"feature": 1.0, "region": "n" if int(name) % 3 else "s"}]
    predictions = [] if "error" in more else [prediction]
    version = 1 if role == "champion" else 2
    fields = {"seconds": 0.001, "error": None, **more}
    return Answered(
        [name], 1000.0, version, rows, predictions, key, role, generation, *fields.values()
    )


def traffic(number, kinds=("champion", "canary"), generations=(9, 10, 11)):
    """Requests of every kind, the same each time."""
    dice = random.Random(3)
    found = []
    for at in range(number):
        more = {"seconds": dice.choice((0.001, 0.9))}
        if dice.random() < 0.1:
            more["error"] = "EB517"
        key = dice.choice((None, *"uvwxyz"))
        place = (dice.choice(kinds), dice.choice(generations))
        found.append(request(str(at), *place, key, dice.uniform(0, 9), **more))
    return found


def counted(desk):
    return (
        desk.hours("sum(requests)"),
        desk.hours("sum(errors)"),
        desk.store.rows("SELECT count(*) FROM answers")[0][0],
    )


def expected(requests):
    good = sum(one.error is None for one in requests)
    return len(requests), len(requests) - good, good


def test_a_torn_tail_is_recorded_once_it_is_whole(desks):
    desk = desks()
    segment = desk.segment()
    requests = traffic(6)
    segment.write(*requests[:5])
    data = segment.frames.frames(requests[5])
    for byte in data:
        desk.recorder.look()
        assert counted(desk) == expected(requests[:5])
        segment.add(bytes([byte]))
        if byte % 7 == 0:
            desk.begin()
    desk.recorder.look()
    assert counted(desk) == expected(requests)
    name = segment.path.name
    assert desk.records.recorded([name, "gone.seg"]) == {name: segment.path.stat().st_size}


@pytest.mark.parametrize("damage", [b"\x93\x01\x02\x03", b"\xc1", b"\x92\xa1r\x07"])
def test_a_damaged_segment_holds_up_no_other(desks, caplog, damage):
    desk, requests = desks(), traffic(9)
    first, second, third = (desk.segment(number) for number in (1, 2, 3))
    first.write(*requests[:3])
    first.add(framed(damage))
    first.write(*requests[3:4])
    second.path.write_bytes(framed(damage))  # not even its header can be read
    third.write(*requests[4:7])
    with caplog.at_level(logging.ERROR):
        desk.recorder.look()
    assert counted(desk) == expected([*requests[:3], *requests[4:7]])
    assert {first.path.name, second.path.name} == {
        name for name in (first.path.name, second.path.name) if name in caplog.text
    }
    third.write(*requests[7:])
    desk.begin().look()
    assert counted(desk) == expected([*requests[:3], *requests[4:]])


def test_segments_that_are_taken_away_are_no_trouble(desks):
    desk, requests = desks(), traffic(6)
    first, second = desk.segment(1), desk.segment(2)
    first.write(*requests[:3])
    desk.recorder.look()
    first.path.unlink()
    second.write(*requests[3:])
    desk.recorder.look()
    assert counted(desk) == expected(requests)


def test_a_full_disk_loses_nothing(desks):
    desk = desks()
    desk.ledger.open(make_plan(Options("canary", "s", stages=STAGES), BASELINE))
    segment, requests = desk.segment(), traffic(400)
    segment.write(*requests[:50])
    desk.recorder.look()
    (pages,) = desk.store.rows("PRAGMA page_count")[0]
    desk.store.rows(f"PRAGMA max_page_count = {pages + 2}")
    segment.write(*requests[50:])
    for _ in range(3):
        with pytest.raises(sqlite3.OperationalError, match="full"):
            desk.recorder.look()
        assert counted(desk) == expected(requests[:50])
    desk.store.rows("PRAGMA max_page_count = 100000")
    desk.recorder.look()
    assert counted(desk) == expected(requests)
    tally, _ = desk.records.tally("o1", 0)
    assert tally == tally_requests(served(requests))


def served(requests):
    return [
        Served(one.generation - 10, one.role == "canary", one.error is not None, one.seconds > 0.25)
        for one in requests
        if one.generation >= 10
    ]


@pytest.mark.parametrize("pieces", [1, 7, 60])
def test_a_tally_by_request_is_a_count_of_the_log(desks, pieces):
    desk, requests = desks(), traffic(600)
    desk.ledger.open(make_plan(Options("canary", "s", stages=STAGES), BASELINE))
    recorded(desk, requests, pieces)
    assert desk.records.tally("o1", 0)[0] == tally_requests(served(requests))


def test_a_request_of_which_a_row_failed_is_one_request_and_one_failure(desks):
    desk = desks()
    desk.ledger.open(make_plan(Options("canary", "s", stages=STAGES), BASELINE))
    whole = [one for one in traffic(40) if one.generation >= 10 and one.error is None]
    rest = msgspec.structs.replace(
        whole[0], ids=["f" * 32], rows=[], predictions=[], error="EB517", part=True
    )
    recorded(desk, [*whole, rest], 3)
    tally = desk.records.tally("o1", 0)[0]
    expected_tally = tally_requests(served(whole))
    units, errors = (
        [
            [getattr(arm, name) for stage in each.stages for arm in (stage.canary, stage.champion)]
            for each in (tally, expected_tally)
        ]
        for name in ("units", "errors")
    )
    assert units[0] == units[1]
    assert sum(errors[0]) == sum(errors[1]) + 1
    assert desk.records.baseline("line", whole[0].version, 0.0, None).errors == 1


@pytest.mark.parametrize("pieces", [1, 7, 60])
def test_a_tally_by_key_counts_the_first_event_of_each_caller(desks, pieces):
    desk, requests = desks(), traffic(80)
    options = Options("canary", "s", "key", STAGES, latency_budget=0.25)
    desk.ledger.open(make_plan(options, BASELINE))
    recorded(desk, requests, pieces)
    of_keys = {}
    for one in requests:
        if one.key is not None and one.generation >= 10:
            of_keys.setdefault(one.key, []).append(one)
    first, again = [], []
    for each in of_keys.values():
        events = served(each)
        first.append(events[0])
        moved = next((at for at, one in enumerate(events) if one.canary), 0)
        before = events[:moved]
        if moved and not any(one.error or one.over_budget for one in before):
            # A growing share took this caller to the canary: it is a unit of both.
            first.append(Served(events[moved].stage, canary=True, moved=True))
        for name in ("error", "over_budget"):
            hit = next((at for at, one in enumerate(events) if getattr(one, name)), 0)
            if hit:
                place = (events[hit].stage, events[hit].canary)
                again.append(Served(*place, **{name: True}))
    assert desk.records.tally("o1", 0)[0] == tally_requests(first).merge(tally_events(again))


def recorded(desk, requests, pieces):
    """Record requests bit by bit, by recorders that begin anew."""
    segment = desk.segment()
    size = -(-len(requests) // pieces)
    for at in range(0, len(requests), size):
        segment.write(*requests[at : at + size])
        desk.recorder.look()
        desk.begin()
    desk.recorder.look()


@pytest.mark.parametrize("pieces", [1, 7, 100])
def test_a_shadow_is_paired_with_what_was_answered(desks, pieces):
    plan = make_plan(Options("shadow", "s", segments=("region",)), BASELINE)
    desk, dice, requests, pairs = desks(), random.Random(5), [], []
    desk.ledger.open(plan)
    for at in range(100):
        before = dice.uniform(0, 9)
        after = dice.choice((before, before + 1.0, None))
        requests.append(request(str(at), generation=10, prediction=before))
        fate = {"error": "EB517"} if after is None else {"prediction": after}
        shadow = request(str(at), "shadow", 10, **fate)
        requests.append(shadow)
        if after is None:
            pairs.append(Pair(canary_failed=True))
        else:
            named = (f"region={'n' if at % 3 else 's'}",)
            pairs.append(Pair(difference=after - before, segments=named))
    recorded(desk, requests, pieces)
    shadow = desk.records.tally("o1", 0)[0].shadow
    wanted = tally_pairs(pairs, plan.score_sd).shadow
    assert (shadow.pairs, shadow.answered, shadow.failed) == (100, wanted.answered, wanted.failed)
    assert shadow.differing == wanted.differing
    assert shadow.differences.mean == pytest.approx(wanted.differences.mean)
    assert [name for name, _ in shadow.segments] == [name for name, _ in wanted.segments]
    assert desk.hours() == 100  # of the champion only


@pytest.mark.parametrize("kind", ["canary", "shadow"])
def test_losses_of_a_rollout_count_when_their_labels_are_final(desks, kind):
    desk = desks(table=Table(label="target", label_delay="100s"))
    loss = Loss("mean_squared_error", "mean")
    plan = make_plan(Options(kind, "s", loss=loss, maturity=100.0), BASELINE)
    assert plan.quality is not None
    desk.ledger.open(plan)
    other = "canary" if kind == "canary" else "shadow"
    requests = [request(str(at), generation=10, prediction=1.0) for at in range(40)]
    names = range(40) if kind == "shadow" else range(40, 80)
    requests += [request(str(at), other, 10, prediction=2.0) for at in names]
    desk.segment().write(*requests)
    labels = [Label("id", one.ids[0], plain(1.5 + at % 2), "me", 1000.0)
              for at, one in enumerate(requests)]  # fmt: skip
    desk.recorder.label("line", labels)
    desk.time = 1099.0
    desk.recorder.look()
    assert losses_of(desk, kind) == 0
    desk.time = 1100.0
    for _ in range(3):
        desk.begin().look()
    clipped = plan.quality.clipped
    truth = [(clipped((1.0 - t) ** 2), clipped((2.0 - t) ** 2)) for t in (1.5, 2.5) * 20]
    if kind == "shadow":
        assert (
            desk.records.tally("o1", 0)[0].shadow.losses == tally_paired_losses(truth).shadow.losses
        )
        return
    rows = [Matured(0, at == 1, pair[at]) for pair in truth for at in (0, 1)]
    kept = desk.records.tally("o1", 0)[0].stages[0]
    wanted = tally_losses(rows).stages[0]
    for arm in ("champion", "canary"):
        mine, theirs = getattr(kept, arm), getattr(wanted, arm)
        assert (mine.losses.n, mine.wrong) == (theirs.losses.n, theirs.wrong)
        assert mine.losses.mean == pytest.approx(theirs.losses.mean)


@pytest.mark.parametrize("kind", ["canary", "shadow"])
def test_the_first_row_speaks_for_a_request(desks, kind):
    desk = desks()
    loss = Loss("mean_squared_error", "mean")
    desk.ledger.open(make_plan(Options(kind, "s", loss=loss), BASELINE))
    segment, names = desk.segment(), []
    for at in range(20):
        ids = [f"{at}-{row}" for row in range(3)]
        names += ids
        for role, factor in (("champion", 1.0), ("shadow", 2.0))[: 1 + (kind == "shadow")]:
            answers = [factor * (row + 1) for row in range(3)]
            rows = [{"feature": 1.0, "region": "n"}] * 3
            place = (None, role, 10, 0.001, None)
            segment.write(Answered(ids, 1000.0, 1, rows, answers, *place))
    desk.recorder.label("line", [Label("id", name, "0.0", "me", 1000.0) for name in names])
    assert losses_of(desk, kind) == 20
    tally, _ = desk.records.tally("o1", 0)
    if kind == "shadow":
        assert (tally.shadow.pairs, tally.shadow.losses.mean) == (20, 3.0)
        assert tally.shadow.differences.mean == 1.0
    else:
        assert tally.stages[0].champion.losses.mean == 1.0
    assert decoded_losses(desk) == 60  # of all that was answered, the hours know every row


def decoded_losses(desk):
    rows = desk.store.rows("SELECT requests, errors, latencies, scores, losses FROM hours")
    return sum(decoded(*row).losses.n for row in rows)


def test_an_edit_of_the_recipe_changes_no_open_plan(desks):
    desk = desks(table=Table(label="target", label_delay="100s"))
    loss = Loss("mean_squared_error", "mean")
    desk.ledger.open(make_plan(Options("canary", "s", loss=loss, maturity=100.0), BASELINE))
    spec = msgspec.json.decode(desk.ledger.tables["models"][0]["spec"], type=RecipeSpec)
    gate = replace(spec.gate, metric="mean_absolute_error")
    edited = replace(spec, gate=gate, table=Table(label="target", label_delay="10s"))
    text = msgspec.json.encode(edited).decode()
    desk.ledger.tables["models"] = [{"model": "line", "spec": text}]
    desk.ledger.number += 1
    desk.segment().write(*(request(str(at), generation=10, prediction=3.0) for at in range(20)))
    desk.recorder.label("line", [Label("id", str(at), "0.0", "me", 1000.0) for at in range(20)])
    desk.time = 1050.0
    desk.recorder.look()
    assert losses_of(desk, "canary") == 0
    desk.time = 1100.0
    desk.recorder.look()
    assert desk.records.tally("o1", 0)[0].stages[0].champion.losses.mean == 9.0


def losses_of(desk, kind):
    tally, _ = desk.records.tally("o1", 0)
    if kind == "shadow":
        return tally.shadow.losses.n
    return sum(arm.losses.n for stage in tally.stages for arm in (stage.canary, stage.champion))


def test_a_second_recorder_waits_for_its_turn(tmp_path):
    state = tmp_path / ".everbake"
    state.mkdir()
    words = [sys.executable, "-P", "-m", "everbake.interfaces.record", "--project", tmp_path]
    with (state / "record.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        second = subprocess.Popen(words)
        with pytest.raises(subprocess.TimeoutExpired):
            second.wait(2)
        assert not (state / "records.sqlite").exists()
    until = time.monotonic() + 60
    while not (state / "record.sock").exists():
        assert time.monotonic() < until
        time.sleep(0.05)
    second.terminate()
    assert second.wait(60) == 0
