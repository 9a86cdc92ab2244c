"""The linear runtime, by files made by hand: what it answers and what it refuses."""

import math
import subprocess
import sys

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everbake.runtimes.columns import Levels, RowRefusedError, pack
from everbake.runtimes.linear import LinearFile, LinearRuntime, Numbers

NAN = math.nan


def numbers(columns, weights, fill=None, center=None, scale=None):
    count = len(columns)
    return Numbers(
        columns=tuple(columns),
        center=pack(center or [0.0] * count),
        scale=pack(scale or [1.0] * count),
        fill=pack(fill or [NAN] * count),
        weights=pack(np.ravel(weights)),
    )


def runtime(**changes):
    file = {
        "columns": ("a", "b"),
        "numbers": numbers(["a", "b"], [2.0, 3.0]),
        "levels": (),
        "intercept": pack([1.0]),
        "link": "identity",
        "output": "scalar",
    }
    return LinearRuntime.load(msgspec.msgpack.encode(LinearFile(**(file | changes))))


def town(unseen=None, missing=None):
    return runtime(
        columns=("a", "b", "town"),
        levels=(
            Levels(
                "town",
                ("Bonn", "Köln"),
                pack([10.0, 20.0]),
                None if unseen is None else pack([unseen]),
                None if missing is None else pack([missing]),
            ),
        ),
    )


def test_numbers_are_weighted_and_come_back_as_python_numbers():
    answers = runtime().answer([{"a": 1, "b": 10.0}, {"b": 0, "a": True}])
    assert answers == [33.0, 3.0]
    assert all(type(answer) is float for answer in answers)


def test_other_fields_of_a_row_do_not_matter():
    assert runtime().answer([{"z": "?", "b": 1, "a": 1}]) == [6.0]


def test_no_rows_give_no_answers():
    assert town().answer([]) == []
    assert town().answer_columns({"a": [], "b": [], "town": []}).tolist() == []


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.integers(-5, 5)), min_size=1, max_size=20))
def test_one_row_many_rows_and_columns_agree(cells):
    model = runtime(numbers=numbers(["a", "b"], [2.0, 3.0], center=[5.0, 0.0], scale=[0.1, 7.0]))
    rows = [{"a": a, "b": b} for a, b in cells]
    alone = [model.answer([row])[0] for row in rows]
    columns = {"a": [a for a, _ in cells], "b": [b for _, b in cells]}
    assert model.answer(rows) == pytest.approx(alone, rel=1e-12, abs=1e-9)
    assert model.answer_columns(columns).tolist() == pytest.approx(alone, rel=1e-12, abs=1e-9)


def test_categories_are_looked_up():
    assert town().answer([{"a": 0, "b": 0, "town": "Köln"}]) == [21.0]


@pytest.mark.parametrize("count", [1, 20])
@pytest.mark.parametrize(
    ("row", "column", "problem"),
    [
        ({"a": None}, "a", "missing value"),
        ({"b": NAN}, "b", "missing value"),
        ({"a": math.inf}, "a", "infinite value"),
        ({"a": "many"}, "a", "no number"),
        ({"a": [1]}, "a", "no number"),
        ({"a": 10**400}, "a", "no number"),
        ({"town": "Ulm"}, "town", "unseen category"),
        ({"town": ["Bonn"]}, "town", "unseen category"),
        ({"town": math.inf}, "town", "infinite value"),
        ({"town": None}, "town", "missing value"),
        ({"town": NAN}, "town", "missing value"),
    ],
)
def test_what_the_model_cannot_answer_is_refused_by_row_and_column(row, column, problem, count):
    good = {"a": 0, "b": 0, "town": "Bonn"}
    with pytest.raises(ValueError, match=problem) as refused:
        town().answer([*[good] * (count - 1), good | row])
    assert isinstance(refused.value, RowRefusedError)
    assert (refused.value.column, refused.value.row) == (column, count - 1)


@pytest.mark.parametrize("count", [1, 20])
def test_a_field_that_is_not_there_is_named(count):
    with pytest.raises(RowRefusedError, match='"b"'):
        runtime().answer([{"a": 1, "b": 1}] * (count - 1) + [{"a": 1}])


def test_columns_that_are_not_there_are_named():
    with pytest.raises(RowRefusedError, match='"b"'):
        runtime().answer_columns({"a": [1.0]})


def test_missing_and_unseen_have_values_of_their_own_where_the_file_says_so():
    model = town(unseen=-1.0, missing=-2.0)
    rows = [{"a": 0, "b": 0, "town": value} for value in ("Ulm", None, NAN, "Bonn")]
    assert model.answer(rows) == [0.0, -1.0, -1.0, 11.0]


def test_a_missing_number_is_filled_after_scaling():
    model = runtime(numbers=numbers(["a", "b"], [2.0, 3.0], fill=[7.0, NAN], center=[100.0, 0.0]))
    assert model.answer([{"a": None, "b": 1}, {"a": 101, "b": 1}]) == [18.0, 6.0]


def test_binary_outputs():
    def binary(**changes):
        return runtime(link="logistic", **changes).answer([{"a": -1, "b": 0}, {"a": 0, "b": 0}])

    chance = [1 / (1 + math.exp(1)), 1 / (1 + math.exp(-1))]
    assert binary(output="column", column=1) == pytest.approx(chance)
    assert binary(output="column", column=0) == pytest.approx([1 - p for p in chance])
    assert np.array(binary(output="matrix")) == pytest.approx(
        np.column_stack([np.subtract(1, chance), chance])
    )
    assert binary(output="label", classes=("no", "yes")) == ["no", "yes"]


def test_scores_beyond_the_exponential_are_certain():
    model = runtime(link="logistic", output="column", column=1)
    for count in (1, 20):
        assert model.answer([{"a": 1e6, "b": 0}] * count)[0] == 1.0
        assert model.answer([{"a": -1e6, "b": 0}] * count)[0] == 0.0


def test_overflow_answers_as_arithmetic_does():
    assert runtime().answer([{"a": 1.7e308, "b": 0}]) == [math.inf]


def test_several_outputs():
    weights = [[1.0, 0.0, -1.0], [0.0, 2.0, 0.0]]
    parts = {"numbers": numbers(["a", "b"], weights), "intercept": pack([0.0, 0.0, 0.5])}
    row = {"a": 1.0, "b": 1.0}
    assert runtime(**parts, output="matrix").answer([row]) == [[1.0, 2.0, -0.5]]
    assert runtime(**parts, output="column", column=2).answer([row]) == [-0.5]
    assert runtime(**parts, output="label", classes=(3, 1, 2)).answer([row]) == [1]
    shares = runtime(**parts, link="softmax", output="matrix").answer([row])[0]
    odds = np.exp([1.0, 2.0, -0.5])
    assert shares == pytest.approx(list(odds / odds.sum()))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a file",
        msgspec.msgpack.encode({"columns": ["a"]}),
        msgspec.msgpack.encode([1, 2, 3]),
    ],
)
def test_bytes_that_are_no_data_file_are_refused(data):
    with pytest.raises(ValueError, match="not a linear data file"):
        LinearRuntime.load(data)


def test_a_newer_version_is_refused():
    with pytest.raises(ValueError, match="linear data file"):
        runtime(version=2)


def test_it_answers_without_pandas_and_scikit_learn():
    program = (
        "import sys, everbake.runtimes.linear;"
        "print([m for m in ('pandas', 'sklearn', 'scipy', 'pyarrow') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
