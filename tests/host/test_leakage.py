"""What the leakage checks find: in generated tables with known leaks, in real ones without."""

from importlib import resources
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import roc_auc_score

from everbake import Gate, GroupSplit, HashSplit, Recipe, Table, TimeSplit
from everbake.core.dataset import HASH, ROW
from everbake.core.describing import describe
from everbake.host import alone
from everbake.host.alone import survey, told_alone
from everbake.host.leakage import column_checks, split_checks
from everbake.host.parsing.rowhash import row_hashes
from everbake.host.rows import rows_form
from everbake.host.splitting import Held, split_known
from everbake.host.updating import Lesson

DATA = Path(__file__).parents[1] / "data"


def recipe(data, split=None):
    return Recipe(
        name="m",
        data=data,
        train=lambda rows: None,
        predict=lambda model, rows: None,
        gate=Gate(roc_auc_score),
        split=split,
    )


def stored(columns):
    table = pa.table(columns)
    hashes = pa.array(row_hashes(table).view(np.int64))
    return table.append_column(ROW, pa.array(range(table.num_rows))).append_column(HASH, hashes)


def columns_of(table, data, used=None):
    names = table.column_names if used is None else used
    checks = column_checks(survey(table, data), recipe(data), names)
    return {check.name: check for check in checks}


def held_of(table, declared):
    known = table.column(declared.data.label).is_valid().to_numpy()
    return split_known(table, known, describe(declared, rows_form(declared.train)), None)


def loans(count=6000, seed=0):
    """Loans of which a fifth defaults: five honest columns, and three that know the end."""
    random = np.random.default_rng(seed)
    state = random.integers(0, 40, count)
    amount = random.lognormal(11, 1, count)
    staff = random.integers(1, 60, count)
    fresh = random.random(count) < 0.4
    age = random.integers(0, 30, count)
    risk = 0.02 * (state - 20) - 0.3 * (np.log(amount) - 11) + 0.5 * fresh - 0.01 * staff
    bad = risk + random.logistic(size=count) > 1.6
    days = random.integers(10_000, 13_000, count)
    end = np.where(bad, days + random.integers(100, 2000, count), 0)
    # A loan that is charged off keeps an odd number of months; one that is paid back a round one.
    months = np.where(bad, random.integers(1, 84, count), random.choice([60, 84, 120], count))
    return {
        "defaulted": bad,
        "state": [f"S{each}" for each in state],
        "amount_approved": amount.round(-2),
        "employees": staff,
        "new_business": fresh,
        "age": age,
        "approved_at": pa.array(days * 86_400_000_000, pa.timestamp("us")),
        "charged_off_at": pa.array(end * 86_400_000_000, pa.timestamp("us"), mask=~bad),
        "charged_off_amount": np.where(bad, amount * random.random(count), 0.0).round(2),
        "term_months": months,
    }


def patients(count=6000, seed=0):
    """Patients of whom a quarter dies in hospital; who is alive later did not."""
    random = np.random.default_rng(seed)
    group = random.integers(0, 8, count)
    coma = random.choice([0, 9, 26, 44, 100], count, p=[0.6, 0.2, 0.1, 0.05, 0.05])
    blood = random.normal(size=count)
    kidney = random.lognormal(size=count)
    old = random.normal(65, 15, count)
    died = 0.4 * (group - 6) + 0.03 * coma + 0.5 * blood + random.logistic(size=count) > 0.4
    later = died | (random.random(count) < 0.55)
    days = np.where(died, random.exponential(9, count), random.exponential(700, count) + 4)
    return {
        "died": died.astype(int),
        "dzgroup": [f"G{each}" for each in group],
        "scoma": coma.astype(float),
        "blood": pa.array(blood, mask=random.random(count) < 0.3),
        "kidney": kidney,
        "age": old,
        "sex": random.choice(["f", "m"], count),
        "death": later.astype(int),
        "followup_days": days.round().astype(int),
    }


def test_columns_that_know_how_a_loan_ended_are_named_and_honest_ones_are_not():
    data = Table(label="defaulted", time="approved_at")
    found = columns_of(stored(loans()), data)
    suspects = {*found["leakage_alone"].columns, *found["leakage_value"].columns}
    assert suspects == {"charged_off_at", "charged_off_amount", "term_months"}
    assert found["leakage_alone"].state == found["leakage_value"].state == "warn"
    assert "where charged_off_amount is 0, defaulted is False in" in found["leakage_value"].detail
    assert "where charged_off_at is missing, " in found["leakage_value"].detail
    assert not suspects & set(found["strength"].columns)
    assert found["strength"].state == "pass"


def test_a_column_that_excludes_the_outcome_on_one_side_is_named():
    found = columns_of(stored(patients()), Table(label="died"))
    assert found["leakage_value"].columns == ("death",)
    assert "where death is 0, died is 0 in " in found["leakage_value"].detail
    assert "followup_days" in found["leakage_alone"].columns
    named = {*found["leakage_alone"].columns, *found["leakage_value"].columns}
    assert not named & {"dzgroup", "scoma", "blood", "kidney", "age", "sex"}
    assert set(found["strength"].columns) <= {"dzgroup", "scoma", "blood"}


