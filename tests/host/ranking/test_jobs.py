"""The jobs of a ranking recipe on a real file: train, score, judge, check, sessions, batches."""

import hashlib
import socket
import threading
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from everbake import AtLeast, Events, Gate, TimeSplit
from everbake.core.dataset import Column
from everbake.core.work import (
    Base,
    CheckOrder,
    FreshOrder,
    JudgeOrder,
    Model,
    ScoreOrder,
    SessionOrder,
    TrainOrder,
)
from everbake.errors import RecipeError, UserCodeError
from everbake.host.freshness import fresh_rows
from everbake.host.ranking.judging import judge_ranking
from everbake.host.ranking.scoring import score_ranking
from everbake.host.ranking.training import train_ranking
from everbake.host.ranking.trial import check_ranking
from everbake.host.scoring import score
from everbake.host.session import answer_requests
from everbake.host.splitting import unpack_rows
from everbake.metrics import coverage, ndcg
from everbake.wire import receive_frame, send_frame

USERS, DAYS = 40, 20


@pytest.fixture
def busy(shop):
    """A shop in which each of 40 users has a favourite, and chooses it two days out of three."""
    random = np.random.default_rng(3)
    shop.events = [
        (f"u{u}", f"i{u % 8 if day % 3 else random.integers(0, 8)}", day)
        for day in range(DAYS)
        for u in range(USERS + (day >= 15) * 10)
    ]
    return shop


def favourites(rows):
    chosen = rows.groupby("user")["item"].value_counts(sort=True).reset_index()
    return chosen.groupby("user")["item"].agg(list).to_dict()


def by_user(model, users, k):
    return [model.get(user, ["i0"])[:k] for user in users]


def trained(shop, recipe, step="train", **changes):
    order = {"model": "shop", "files": shop.files(), "rows": len(shop.events)}
    order = TrainOrder(**{**order, "champion_rows": None, **changes})
    return train_ranking(order, shop.context(step, recipe))


def saved(shop, step, form):
    path = shop.folder / step / "model.bin"
    return Model(str(path), hashlib.sha256(path.read_bytes()).hexdigest(), form)


def scored(shop, recipe, form, ranked, step="before", judge="train"):
    """The file with a model's lists for the users of the events that judge."""
    judge = str(shop.folder / judge / "judge.npy")
    model = saved(shop, step, form)
    order = ScoreOrder("shop", shop.files(), len(shop.events), judge, model, ranked)
    context = shop.context(f"score-{step}", recipe)
    assert score_ranking(order, ranked, context)["rows"] == len(np.load(judge))
    return str(context.work / "answers.npy")


def judged(shop, recipe, report, champion=None, step="train", **changes):
    folder = shop.folder / step
    order = {
        "model": "shop",
        "files": shop.files(),
        "rows": len(shop.events),
        "judge": str(folder / "judge.npy"),
        "truth": "",
        "candidate": str(folder / "answers.npy"),
        "champion": champion,
        "checks": report.checks,
        "has_champion": champion is not None,
        "trained": str(shop.folder / "train" / "trained.bin"),
    }
    order = JudgeOrder(**{**order, **changes})
    return judge_ranking(order, shop.context("judge", recipe)).decision


def test_a_candidate_is_trained_before_the_period_that_judges_it(busy):
    report = trained(busy, busy.recipe())
    judge = np.load(busy.folder / "train" / "judge.npy")
    rows = unpack_rows((busy.folder / "train" / "trained.bin").read_bytes())
    assert not rows[judge].any()
    assert report.held_out == len(judge) == round(0.25 * len(busy.events))
    days = np.array([day for _, _, day in busy.events])
    assert days[rows].max() <= days[judge].min()
    assert [check.name for check in report.checks if check.state == "pass"] == [
        "leakage",
        "time_order",
    ]
    assert (report.runtime, report.needed) == ("native", ("user",))
    assert report.columns == (Column("user", "string"), Column("k", "int64"))
    assert report.example == {"user": "u0", "k": 10}


def test_the_last_days_are_held_out(busy):
    busy.events = [(u, i, 86_400.0 * day) for u, i, day in busy.events]
    report = trained(busy, busy.recipe(split=TimeSplit("3d")))
    assert report.held_out == 3 * (USERS + 10)


def test_a_first_version_is_measured_by_user(busy):
    recipe = busy.recipe()
    decision = judged(busy, recipe, trained(busy, recipe))
    judge = np.load(busy.folder / "train" / "judge.npy")
    assert decision["verdict"] == "promoted"
    assert decision["metric"]["name"] == "ndcg@3"
    assert decision["metric"]["n"] == len({busy.events[place][0] for place in judge})


