"""Files that work: every encoding, delimiter, order and format gives the same rows."""

import gzip
from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from everbake.core.contract import ColumnRule, Contract
from everbake.errors import DataError

PLAIN = "x,y,s\n1,2.5,ä\n2,,b\n"
ROWS = [{"x": 1, "y": 2.5, "s": "ä"}, {"x": 2, "y": None, "s": "b"}]


@pytest.fixture
def plain(bench):
    return bench.csv(PLAIN)


@pytest.mark.parametrize(
    "content",
    [
        PLAIN.encode("utf-8-sig"),
        PLAIN.encode("latin-1"),
        PLAIN.encode("utf-16"),
        PLAIN.replace(",", ";").encode(),
        PLAIN.replace(",", "\t").encode(),
        PLAIN.replace("\n", "\r\n").encode(),
        PLAIN.removesuffix("\n").encode(),
        b"s,y,x\nb,,2\n\xc3\xa4,2.5,1\n",
        PLAIN.replace("\n", "\n\n").encode(),
        b'"x","y","s"\n"1","2.5","\xc3\xa4"\n"2","","b"\n',
        b" 1,NA,b\n".join([b"x,y,s\n", b""]).replace(b" 1", b" 2 ") + b"1,2.5,\xc3\xa4\n",
        gzip.compress(PLAIN.encode()),
    ],
    ids=[
        "bom",
        "latin-1",
        "utf-16",
        "semicolon",
        "tab",
        "crlf",
        "no-last-newline",
        "reordered",
        "blank-lines",
        "quoted",
        "spaces-and-NA",
        "gzip",
    ],
)
def test_the_same_rows_however_written_have_the_same_digest(bench, plain, content):
    parsed = bench.csv(content)
    assert parsed.findings == ()
    assert parsed.digest == plain.digest
    key = ["x"]
    assert sorted(bench.values(parsed), key=lambda r: [r[k] for k in key]) == ROWS


def test_parquet_and_json_lines_give_the_digest_of_csv(bench, plain):
    bench.file("rows.parquet", pa.Table.from_pylist(ROWS))
    bench.file("rows.jsonl", '{"s":"b","x":2}\n\n{"x":1,"y":2.5,"s":"\\u00e4"}\n')
    assert bench.parse("rows.parquet").digest == plain.digest
    assert bench.parse("rows.jsonl").digest == plain.digest


@pytest.mark.parametrize("name", ["stdin", "rows.txt", "rows.dat"])
@pytest.mark.parametrize("kind", ["csv", "json", "parquet"])
def test_a_file_without_a_telling_name_is_known_by_its_content(bench, plain, name, kind):
    contents = {
        "csv": PLAIN,
        "json": '{"x":1,"y":2.5,"s":"ä"}\n{"x":2,"y":null,"s":"b"}\n',
        "parquet": pa.Table.from_pylist(ROWS),
    }
    bench.file(name, contents[kind])
    assert bench.parse(name).digest == plain.digest


def test_several_files_are_one_batch_with_one_numbering(bench, plain):
    bench.file("a.csv", "x,y,s\n1,2.5,ä\n")
    bench.file("b.jsonl", '{"x": 2, "y": null, "s": "b"}\n')
    parsed = bench.parse("a.csv", "b.jsonl", first_row=40)
    assert parsed.digest == plain.digest
    assert parsed.rows == 2
    table = bench.rows(parsed)
    assert table["__row"].to_pylist() == [40, 41]
    assert table.column_names == ["x", "y", "s", "__row", "__hash"]
    assert str(table.schema.field("__hash").type) == "int64"


def test_quoted_newlines_and_delimiters_stay_in_their_field(bench):
    parsed = bench.csv('s,y\n"a\nb, ""c""",1\n')
    assert bench.values(parsed) == [{"s": 'a\nb, "c"', "y": 1}]


def test_one_row_of_one_column_works(bench):
    parsed = bench.csv("y\n4\n")
    assert parsed.findings == ()
    assert bench.values(parsed) == [{"y": 4}]


