"""Labels against a model of them that fits on a page, whatever comes in whatever order."""

import tempfile
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everbake.core.frames import Answered
from everbake.core.spec import Table
from everbake.recording.labels import Label
from everbake.recording.store import plain

DELAY = 60.0
NAMES = ("a", "b", "c", "d")
KEYS = ("k", "l")
STEPS = st.one_of(
    st.tuples(st.just("answer"), st.sampled_from(NAMES), st.sampled_from((None, *KEYS))),
    st.tuples(st.just("id"), st.sampled_from(NAMES), st.integers(0, 2)),
    st.tuples(st.just("key"), st.sampled_from(KEYS), st.integers(0, 2)),
    st.tuples(st.just("wait"), st.sampled_from((1.0, 40.0, 90.0)), st.none()),
    st.tuples(st.just("anew"), st.none(), st.none()),
)


class Simple:
    """What labels are: the newest of those that name an answer, final once it is old enough."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[str | None, float]] = {}
        self.newest: dict[tuple[str, str], tuple[int, int]] = {}
        self.judged: dict[str, int] = {}
        self.count = 0

    def label_of(self, name):
        key, _ = self.answers[name]
        known = [self.newest.get(("id", name)), self.newest.get(("key", key))]
        return max((each for each in known if each), default=None)

    def judge(self, now):
        for name, (_, time) in self.answers.items():
            found = self.label_of(name)
            if found and name not in self.judged and time + DELAY <= now:
                self.judged[name] = found[1]

    def label(self, kind, name, value):
        before = self.newest.get((kind, name))
        if before and before[1] == value:
            return Counter(received=1, duplicate=1)
        self.count += 1
        self.newest[kind, name] = (self.count, value)
        known = [n if kind == "id" else key for n, (key, _) in self.answers.items()]
        joins = name in known
        return Counter(received=1, joined=joins, waiting=not joins, corrected=before is not None)


def answer(name, key, time):
    return Answered([name], time, 1, [{"feature": 1}], [5.0], key, "champion", 1, 0.001)


@given(st.lists(STEPS, max_size=25))
@settings(max_examples=60)
def test_labels_are_the_newest_once_each_and_count_when_they_are_final(desk_in, steps):
    with tempfile.TemporaryDirectory() as folder:
        desk = desk_in(Path(folder), Table(label="target", label_delay="60s"))
        simple = Simple()
        segment = desk.segment()
        for kind, name, value in steps:
            if kind == "wait":
                desk.time += name
            elif kind == "anew":
                desk.begin()
            elif kind != "answer":
                simple.judge(desk.time)
                label = Label(kind, name, plain(float(value)), "me", desk.time)
                told = asdict(desk.recorder.label("line", [label]))
                assert told == {**dict.fromkeys(told, 0), **simple.label(kind, name, value)}
            elif name not in simple.answers:
                simple.answers[name] = (value, desk.time)
                segment.write(answer(name, value, desk.time))
            desk.recorder.look()
            simple.judge(desk.time)
        expected = {n: float(found[1]) for n in simple.answers if (found := simple.label_of(n))}
        assert desk.records.labels("line", list(NAMES)) == expected
        kept = [msgspec.json.decode(row[0]) for row in desk.store.rows("SELECT losses FROM hours")]
        losses = sorted(loss for _, sample in kept for loss in sample)
        assert losses == sorted((5.0 - value) ** 2 for value in simple.judged.values())
        desk.close()


def test_history_is_kept_with_its_sources(desks):
    desk = desks()
    for value, source in ((1.0, "first"), (2.0, "second"), (2.0, "third")):
        desk.recorder.label("line", [Label("id", "a", plain(value), source, 5.0)])
    kept = desk.store.rows("SELECT label, source FROM labels ORDER BY n")
    assert kept == [("1.0", "first"), ("2.0", "second")]


def test_labels_of_a_request_are_kept_whole_or_not_at_all(desks):
    desk = desks()
    good = Label("id", "a", "1.0", "me", 5.0)
    wrong = Label("id", "b", "1.0", object(), 5.0)
    with pytest.raises(Exception, match=r"binding|supported"):
        desk.recorder.label("line", [good, wrong])
    assert desk.store.rows("SELECT * FROM newest") == []