def test_what_the_model_does_not_use_leaks_nothing_but_is_still_named():
    data = Table(label="died")
    found = columns_of(stored(patients()), data, used=["dzgroup", "followup_days"])
    assert (found["leakage_value"].state, found["leakage_alone"].state) == ("pass", "warn")
    assert found["leakage_value"].columns == ("death",)
    assert "the model does not use it" in found["leakage_value"].detail


def test_no_value_of_a_private_column_is_shown():
    table = stored(loans() | {"who": [f"secret-{i % 700}" for i in range(6000)]})
    private = ("charged_off_amount", "charged_off_at", "who", "approved_at")
    data = Table(label="defaulted", time="approved_at", group="who", private=private)
    found = columns_of(table, data)
    assert "where charged_off_amount is (private), " in found["leakage_value"].detail
    declared = recipe(data)
    held = held_of(table, declared)
    facts = split_checks(table, held, Lesson(held.train, held.train), declared)
    told = " ".join(check.detail for check in facts)
    assert "secret-" not in told
    assert "trained up to (private), judged from (private)" in told


def test_without_leaks_nothing_is_named():
    honest = {name: each for name, each in loans().items() if name not in LEAKS}
    found = columns_of(stored(honest), Table(label="defaulted", time="approved_at"))
    assert found.keys() == {"strength"}


LEAKS = ("charged_off_at", "charged_off_amount", "term_months")


@pytest.mark.parametrize("count", [0, 5, 199])
def test_too_few_rows_say_nothing(count):
    assert columns_of(stored(loans(count)), Table(label="defaulted")) == {}
    assert told_alone(stored(loans(count)), Table(label="defaulted")) is None


def test_too_few_rows_of_the_rarer_outcome_say_nothing():
    table = loans(2000)
    table["defaulted"] = np.arange(2000) < 49
    assert columns_of(stored(table), Table(label="defaulted")) == {}


def test_strong_readings_of_tumours_are_notices_at_most():
    data = load_breast_cancer(as_frame=True)
    table = stored({name: data.frame[name].to_numpy() for name in data.frame})
    found = columns_of(table, Table(label="target"))
    assert found.keys() == {"strength"}
    assert found["strength"].columns[0] == "worst perimeter"
    assert len(found["strength"].columns) == 5


def test_the_delay_at_departure_tells_much_of_lateness_and_stops_nothing():
    table = pq.read_table(DATA / "flights_nyc_2013.parquet")
    found = columns_of(table, Table(label="late", time="time", key="flight_id"))
    told = {name for name, check in found.items() if "dep_delay" in check.columns}
    assert told & {"strength", "leakage_alone"}
    assert all(check.state != "fail" for check in found.values())
    assert all(check.columns == ("dep_delay",) for check in found.values() if check.columns)


def test_the_hour_orders_rentals_and_is_no_leak_of_them():
    shipped = resources.files("everbake.interfaces.demo") / "files"
    with resources.as_file(shipped / "bikeshare_hourly_2011.parquet") as place:
        table = pq.read_table(place)
    found = columns_of(table, Table(label="rentals", time="time"))
    assert found.keys() == {"strength"}
    assert found["strength"].columns[0] == "hour"
    casual = pa.array(np.asarray(table.column("rentals")) * 0.8 + np.arange(table.num_rows) % 3)
    leaky = columns_of(table.append_column("casual", casual), Table(label="rentals"))
    assert leaky["leakage_alone"].columns == ("casual",)


@pytest.mark.parametrize(
    "change",
    [
        lambda died, _: np.where(died, "yes", "no"),
        lambda died, _: died.astype(float),
        lambda died, _: pa.array(died.astype(int), mask=np.arange(len(died)) % 10 == 0),
        lambda died, days: np.where(died, 7, np.where(days > 500, 3, 5)),
    ],
    ids=["text", "float", "with gaps", "three classes"],
)
def test_labels_of_every_type_are_understood(change):
    table = patients()
    table["died"] = change(table["died"].astype(bool), table["followup_days"])
    found = columns_of(stored(table), Table(label="died"))
    assert "followup_days" in found["leakage_alone"].columns


def test_very_many_kinds_of_text_are_one_label_all_the_same():
    random = np.random.default_rng(0)
    kind = random.zipf(1.3, 8000) % 60
    columns = {f"x{i}": random.normal(size=8000) for i in range(6)}
    table = stored({"kind": [f"k{each}" for each in kind], "code": kind * 10.0, **columns})
    found = columns_of(table, Table(label="kind"))
    assert found["leakage_alone"].columns == ("code",)


def test_a_sample_of_many_rows_is_always_the_same(monkeypatch):
    table, data = stored(loans(20_000)), Table(label="defaulted")
    monkeypatch.setattr(alone, "_MOST_VALUES", 1)
    first, again = survey(table, data), survey(table, data)
    assert (first.rows, first.total) == (10_000, 20_000)
    assert first == again
    assert first.standing.names == survey(stored(loans(20_000)), data).standing.names
    checks = column_checks(first, recipe(data), table.column_names)
    assert "on 10,000 of 20,000 rows" in checks[-1].detail