@pytest.mark.parametrize(
    ("texts", "kind", "values"),
    [
        (["1", "-2"], "int64", [1, -2]),
        (["1", "2.0"], "float64", [1.0, 2.0]),
        (["1e3", ".5"], "float64", [1000.0, 0.5]),
        (["007", "12"], "string", ["007", "12"]),
        (["12", "007"], "string", ["12", "007"]),
        (["+4930", "12"], "string", ["+4930", "12"]),
        (["0x1F", "12"], "string", ["0x1F", "12"]),
        (["12345678901234567890", "1"], "string", ["12345678901234567890", "1"]),
        (["0.5", "0"], "float64", [0.5, 0.0]),
        (["true", "False"], "bool", [True, False]),
        (["1", "NA"], "int64", [1, None]),
        (["x", "NA"], "string", ["x", "NA"]),
        (["nan", "1.5"], "float64", [None, 1.5]),
        (["2011-01-05", "2011-01-06"], "timestamp", None),
        (["01/05/2011", "01/06/2011"], "string", ["01/05/2011", "01/06/2011"]),
        (["1", "x"], "string", ["1", "x"]),
    ],
)
def test_the_first_batch_settles_each_type(bench, texts, kind, values):
    parsed = bench.csv("\n".join(["c,y", *(f"{text},1" for text in texts)]))
    assert [c.type for c in parsed.columns] == [kind, "int64"]
    if values is not None:
        assert [row["c"] for row in bench.values(parsed)] == values


def test_moments_are_kept_in_utc(bench):
    stamps = [
        "2011-01-05",
        "2011-01-05T10:00:00",
        "2011-01-05 10:00:00+02:00",
        "2011-01-05T10:00:00.123456789Z",
    ]
    parsed = bench.csv("\n".join(["t,y", *(f"{stamp},1" for stamp in stamps)]))
    assert [row["t"] for row in bench.values(parsed)] == [
        datetime(2011, 1, 5, tzinfo=UTC),
        datetime(2011, 1, 5, 10, tzinfo=UTC),
        datetime(2011, 1, 5, 8, tzinfo=UTC),
        datetime(2011, 1, 5, 10, 0, 0, 123456, tzinfo=UTC),
    ]


def test_types_that_parquet_declares_become_the_five(bench):
    table = pa.table(
        {
            "y": pa.array([1], pa.uint8()),
            "f": pa.array([0.5], pa.float32()),
            "d": pa.array([Decimal("1.25")]),
            "c": pa.array(["a"]).dictionary_encode(),
            "l": pa.array(["a"], pa.large_string()),
            "day": pa.array([date(2011, 1, 5)]),
            "ns": pa.array([1], pa.timestamp("ns")),
            "text": pa.array(["2011-01-05"]),
        }
    )
    bench.file("rows.parquet", table)
    parsed = bench.parse("rows.parquet")
    assert parsed.findings == ()
    kinds = [column.type for column in parsed.columns]
    assert kinds == [
        "int64", "float64", "float64", "string", "string", "timestamp", "timestamp", "string",
    ]  # fmt: skip


def test_the_index_that_pandas_writes_is_left_out_with_a_notice(bench):
    table = pa.table({"y": [1], "__index_level_0__": [7]})
    bench.file("rows.parquet", table)
    for parsed in (bench.parse("rows.parquet"), bench.csv(",y\n0,1\n")):
        assert [column.name for column in parsed.columns] == ["y"]
        assert [notice.code for notice in parsed.notices] == ["index"]


def test_json_values_of_several_kinds_make_a_text_column(bench):
    bench.file("rows.jsonl", '{"y":1,"m":1}\n{"y":2,"m":"two"}\n{"y":3,"m":2.5}\n')
    parsed = bench.parse("rows.jsonl")
    assert [row["m"] for row in bench.values(parsed)] == ["1", "two", "2.5"]


def test_an_integer_that_no_fraction_holds_may_stand_among_fractions(bench):
    bench.file("rows.jsonl", '{"y":1,"m":0.5}\n{"y":2,"m":9007199254740993}\n')
    parsed = bench.parse("rows.jsonl")
    assert [row["m"] for row in bench.values(parsed)] == [0.5, float(2**53)]


def test_a_file_that_is_named_twice_is_one_file(bench):
    bench.file("rows.csv", "x,y\n1,2\n")
    assert bench.parse("rows.csv", "rows.csv").rows == 1


def test_moments_beyond_the_calendar_are_no_moments(bench):
    contract = Contract(
        (ColumnRule("t", "timestamp"), ColumnRule("y", "int64")), bench.special, rows=1
    )
    parsed = bench.csv("t,y\n0001-01-01T00:00:00+05:00,1\n2024-01-01,2\n", contract=contract)
    assert [(finding.row, finding.code) for finding in parsed.findings] == [(1, "type")]


@pytest.mark.parametrize(
    ("name", "content", "row", "words"),
    [
        ("open.csv", 'y,x\n1,a\n2,"b\n3,c\n4,d\n', 2, "never closed"),
        ("twice.jsonl", '{"y":1,"x":2}\n{"y":2,"x":3,"x":4}\n', 2, "'x' stands there 2 times"),
        ("deep.jsonl", '{"y":1,"x":2}\n{"y":2,"x":' + "[" * 5000 + "}\n", 2, "no JSON object"),
    ],
)
def test_rows_that_can_be_read_in_two_ways_are_not_taken(bench, name, content, row, words):
    bench.file(name, content)
    parsed = bench.parse(name)
    found = [f for f in parsed.findings if f.code == "unparsable"]
    assert [finding.row for finding in found] == [row]
    assert words in found[0].detail
    assert bench.staged() == []


