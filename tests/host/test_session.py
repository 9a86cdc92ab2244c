"""The data frame that a request becomes."""

import pandas as pd
import pyarrow as pa
import pytest

from everbake.core.work import Column, SessionOrder
from everbake.host.session import frame_of


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
