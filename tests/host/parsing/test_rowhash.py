"""Row hashes against an independent implementation in plain Python."""

import hashlib
import math
import struct
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everbake.host.parsing import row_hashes

MASK = 2**64 - 1
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def mix(z: int) -> int:
    """The next output of splitmix64 from state `z`, as published."""
    z = (z + 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def text_bits(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def bits(value: object) -> int:
    if isinstance(value, str):
        return text_bits(value)
    if isinstance(value, float):
        return int.from_bytes(struct.pack("<d", 0.0 if value == 0 else value), "little")
    if isinstance(value, datetime):
        return (value - EPOCH) // (EPOCH.resolution) & MASK
    return int(value) & MASK


def reference(row: dict[str, object]) -> int:
    cells = (
        mix((bits(value) + text_bits(name)) & MASK)
        for name, value in row.items()
        if value is not None and not (isinstance(value, float) and math.isnan(value))
    )
    return mix(sum(cells) & MASK)


def test_splitmix64_gives_its_published_first_outputs():
    assert mix(0) == 0xE220A8397B1DCDAF  # seed 0


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "i": st.none() | st.integers(-(2**63), 2**63 - 1),
                "f": st.none() | st.floats(),
                "b": st.none() | st.booleans(),
                "s": st.none() | st.text(st.characters(codec="utf-8")),
                "t": st.none() | st.datetimes(timezones=st.just(UTC)),
            }
        ),
        min_size=1,
        max_size=20,
    )
)
def test_hashes_equal_those_of_plain_python(rows):
    schema = pa.schema(
        {
            "i": pa.int64(),
            "f": pa.float64(),
            "b": pa.bool_(),
            "s": pa.string(),
            "t": pa.timestamp("us", "UTC"),
        }
    )
    table = pa.Table.from_pylist(rows, schema)
    assert row_hashes(table).tolist() == [reference(row) for row in rows]
    assert row_hashes(table, ["s", "i"]).tolist() == [
        reference({"s": row["s"], "i": row["i"]}) for row in rows
    ]
    turned = table.select(table.column_names[::-1])
    assert row_hashes(turned).tolist() == row_hashes(table).tolist()


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"feature": 1, "target": 2}, 0xF2B6975CE6323177),
        ({"x": 0.5, "s": "a"}, 0xBCB77B9525B46403),
        ({"x": None}, 0xE220A8397B1DCDAF),
    ],
)
def test_hashes_never_change(row, expected):
    assert row_hashes(pa.Table.from_pylist([row])).tolist() == [expected]


def test_chunks_slices_and_dictionaries_do_not_matter():
    texts = pa.array(["a", "b", None, "a"])
    whole = row_hashes(pa.table({"s": texts})).tolist()
    chunked = pa.chunked_array([texts[:1], texts[1:]])
    assert row_hashes(pa.table({"s": chunked})).tolist() == whole
    assert row_hashes(pa.table({"s": texts.dictionary_encode()})).tolist() == whole
    assert row_hashes(pa.table({"s": texts}).slice(1, 2)).tolist() == whole[1:3]


def test_minus_zero_is_zero_and_no_rows_have_no_hashes():
    plus, minus = row_hashes(pa.table({"x": [0.0, -0.0]})).tolist()
    assert plus == minus
    assert row_hashes(pa.table({"s": pa.array([], pa.string())})).tolist() == []