def test_a_cell_of_several_lines_may_be_the_last(bench):
    parsed = bench.csv('y,x\n1,"a\nb"\n2,"c\nd"\n')
    assert (parsed.rows, parsed.findings) == (2, ())


def test_an_object_is_no_moment(bench):
    bench.file("rows.jsonl", '{"y":1,"t":"2024-01-01"}\n{"y":2,"t":{"a":1}}\n')
    contract = Contract(
        (ColumnRule("y", "int64"), ColumnRule("t", "timestamp")), bench.special, rows=1
    )
    parsed = bench.parse("rows.jsonl", contract=contract)
    assert [(finding.row, finding.code) for finding in parsed.findings] == [(2, "type")]


def broken_text():
    lengths = np.array([0, 2, 3], np.int32)
    return pa.Array.from_buffers(
        pa.string(), 2, [None, pa.py_buffer(lengths.tobytes()), pa.py_buffer(b"\xff\xfea")]
    )


@pytest.mark.parametrize(
    ("values", "code"),
    [
        (broken_text(), "unparsable"),
        (pa.array([2**62, 1], pa.timestamp("ms")), "type"),
        (pa.array([6 * 10**18, 1], pa.timestamp("us")), "type"),
        (pa.array([1, 2], pa.timestamp("us", tz="Mars/Phobos")), "type"),
    ],
)
@pytest.mark.parametrize("kind", ["int64", "bool"])
def test_parquet_values_beyond_python_are_findings(bench, values, code, kind):
    contract = Contract((ColumnRule("y", "int64"), ColumnRule("x", kind)), bench.special, rows=1)
    bench.file("rows.parquet", pa.table({"y": [1, 2], "x": values}))
    parsed = bench.parse("rows.parquet", contract=contract)
    assert code in {finding.code for finding in parsed.findings}
    assert bench.staged() == []


def test_a_declared_type_wins_over_what_the_first_batch_looks_like(bench):
    from everbake.config.contract_file import declared, read

    pins = declared(read('[columns.x]\ntype = "float64"\n'), bench.special)
    parsed = bench.csv("x,y\n1,2\n", contract=pins)
    assert [c.type for c in parsed.columns] == ["float64", "int64"]
    assert bench.csv("x,y\n1.5,2\n", contract=parsed.contract).findings == ()


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "EB105"),
        (b"\xef\xbb\xbf\r\n \n", "EB105"),
        (b"x,y\n", "EB106"),
        (b"x,y", "EB106"),
        (pa.table({"y": pa.array([], pa.int64())}), "EB106"),
    ],
    ids=["no-bytes", "blank", "header", "header-without-newline", "parquet-without-rows"],
)
def test_a_file_without_rows_is_refused(bench, content, code):
    bench.file("rows", content)
    with pytest.raises(DataError) as refused:
        bench.parse("rows")
    assert refused.value.code == code
    assert "rows" in refused.value.where
    assert bench.staged() == []


def test_rows_without_any_field_are_refused(bench):
    bench.file("empty.jsonl", "{}\n{}\n")
    with pytest.raises(DataError, match="EB106"):
        bench.parse("empty.jsonl")


def test_a_missing_file_and_a_folder_are_refused(bench):
    with pytest.raises(DataError) as gone:
        bench.parse("nowhere.csv")
    assert gone.value.code == "EB107"
    (bench.folder / "folder.csv").mkdir()
    with pytest.raises(DataError) as folder:
        bench.parse("folder.csv")
    assert folder.value.code == "EB108"


@pytest.mark.parametrize(
    ("disturb", "code"),
    [
        (lambda path: path.unlink(), "EB107"),
        (lambda path: path.write_text("x,y\n1,2\n3,4\n"), "EB109"),
    ],
)
def test_a_file_removed_or_changed_while_read_is_refused(bench, monkeypatch, disturb, code):
    from everbake.host.parsing import stage

    bench.file("rows.csv", "x,y\n1,2\n")
    add = stage.Stage.add

    def disturbed(self, columns, rows):
        disturb(bench.folder / "rows.csv")
        add(self, columns, rows)

    monkeypatch.setattr(stage.Stage, "add", disturbed)
    with pytest.raises(DataError) as refused:
        bench.parse("rows.csv")
    assert refused.value.code == code
    assert bench.staged() == []