def test_the_lists_of_the_better_model_win(busy):
    popular, personal = busy.recipe(), busy.recipe(train=favourites, recommend=by_user)
    before = trained(busy, popular, "before", rows=600)
    known = str(busy.folder / "before" / "trained.bin")
    report = trained(busy, personal, champion_rows=known)
    champion = scored(busy, popular, before.form, personal.ranked)
    decision = judged(busy, personal, report, champion)
    assert (decision["verdict"], decision["code"]) == ("promoted", "better")
    # Users without an event in training are looked at apart, whether or not one asks for it.
    segments = {each["name"]: each["n"] for each in decision["segments"]}
    assert segments == {"cold_start = no": USERS, "cold_start = yes": 10}
    # The champion's events judge nobody.
    judge = np.load(busy.folder / "train" / "judge.npy")
    assert not unpack_rows((busy.folder / "before" / "trained.bin").read_bytes())[
        judge[judge < 600]
    ].any()


def test_a_pending_candidate_is_judged_by_later_events_and_beside_the_best(busy):
    popular, personal = busy.recipe(), busy.recipe(train=favourites, recommend=by_user)
    trained(busy, personal, rows=600)
    report = trained(busy, popular, "before", rows=600)
    known = [str(busy.folder / step / "trained.bin") for step in ("train", "before")]
    order = FreshOrder("shop", busy.files(), len(busy.events), known[0], (known[1],))
    found = fresh_rows(order, busy.context("fresh", personal))
    places = np.load(busy.folder / "fresh" / "judge.npy")
    assert found.rows == len(places) > len(np.load(busy.folder / "train" / "judge.npy"))
    assert all(busy.events[place][2] >= 10 for place in places)
    lists = [
        scored(busy, recipe, report.form, personal.ranked, step, "fresh")
        for recipe, step in ((personal, "train"), (popular, "before"))
    ]
    decision = judged(busy, personal, report, lists[1], "fresh", candidate=lists[0], best=lists[1])
    assert (decision["verdict"], decision["code"]) == ("promoted", "better")
    assert decision["best"]["difference"] == decision["metric"]["difference"]
    mute = judged(busy, personal, report, lists[1], "fresh", candidate=None)
    assert (mute["verdict"], mute["code"]) == ("rejected", "bad_output")
    assert f"on {decision['metric']['n']} of {decision['metric']['n']} users" in mute["because"]


def test_guardrails_know_the_catalogue(busy):
    few = busy.recipe(
        recommend=lambda model, users, k: [model[:1] for _ in users],
        gate=Gate(ndcg(3), guardrails=[AtLeast(coverage(5), 0.5)]),
    )
    assert few.ranked.k == 5
    decision = judged(busy, few, trained(busy, few))
    assert (decision["verdict"], decision["code"]) == ("rejected", "guardrail")
    assert "coverage@5 is 0.125" in decision["because"]


def test_a_metric_of_ones_own_sees_items_and_gains(busy):
    seen = []

    def hits(y_true, y_pred):
        seen.append((y_true[0], y_pred[0]))
        pairs = zip(y_true, y_pred, strict=True)
        return sum(bool(named) and named[0] in wish for wish, named in pairs) / len(y_true)

    recipe = busy.recipe(gate=Gate(hits, better="higher"))
    decision = judged(busy, recipe, trained(busy, recipe))
    assert 0 < decision["metric"]["candidate"] < 1
    wish, named = seen[0]
    assert set(wish.values()) == {1.0}
    assert len(named) == 8
    assert all(item.startswith("i") for item in (*wish, *named))


def test_events_without_a_user_or_an_item_are_left_out(busy):
    busy.events[3] = (None, "i1", 0)
    busy.events[4] = ("u4", None, 0)
    report = trained(busy, busy.recipe())
    assert any("2 events without a user or an item" in check.detail for check in report.checks)
    rows = unpack_rows((busy.folder / "train" / "trained.bin").read_bytes())
    assert rows[:3].all()
    assert not rows[3:5].any()


def test_only_new_items_may_count(busy):
    # Everybody has chosen the favourite before: without repeats there is less to want.
    data = Events(user="user", item="item", time="day", repeats=False)
    every = judged(busy, busy.recipe(), trained(busy, busy.recipe()))
    fresh = busy.recipe(data=data)
    less = judged(busy, fresh, trained(busy, fresh))
    assert less["metric"]["n"] < every["metric"]["n"]


def test_a_model_that_names_an_item_twice_is_refused(busy):
    twice = busy.recipe(recommend=lambda model, users, k: [["i0", "i0"] for _ in users])
    with pytest.raises(UserCodeError, match="named an item twice"):
        trained(busy, twice)


def test_a_champion_may_name_an_item_twice(busy):
    recipe = busy.recipe()
    before = trained(busy, recipe, "before")
    trained(busy, recipe)
    twice = busy.recipe(recommend=lambda model, users, k: [["i0", "i0"] for _ in users])
    assert np.load(scored(busy, twice, before.form, recipe.ranked)).shape[1] == 3


def test_users_and_items_must_be_named(busy):
    data = Events(user="user", item="when", time="day")
    with pytest.raises(RecipeError, match='no column "when"'):
        trained(busy, busy.recipe(data=data))
    busy.events = [(u, bool(len(i) % 2), day) for u, i, day in busy.events]
    with pytest.raises(RecipeError, match="holds bools"):
        trained(busy, busy.recipe())
    gate = Gate(ndcg(3), segments=["cold_start", "twon"])
    with pytest.raises(RecipeError, match='no column "twon"'):
        trained(busy, busy.recipe(gate=gate))


