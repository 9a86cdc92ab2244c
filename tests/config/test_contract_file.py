"""The contract as a file that people edit."""

import tomllib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everbake.config.contract_file import (
    declared,
    pinned_edits,
    read,
    render,
    rewrite,
    undated,
)
from everbake.core.contract import ColumnRule, Contract, hard_range
from everbake.core.dataset import Special
from everbake.errors import UsageError

SPECIAL = Special("y")
CONTRACT = Contract(
    (
        ColumnRule("temp", "float64", nullable=False, min=0.5, max=1.5),
        ColumnRule("y", "int64", nullable=False, min=1.0, max=9.0),
        ColumnRule('odd name, "é"', "string", categories=("a", "b")),
    ),
    SPECIAL,
    rows=120,
)
NUMBER = st.none() | st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)))


@st.composite
def rules(draw):
    kind = draw(st.sampled_from(["int64", "float64", "bool", "string", "timestamp"]))
    low, high = draw(st.tuples(NUMBER, NUMBER))
    if low is not None and high is not None and low > high:
        low, high = high, low
    categories = draw(st.none() | st.lists(TEXT, max_size=4).map(tuple))
    return ColumnRule(
        draw(TEXT), kind, draw(st.booleans()), draw(st.booleans()), low, high, categories
    )


@given(st.lists(rules(), max_size=5, unique_by=lambda rule: rule.name), st.integers(0, 300))
def test_what_nobody_edits_pins_nothing(columns, rows):
    contract = Contract(tuple(columns), SPECIAL, rows)
    text = render(contract, 7)
    written = read(text)
    assert written.follows == 7
    assert pinned_edits(written, contract) == contract
    assert render(pinned_edits(written, contract), 7) == text


def test_it_is_readable():
    text = render(CONTRACT, 3)
    assert (
        '[columns.temp]\ntype = "float64"\nnullable = false\nmin = 0.5 # hard limit -2.5\n'
        "max = 1.5 # hard limit 4.5\n"
    ) in text
    assert '[columns.y]\ntype = "int64"\nnullable = false\nmin = 1\nmax = 9\n' in text
    assert tomllib.loads(text)["columns"]['odd name, "é"']["categories"] == ["a", "b"]


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("max = 1.5", "max = 2", {"max": 2.0, "pinned": ("max",)}),
        ("max = 1.5", "max = inf", {"max": None, "pinned": ("max",)}),
        ("min = 0.5 # hard limit -2.5\n", "", {}),
        ("nullable = false\nmin = 0.5", "nullable = true\nmin = 0.0",
         {"nullable": True, "min": 0.0, "pinned": ("nullable", "min")}),
        ("nullable = false", 'pinned = ["max"]\nnullable = false', {"pinned": ("max",)}),
    ],
)  # fmt: skip
def test_what_is_edited_is_pinned(old, new, changed):
    written = read(render(CONTRACT, 3).replace(old, new, 1))
    edited = pinned_edits(written, CONTRACT)
    assert edited.rule("temp") == replace(CONTRACT.rule("temp"), **changed)
    assert edited.columns[1:] == CONTRACT.columns[1:]
    again = pinned_edits(read(render(edited, 3)), edited)
    assert again == edited


def test_no_limit_means_none():
    written = read(render(CONTRACT, 3).replace("max = 1.5", "max = inf", 1))
    edited = pinned_edits(written, CONTRACT)
    assert hard_range(edited, edited.rule("temp"))[1] is None
    assert "max = inf" in render(edited, 3)


def test_edits_are_carried_over_to_what_was_accepted_meanwhile():
    written = read(render(CONTRACT, 3).replace("max = 1.5", "max = 2.0", 1))
    temp, *others = CONTRACT.columns
    latest = replace(CONTRACT, columns=(replace(temp, min=-5.0, max=1.9), *others), rows=500)
    edited = pinned_edits(written, CONTRACT, latest)
    assert edited.rule("temp") == replace(temp, min=-5.0, max=2.0, pinned=("max",))
    assert edited.rows == 500


def test_taking_a_pin_out_lets_the_field_follow_again():
    pinned = replace(CONTRACT.columns[0], pinned=("max",))
    recorded = replace(CONTRACT, columns=(pinned, *CONTRACT.columns[1:]))
    text = render(recorded, 3)
    assert 'pinned = ["max"]' in text
    edited = pinned_edits(read(text.replace('pinned = ["max"]\n', "")), recorded)
    assert edited.rule("temp").pinned == ()


