"""Batches that break the contract are told with row and column, and leave nothing staged."""

import msgspec
import pyarrow as pa
import pytest

from everbake.core.contract import Parsed

FIRST = "x,y,s,t\n1,2.5,a,2011-01-01\n2,3.5,b,2011-01-02\n"


@pytest.fixture
def contract(bench):
    return bench.csv(FIRST).contract


def told(parsed: Parsed) -> list[tuple[str, int | None, str | None]]:
    return [(finding.code, finding.row, finding.column) for finding in parsed.findings]


@pytest.mark.parametrize(
    ("text", "findings"),
    [
        ("x,y,s\n1,2,a\n", [("missing", None, "t")]),
        ("x,y,s,t,z\n1,2,a,2011-01-01,5\n", [("extra", None, "z")]),
        ("x,y,s,t,x\n1,2,a,2011-01-01,5\n", [("duplicate", None, "x")]),
        ("x,y,s,t,X\n1,2,a,2011-01-01,5\n", [("duplicate", None, "X")]),
        ("x,y,s,t,__row\n1,2,a,2011-01-01,5\n", [("name", None, "__row")]),
        ("x,y,s,t,\n1,2,a,2011-01-01,5\n", [("name", None, "")]),
        ("x,y,s,t\n1,2,a,2011-01-01\n2,abc,b,2011-01-01\n", [("type", 2, "y")]),
        ("x,y,s,t\n1.5,2,a,2011-01-01\n", [("type", 1, "x")]),
        ("x,y,s,t\n1,2,a,yesterday\n", [("type", 1, "t")]),
        ("x,y,s,t\n1,2,a,2011-01-01\n2,-inf,b,2011-01-01\n", [("infinite", 2, "y")]),
        ("x,y,s,t\n1,2,a,2011-01-01\n2,,b,2011-01-01\n", [("null", 2, "y")]),
        ("x,y,s,t\n1,,a,2011-01-01\n", [("all-null", None, "y"), ("null", 1, "y")]),
        ("x,y,s,t\n1,2,a,2011-01-01\n2,3\n3,4,b,2011-01-01,9\n",
         [("unparsable", 2, None), ("unparsable", 3, None)]),
    ],
)  # fmt: skip
def test_each_break_is_told_with_row_and_column(bench, contract, text, findings):
    parsed = bench.csv(text, contract=contract)
    assert told(parsed) == findings
    assert all(finding.source in ("rows.csv", "") for finding in parsed.findings)
    assert (parsed.files, parsed.contract, bench.staged()) == ((), None, [])


def test_rows_after_a_skipped_one_keep_their_number_in_the_file(bench, contract):
    text = "x,y,s,t\n1\n1,2,a,2011-01-01\n2\n3\n1,bad,a,2011-01-01\n"
    parsed = bench.csv(text, contract=contract)
    assert ("type", 5, "y") in told(parsed)
    lines = ['{"x":1', '{"x":1,"y":1,"s":"a","t":"2011-01-01"}', "[]",
             '{"x":1,"y":"bad","s":"a","t":"2011-01-01"}']  # fmt: skip
    bench.file("rows.jsonl", "\n".join(lines))
    assert told(bench.parse("rows.jsonl", contract=contract)) == [
        ("unparsable", 1, None), ("unparsable", 3, None), ("type", 4, "y"),
    ]  # fmt: skip


def test_whole_numbers_written_as_floats_stay_whole(bench, contract):
    parsed = bench.csv("x,y,s,t\n3.0,2,a,2011-01-01\n", contract=contract)
    assert [row["x"] for row in bench.values(parsed)] == [3]
    table = pa.table({"x": [1.0, 2.0], "y": [1, 2], "s": ["a", "b"], "t": ["2011-01-01"] * 2})
    bench.file("rows.parquet", table)
    assert bench.parse("rows.parquet", contract=contract).findings == ()


def test_declared_text_is_no_number_even_if_it_looks_like_one(bench, contract):
    table = pa.table({"x": [1], "y": ["2.5"], "s": ["a"], "t": ["2011-01-01"]})
    bench.file("rows.parquet", table)
    assert told(bench.parse("rows.parquet", contract=contract)) == [("type", 1, "y")]


def test_not_a_number_counts_as_missing(bench, contract):
    table = pa.table(
        {"x": [1, 2], "y": [1.0, float("nan")], "s": ["a"] * 2, "t": ["2011-01-01"] * 2}
    )
    bench.file("rows.parquet", table)
    assert told(bench.parse("rows.parquet", contract=contract)) == [("null", 2, "y")]


