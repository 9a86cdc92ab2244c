"""The trees runtime, by files made by hand: what it answers and what it refuses."""

import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import msgspec
import numpy as np
import pytest
from treelite.model_builder import Metadata, ModelBuilder, PostProcessorFunc, TreeAnnotation

from everbake.runtimes.columns import Levels, RowRefusedError, pack
from everbake.runtimes.ending import Ending
from everbake.runtimes.kinds import KINDS, load
from everbake.runtimes.trees import Looked, Refusals, Step, TreesFile, TreesRuntime

NAN, INF = math.nan, math.inf
# 0.1 is no float32: the nearest one lies above it.
THRESHOLD = 0.1


def stump(features=2, leaves=(1.0, 2.0)):
    """One split: feature 0 at most 0.1 goes left, as does a missing value."""
    builder = ModelBuilder(
        threshold_type="float64",
        leaf_output_type="float64",
        metadata=Metadata(
            num_feature=features,
            task_type="kRegressor",
            average_tree_output=False,
            num_target=1,
            num_class=[1],
            leaf_vector_shape=(1, 1),
        ),
        tree_annotation=TreeAnnotation(num_tree=1, target_id=[0], class_id=[0]),
        postprocessor=PostProcessorFunc(name="identity"),
        base_scores=[0.0],
    )
    builder.start_tree()
    builder.start_node(0)
    builder.numerical_test(
        0, THRESHOLD, default_left=True, opname="<=", left_child_key=1, right_child_key=2
    )
    builder.end_node()
    for place, value in enumerate(leaves, 1):
        builder.start_node(place)
        builder.leaf(value)
        builder.end_node()
    builder.end_tree()
    return builder.commit().serialize_bytes()


def encoded(**changes):
    file = {
        "columns": ("a", "b"),
        "numbers": ("a", "b"),
        "features": (0, 1),
        "steps": (),
        "looked": (),
        "single": False,
        "refusals": Refusals(missing=False, infinite=False, inputs=()),
        "ensemble": stump(),
        "ending": Ending("identity", "scalar"),
    }
    return msgspec.msgpack.encode(TreesFile(**(file | changes)))


def runtime(**changes):
    return TreesRuntime.load(encoded(**changes))


def town(unseen=None, missing=None):
    levels = Levels(
        "town",
        ("Bonn", "Köln"),
        pack([0.0, 1.0]),
        None if unseen is None else pack([unseen]),
        None if missing is None else pack([missing]),
    )
    return runtime(
        columns=("town", "b"), numbers=("b",), features=(1,), looked=(Looked(levels, (0,)),)
    )


def test_rows_fall_on_their_side_and_come_back_as_python_numbers():
    answers = runtime().answer([{"a": 0, "b": 0}, {"b": True, "a": 3, "z": "?"}])
    assert answers == [1.0, 2.0]
    assert all(type(answer) is float for answer in answers)


def test_the_last_bit_decides():
    above = np.nextafter(THRESHOLD, INF)
    assert runtime().answer([{"a": THRESHOLD, "b": 0}, {"a": above, "b": 0}]) == [1.0, 2.0]


def test_a_model_of_float32_reads_float32():
    assert runtime(single=True).answer([{"a": THRESHOLD, "b": 0}]) == [2.0]


def test_no_rows_give_no_answers():
    assert runtime().answer([]) == []
    assert runtime(ending=Ending("logistic", "matrix")).answer([]) == []


def test_one_row_many_rows_and_columns_agree():
    model = runtime()
    values = np.random.default_rng(0).normal(size=500)
    rows = [{"a": value, "b": 0.0} for value in values.tolist()]
    alone = [model.answer([row])[0] for row in rows]
    assert model.answer(rows) == alone
    assert model.answer_columns({"a": values, "b": np.zeros(500)}).tolist() == alone


def test_threads_do_not_disturb_each_other():
    model = runtime()
    low, high = [{"a": 0.0, "b": 0.0}] * 300, [{"a": 1.0, "b": 0.0}] * 300
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(model.answer, [low, high] * 50))
    assert answers == [[1.0] * 300, [2.0] * 300] * 50


def test_steps_are_taken_in_their_order():
    steps = (
        Step("subtract", (0,), pack([10.0])),
        Step("divide", (0,), pack([100.0])),
        Step("fill", (0, 1), pack([5.0, 0.0])),
        Step("multiply", (0,), pack([2.0])),
        Step("add", (0,), pack([-0.1])),
    )
    # (20 - 10) / 100 * 2 - 0.1 = 0.1; filled: 5 * 2 - 0.1
    answers = runtime(steps=steps).answer(
        [{"a": 20, "b": 1}, {"a": 21, "b": 1}, {"a": None, "b": 1}]
    )
    assert answers == [1.0, 2.0, 2.0]


def test_tiny_numbers_are_nothing_where_the_file_says_so():
    tree = runtime(steps=(Step("flush", (0,), pack([0.2])),))
    assert tree.answer([{"a": 0.15, "b": 0}, {"a": 0.25, "b": 0}]) == [1.0, 2.0]


