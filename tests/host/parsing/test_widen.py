"""Accepting a batch by hand takes what can be taken, and says what cannot."""

import pytest


@pytest.fixture
def contract(bench):
    rows = "\n".join(f"{i},{i / 10},a" for i in range(100))
    return bench.csv(f"x,y,s\n{rows}\n").contract


def test_nulls_ranges_and_new_columns_are_taken(bench, contract):
    text = "x,y,s,z,name\n,1.5,b,5,007\n9999,1,a,,x\n"
    assert bench.csv(text, contract=contract).findings != ()
    parsed = bench.csv(text, contract=contract, mode="widen", first_row=100)
    assert parsed.findings == ()
    rules = {rule.name: rule for rule in parsed.contract.columns}
    assert rules["x"].nullable
    assert rules["x"].max == 9999
    assert (rules["z"].type, rules["z"].optional) == ("int64", True)
    assert rules["name"].type == "string"
    assert rules["s"].categories == ("a", "b")
    assert parsed.contract.rows == 102
    assert bench.values(parsed)[0] == {"x": None, "y": 1.5, "s": "b", "z": 5, "name": "007"}
    assert bench.csv(text, contract=parsed.contract).findings == ()
    assert bench.csv("x,y,s\n1,1,a\n", contract=parsed.contract).findings == ()


def test_a_column_left_out_becomes_optional(bench, contract):
    parsed = bench.csv("x,y\n1,1\n", contract=contract, mode="widen")
    assert parsed.findings == ()
    assert bench.values(parsed) == [{"x": 1, "y": 1.0, "s": None}]
    assert bench.csv("x,y\n1,1\n", contract=parsed.contract).findings == ()


def test_an_empty_column_is_taken(bench, contract):
    parsed = bench.csv("x,y,s\n1,1,\n", contract=contract, mode="widen")
    assert parsed.contract.rule("s").nullable


@pytest.mark.parametrize(
    ("text", "code", "column"),
    [
        ("x,y,s\n1,warm,a\n", "type", "y"),
        ("x,y,s\n1.5,1,a\n", "type", "x"),
        ("x,y,s\n1,inf,a\n", "infinite", "y"),
        ("x,y,s,s\n1,1,a,a\n", "duplicate", "s"),
        ("x,y,s\n1,1\n", "unparsable", None),
        ("X,y,s\n1,1,a\n", "extra", "X"),
        ("x,s\n1,a\n", "missing", "y"),
    ],
)
def test_what_no_contract_can_take_remains(bench, contract, text, code, column):
    parsed = bench.csv(text, contract=contract, mode="widen")
    assert [(finding.code, finding.column) for finding in parsed.findings] == [(code, column)]
    assert bench.staged() == []


def test_an_added_column_leaves_the_hashes_of_earlier_rows(bench, contract):
    before = bench.csv("x,y,s\n1,1,a\n", contract=contract).digest
    wider = bench.csv("x,y,s,z\n1,1,a,5\n", contract=contract, mode="widen")
    assert wider.digest != before
    assert bench.csv("x,y,s\n1,1,a\n", contract=wider.contract).digest == before


def test_a_first_batch_with_an_empty_column_can_be_accepted(bench):
    parsed = bench.csv("x,y\n,1\n,2\n", mode="widen")
    rule = parsed.contract.rule("x")
    assert (rule.type, rule.nullable, rule.optional) == ("float64", True, True)
    assert bench.csv("x,y\n1.5,1\n", contract=parsed.contract).findings == ()
    assert bench.csv("y\n1\n", contract=parsed.contract).findings == ()
