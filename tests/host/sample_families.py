"""Families of models on small real data, each as a user would train and ask it."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn import ensemble, linear_model, svm, tree
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from xgboost import XGBClassifier, XGBRegressor

HELD_OUT = 50
NUMBERS = 6  # columns of the data that are used
BEHIND = ("alone", "scaled", "one-hot", "ordinal")
_TOWNS = ("Bonn", "Köln", "Ulm")


def _sets(**changes):
    return {"n_estimators": 20, "random_state": 0, **changes}


LINEAR_REGRESSORS = {
    "LinearRegression": linear_model.LinearRegression(),
    "Ridge": linear_model.Ridge(),
    "Lasso": linear_model.Lasso(),
    "ElasticNet": linear_model.ElasticNet(),
    "SGDRegressor": linear_model.SGDRegressor(random_state=0),
    "BayesianRidge": linear_model.BayesianRidge(),
    "HuberRegressor": linear_model.HuberRegressor(max_iter=2000),
    "LinearSVR": svm.LinearSVR(random_state=0),
    "PoissonRegressor": linear_model.PoissonRegressor(max_iter=1000),
    "GammaRegressor": linear_model.GammaRegressor(max_iter=1000),
    "TweedieRegressor": linear_model.TweedieRegressor(power=1.5, max_iter=1000),
}
LINEAR_CLASSIFIERS = {
    "LogisticRegression": linear_model.LogisticRegression(max_iter=3000),
    "SGDClassifier": linear_model.SGDClassifier(loss="log_loss", random_state=0),
    "LinearSVC": svm.LinearSVC(random_state=0),
    "RidgeClassifier": linear_model.RidgeClassifier(),
    "Perceptron": linear_model.Perceptron(random_state=0),
}
TREE_REGRESSORS = {
    "DecisionTreeRegressor": tree.DecisionTreeRegressor(random_state=0),
    "ExtraTreeRegressor": tree.ExtraTreeRegressor(random_state=0),
    "RandomForestRegressor": ensemble.RandomForestRegressor(**_sets()),
    "ExtraTreesRegressor": ensemble.ExtraTreesRegressor(**_sets()),
    "GradientBoostingRegressor": ensemble.GradientBoostingRegressor(**_sets()),
    "HistGradientBoostingRegressor": ensemble.HistGradientBoostingRegressor(max_iter=20),
    "HistGradientBoostingRegressor, poisson": ensemble.HistGradientBoostingRegressor(
        loss="poisson", max_iter=20
    ),
    "LGBMRegressor": LGBMRegressor(**_sets(verbose=-1)),
    "LGBMRegressor, tweedie": LGBMRegressor(**_sets(verbose=-1, objective="tweedie")),
    "XGBRegressor": XGBRegressor(**_sets()),
    "XGBRegressor, poisson": XGBRegressor(**_sets(objective="count:poisson")),
}
TREE_CLASSIFIERS = {
    "DecisionTreeClassifier": tree.DecisionTreeClassifier(random_state=0),
    "ExtraTreeClassifier": tree.ExtraTreeClassifier(random_state=0),
    "RandomForestClassifier": ensemble.RandomForestClassifier(**_sets()),
    "ExtraTreesClassifier": ensemble.ExtraTreesClassifier(**_sets()),
    "GradientBoostingClassifier": ensemble.GradientBoostingClassifier(**_sets()),
    "HistGradientBoostingClassifier": ensemble.HistGradientBoostingClassifier(max_iter=20),
    "LGBMClassifier": LGBMClassifier(**_sets(verbose=-1)),
    "XGBClassifier": XGBClassifier(**_sets()),
}
REGRESSORS = LINEAR_REGRESSORS | TREE_REGRESSORS
CLASSIFIERS = LINEAR_CLASSIFIERS | TREE_CLASSIFIERS
TAKE_GAPS = ("Hist", "LGBM", "XGB", "DecisionTree", "ExtraTree", "RandomForest")
_LOADERS = {"numbers": load_diabetes, "two": load_breast_cancer, "three": load_iris}


@dataclass(frozen=True)
class Case:
    """A model that is trained, asked by `predict`, and compared on `rows`."""

    model: object
    predict: Callable[[object, pd.DataFrame], object]
    rows: pd.DataFrame


@cache
def table(kind):
    """Numbers, a town and a label, in an order of their own."""
    data = _LOADERS[kind](as_frame=True)
    order = np.random.default_rng(0).permutation(len(data.target))
    rows = data.data.iloc[order, :NUMBERS].reset_index(drop=True)
    rows.columns = [f"c{place}" for place in range(rows.shape[1])]
    third = rows["c0"].rank(pct=True).mul(2.999).astype(int)
    rows["town"] = [_TOWNS[place] for place in third]
    return rows, data.target.iloc[order].reset_index(drop=True)


def trained(name, kind, behind="alone", method="predict"):
    """The case of a family on one of the tables, behind steps of a pipeline."""
    rows, label = table(kind)
    model = (REGRESSORS if kind == "numbers" else CLASSIFIERS)[name]
    return fitted(clone(model), rows, label, behind, method, gaps=name.startswith(TAKE_GAPS))


def fitted(model, rows, label, behind="alone", method="predict", *, gaps=False):
    """The case of a model on rows; with missing values where it, or an imputer, takes them."""
    numbers = [name for name in rows.columns if name != "town"]
    columns = [*numbers, "town"] if behind in ("one-hot", "ordinal") else numbers
    rows = rows[columns].copy()
    if gaps or behind != "alone":
        rows.iloc[::7, 1] = np.nan
    steps = {
        "alone": [],
        "scaled": [SimpleImputer(), StandardScaler()],
        "one-hot": [_side_by_side(numbers, OneHotEncoder(handle_unknown="ignore"))],
        "ordinal": [_side_by_side(numbers, OrdinalEncoder())],
    }
    whole = make_pipeline(*steps[behind], model) if steps[behind] else model
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what does not converge is as good to compare
        whole.fit(rows.iloc[:-HELD_OUT], label.iloc[:-HELD_OUT])

    def predict(model, rows):
        answer = getattr(model, method)(rows[columns])
        return answer[:, 1] if method == "predict_proba" else answer

    return Case(whole, predict, rows.iloc[-HELD_OUT:].reset_index(drop=True))


def _side_by_side(numbers, encoder):
    scaled = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    return ColumnTransformer([("numbers", scaled, numbers), ("town", encoder, ["town"])])
