"""What projections promise to the tables that hold them."""

from hypothesis import given
from hypothesis import strategies as st

from everbake.core.facts import chained, decode, encode, name_of
from everbake.core.project import fold, project
from everbake.core.tables import COLUMNS, KEYS, NEWEST


def chain(facts):
    entries, head = [], (0, "0" * 64)
    for n, fact in enumerate(facts):
        entries.append(chained(head, f"id{n}", float(n), fact))
        head = (entries[-1].n, entries[-1].hash)
    return entries


@given(data=st.data())
def test_every_cell_that_a_fact_sets_has_a_column_and_every_row_a_key(data, histories):
    for entry in chain(data.draw(histories)):
        for put in project(entry):
            assert set(put.columns) <= set(COLUMNS[put.table])
            assert len(put.key) == len(KEYS[put.table])
            assert None not in put.key


@given(data=st.data())
def test_every_fact_is_stored_and_read_back_as_it_was(data, histories):
    for fact in data.draw(histories):
        again = decode(name_of(fact), encode(fact))
        assert again == fact
        assert encode(again) == encode(fact)


@given(data=st.data())
def test_folding_in_two_parts_gives_what_folding_at_once_gives(data, histories):
    entries = chain(data.draw(histories))
    cut = data.draw(st.integers(0, len(entries)))
    parts = fold(entries[:cut])
    for entry in entries[cut:]:
        parts.apply(entry)
    assert parts == fold(entries)


def test_every_table_says_which_row_is_newer():
    assert set(KEYS) == set(COLUMNS) == set(NEWEST)
    assert all(NEWEST[table] in COLUMNS[table] for table in KEYS)