def test_versions_of_different_kinds_do_not_judge_each_other(busy):
    recipe = busy.recipe()
    before = trained(busy, recipe, "before")
    trained(busy, recipe)
    plain = replace(recipe, events=None, predict=lambda model, rows: [], gate=Gate(len, "higher"))
    with pytest.raises(RecipeError, match="was no ranking recipe") as refused:
        scored(busy, plain, before.form, recipe.ranked)
    assert refused.value.code == "EB231"
    judge = str(busy.folder / "train" / "judge.npy")
    order = ScoreOrder("shop", busy.files(), 8, judge, saved(busy, "before", before.form))
    with pytest.raises(RecipeError, match="was a ranking recipe"):
        score(order, busy.context("score", recipe))


def test_a_check_tries_all_of_it(busy):
    order = CheckOrder("shop", busy.files(), len(busy.events))
    report = check_ranking(order, busy.context("check", busy.recipe()))
    states = {check.name: check.state for check in report.checks}
    assert states == dict.fromkeys(
        ["recipe", "train", "save", "recommend", "repeatable", "score"], "pass"
    )
    broken = busy.recipe(recommend=lambda model, users, k: [[k]] * len(users))
    report = check_ranking(order, busy.context("check", broken))
    assert report.checks[-1].state == "fail"
    assert "type int" in report.checks[-1].detail


def test_a_sample_of_events_has_some_of_both_sides(busy):
    busy.events = [(f"u{n % 40}", f"i{n // 40 % 30}", n // 1200) for n in range(2400)]
    declared = busy.recipe(split=TimeSplit(0.5))
    order = CheckOrder("shop", busy.files(), len(busy.events))
    told = {one.name: one for one in check_ranking(order, busy.context("check", declared)).checks}
    assert told["train"].detail == "list on 800 events"
    assert told["recommend"].detail.startswith("40 lists")


def test_a_limit_that_a_sample_of_events_breaks_is_a_warning(busy):
    declared = busy.recipe(gate=Gate(ndcg(3), guardrails=[AtLeast(coverage(3), 1.0)]))
    order = CheckOrder("shop", busy.files(), len(busy.events))
    *_, score = check_ranking(order, busy.context("check", declared)).checks
    assert (score.name, score.state) == ("score", "warn")
    assert "below the limit of 1" in score.detail


def test_requests_get_lists_of_the_length_they_ask_for(busy):
    lengths = []

    def recommend(model, users, k):
        lengths.append((users.tolist(), k))
        return [model[:k] for _ in users]

    report = trained(busy, busy.recipe())
    order = SessionOrder("shop", saved(busy, "train", report.form), report.columns)
    ours, theirs = socket.socketpair()
    context = busy.context("session", busy.recipe(recommend=recommend))
    body = msgspec.json.encode(order)
    session = threading.Thread(target=answer_requests, args=(body, context, theirs))
    session.start()
    rows = [{"user": "u1", "k": 2}, {"user": "new"}, {"user": "u2", "k": 2}]
    with theirs:
        with ours:
            send_frame(ours, msgspec.msgpack.encode({"rows": rows}))
            reply = msgspec.msgpack.decode(receive_frame(ours))
        session.join()
    assert [len(items) for items in reply["predictions"]] == [2, 8, 2]
    assert sorted(lengths, key=str) == [(["new"], 10), (["u1", "u2"], 2)]


def more(model, new_rows):
    for user, items in favourites(new_rows).items():
        model[user] = items
    return model


def test_a_model_that_learns_on_is_taught_the_events_that_it_does_not_know(busy):
    declared = busy.recipe(train=favourites, recommend=by_user, update=more)
    half = len(busy.events) // 2
    old = trained(busy, declared, "old", rows=half)
    rows = busy.folder / "old" / "trained.bin"
    base = Base("version 1", saved(busy, "old", old.form), str(rows))
    new = trained(busy, declared, "new", base=base, champion_rows=str(rows))
    before, after = (
        unpack_rows((busy.folder / step / "trained.bin").read_bytes()) for step in ("old", "new")
    )
    assert after[:half][before].all()
    assert (new.rows, new.new_rows) == (after.sum(), after.sum() - before.sum())
    judged = np.load(busy.folder / "new" / "judge.npy")
    assert not after[judged].any()
    assert new.held_out == len(judged) > 0
    told = {check.name: (check.state, check.detail) for check in new.checks}
    assert told["learning"][1].startswith(f"updated from version 1 with {new.new_rows} new rows")
    assert told["leakage"][0] == told["time_order"][0] == "pass"


def test_a_check_tries_the_update_of_a_ranking_recipe(busy):
    declared = busy.recipe(train=favourites, recommend=by_user, update=more)
    order = CheckOrder("shop", busy.files(), len(busy.events))
    told = {one.name: one for one in check_ranking(order, busy.context("check", declared)).checks}
    assert told["update"].state == "pass"
    assert "events, updated by" in told["update"].detail