def test_a_weight_made_from_the_label_is_no_suspect():
    table = loans()
    table["importance"] = np.where(table["defaulted"], 5.0, 1.0)
    found = columns_of(stored(table), Table(label="defaulted", weight="importance"))
    assert "importance" not in {name for check in found.values() for name in check.columns}


def test_rows_of_one_group_stay_in_one_half_so_that_who_it_is_tells_nothing():
    random = np.random.default_rng(1)
    who = random.integers(0, 600, 6000)
    sick = random.random(600) < 0.4
    columns = {f"x{i}": random.normal(size=6000) for i in range(6)}
    table = stored({"sick": sick[who], "who": [f"p{each}" for each in who], **columns})
    assert told_alone(table, Table(label="sick"))["who"] > 0.5
    assert "who" in columns_of(table, Table(label="sick"))["leakage_alone"].columns
    grouped = Table(label="sick", group="who")
    assert told_alone(table, grouped)["who"] < 0.05
    assert columns_of(table, grouped).keys() == {"strength"}


def visits(count=1000, people=200):
    random = np.random.default_rng(2)
    return stored(
        {
            "y": random.random(count) < 0.5,
            "who": [f"p{i % people}" for i in range(count)],
            "t": np.arange(count),
            "x": random.normal(size=count),
        }
    )


def facts(table, declared, held=None):
    held = held_of(table, declared) if held is None else held
    return {
        check.name: check
        for check in split_checks(table, held, Lesson(held.train, held.train), declared)
    }


def test_groups_are_whole_under_a_group_split():
    declared = recipe(Table(label="y", group="who"), GroupSplit(0.2))
    found = facts(visits(), declared)["leakage_groups"]
    assert (found.state, found.detail) == ("pass", "no who is on both sides")


def test_a_group_on_both_sides_is_a_fact_with_its_number_and_an_example():
    table = visits()
    declared = recipe(Table(label="y", group="who"), HashSplit(0.2))
    held = held_of(table, declared)
    found = facts(table, declared, held)["leakage_groups"]
    who = np.array(table.column("who").to_pylist())
    both = set(who[held.train]) & set(who[held.judge])
    rows = np.isin(who[held.judge], list(both)).sum()
    assert found.state == "fail"
    assert found.columns == ("who",)
    asked = f"{len(both)} of {len(set(who[held.judge]))} held-out values of who were trained on"
    assert found.detail.startswith(f"{asked} as well, such as p")
    assert f"({rows} of {held.judge.sum()} rows)" in found.detail
    assert "GroupSplit" in found.detail


def test_groups_that_return_later_are_told_under_a_time_split():
    declared = recipe(Table(label="y", group="who", time="t"), TimeSplit(0.2))
    found = facts(visits(), declared)["leakage_groups"]
    assert found.state == "warn"
    assert found.detail.startswith("200 of 200 held-out values of who were trained on as well")


def test_rows_without_a_group_are_no_group():
    table = visits(people=1000).set_column(1, "who", pa.nulls(1000, pa.string()))
    declared = recipe(Table(label="y", group="who"), HashSplit(0.2))
    assert facts(table, declared)["leakage_groups"].state == "pass"


def test_a_held_out_row_that_was_trained_on_is_a_fact():
    table = visits()
    train = np.ones(1000, bool)
    found = facts(table, recipe(Table(label="y")), Held(train, np.arange(1000) < 7, 0))
    assert (found["leakage"].state, found["leakage"].detail[:1]) == ("fail", "7")


def test_rows_later_than_those_judged_are_a_fact():
    table = visits()
    judge = np.arange(1000) < 100
    found = facts(table, recipe(Table(label="y", time="t")), Held(~judge, judge, 0))
    assert found["time_order"].state == "fail"
    assert found["time_order"].detail == "trained up to 999, judged from 0"


def copied(share):
    """Rows of which some come again under another key."""
    random = np.random.default_rng(3)
    x = random.normal(size=(2000, 3))
    again = random.random(2000) < share
    x[again] = x[random.integers(0, 2000, again.sum())]
    columns = {f"x{i}": x[:, i] for i in range(3)}
    return stored({"id": np.arange(2000), "y": x[:, 0] > 0, **columns})


def test_rows_that_come_again_under_another_key_are_told():
    declared = recipe(Table(label="y", key="id"))
    found = facts(copied(0.05), declared)["leakage_copies"]
    assert found.state == "warn"
    assert found.detail.endswith("equal one that was trained on, but for id")
    assert "leakage_copies" not in facts(copied(0.0), declared)


def test_rows_that_are_all_alike_are_no_copies():
    random = np.random.default_rng(4)
    table = stored(
        {
            "id": np.arange(2000),
            "y": random.random(2000) < 0.5,
            "sex": random.integers(0, 2, 2000),
            "age": random.integers(0, 5, 2000),
        }
    )
    assert "leakage_copies" not in facts(table, recipe(Table(label="y", key="id")))
