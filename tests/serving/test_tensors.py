"""Tensors, whatever bytes and shapes they come with: read back as written, or refused as broken."""

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everbake.core.bundle import Input
from everbake.serving.decode import RequestDecoder
from everbake.serving.problems import ProblemError
from everbake.serving.tensors import (
    DATATYPES,
    OUTPUT,
    Given,
    Tensor,
    elements,
    pack,
    rows_of,
    tensors_of,
)

SIZES = {"INT8": 8, "INT16": 16, "INT32": 32, "INT64": 64}
VALUES = {
    "BOOL": st.booleans(),
    "BYTES": st.text(),
    "FP16": st.floats(width=16, allow_nan=False, allow_infinity=False),
    "FP32": st.floats(width=32, allow_nan=False, allow_infinity=False),
    "FP64": st.floats(allow_nan=False, allow_infinity=False),
    **{name: st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for name, bits in SIZES.items()},
    **{f"U{name}": st.integers(0, 2**bits - 1) for name, bits in SIZES.items()},
}
tensors = st.sampled_from(DATATYPES).flatmap(
    lambda kind: st.tuples(st.just(kind), st.lists(VALUES[kind], min_size=1, max_size=20))
)
shapes = st.lists(st.integers(0, 2**63 - 1) | st.integers(0, 5), max_size=4).map(tuple)
DECODER = RequestDecoder(
    [Input(name, "float64", nullable=True, needed=False) for name in ("a", "b")], most_rows=100
)


def column(kind, values, data):
    return Given("a", kind, (len(values),), data)


def read(tensor):
    """The status that a tensor of a request gets, and its rows."""
    try:
        return 200, DECODER.check(rows_of([tensor], DECODER))
    except ProblemError as refused:
        return refused.status, []


@given(tensors)
def test_bytes_and_json_are_read_as_written(tensor):
    kind, values = tensor
    packed = pack(Tensor("a", kind, (len(values),), values))
    assert elements(column(kind, values, packed)) == values
    assert elements(column(kind, values, list(values))) == values
    nested = Given("a", kind, (len(values), 1), [[value] for value in values])
    assert elements(nested) == values


@given(tensors, st.data())
def test_what_is_cut_off_or_goes_on_is_refused(tensor, data):
    kind, values = tensor
    packed = pack(Tensor("a", kind, (len(values),), values))
    cut = packed[: data.draw(st.integers(0, len(packed) - 1))]
    longer = packed + data.draw(st.binary(min_size=1, max_size=9))
    for wrong in (cut, longer, values[1:], [*values, values[0]]):
        with pytest.raises(ProblemError) as refused:
            elements(column(kind, values, wrong))
        assert refused.value.code == "EB532"


@given(st.sampled_from(DATATYPES), shapes, st.binary(max_size=100), st.sampled_from(["a", "x"]))
def test_no_shape_and_no_bytes_do_more_than_be_refused(kind, shape, data, name):
    status, rows = read(Given(name, kind, shape, data))
    assert status in {400, 413, 422} or (status == 200 and 1 <= len(rows) == shape[0] <= 100)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
)


@given(st.sampled_from(DATATYPES), shapes, st.lists(anything, max_size=5))
def test_no_json_does_more_than_be_refused(kind, shape, data):
    status, rows = read(Given("a", kind, shape, data))
    assert status in {200, 400, 413, 422}
    assert all(value is None or math.isfinite(value) for row in rows for value in row.values())


@given(st.sampled_from(sorted({*SIZES, *(f"U{name}" for name in SIZES)})), st.integers())
def test_whole_numbers_are_held_against_their_range(kind, value):
    bits = SIZES[kind.removeprefix("U")]
    low, high = (0, 2**bits - 1) if kind[0] == "U" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    for one in {value, low, high, low - 1, high + 1}:
        if low <= one <= high:
            assert elements(column(kind, [one], [one])) == [one]
        else:
            with pytest.raises(ProblemError) as refused:
                elements(column(kind, [0, one], [0, one]))
            assert (refused.value.code, refused.value.place.row) == ("EB515", 1)


def test_json_is_rounded_as_bytes_are():
    (single,) = struct.unpack("<f", struct.pack("<f", 0.1))
    assert elements(column("FP32", [0.1], [0.1])) == [single] != [0.1]
    assert elements(column("FP64", [0.1], [0.1])) == [0.1]


def test_no_number_is_a_missing_value_and_infinity_is_none():
    data = struct.pack("<3d", math.nan, math.inf, 1)
    assert elements(Given("a", "FP64", (3,), data)) == [None, math.inf, 1]


@pytest.mark.parametrize("data", [b"\x02", b"\xff"])
def test_a_truth_value_is_zero_or_one(data):
    with pytest.raises(ProblemError):
        elements(Given("a", "BOOL", (1,), data))


def test_a_text_must_be_utf_8():
    with pytest.raises(ProblemError) as refused:
        elements(Given("a", "BYTES", (2,), b"\0\0\0\0\1\0\0\0\xff"))
    assert (refused.value.code, refused.value.place.row) == ("EB515", 1)
    with pytest.raises(ProblemError, match="EB515"):  # a lone surrogate
        elements(Given("a", "BYTES", (1,), b"\3\0\0\0\xed\xa0\x80"))


@pytest.mark.parametrize(
    ("predictions", "wanted"),
    [
        ([1.5, 2], [(OUTPUT, "FP64", (2,), [1.5, 2])]),
        ([1, 2], [(OUTPUT, "INT64", (2,), [1, 2])]),
        ([True, False], [(OUTPUT, "BOOL", (2,), [True, False])]),
        (["a", "b"], [(OUTPUT, "BYTES", (2,), ["a", "b"])]),
        ([[1.5, 2.5], [3.5, 4.5]], [(OUTPUT, "FP64", (2, 2), [1.5, 2.5, 3.5, 4.5])]),
        ([[1], [2, 3]], [(OUTPUT, "BYTES", (2,), ["[1]", "[2,3]"])]),
        ([[], []], [(OUTPUT, "BYTES", (2,), ["[]", "[]"])]),
        ([2**63], [(OUTPUT, "BYTES", (1,), ["9223372036854775808"])]),
        ([True, 1], [(OUTPUT, "BYTES", (2,), ["true", "1"])]),
        ([{"p": 0.5, "c": "x"}], [("p", "FP64", (1,), [0.5]), ("c", "BYTES", (1,), ["x"])]),
        ([{"p": 1}, {"q": 2}], [(OUTPUT, "BYTES", (2,), ['{"p":1}', '{"q":2}'])]),
    ],
)
def test_answers_become_tensors_of_their_content(predictions, wanted):
    found = tensors_of(predictions)
    assert [(t.name, t.datatype, t.shape, t.values) for t in found] == wanted
    for tensor in found:
        sent = Given(tensor.name, tensor.datatype, tensor.shape, pack(tensor))
        assert elements(sent) == tensor.values
