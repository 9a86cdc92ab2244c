"""The models that all servers serve: the same code and the same seed in every environment.

Copied beside the recipes of the measured project and imported by the peers, so it needs nothing
but scikit-learn.
"""

import re

from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

NAMES = [re.sub(r"\W", "_", name) for name in load_breast_cancer().feature_names]
# A support vector machine with a radial kernel is in no compiled runtime.
METHOD = {"a": "predict_proba", "b": "predict_proba", "c": "predict"}


def rows():
    """The 30 features and the target, as a data frame."""
    table = load_breast_cancer(as_frame=True).frame
    table.columns = [*NAMES, "target"]
    return table


def example():
    """The row that every server is asked about."""
    first = rows()[NAMES].iloc[0]
    return {name: float(first[name]) for name in NAMES}


def fit(kind, features, target):
    """Model a: a logistic pipeline; b: 100 boosted trees; c: one that cannot be compiled."""
    if kind == "a":
        model = make_pipeline(StandardScaler(), LogisticRegression(random_state=0))
    elif kind == "b":
        model = HistGradientBoostingClassifier(max_iter=100, random_state=0)
    else:
        model = make_pipeline(StandardScaler(), SVC(random_state=0))
    return model.fit(features, target)


def answer(kind, model, features):
    """What the recipe's `predict` says: a probability, or the label for c."""
    if kind == "c":
        return model.predict(features)
    return model.predict_proba(features)[:, 1]
