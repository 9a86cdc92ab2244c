"""The contract's rules as pure functions of summaries."""

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everbake.core.contract import (
    RANGE_ROWS,
    ColumnRule,
    Contract,
    check,
    follow,
    hard_range,
    infer,
    widen,
)
from everbake.core.dataset import (
    MAX_CATEGORIES,
    SHOWN,
    ColumnSummary,
    Offence,
    Shape,
    Sighting,
    Special,
    Summary,
)

SPECIAL = Special("y", key="id")
FINITE = st.floats(-1e6, 1e6)


def numbers(name: str, low: float, high: float, **changes) -> ColumnSummary:
    return ColumnSummary(name, "float64", **{"rows": 10, "min": low, "max": high, **changes})


def summary(*columns: ColumnSummary, rows: int = 10) -> Summary:
    return Summary(rows, columns, (Shape("a.csv", tuple(c.name for c in columns)),))


def first(*columns: ColumnSummary, rows: int = 10) -> Contract:
    return infer(summary(*columns, rows=rows), SPECIAL)


X, Y = numbers("x", 0.0, 1.0), numbers("y", 0.0, 1.0)


def test_the_first_batch_gives_names_types_and_nullability():
    text = ColumnSummary("s", "string", rows=10, nulls=2, categories=("a", "b"))
    contract = first(X, Y, text)
    assert contract.names == ("x", "y", "s")
    assert contract.rule("x") == ColumnRule("x", "float64", nullable=False, min=0.0, max=1.0)
    assert contract.rule("s") == ColumnRule("s", "string", nullable=True, categories=("a", "b"))
    assert contract.rows == 10


@given(st.lists(st.tuples(FINITE, FINITE), min_size=2, max_size=8), st.integers(1, 99))
def test_the_hard_range_is_over_all_accepted_rows(spans, rows):
    spans = [tuple(sorted(span)) for span in spans]
    contract = first(numbers("x", *spans[0]), Y, rows=rows)
    for span in spans[1:]:
        contract = follow(contract, summary(numbers("x", *span), Y, rows=rows))
    low, high = min(s[0] for s in spans), max(s[1] for s in spans)
    hard = hard_range(contract, contract.rule("x"))
    if contract.rows < RANGE_ROWS or low == high:
        assert hard == (None, None)
    else:
        width = high - low
        assert hard == pytest.approx((low - 3 * width, high + 3 * width))


@given(st.integers(0, 200), FINITE, FINITE)
def test_a_pinned_limit_holds_at_once_and_follows_nothing(rows, limit, far):
    rule = ColumnRule("x", "float64", min=0.0, max=limit, pinned=("max",))
    contract = Contract((rule, ColumnRule("y", "float64")), SPECIAL, rows)
    assert hard_range(contract, rule)[1] == limit
    if rows:
        grown = follow(contract, summary(numbers("x", far, far), Y))
        assert grown.rule("x").max == limit
        assert grown.rule("x").min == min(0.0, far)


def test_special_columns_have_no_hard_range():
    contract = first(X, Y, numbers("id", 0.0, 5.0), rows=1000)
    assert hard_range(contract, contract.rule("x")) == (-3.0, 4.0)
    assert hard_range(contract, contract.rule("y")) == (None, None)
    assert hard_range(contract, contract.rule("id")) == (None, None)


def test_new_extremes_and_categories_are_notices():
    text = ColumnSummary("s", "string", rows=10, categories=("a",))
    contract = first(X, Y, text)
    checked = check(
        contract, summary(numbers("x", -1.0, 2.0), Y, replace(text, categories=("a", "b")))
    )
    assert checked.findings == ()
    assert [(notice.code, notice.column) for notice in checked.notices] == [
        ("range", "x"),
        ("range", "x"),
        ("category", "s"),
    ]
    assert "'b'" in checked.notices[2].detail


def test_too_many_categories_are_none():
    many = tuple(sorted(f"c{i}" for i in range(MAX_CATEGORIES)))
    text = ColumnSummary("s", "string", rows=60, categories=many)
    contract = follow(first(X, Y, text), summary(X, Y, replace(text, categories=("new",))))
    assert contract.rule("s").categories is None


def test_a_renamed_column_is_named_by_its_near_miss():
    checked = check(first(numbers("temperature", 0, 1), Y), summary(numbers("temprature", 0, 1), Y))
    assert [finding.code for finding in checked.findings] == ["missing", "extra"]
    assert "there is 'temprature'?" in checked.findings[0].detail
    assert "did you mean 'temperature'" in checked.findings[1].detail


def test_one_empty_cell_of_a_nullable_column_is_no_empty_column():
    contract = first(replace(X, nulls=3), Y)
    few = numbers("x", None, None, rows=3, nulls=3)
    many = numbers("x", None, None, rows=30, nulls=30)
    assert check(contract, summary(few, Y)).findings == ()
    assert [f.code for f in check(contract, summary(many, Y)).findings] == ["all-null"]


def test_accepting_does_not_change_what_is_pinned():
    rule = ColumnRule("x", "float64", nullable=False, max=1.0, pinned=("nullable", "max"))
    contract = Contract((rule, ColumnRule("y", "float64", nullable=False)), SPECIAL, 10)
    far = Offence("range", 1, (Sighting(1, "a.csv", "9.0"),))
    null = Offence("null", 1, (Sighting(2, "a.csv", "None"),))
    batch = summary(numbers("x", 0.0, 9.0, nulls=1, offences=(far, null)), Y)
    assert [f.code for f in check(contract, batch).findings] == ["range", "null"]
    widened, remaining = widen(contract, batch)
    assert remaining.findings == ()
    assert widened.rule("x") == replace(rule, min=0.0)


def test_offences_count_all_and_show_the_first():
    def seen(row: int) -> Offence:
        return Offence("null", 1, (Sighting(row, "a.csv", "None"),))

    column = numbers("x", 0, 1)
    for row in range(1, 40):
        column = column.merged(numbers("x", 0, 1, offences=(seen(row),)))
    (offence,) = column.offences
    assert offence.count == 39
    assert [place.row for place in offence.first] == list(range(1, SHOWN + 1))


@given(st.lists(st.tuples(FINITE, FINITE), min_size=3, max_size=3))
def test_merging_is_associative(spans):
    a, b, c = (numbers("x", *sorted(span)) for span in spans)
    assert a.merged(b).merged(c) == a.merged(b.merged(c))


def test_a_contract_travels_as_json():
    contract = first(X, Y)
    wire = msgspec.json.encode(contract)
    assert msgspec.json.decode(wire, type=Contract) == contract
    assert msgspec.json.encode(msgspec.json.decode(wire, type=Contract)) == wire