def test_a_file_that_lost_its_line_about_versions_keeps_old_pins_and_new_edits():
    pinned = pinned_edits(read(render(CONTRACT, 3).replace("max = 1.5", "max = 2", 1)), CONTRACT)
    text = render(pinned, 4).replace("follows = 4\n", "").replace("min = 0.5", "min = 0.25", 1)
    edited = pinned_edits(undated(read(text), pinned), pinned).rule("temp")
    assert (edited.min, edited.max, set(edited.pinned)) == (0.25, 2.0, {"min", "max"})
    assert pinned_edits(undated(read(""), pinned), pinned) == pinned


def test_before_the_first_batch_all_that_is_written_is_pinned():
    contract = declared(read('[columns.x]\ntype = "float64"\nmax = 5\n'), SPECIAL)
    assert contract == Contract(
        (ColumnRule("x", "float64", max=5.0, pinned=("type", "max")),), SPECIAL
    )


@pytest.mark.parametrize(
    ("text", "code", "line", "words"),
    [
        ("follows = 1\n[columns.x\n", "EB110", 2, "no TOML"),
        ("follows = -1\n", "EB111", 1, "no data version"),
        ("\nfolows = 1\n", "EB111", 2, "did you mean 'follows'"),
        ('[columns.x]\ntype = "int64"\nnulable = true\n', "EB111", 3, "did you mean 'nullable'"),
        ('[columns.x]\ntype = "integer"\n', "EB111", 2, "one of int64"),
        ('[columns.a]\ntype = "bool"\n\n[columns."b c"]\nmin = "1"\n', "EB111", 5, "a number"),
        ("[columns.x]\nmin = 2\nmax = 1\n", "EB111", 3, "below"),
        ("[columns.x]\nmin = nan\n", "EB111", 2, "a number"),
        ('[columns.x]\npinned = ["name"]\n', "EB111", 2, "a list of some of"),
        ("columns = 3\n", "EB111", 1, "no table"),
        ("[columns]\nx = 3\n", "EB111", 2, "no table"),
    ],
)
def test_mistakes_are_told_with_their_line(text, code, line, words):
    with pytest.raises(UsageError) as told:
        read(text, "contracts/line.toml")
    assert told.value.code == code
    assert told.value.where == f"contracts/line.toml, line {line}"
    assert words in str(told.value)


def test_rewriting_does_not_write_over_what_it_cannot_read():
    with pytest.raises(UsageError) as told:
        rewrite("[columns.temp\n", CONTRACT, 4)
    assert told.value.code == "EB110"


def test_a_type_of_the_table_cannot_be_edited():
    written = read(render(CONTRACT, 3).replace('"int64"', '"float64"'))
    with pytest.raises(UsageError) as told:
        pinned_edits(written, CONTRACT, where="contracts/line.toml")
    assert told.value.code == "EB112"


def test_a_column_may_be_announced():
    text = render(CONTRACT, 3) + '\n[columns.wind]\ntype = "float64"\noptional = true\n'
    assert pinned_edits(read(text), CONTRACT).rule("wind").type == "float64"
    with pytest.raises(UsageError) as told:
        pinned_edits(read(text.replace('type = "float64"\noptional', "optional")), CONTRACT)
    assert told.value.code == "EB111"


@given(
    st.lists(rules(), max_size=4, unique_by=lambda rule: rule.name),
    st.lists(rules(), max_size=4, unique_by=lambda rule: rule.name),
    st.integers(0, 300),
)
def test_rewriting_says_what_rendering_says(before, after, rows):
    text = render(Contract(tuple(before), SPECIAL, rows), 3)
    contract = Contract(tuple(after), SPECIAL, rows + 1)
    written, rendered = read(rewrite(text, contract, 4)), read(render(contract, 4))
    assert written.follows == 4
    assert {c.rule.name: c for c in written.columns} == {c.rule.name: c for c in rendered.columns}


def test_rewriting_keeps_what_a_person_wrote():
    text = render(CONTRACT, 3)
    own = text.replace("[columns.temp]", "# in tenths of 41 degrees\n[columns.temp]").replace(
        "nullable = false", "nullable = false  # the sensor never sleeps", 1
    )
    temp, label, odd = CONTRACT.columns
    grown = replace(
        CONTRACT,
        columns=(replace(temp, max=2.5), label, odd, ColumnRule("wind", "bool")),
        rows=500,
    )
    rewritten = rewrite(own, grown, 4)
    assert rewritten.startswith("# What a batch must meet.")
    assert "# in tenths of 41 degrees\n[columns.temp]" in rewritten
    assert "nullable = false  # the sensor never sleeps\n" in rewritten
    assert "max = 2.5 # hard limit 8.5\n" in rewritten
    assert rewritten.endswith('[columns.wind]\ntype = "bool"\nnullable = true\n')
    assert pinned_edits(read(rewritten), grown) == grown
    assert rewrite(text, CONTRACT, 3) == text
