import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from everbake import AtMost, Gate, Recipe, Table, TimeSplit
from everbake.metrics import calibration_error


def train(rows: pd.DataFrame, seed):
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["sex", "ward"]),
        ("passthrough", ["age", "stays_before", "days", "mobility"]),
    )
    trees = HistGradientBoostingClassifier(
        max_iter=120, max_leaf_nodes=24, early_stopping=False, random_state=seed
    )
    return make_pipeline(columns, trees).fit(rows, rows["back"])


def predict(model, rows: pd.DataFrame):
    return model.predict_proba(rows)[:, 1]


recipe = Recipe(
    name="readmission",
    data=Table(
        label="back",
        path="data/batch-*.csv",
        time="left",
        key="stay",
        group="patient",
        label_delay="30d",
        private=["patient"],
    ),
    train=train,
    predict=predict,
    split=TimeSplit("30d"),
    gate=Gate(
        log_loss,
        segments=["sex", "age", "ward", ("sex", "ward")],
        guardrails=[AtMost(calibration_error, 0.06)],
    ),
)