def test_a_broken_parquet_file_is_told(bench, contract):
    path = bench.file("rows.parquet", pa.table({"y": [1.0]}))
    with open(path, "r+b") as file:  # noqa: PTH123 - truncated in place
        file.truncate(40)
    assert [f.code for f in bench.parse("rows.parquet", contract=contract).findings] == [
        "unparsable"
    ]


def test_an_open_quote_swallows_no_rows_silently(bench, contract):
    parsed = bench.csv('x,y,s,t\n1,2,"a,2011-01-01\n2,3,b,2011-01-01\n', contract=contract)
    assert [finding.code for finding in parsed.findings] == ["unparsable"]


def test_the_hard_range_comes_with_the_hundredth_row(bench):
    rows = "\n".join(f"{i / 98},1" for i in range(99))
    ninety_nine = bench.csv(f"x,y\n{rows}\n").contract
    far = "x,y\n0.5,1\n4.01,1\n"
    early = bench.csv(far, contract=ninety_nine)
    assert early.findings == ()
    assert [(n.code, n.column) for n in early.notices] == [("range", "x")]
    hundred = bench.csv("x,y\n0.5,1\n", contract=ninety_nine).contract
    assert told(bench.csv(far, contract=hundred)) == [("range", 2, "x")]
    assert bench.csv("x,y\n-3.0,1\n4.0,1\n", contract=hundred).findings == ()


def test_no_hard_range_for_constant_label_time_and_key_columns(bench):
    from everbake.core.dataset import Special

    bench.special = Special("y", time="t", key="k")
    rows = "\n".join(f"7,{i},{i},{i}" for i in range(100))
    contract = bench.csv(f"c,y,t,k\n{rows}\n").contract
    assert bench.csv("c,y,t,k\n99,99999,99999,99999\n", contract=contract).findings == ()


def test_findings_are_counted_in_full_and_shown_in_part(bench, contract):
    rows = "\n".join("1,,,2011-01-01" for _ in range(500))
    parsed = bench.csv(f"x,y,s,t\n{rows}\n5,5,z,2011-01-01\n", contract=contract)
    counts = {(count.code, count.column): count.count for count in parsed.counts}
    assert counts == {("null", "y"): 500, ("null", "s"): 500}
    assert len(parsed.findings) == 20
    assert parsed.findings[0].row == 1


def test_a_label_or_time_column_must_be_there_from_the_start(bench):
    from everbake.core.dataset import Special

    bench.special = Special("label", time="when")
    parsed = bench.csv("x,when\n1,noon\n")
    assert ("missing", None, "label") in told(parsed)
    assert ("type", None, "when") in told(parsed)


def test_the_files_of_a_first_batch_must_agree(bench):
    bench.file("a.csv", "x,y\n1,2\n")
    bench.file("b.csv", "x,z\n1,2\n")
    parsed = bench.parse("a.csv", "b.csv")
    assert [(f.code, f.column, f.source) for f in parsed.findings] == [
        ("missing", "y", "b.csv"),
        ("extra", "z", "b.csv"),
    ]


def test_a_first_batch_has_no_empty_or_nested_columns(bench):
    assert told(bench.csv("x,y\n,2\n,3\n")) == [("all-null", None, "x")]
    bench.file("rows.parquet", pa.table({"y": [1], "n": [[1, 2]]}))
    assert told(bench.parse("rows.parquet")) == [("type", 1, "n")]


def test_rows_at_the_border_of_batches_keep_their_numbers(bench):
    rows = 300_001
    table = pa.table({"x": pa.array(range(rows), pa.float64()), "y": pa.array([1.0] * rows)})
    bench.file("rows.parquet", table)
    contract = bench.parse("rows.parquet").contract
    broken = pa.concat_tables([table, pa.table({"x": [None, 1.0], "y": [1.0, float("inf")]})])
    bench.file("rows.parquet", broken)
    parsed = bench.parse("rows.parquet", contract=contract)
    assert told(parsed) == [("null", rows + 1, "x"), ("infinite", rows + 2, "y")]


def test_what_is_parsed_travels_as_json(bench, contract):
    parsed = bench.csv("x,y,s,t\n1,,z,2011-01-01\n2,3,a,2011-01-01\n", contract=contract)
    assert msgspec.json.decode(msgspec.json.encode(parsed), type=Parsed) == parsed
    assert len(parsed.digest) == 64
