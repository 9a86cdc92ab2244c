"""Whatever rows are written, in whatever form, the same values and digest come back."""

import csv
import io
import json
import math
import string
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from everbake.core.contract import ColumnRule, Contract, ParseOrder
from everbake.core.dataset import Special
from everbake.errors import DataError
from everbake.host.parsing import parse

SPECIAL = Special("y")
RULES = tuple(
    ColumnRule(name, kind, nullable=name != "y", optional=name != "y")
    for name, kind in (
        ("y", "float64"),
        ("whole", "int64"),
        ("yes", "bool"),
        ("some text", "string"),
        ("at", "timestamp"),
    )
)
CONTRACT = Contract(RULES, SPECIAL, rows=1)
SCHEMA = pa.schema(
    {
        "y": pa.float64(),
        "whole": pa.int64(),
        "yes": pa.bool_(),
        "some text": pa.string(),
        "at": pa.timestamp("us", "UTC"),
    }
)
LETTERS = st.characters(codec="utf-8", exclude_characters="\x00\r\ufeff")
OLDEST, NEWEST = datetime.fromisoformat("1700-01-01"), datetime.fromisoformat("2200-01-01")
ROW = st.fixed_dictionaries(
    {
        "y": st.floats(allow_nan=False, allow_infinity=False),
        "whole": st.none() | st.integers(-(2**63), 2**63 - 1),
        "yes": st.none() | st.booleans(),
        "some text": st.none() | st.text(LETTERS, min_size=1),
        "at": st.none() | st.datetimes(OLDEST, NEWEST, timezones=st.just(UTC)),
    }
)


def plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value


def as_csv(rows: list[dict], names: list[str], delimiter: str) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerow(names)
    for row in rows:
        cells = [plain(row[name]) for name in names]
        writer.writerow(["" if cell is None else cell for cell in cells])
    return text.getvalue().encode()


def as_json(rows: list[dict], names: list[str]) -> bytes:
    lines = [
        json.dumps({name: plain(row[name]) for name in names}, ensure_ascii=False) for row in rows
    ]
    return "\n".join(lines).encode()


def parsed_of(folder: Path, name: str, contract: Contract | None = CONTRACT):
    stage = str(folder / f"stage-{name}")
    order = ParseOrder((str(folder / name),), (name,), stage, contract, 5, SPECIAL)
    return parse(order), stage


def outcome(folder: Path, name: str) -> str:
    """What came of a first batch of one file; the code if it was refused."""
    try:
        parsed, _ = parsed_of(folder, name, None)
    except DataError as error:
        return error.code
    assert bool(parsed.findings) == (parsed.contract is None)
    return "told" if parsed.findings else "read"


@settings(deadline=None)
@given(
    st.lists(ROW, min_size=1, max_size=12),
    st.permutations(SCHEMA.names),
    st.sampled_from(",;\t|"),
    st.randoms(use_true_random=False),
)
def test_rows_come_back_from_every_format(rows, names, delimiter, random):
    import pyarrow.parquet as pq

    shuffled = random.sample(rows, len(rows))
    wanted = [{name: row[name] for name in SCHEMA.names} for row in shuffled]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "a.csv").write_bytes(as_csv(shuffled, names, delimiter))
        (folder / "a.jsonl").write_bytes(as_json(rows, names))
        pq.write_table(pa.Table.from_pylist(rows, SCHEMA).select(names), folder / "a.parquet")
        digests = set()
        for name in ("a.csv", "a.jsonl", "a.parquet"):
            parsed, stage = parsed_of(folder, name)
            assert parsed.findings == ()
            digests.add(parsed.digest)
            if name == "a.csv":
                table = pq.read_table(Path(stage) / parsed.files[0].path)
                assert table.select(SCHEMA.names).to_pylist() == wanted
                assert table["__row"].to_pylist() == list(range(5, 5 + len(rows)))
        assert len(digests) == 1


@settings(deadline=None)
@given(st.lists(st.lists(st.text(string.printable), min_size=3, max_size=3), min_size=1))
def test_any_text_is_read_or_told_but_never_crashes(cells):
    text = "\n".join(",".join(line) for line in cells)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "a.csv").write_text("y,b,c\n1,2,3\n" + text)
        parsed, _ = parsed_of(folder, "a.csv", None)
        assert parsed.rows > 0
        assert bool(parsed.findings) == (parsed.contract is None)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=30))
@settings(deadline=None)
def test_the_accepted_range_is_that_of_the_values(numbers):
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "a.csv").write_text("y\n" + "\n".join(map(repr, numbers)) + "\n")
        parsed, _ = parsed_of(folder, "a.csv", None)
        rule = parsed.contract.rule("y")
        assert (rule.min, rule.max) == (min(numbers), max(numbers))
        assert math.isfinite(rule.min)


@settings(deadline=None)
@given(st.binary(min_size=1, max_size=300), st.sampled_from(["a", "a.csv", "a.jsonl", "a.parquet"]))
def test_any_bytes_are_read_told_or_refused(content, name):
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / name).write_bytes(content)
        assert outcome(folder, name) in {"read", "told"} | {"EB105", "EB106", "EB108"}


@settings(deadline=None)
@given(st.text(st.sampled_from("ab\",;\t\n\r '|y\ufeff"), min_size=1, max_size=40))
def test_any_header_is_read_told_or_refused(text):
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "a.csv").write_text(text, newline="")
        assert outcome(folder, "a.csv") in {"read", "told"} | {"EB105", "EB106"}
