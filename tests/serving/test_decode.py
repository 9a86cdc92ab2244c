"""The fast way and the careful way agree, whatever is sent."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everbake.core.bundle import Input
from everbake.serving.decode import RequestDecoder
from everbake.serving.problems import ProblemError

TYPES = ("int64", "float64", "bool", "string", "timestamp")
names = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=8)
inputs = st.lists(
    st.builds(
        Input, name=names, type=st.sampled_from(TYPES), nullable=st.booleans(), needed=st.booleans()
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda i: i.name,
)
anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**65), 2**65),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=("Cs",)), max_size=5),
    st.datetimes().map(lambda t: t.isoformat()),
    st.lists(st.integers(), max_size=2),
)
FITTING = {
    "int64": st.integers(-(2**63), 2**63 - 1),
    "float64": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53),
    "bool": st.booleans(),
    "string": st.text(st.characters(exclude_categories=("Cs",)), max_size=5),
    "timestamp": st.datetimes().map(lambda t: t.isoformat()),
}


def outcome(decode, body):
    try:
        return decode(body), None
    except ProblemError as problem:
        return None, (problem.code, problem.place)


@given(inputs=inputs, data=st.data())
def test_both_ways_agree_on_any_rows(inputs, data):
    known = st.sampled_from([i.name for i in inputs]) | names
    rows = data.draw(st.lists(st.dictionaries(known, anything, max_size=5), min_size=1, max_size=4))
    body = json.dumps({"rows": rows}).encode()
    decoder = RequestDecoder(inputs)
    assert outcome(decoder.decode, body) == outcome(decoder._carefully, body)


@given(inputs=inputs, data=st.data())
def test_rows_that_fit_are_accepted_unchanged(inputs, data):
    def value(wanted):
        fitting = FITTING[wanted.type]
        return data.draw(st.none() | fitting if wanted.nullable else fitting)

    rows = [
        {i.name: value(i) for i in inputs if i.needed or data.draw(st.booleans())}
        for _ in range(data.draw(st.integers(1, 3)))
    ]
    found = RequestDecoder(inputs).decode(json.dumps({"rows": rows}).encode())
    filled = {i.name: None for i in inputs if i.nullable and not i.needed}
    assert found == [filled | row for row in rows]
    kinds = {"int64": int, "float64": float, "bool": bool, "string": str, "timestamp": str}
    for row in found:
        assert all(row[i.name] is None or type(row[i.name]) is kinds[i.type]
                   for i in inputs if i.name in row)  # fmt: skip


@given(body=st.binary(max_size=60))
def test_any_bytes_are_rows_or_a_problem(body):
    decoder = RequestDecoder([Input("a", "float64", nullable=True, needed=False)])
    rows, problem = outcome(decoder.decode, body)
    assert (rows is None) != (problem is None)


def test_whole_floats_are_whole_numbers():
    decoder = RequestDecoder([Input("a", "int64", nullable=False, needed=True)])
    assert decoder.decode(b'{"rows": [{"a": 9.0}]}') == [{"a": 9}]
    for wrong in (b"9.5", b"1e300", b"9223372036854775808", b"true", b'"9"'):
        with pytest.raises(ProblemError) as caught:
            decoder.decode(b'{"rows": [{"a": %s}]}' % wrong)
        assert caught.value.code == "EB515"


def test_times_are_told_in_utc():
    decoder = RequestDecoder([Input("t", "timestamp", nullable=True, needed=False)])
    for sent, kept in {
        "2024-05-01": "2024-05-01T00:00:00",
        "2024-05-01T12:00:00Z": "2024-05-01T12:00:00",
        "2024-05-01 12:00:00.5+02:00": "2024-05-01T10:00:00.500000",
    }.items():
        assert decoder.decode(b'{"rows": [{"t": "%s"}]}' % sent.encode()) == [{"t": kept}]
    for wrong in ("", "noon", "2024-13-01", "0001-01-01T00:00:00+23:00"):
        with pytest.raises(ProblemError, match="EB515"):
            decoder.decode(b'{"rows": [{"t": "%s"}]}' % wrong.encode())


def test_numbers_beyond_float64_are_refused():
    decoder = RequestDecoder([Input("a", "float64", nullable=False, needed=True)])
    for wrong in (b"1e999", b"9" * 400):
        with pytest.raises(ProblemError, match="EB515"):
            decoder.decode(b'{"rows": [{"a": %s}]}' % wrong)
    assert math.isfinite(decoder.decode(b'{"rows": [{"a": 1.7e308}]}')[0]["a"])


def test_names_given_twice_are_found_among_many():
    decoder = RequestDecoder([Input("a", "float64", nullable=True, needed=False)])
    many = ",".join(f'"{number}":0' for number in range(200_000))
    with pytest.raises(ProblemError, match="EB560") as caught:
        decoder.decode(b'{"rows": [{%s, "199999": 1}]}' % many.encode())
    assert caught.value.place.column == "199999"


def test_a_lone_surrogate_is_no_text():
    decoder = RequestDecoder([Input("t", "string", nullable=False, needed=True)])
    for wrong in (rb'"\ud800"', rb'"\udc00x"', b'"\xed\xa0\x80"'):
        with pytest.raises(ProblemError, match="EB508"):
            decoder.decode(b'{"rows": [{"t": %s}]}' % wrong)
    for row, code, column in (
        ({"t": "\ud800"}, "EB515", "t"),
        ({"\ud800": "x"}, "EB513", "\\ud800"),
    ):
        with pytest.raises(ProblemError, match=code) as caught:
            decoder.check([{"t": "x"}, row])
        assert (caught.value.place.row, caught.value.place.column) == (1, column)
        assert caught.value.document()
    assert decoder.check([{"t": "\U0001f600"}]) == [{"t": "\U0001f600"}]


@given(st.integers(-5, 15) | anything, st.booleans())
def test_a_bounded_number_lies_within_its_bounds(value, nullable):
    decoder = RequestDecoder([Input("k", "int64", nullable, needed=True, within=(1, 10))])
    body = json.dumps({"rows": [{"k": value}]}).encode()
    whole = isinstance(value, int | float) and not isinstance(value, bool) and value == int(value)
    if (whole and 1 <= value <= 10) or (value is None and nullable):
        assert decoder.decode(body) == [{"k": value}]
        return
    with pytest.raises(ProblemError) as refused:
        decoder.decode(body)
    assert refused.value.code == ("EB514" if value is None else "EB515")
    if value is not None:
        assert "a whole number from 1 to 10" in refused.value.what
