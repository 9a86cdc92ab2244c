"""Several columns together, against scikit-learn; and the columns that are ahead of all others."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegression, Ridge

from everbake.statistics.alone import Label, binned, explained, foretold, ranked
from everbake.statistics.jointly import standing_out, together


def told_of(columns, label, half):
    return {
        name: foretold(binned(np.asarray(values, float), label), label, half)
        for name, values in columns.items()
    }


def crossed(model, x, y, half, answer):
    out = np.empty(len(y))
    for side in (half, ~half):
        out[side] = answer(model().fit(x[~side], y[~side]), x[side])
    return out


@pytest.fixture
def made():
    random = np.random.default_rng(0)
    x = random.normal(size=(800, 4))
    score = x @ [1.5, 1.0, 0.5, 0.0] + random.logistic(size=800)
    return {f"x{i}": x[:, i] for i in range(4)}, score, random.random(800) < 0.5


def log_odds(rates):
    clipped = np.clip(rates, 1e-9, 1 - 1e-9)
    return np.log(clipped / (1 - clipped))


def test_two_classes_are_foretold_as_by_scikit_learns_logistic_regression(made):
    columns, score, half = made
    label = Label((score > 0.7).astype(int), 2)
    told = list(told_of(columns, label, half).values())
    odds = np.column_stack([log_odds(each[:, 1]) for each in told])
    expected = crossed(
        lambda: LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000),
        odds,
        label.values,
        half,
        lambda model, x: model.predict_proba(x)[:, 1],
    )
    assert together(told, label, half)[:, 1] == pytest.approx(expected, abs=1e-4)


def test_more_classes_are_one_regression_each_scaled_to_one(made):
    columns, score, half = made
    label = Label(np.digitize(score, [-1, 1]), 3)
    told = list(told_of(columns, label, half).values())
    rates = []
    for kind in range(3):
        odds = np.column_stack([log_odds(each[:, kind]) for each in told])
        rates.append(
            crossed(
                lambda: LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000),
                odds,
                (label.values == kind).astype(int),
                half,
                lambda model, x: model.predict_proba(x)[:, 1],
            )
        )
    expected = np.column_stack(rates)
    expected /= expected.sum(axis=1, keepdims=True)
    assert together(told, label, half) == pytest.approx(expected, abs=1e-4)


def test_ranks_are_foretold_as_by_scikit_learns_ridge(made):
    columns, score, half = made
    label = ranked(score)
    told = np.hstack(list(told_of(columns, label, half).values()))
    out = np.empty(len(score))
    for side in (half, ~half):
        spread = told[~side].var(axis=0).mean()
        model = Ridge(alpha=spread).fit(told[~side], label.values[~side])
        out[side] = model.predict(told[side])
    columns = [told[:, [i]] for i in range(told.shape[1])]
    assert together(columns, label, half)[:, 0] == pytest.approx(out, abs=1e-9)


def test_a_column_that_separates_the_classes_does_not_upset_the_others(made):
    columns, score, half = made
    label = Label((score > 0).astype(int), 2)
    told = told_of({**columns, "copy": label.values}, label, half)
    assert explained(together(list(told.values()), label, half), label) > 0.98


def outcomes(count, rate, seed):
    """Twelve honest columns of little strength, and an outcome."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(count, 12))
    score = x @ np.linspace(0.6, 0.05, 12) + random.logistic(size=count)
    y = score > np.quantile(score, 1 - rate)
    return {f"x{i}": x[:, i] for i in range(12)}, y, random


@settings(max_examples=10)
@given(st.integers(0, 1000), st.sampled_from([0.5, 0.2, 0.05]))
def test_a_leak_stands_out_and_so_do_its_copies(seed, rate):
    columns, y, random = outcomes(4000, rate, seed)
    wrong = random.random(4000) < 0.01
    columns["leak"] = (y ^ wrong) + random.normal(size=4000) * 0.1
    columns["copy"] = columns["leak"] * 2 + random.normal(size=4000) * 0.01
    label, half = Label(y.astype(int), 2), random.random(4000) < 0.5
    found = standing_out(told_of(columns, label, half), label, half)
    assert set(found.names) == {"leak", "copy"}
    assert found.rest < 0.4


