"""`everbake init SCRIPT.py`: what a script does, the proposed recipe does."""

import ast
import copy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import (
    GradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import mean_absolute_error, mean_squared_error, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from everbake import HashSplit, Recipe, TimeSplit
from everbake.errors import UsageError
from everbake.views.proposal import Proposal, blank, propose

SCRIPTS = Path(__file__).parent / "scripts"
NAMES = sorted(path.name.removesuffix(".py.txt") for path in SCRIPTS.glob("*.py.txt"))


def proposed(name: str) -> Proposal:
    return propose((SCRIPTS / f"{name}.py.txt").read_text(), f"{name}.py")


def run(proposal: Proposal) -> Recipe:
    scope: dict[str, object] = {}
    exec(compile(proposal.text, "recipe.py", "exec"), scope)  # noqa: S102
    recipe = scope["recipe"]
    assert isinstance(recipe, Recipe)
    return recipe


def answers(recipe: Recipe, old: pd.DataFrame, new: pd.DataFrame) -> np.ndarray:
    """What the model says of new rows, as the host asks: features never see the label."""
    label = recipe.data.label
    made = old.drop(columns=[label])
    if recipe.features is not None:
        made = recipe.features(made)
        made[label] = old[label].to_numpy()
    else:
        made = old
    model = recipe.train(made)
    asked = new.drop(columns=[label])
    if recipe.features is not None:
        asked = recipe.features(asked)
    return np.asarray(recipe.predict(model, asked))


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def halves(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    half = len(rows) // 2
    return rows.iloc[:half].copy(), rows.iloc[half:].reset_index(drop=True)


def test_a_plain_regression(rng):
    rows = pd.DataFrame(rng.uniform(1, 9, (80, 3)), columns=["rooms", "area", "age"])
    rows["rent"] = rows["area"] * 10 - rows["age"]
    old, new = halves(rows)
    proposal = proposed("rent")
    recipe = run(proposal)
    own = RandomForestRegressor(n_estimators=20, random_state=0)
    own.fit(old[["rooms", "area", "age"]], old["rent"])
    assert answers(recipe, old, new) == pytest.approx(own.predict(new[["rooms", "area", "age"]]))
    assert recipe.data.label == "rent"
    assert recipe.split == HashSplit(0.2)
    assert recipe.gate.metric is mean_squared_error
    assert proposal.complete
    assert "joblib" not in proposal.text
    assert "matplotlib" not in proposal.text
    assert "print" not in proposal.text


def test_probabilities_and_a_scaler_fitted_by_hand(rng):
    rows = pd.DataFrame({"customer": np.arange(120), "spent": rng.uniform(0, 90, 120)})
    rows["months"] = rng.integers(1, 30, 120)
    rows["left"] = (rows["spent"] / rows["months"] + rng.normal(0, 1, 120) > 4).astype(int)
    old, new = halves(rows)
    recipe = run(proposed("churn"))

    def inputs(frame):
        frame = frame.assign(per_month=frame["spent"] / frame["months"])
        return frame[["spent", "months", "per_month"]]

    own = make_pipeline(StandardScaler(), LogisticRegression(C=0.5))
    own.fit(inputs(old), old["left"])
    assert answers(recipe, old, new) == pytest.approx(own.predict_proba(inputs(new))[:, 1])
    assert recipe.split == HashSplit(0.25, stratify="left")
    assert recipe.gate.metric is roc_auc_score


def test_a_pipeline_over_several_statements(rng):
    rows = pd.DataFrame({"years": rng.uniform(0, 30, 90), "hours": rng.uniform(10, 45, 90)})
    rows.loc[3, "hours"] = np.nan
    rows["city"] = rng.choice(["Ulm", "Rom"], 90)
    rows["degree"] = rng.choice(["a", "b", "c"], 90)
    rows["salary"] = rows["years"] * 2 + (rows["city"] == "Ulm") * 7
    old, new = halves(rows)
    recipe = run(proposed("salary"))
    made = own_salary(old)
    assert answers(recipe, old, new) == pytest.approx(made.predict(new.drop(columns="salary")))
    assert recipe.gate.metric is mean_absolute_error


def own_salary(old):
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder

    numeric = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    prep = ColumnTransformer(
        [
            ("num", numeric, ["years", "hours"]),
            ("cat", OneHotEncoder(handle_unknown="ignore"), ["city", "degree"]),
        ]
    )
    boosted = GradientBoostingRegressor(random_state=3, n_estimators=30)
    own = Pipeline([("prep", prep), ("gb", boosted)])
    return own.fit(old[["years", "hours", "city", "degree"]], old["salary"])


def test_a_notebook_with_features_and_a_changed_label(rng):
    rows = pd.DataFrame({"time": pd.date_range("2024-01-01", periods=100, freq="h")})
    for name in ("temp", "wind", "humidity"):
        rows[name] = rng.uniform(0, 1, 100)
    rows["count"] = np.exp(rows["temp"] + 2)
    old, new = halves(rows)
    proposal = proposed("bikes")
    recipe = run(proposal)

    def inputs(frame):
        return pd.DataFrame(
            {
                "hour": frame["time"].dt.hour,
                "weekend": (frame["time"].dt.day_of_week >= 5).astype(int),
                "feels": frame["temp"] - 0.5 * frame["wind"],
                "humidity": frame["humidity"],
            }
        )

    own = Ridge(alpha=2.0).fit(inputs(old), np.log1p(old["count"]))
    assert answers(recipe, old, new) == pytest.approx(np.expm1(own.predict(inputs(new))))
    assert (recipe.data.label, recipe.data.time) == ("count", "time")
    assert recipe.gate.better == "lower"
    assert not proposal.complete
    assert any("rmsle" in note for note in proposal.notes)
    assert "unused" not in proposal.text


def test_functions_and_a_main_guard(rng):
    rows = pd.DataFrame({"distance": rng.uniform(100, 900, 100), "hour": rng.integers(0, 24, 100)})
    rows["delay"] = (rows["hour"] > 15).astype(int)
    old, new = halves(rows)
    recipe = run(proposed("flights"))

    def inputs(frame):
        hour = frame["hour"]
        rush = ((hour >= 7) & (hour <= 9)) | ((hour >= 16) & (hour <= 18))
        return frame[["distance", "hour"]].assign(rush=rush.astype(int))

    own = RandomForestClassifier(n_estimators=15, random_state=11).fit(inputs(old), old["delay"])
    assert (answers(recipe, old, new) == own.predict(inputs(new))).all()
    assert recipe.gate.better == "higher"
    assert recipe.gate.metric([0, 1, 1], [0, 1, 0]) == pytest.approx(2 / 3)


def test_rows_in_order_of_time(rng):
    rows = pd.DataFrame({"day": pd.date_range("2023-01-01", periods=120), "lag": np.arange(120.0)})
    rows["price"] = rng.uniform(1, 5, 120)
    rows["demand"] = rows["lag"] - rows["price"]
    old, new = halves(rows)
    proposal = proposed("demand")
    recipe = run(proposal)

    def inputs(frame):
        return frame[["lag", "price"]].assign(month=frame["day"].dt.month)

    own = LinearRegression().fit(inputs(old), old["demand"])
    assert answers(recipe, old, new) == pytest.approx(own.predict(inputs(new)))
    assert recipe.split == TimeSplit()
    assert any('"lag"' in note and "line 9" in note for note in proposal.notes)


@pytest.mark.parametrize("name", NAMES)
def test_the_text_is_tidy(name):
    text = proposed(name).text
    tree = ast.parse(text)
    assert max(map(len, text.splitlines())) <= 100
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                assert (alias.asname or alias.name).partition(".")[0] in used
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name in {"train", "predict", "features"}:
            assert ast.unparse(node.args.args[-1].annotation) == "pd.DataFrame"


SPLIT = "X_train, X_test, y_train, y_test = train_test_split(X, y)\n"
HEAD = """
import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import accuracy_score, mean_squared_error
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.preprocessing import LabelEncoder, StandardScaler
df = pd.read_csv("x.csv")
"""
TAIL = SPLIT + "m = LinearRegression()\nm.fit(X_train, y_train)\np = m.predict(X_test)\n"
MSE = "print(mean_squared_error(y_test, p))\n"


@pytest.fixture
def table(rng):
    rows = pd.DataFrame(rng.uniform(1, 2, (40, 2)), columns=["a", "b"])
    rows["y"] = rows["a"] * 3 - rows["b"]
    return rows


@pytest.mark.parametrize(
    "ways",
    [
        'X = df.drop(columns=["y"])\ny = df["y"]\n',
        'X = df.drop("y", axis=1)\ny = df.y\n',
        'X = df.drop(["y"], axis="columns").values\ny = df["y"].values\n',
        'y = df.pop("y")\nX = df\n',
        'COLS = ["a", "b"]\nTARGET = "y"\nX, y = df[COLS], df[TARGET]\n',
        'cols = [c for c in df.columns if c != "y"]\nX = df[cols]\ny = df["y"]\n',
        'X = df.loc[:, ["a", "b"]]\ny = df.loc[:, "y"]\n',
        'def parts(d):\n    return d.drop(columns="y"), d["y"]\nX, y = parts(df)\n',
        'X = df.drop(columns=["y"])\ny = df["y"]\nX = X.copy()\nX["a"] = X["a"] * 1\n',
        'label = "y"\nX = df[df.columns.difference([label])]\ny = df[label]\n',
    ],
)
def test_the_ways_to_name_inputs_and_label(table, ways):
    proposal = propose(HEAD + ways + TAIL + MSE, "x.py")
    recipe = run(proposal)
    old, new = halves(table)
    assert recipe.data.label == "y"
    assert answers(recipe, old, new) == pytest.approx(new["y"])
    assert proposal.complete, proposal.notes


XY = 'X, y = df[["a", "b"]], df["y"]\n'


@pytest.mark.parametrize(
    ("rest", "metric"),
    [
        (TAIL + "mse = mean_squared_error(y_test, p, squared=False)", "root_mean_squared_error"),
        (TAIL + "print('R2', m.score(X_test, y_test))", "r2_score"),
        (
            "s = cross_val_score(LinearRegression(), X, y, scoring='neg_mean_absolute_error')",
            "mean_absolute_error",
        ),
        (SPLIT + "m = LinearRegression().fit(X_train, y_train)", "mean_squared_error"),
        (
            """
g = GridSearchCV(LinearRegression(), {"fit_intercept": [True]}, cv=3)
g.fit(X, y)
best = g.best_estimator_
print(mean_squared_error(y, best.predict(X)))
""",
            "mean_squared_error",
        ),
        (
            """
models = {"ols": LinearRegression()}
for n, m in models.items():
    m.fit(X, y)
    print(n, mean_squared_error(y, m.predict(X)))
""",
            "mean_squared_error",
        ),
    ],
)
def test_the_ways_to_train_and_measure(table, rest, metric):
    recipe = run(propose(HEAD + XY + rest, "x.py"))
    old, new = halves(table)
    assert recipe.gate.metric.__name__ == metric
    assert answers(recipe, old, new) == pytest.approx(new["y"])


def test_what_the_recipe_needs_for_itself_is_renamed(table):
    script = (
        HEAD
        + XY.replace("X, y", "rows, recipe").replace("[[", "[[")
        + (
            "def train(rows, recipe):\n    m = LinearRegression()\n    m.fit(rows, recipe)\n"
            "    return m\n"
            "predict = train(rows, recipe)\nfeatures = predict.predict(rows)\n"
            "mean_squared_error(recipe, features)\n"
        )
    )
    recipe = run(propose(script, "x.py"))
    old, new = halves(table)
    assert answers(recipe, old, new) == pytest.approx(new["y"])


def test_scaling_some_columns_becomes_a_step_of_the_pipeline(table):
    script = (
        HEAD
        + XY
        + SPLIT
        + (
            "s = StandardScaler()\nX_train[['a']] = s.fit_transform(X_train[['a']])\n"
            "X_test[['a']] = s.transform(X_test[['a']])\n"
            "m = LinearRegression().fit(X_train, y_train)\n"
            "print(mean_squared_error(y_test, m.predict(X_test)))"
        )
    )
    proposal = propose(script, "x.py")
    old, new = halves(table)
    assert answers(run(proposal), old, new) == pytest.approx(new["y"])
    assert "ColumnTransformer" in proposal.text


def test_label_encoders_become_an_encoder_that_serves(rng):
    script = (
        HEAD
        + """
for name in ["city", "job"]:
    df[name] = LabelEncoder().fit_transform(df[name])
df["kind"] = LabelEncoder().fit_transform(df["kind"])
X = df.drop(["kind"], axis=1)
y = df["kind"]
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, stratify=y)
m = LogisticRegression()
m.fit(X_train, y_train)
print(accuracy_score(y_test, m.predict(X_test)))
"""
    )
    rows = pd.DataFrame({"city": rng.choice(["Rom", "Ulm"], 60), "size": rng.uniform(0, 1, 60)})
    rows["job"] = rng.choice(["a", "b", "c"], 60)
    rows["kind"] = np.where(rows["city"] == "Ulm", "big", "small")
    old, new = halves(rows)
    recipe = run(propose(script, "x.py"))
    assert recipe.split == HashSplit(0.2, stratify="kind")
    assert (answers(recipe, old, new) == new["kind"]).all()


def test_dummies_serve_one_row_alone(table):
    script = (
        HEAD
        + """
df = pd.get_dummies(df, columns=["city"])
X = df.drop("y", axis=1)
y = df["y"]
"""
        + (TAIL + MSE)
    )
    rows = table.assign(city=["Rom", "Ulm"] * 20)
    rows["y"] += rows["city"] == "Ulm"
    proposal = propose(script, "x.py")
    old, new = halves(rows)
    for place in (0, 1):
        one = new.iloc[[place]]
        assert answers(run(proposal), old, one) == pytest.approx(one["y"])
    assert any("OneHotEncoder" in note for note in proposal.notes)


def test_an_index_of_dates_is_the_time_column(table):
    script = (
        HEAD.replace('"x.csv"', '"x.csv", index_col="date", parse_dates=True')
        + """
df["dow"] = df.index.day_of_week
before = df.index < "2020-03-01"
train, test = df[before], df[~before]
X_train, y_train = train.drop(columns=["y"]), train["y"]
m = LinearRegression()
m.fit(X_train, y_train)
print(mean_squared_error(test["y"], m.predict(test.drop(columns=["y"]))))
"""
    )
    recipe = run(propose(script, "x.py"))
    old, new = halves(table.assign(date=pd.date_range("2020-02-01", periods=40)))
    assert recipe.data.time == "date"
    assert recipe.split == TimeSplit()
    assert answers(recipe, old, new) == pytest.approx(new["y"])


def test_rows_left_out_are_left_out_of_training_only(table):
    change = 'df = df[df["a"] > 0].dropna(subset=["b"])\n'
    proposal = propose(HEAD + change + XY + TAIL + MSE, "x.py")
    old, new = halves(table)
    spoilt = pd.concat([old, pd.DataFrame({"a": [-9, 1], "b": [1, None], "y": [999, 999]})])
    assert answers(run(proposal), spoilt, new) == pytest.approx(new["y"])
    assert sum("out of training only" in note for note in proposal.notes) == 2


def test_a_label_that_is_mapped_is_used_as_it_stands(table):
    change = 'df["y"] = df["y"].map({"no": 0, "yes": 1})\n'
    rest = TAIL.replace("LinearRegression", "LogisticRegression") + "accuracy_score(y_test, p)"
    proposal = propose(HEAD + change + XY + rest, "x.py")
    rows = table.assign(y=np.where(table["a"] > 1.5, "yes", "no"))
    old, new = halves(rows)
    assert set(answers(run(proposal), old, new)) <= {"yes", "no"}
    assert any("as it stands" in note for note in proposal.notes)


def test_without_a_label_the_columns_are_named():
    proposal = propose(HEAD + "m = LinearRegression()\nprint(df['price'], df['size'])", "x.py")
    assert "FILL_IN_THE_LABEL" in proposal.text
    assert any("price" in note and "size" in note for note in proposal.notes)
    assert not proposal.complete
    run(proposal)


def test_figures_of_all_rows_are_told():
    change = "df['a'] = df['a'].fillna(df['a'].mean())\n"
    proposal = propose(HEAD + change + XY + TAIL + MSE, "x.py")
    assert not proposal.complete
    assert any("line 9" in note and "pipeline" in note for note in proposal.notes)


@pytest.mark.parametrize("source", ["def f(:\n", "a = 1\nb = = 2", "x = 'a\n", "\0", "{" * 500])
def test_a_file_that_is_no_python_is_refused(source):
    with pytest.raises(UsageError) as caught:
        propose(source, "x.py")
    assert caught.value.code == "EB011"
    assert "x.py, line" in caught.value.where


@pytest.mark.parametrize(
    ("filename", "name"),
    [("a/My Model (2).py", "my_model_2"), ("__.py", "model"), ("Ü.py", "model"), ("x-1.py", "x-1")],
)
def test_a_model_is_named_after_its_file(filename, name):
    proposal = propose("x = 1", filename)
    assert proposal.name == run(proposal).name == name


def test_a_recipe_to_start_from(table):
    proposal = blank("House prices", ("a", "b", "y"))
    assert not proposal.complete
    assert any("a, b, y" in note for note in proposal.notes)
    recipe = run(SimpleNamespace(text=proposal.text.replace("FILL_IN_THE_LABEL", "y")))
    old, new = halves(table)
    assert answers(recipe, old, new) == pytest.approx(new["y"])


LINES = [
    line
    for name in NAMES
    for node in ast.parse(
        (SCRIPTS / f"{name}.py.txt").read_text().replace("%matplotlib", "# ")
    ).body
    for line in [ast.unparse(node)]
]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(LINES), max_size=25))
def test_statements_in_any_order_give_a_recipe_that_compiles(lines):
    proposal = propose("\n".join(lines), "x.py")
    compile(proposal.text, "recipe.py", "exec")
    assert proposal.notes


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(NAMES), st.data())
def test_a_script_with_an_expression_exchanged_gives_a_recipe_that_compiles(name, data):
    source = (SCRIPTS / f"{name}.py.txt").read_text().replace("%matplotlib", "# ")
    tree = ast.parse(source)
    places = [
        (node, part)
        for node in ast.walk(tree)
        for part, value in ast.iter_fields(node)
        if isinstance(value, ast.expr) and not isinstance(getattr(value, "ctx", None), ast.Store)
    ]
    parts = [value for node, part in places if isinstance(value := getattr(node, part), ast.expr)]
    for _ in range(data.draw(st.integers(1, 4))):
        node, part = data.draw(st.sampled_from(places))
        setattr(node, part, copy.deepcopy(data.draw(st.sampled_from(parts))))
    try:
        mutated = ast.unparse(ast.fix_missing_locations(tree))
        ast.parse(mutated)
    except (SyntaxError, ValueError, RecursionError):
        return
    compile(propose(mutated, "x.py").text, "recipe.py", "exec")