def test_categories_are_looked_up():
    rows = [{"b": 0, "town": "Bonn"}, {"b": 0, "town": "Köln"}]
    assert town().answer(rows) == [1.0, 2.0]
    model = town(unseen=1.0, missing=NAN)  # which the tree sends left
    assert model.categorical == ("town",)
    rows = [{"b": 0, "town": value} for value in ("Ulm", None, NAN)]
    assert model.answer(rows) == [2.0, 1.0, 1.0]


@pytest.mark.parametrize("count", [1, 20])
@pytest.mark.parametrize(
    ("row", "column", "problem"),
    [
        ({"b": "many"}, "b", "no number"),
        ({"b": [1]}, "b", "no number"),
        ({"b": 10**400}, "b", "no number"),
        ({"town": "Ulm"}, "town", "unseen category"),
        ({"town": ["Bonn"]}, "town", "unseen category"),
        ({"town": -INF}, "town", "infinite value"),
        ({"town": None}, "town", "missing value"),
    ],
)
def test_what_cannot_be_read_is_refused_by_row_and_column(row, column, problem, count):
    good = {"b": 0, "town": "Bonn"}
    with pytest.raises(RowRefusedError, match=problem) as refused:
        town().answer([*[good] * (count - 1), good | row])
    assert (refused.value.column, refused.value.row) == (column, count - 1)


@pytest.mark.parametrize(
    ("changes", "value", "problem"),
    [
        ({"refusals": Refusals(missing=True, infinite=True, inputs=())}, None, "missing"),
        ({"refusals": Refusals(missing=True, infinite=True, inputs=())}, NAN, "missing"),
        ({"refusals": Refusals(missing=False, infinite=True, inputs=())}, -INF, "infinite"),
        ({"refusals": Refusals(missing=False, infinite=False, inputs=(1,))}, INF, "infinite"),
        (
            {"refusals": Refusals(missing=False, infinite=True, inputs=()), "single": True},
            1e300,
            "infinite",
        ),
    ],
)
def test_what_the_model_does_not_take_is_refused(changes, value, problem):
    model, good = runtime(**changes), {"a": 0.0, "b": 0.0}
    with pytest.raises(RowRefusedError, match=problem) as refused:
        model.answer([good, good | {"b": value}])
    assert (refused.value.column, refused.value.row) == ("b", 1)
    assert runtime().answer([good | {"b": value}]) == [1.0]


def test_a_field_that_is_not_there_is_named():
    with pytest.raises(RowRefusedError, match='"b"'):
        runtime().answer([{"a": 1, "b": 1}, {"a": 1}])
    with pytest.raises(RowRefusedError, match='"b"'):
        runtime().answer_columns({"a": [1.0]})


def test_what_scores_stand_for():
    def said(leaves=(-1.0, 0.0), **ending):
        model = runtime(ensemble=stump(leaves=leaves), ending=Ending(**ending))
        return model.answer([{"a": 0, "b": 0}, {"a": 1, "b": 0}])

    chance = 1 / (1 + math.e)
    assert said(link="logistic", output="column", column=1) == pytest.approx([chance, 0.5])
    assert said(link="logistic", output="matrix")[1] == [0.5, 0.5]
    assert said(link="exponential", output="scalar") == pytest.approx([1 / math.e, 1.0])
    words = {"link": "logistic", "output": "label", "classes": ("no", "yes")}
    assert said(**words) == ["no", "no"]
    assert said(**words, zero=True) == ["no", "yes"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("data", [b"", b"not a file", msgspec.msgpack.encode([1, 2, 3])])
def test_bytes_that_are_no_data_file_are_refused(kind, data):
    with pytest.raises(ValueError, match=f"not a {kind} data file"):
        load(kind, data)


def test_bytes_that_are_no_trees_are_refused():
    for ensemble in (b"", b"no trees", stump()[:-40]):
        with pytest.raises(ValueError, match="not a trees data file"):
            runtime(ensemble=ensemble)


def test_trees_that_want_other_features_are_refused():
    with pytest.raises(ValueError, match="2 features, not 3"):
        runtime(ensemble=stump(features=3))


def test_a_newer_version_is_refused():
    with pytest.raises(ValueError, match="trees data file"):
        runtime(version=2)


def test_only_who_serves_trees_loads_treelite_and_nobody_the_library_that_grew_them(tmp_path):
    (tmp_path / "trees.bin").write_bytes(encoded())
    program = (
        "import sys, pathlib; from everbake.runtimes.kinds import load;"
        "seen = lambda *names: [name for name in names if name in sys.modules];"
        "print(seen('treelite', 'scipy', 'sklearn', 'pandas'));"
        "load('trees', pathlib.Path(sys.argv[1]).read_bytes()).answer([dict(a=1, b=1)]);"
        "print(seen('treelite', 'sklearn', 'pandas', 'lightgbm', 'xgboost'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "trees.bin")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split("\n")[:2] == ["[]", "['treelite']"]