@settings(max_examples=10)
@given(st.integers(0, 1000), st.sampled_from([0.5, 0.2, 0.05]))
def test_honest_columns_do_not_stand_out(seed, rate):
    columns, y, random = outcomes(4000, rate, seed)
    label, half = Label(y.astype(int), 2), random.random(4000) < 0.5
    assert standing_out(told_of(columns, label, half), label, half) is None


@pytest.mark.parametrize("seed", range(5))
def test_strong_readings_among_equals_do_not_stand_out(seed):
    data = load_breast_cancer(as_frame=True)
    label = Label(data.target.to_numpy(), 2)
    half = np.random.default_rng(seed).random(len(data.target)) < 0.5
    told = told_of(dict(data.data.items()), label, half)
    assert max(explained(each, label) for each in told.values()) > 0.55
    assert standing_out(told, label, half) is None


def test_many_classes_are_measured_as_two_are():
    data = load_digits(as_frame=True)
    label = Label(data.target.to_numpy(), 10)
    half = np.random.default_rng(0).random(len(data.target)) < 0.5
    columns = dict(data.data.iloc[:, 20:40].items())
    assert standing_out(told_of(columns, label, half), label, half) is None
    columns["answer"] = label.values + np.random.default_rng(1).normal(size=1797) * 0.2
    found = standing_out(told_of(columns, label, half), label, half)
    assert found.names == ("answer",)


def test_of_numbers_a_column_must_tell_nearly_all():
    random = np.random.default_rng(6)
    hour = random.integers(0, 24, 4000)
    y = 10 * np.sin(hour / 4) + random.normal(size=4000) * 5
    columns = {f"x{i}": random.normal(size=4000) for i in range(8)} | {"hour": hour}
    label, half = ranked(y), random.random(4000) < 0.5
    told = told_of(columns, label, half)
    assert explained(told["hour"], label) > 0.5
    assert standing_out(told, label, half) is None
    told = told_of({**columns, "total": y + random.normal(size=4000)}, label, half)
    assert standing_out(told, label, half).names == ("total",)


def test_among_few_columns_one_must_tell_nearly_all_and_one_alone_is_no_leak():
    random = np.random.default_rng(7)
    y = random.random(3000) < 0.5
    label, half = Label(y.astype(int), 2), random.random(3000) < 0.5
    strong = y + random.normal(size=3000) * 0.35
    columns = {"strong": strong, "noise": random.normal(size=3000)}
    told = told_of(columns, label, half)
    assert 0.5 < explained(told["strong"], label) < 0.9
    assert standing_out(told, label, half) is None
    peers = {f"x{i}": random.normal(size=3000) for i in range(5)}
    found = standing_out(told_of({**columns, **peers}, label, half), label, half)
    assert found.names == ("strong",)
    assert standing_out(told_of({"copy": y}, label, half), label, half) is None
    assert standing_out(
        told_of({"copy": y, "noise": columns["noise"]}, label, half), label, half
    ).names == ("copy",)


def test_columns_that_give_the_label_away_are_no_measure_for_others():
    columns, y, random = outcomes(4000, 0.3, 8)
    columns["alive"] = y & (random.random(4000) < 0.6)
    columns["called"] = y & (random.random(4000) < 0.6)
    columns["weeks"] = y + random.normal(size=4000) * 0.4
    label, half = Label(y.astype(int), 2), random.random(4000) < 0.5
    told = told_of(columns, label, half)
    assert standing_out(told, label, half) is None
    assert standing_out(told, label, half, {"alive", "called"}).names == ("weeks",)
