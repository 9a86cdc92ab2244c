"""The data frame that a request becomes, and what rows cost that the user's code refuses."""

from types import SimpleNamespace

import msgspec
import pandas as pd
import pyarrow as pa
import pytest

from everbake.core.work import Column, SessionOrder
from everbake.host import session
from everbake.host.session import Reply, encoded, frame_of, spared


def order(**types):
    columns = tuple(Column(name, kind) for name, kind in types.items())
    return SessionOrder("line", None, columns)


@pytest.mark.parametrize(
    "rows",
    [
        [{"b": 2.5, "a": 1}],
        [{"a": 1.5, "b": None}, {"a": None, "b": 2**53}],
        [{"a": 0.1}, {"a": 0.2}],
    ],
)
def test_floats_become_the_frame_that_arrow_makes_of_them(rows):
    names = [name for name in ("a", "b") if any(name in row for row in rows)]
    columns = [pa.array([row.get(name) for row in rows], pa.float64()) for name in names]
    wanted = pa.table(columns, names=names).to_pandas()
    framed = frame_of(rows, order(a="float64", b="float64"))
    pd.testing.assert_frame_equal(framed, wanted)
    assert framed.to_numpy().flags.f_contiguous == wanted.to_numpy().flags.f_contiguous


def test_a_frame_that_user_code_changes_changes_no_other():
    wanted = order(a="float64")
    first = frame_of([{"a": 1.0}], wanted)
    first.columns.name = "named"
    first["more"] = 1
    first.columns = ["x", "y"]
    second = frame_of([{"a": 1.0}], wanted)
    assert (list(second.columns), second.columns.name) == (["a"], None)


def test_other_types_are_kept():
    framed = frame_of(
        [{"n": 1, "t": "x", "f": 1.0}, {"n": 2, "t": None, "f": None}],
        order(n="int64", t="string", f="float64"),
    )
    assert [str(kind) for kind in framed.dtypes] == ["int64", "str", "float64"]
    assert framed["f"].isna().tolist() == [False, True]


class Code:
    """The user's code: raises over negative numbers and tells the first; notes its calls."""

    def __init__(self, seconds=0.0):
        self.calls = []
        self.seconds = seconds
        self.now = 0.0

    def __call__(self, rows):
        self.calls.append(len(rows))
        self.now += self.seconds
        for row in rows:
            if row["x"] < 0:
                raise ValueError(f"{row['x']} is no good")
        return [row["x"] for row in rows]


@pytest.fixture
def slow(monkeypatch):
    """Code of which each call takes 50 ms, on a clock of its own."""
    code = Code(0.05)
    monkeypatch.setattr(session, "time", SimpleNamespace(perf_counter=lambda: code.now))
    return code


def rows_of(*numbers):
    return [{"x": number} for number in numbers]


def mixed(count):
    """Every other row raises."""
    return rows_of(*(-n if n % 2 else n for n in range(1, count + 1)))


def test_where_nothing_raises_all_requests_are_one_call():
    code = Code()
    assert spared(rows_of(1, 2, 3), code, [1, 2], 5.0) == Reply([1, 2, 3], {})
    assert code.calls == [3]


@pytest.mark.parametrize("after", [False, True])
def test_a_request_that_raises_over_many_rows_costs_no_other_its_calls(after):
    many, few = mixed(2000), rows_of(-7, 7)
    rows, sizes, start = (many + few, [2000, 2], 2000) if after else (few + many, [2, 2000], 0)
    told = spared(rows, Code(), sizes)
    assert told.predictions[start : start + 2] == [None, 7]
    assert told.errors[start] == "ValueError: -7 is no good"
    assert start + 1 not in told.errors


def test_no_request_is_told_of_the_rows_of_another():
    sizes = [300, 1, 40, 1, 300]
    rows = [row for size in sizes for row in mixed(size)]
    owners = [at for at, size in enumerate(sizes) for _ in range(size)]
    named = [{"x": row["x"], "owner": owner} for row, owner in zip(rows, owners, strict=True)]

    def ask(part):
        bad = [row["owner"] for row in part if row["x"] < 0]
        if bad:
            raise ValueError(f"of {bad[0]}")
        return [row["x"] for row in part]

    errors = spared(named, ask, sizes).errors
    assert set(errors) >= {at for at, row in enumerate(rows) if row["x"] < 0}
    assert all(why == f"ValueError: of {owners[at]}" for at, why in errors.items())


def test_slow_code_is_not_asked_for_longer_than_there_is_time(slow):
    told = spared(mixed(2000) + rows_of(7), slow, [2000, 1], 5.0)
    assert slow.now <= 5.0
    assert told.predictions[2000] == 7
    assert set(told.errors) >= set(range(0, 2000, 2))


def test_requests_share_the_time(slow):
    told = spared(mixed(2000) + rows_of(-7, 7), slow, [2000, 2], 5.0)
    assert slow.now <= 5.0
    assert told.predictions[2000:] == [None, 7]


def test_requests_that_nobody_had_time_to_ask_alone_learn_no_values(slow):
    slow.seconds = 3.0
    errors = spared(rows_of(-7, 7), slow, [1, 1], 5.0).errors
    assert slow.calls == [2]
    assert set(errors) == {0, 1}
    assert not any("-7" in why for why in errors.values())
    assert spared(rows_of(-7, 7), slow, [2], 5.0).errors[1] == "ValueError: -7 is no good"


def test_a_prediction_that_cannot_be_sent_costs_its_row_alone():
    reply = encoded(Reply([1.0, object(), "\ud800", 2**70, 2.0], {}))
    told = msgspec.msgpack.decode(reply, type=Reply)
    assert told.predictions == [1.0, None, None, None, 2.0]
    assert sorted(told.errors) == [1, 2, 3]
    assert told.errors[1].startswith("the prediction of type object cannot be sent: ")
