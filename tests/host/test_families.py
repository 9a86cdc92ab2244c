"""Which models are compiled, each as a user would train it, and which stay native."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    AdaBoostRegressor,
    GradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, PolynomialFeatures, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeRegressor
from xgboost import XGBClassifier, XGBRegressor

from everbake.host.compile import build_runtime
from everbake.host.pace import Pace, overtaken
from everbake.runtimes.kinds import load

sys.path.insert(0, str(Path(__file__).parent))

from sample_families import (
    BEHIND,
    CLASSIFIERS,
    LINEAR_CLASSIFIERS,
    LINEAR_REGRESSORS,
    REGRESSORS,
    TREE_CLASSIFIERS,
    fitted,
    table,
    trained,
)

pytestmark = pytest.mark.filterwarnings("ignore")  # of the libraries, about names and convergence


def built(case):
    return build_runtime(case.model, case.predict, None, case.rows, 0)


def kind_of(name):
    return "linear" if name in LINEAR_REGRESSORS | LINEAR_CLASSIFIERS else "trees"


def compiled(case, kind):
    made = built(case)
    assert (made.kind, made.why[: len(kind)]) == (kind, kind), made.why
    assert made.parity.largest <= made.parity.tolerance
    assert f"(tolerance {made.parity.tolerance:.0e})" in made.why
    return made


@pytest.mark.parametrize("behind", BEHIND)
@pytest.mark.parametrize("name", REGRESSORS)
def test_regressors_are_compiled(name, behind):
    compiled(trained(name, "numbers", behind), kind_of(name))


@pytest.mark.parametrize("behind", BEHIND)
@pytest.mark.parametrize("kind", ["two", "three"])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers_are_compiled_to_their_labels(name, kind, behind):
    compiled(trained(name, kind, behind), kind_of(name))


@pytest.mark.parametrize("kind", ["two", "three"])
@pytest.mark.parametrize("name", [*TREE_CLASSIFIERS, "LogisticRegression"])
def test_classifiers_are_compiled_to_a_chance(name, kind):
    made = compiled(trained(name, kind, "scaled", "predict_proba"), kind_of(name))
    single = name.startswith("XGB")
    assert made.parity.tolerance == (1e-6 if single else 1e-9)


@pytest.mark.parametrize("name", ["GradientBoostingClassifier", "HistGradientBoostingClassifier"])
@pytest.mark.parametrize("kind", ["two", "three"])
def test_boosted_scores_are_compiled(name, kind):
    compiled(trained(name, kind, "alone", "decision_function"), "trees")


def test_a_chance_of_a_stochastic_descent_is_compiled():
    compiled(trained("SGDClassifier", "two", "scaled", "predict_proba"), "linear")


def test_a_file_that_decides_a_row_otherwise_is_not_admitted():
    case = trained("LogisticRegression", "two", "scaled", "predict_proba")
    made = built(case)
    runtime = load(made.kind, made.data)
    theirs = np.asarray(case.predict(case.model, case.rows))
    ours = runtime.answer_columns({name: case.rows[name].to_numpy() for name in runtime.columns})
    row = int(np.argmax(ours != theirs))  # by a rounding, which the tolerance allows
    assert 0 < abs(ours[row] - theirs[row]) < 1e-9

    def at(threshold):
        return build_runtime(case.model, case.predict, None, case.rows, 0, threshold)

    assert at(float(max(ours[row], theirs[row]))).kind == "native"
    assert at(float(max(ours[row], theirs[row])) + 1e-3).kind == made.kind == "linear"


def test_labels_are_the_words_that_the_model_knows():
    rows, label = table("three")
    words = pd.Series(np.array(["low", "mid", "top"])[label])
    case = fitted(RandomForestClassifier(10, random_state=0), rows, words)
    made = compiled(case, "trees")
    asked = case.rows.to_dict("records")
    expected = list(case.predict(case.model, case.rows))
    assert load("trees", made.data).answer(asked) == expected


@pytest.mark.parametrize(
    "model", [DecisionTreeRegressor(), RandomForestRegressor(10), XGBRegressor(n_estimators=300)]
)
def test_several_numbers_at_once_are_compiled(model):
    rows, label = table("numbers")
    pair = pd.DataFrame({"a": label, "b": label**2})
    compiled(fitted(model, rows, pair), "trees")


def test_what_a_search_found_is_compiled():
    rows, label = table("numbers")
    search = GridSearchCV(HistGradientBoostingRegressor(max_iter=5), {"max_depth": [2, 3]}, cv=2)
    compiled(fitted(search, rows, label), "trees")


def test_boosting_that_stopped_early_is_compiled():
    rows, label = table("two")
    model = GradientBoostingClassifier(n_estimators=500, n_iter_no_change=2, random_state=0)
    case = fitted(model, rows, label)
    assert len(model.estimators_) < 500
    compiled(case, "trees")


def test_a_forest_told_to_grow_after_it_was_fitted_is_compiled_as_it_is():
    rows, label = table("numbers")
    case = fitted(RandomForestRegressor(5, random_state=0), rows, label)
    case.model.set_params(n_estimators=5000)
    compiled(case, "trees")


def test_xgboost_that_stopped_early_answers_with_its_best_trees():
    rows, label = table("two")
    numbers = rows.drop(columns="town")
    model = XGBClassifier(n_estimators=200, learning_rate=1.0, early_stopping_rounds=3)
    model.fit(numbers[:300], label[:300], eval_set=[(numbers[300:], label[300:])], verbose=False)
    assert model.best_iteration + 1 < model.get_booster().num_boosted_rounds()

    def predict(model, rows):
        return model.predict_proba(rows[list(numbers.columns)])[:, 1]

    made = build_runtime(model, predict, None, numbers[-50:].reset_index(drop=True), 0)
    assert made.kind == "trees", made.why


def test_a_booster_of_lightgbm_is_compiled():
    rows, label = table("two")
    case = fitted(LGBMClassifier(n_estimators=10, verbose=-1), rows, label)
    made = build_runtime(case.model.booster_, case.predict, None, case.rows, 0)
    assert made.kind == "trees", made.why


@pytest.mark.parametrize("steps", ["before", "after", "both"])
@pytest.mark.parametrize("name", ["Ridge", "LogisticRegression"])
def test_polynomials_are_folded_to_products(name, steps):
    rows, label = table("numbers" if name == "Ridge" else "three")
    before = [SimpleImputer(), StandardScaler()] if steps != "after" else []
    after = [StandardScaler()] if steps != "before" else []
    model = (REGRESSORS | CLASSIFIERS)[name]
    whole = make_pipeline(*before, PolynomialFeatures(degree=3), *after, clone(model))
    case = fitted(whole, rows[["c0", "c1", "c2"]], label, gaps=steps != "after")
    made = compiled(case, "linear")
    asked = case.rows.to_dict("records")
    alone = [load("linear", made.data).answer([row])[0] for row in asked]
    assert alone == pytest.approx(list(case.predict(case.model, case.rows)), rel=1e-9)


def test_trees_behind_polynomials_stay_native():
    rows, label = table("numbers")
    case = fitted(make_pipeline(PolynomialFeatures(), DecisionTreeRegressor()), rows, label)
    assert "PolynomialFeatures" in built(case).why


@pytest.mark.parametrize("model", [LinearRegression(), DecisionTreeRegressor(random_state=0)])
def test_an_imputer_that_says_what_it_filled_is_compiled(model):
    rows, label = table("numbers")
    whole = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler(), clone(model))
    case = fitted(whole, rows[["c0", "c1"]], label + 50 * (label.index % 7 == 0), gaps=True)
    assert case.model[:-1].transform(case.rows).shape[1] == 3
    compiled(case, "linear" if isinstance(model, LinearRegression) else "trees")


@pytest.mark.parametrize("unknown", ["error", "ignore", "infrequent_if_exist"])
@pytest.mark.parametrize("model", [LinearRegression(), DecisionTreeRegressor(random_state=0)])
def test_infrequent_categories_are_compiled(model, unknown):
    rows, label = table("numbers")
    towns = rows[["town"]].copy()
    for place, rare in enumerate(["Aue", "Zug", "Eu"]):
        towns.iloc[place : place + 40 : 10] = rare  # in what is trained on, four rows each
    towns.iloc[-1] = "Zug"
    encoder = OneHotEncoder(min_frequency=10, handle_unknown=unknown)
    side = ColumnTransformer([("town", encoder, ["town"])], remainder="passthrough")
    rows = towns.assign(c0=rows["c0"])
    whole = make_pipeline(side, clone(model)).fit(rows[:-50], label[:-50])

    def predict(model, rows):
        return model.predict(rows[["town", "c0"]])

    made = build_runtime(whole, predict, None, rows[-50:].reset_index(drop=True), 0)
    assert made.kind == ("linear" if isinstance(model, LinearRegression) else "trees"), made.why


def test_held_out_rows_that_both_refuse_do_not_stop_the_training():
    rows, label = table("numbers")
    rows = rows[["town", "c0"]].copy()
    rows.iloc[-1, 0] = "Aue"
    side = ColumnTransformer([("town", OneHotEncoder(), ["town"])], remainder="passthrough")
    whole = make_pipeline(side, DecisionTreeRegressor()).fit(rows[:-150], label[:-150])

    def predict(model, rows):
        return model.predict(rows[["town", "c0"]])

    made = build_runtime(whole, predict, None, rows[-150:].reset_index(drop=True), 0)
    assert (made.kind, made.native_above) == ("trees", None), made.why


@pytest.mark.parametrize("model", [LinearRegression(), DecisionTreeRegressor(random_state=0)])
@pytest.mark.parametrize("unknown", ["error", "ignore"])
def test_codes_are_categories_too(model, unknown):
    rows, label = _with_codes()
    encoder = OneHotEncoder(handle_unknown=unknown)
    side = ColumnTransformer([("code", encoder, ["code"])], remainder="passthrough")
    case = fitted(make_pipeline(side, clone(model)), rows, label)
    compiled(case, "linear" if isinstance(model, LinearRegression) else "trees")


def _with_codes():
    random = np.random.default_rng(0)
    rows = pd.DataFrame({"code": random.integers(0, 6, 400).astype(float), "x": random.random(400)})
    return rows, rows["x"] + 3 * rows["code"].isin([1, 4])


def test_boosting_that_splits_codes_by_themselves_is_compiled():
    rows, label = _with_codes()
    model = HistGradientBoostingRegressor(categorical_features=["code"], max_iter=10)
    compiled(fitted(model, rows, label, gaps=True), "trees")


def test_boosting_that_splits_words_by_themselves_is_compiled():
    rows, label = _with_codes()
    rows["code"] = rows["code"].map("code {}".format)
    rows.loc[::9, "code"] = None
    model = HistGradientBoostingRegressor(categorical_features=["code"], max_iter=10)
    compiled(fitted(model, rows, label), "trees")


NATIVE = {
    "KNeighborsClassifier": (KNeighborsClassifier(), "KNeighborsClassifier"),
    "SVC": (SVC(), "SVC"),
    "MLPClassifier": (MLPClassifier(max_iter=20), "MLPClassifier"),
    "GaussianNB": (GaussianNB(), "GaussianNB"),
    "AdaBoostRegressor": (AdaBoostRegressor(), "AdaBoostRegressor"),
    "LGBMRegressor, linear leaves": (
        LGBMRegressor(n_estimators=5, linear_tree=True, verbose=-1),
        "",
    ),
    "XGBRegressor, linear": (XGBRegressor(booster="gblinear", n_estimators=5), "XGBRegressor"),
}


@pytest.mark.parametrize("name", NATIVE)
def test_what_is_not_compiled_stays_native_and_says_why(name):
    model, why = NATIVE[name]
    rows, label = table("numbers" if "Regressor" in name else "two")
    made = built(fitted(model, rows, label))
    assert made.kind == "native"
    assert made.why.startswith("native: ")
    assert why in made.why
    assert (made.data, made.native_above) == (None, None)


def test_a_custom_begin_of_boosting_stays_native():
    rows, label = table("two")
    model = GradientBoostingClassifier(init=GaussianNB(), n_estimators=5)
    assert built(fitted(model, rows, label)).kind == "native"


def test_linear_files_are_never_overtaken():
    assert built(trained("Ridge", "numbers")).native_above is None


@pytest.mark.parametrize(
    ("natives", "above"),
    [
        ((9, 9, 9, 9), None),
        ((9, 9, 9, 1), 1000),
        ((9, 9, 1, 1), 100),
        ((9, 1, 9, 9), None),
        ((1, 1, 1, 1), 1),
        ((), None),
    ],
)
def test_the_native_model_is_faster_above_the_last_size_at_which_it_was_not(natives, above):
    paces = [Pace(10 ** (place + 1), 5.0, float(n)) for place, n in enumerate(natives)]
    assert overtaken(paces) == above
